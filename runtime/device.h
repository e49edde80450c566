#ifndef MLOC_RUNTIME_DEVICE_H
#define MLOC_RUNTIME_DEVICE_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* Where the functions of a schedule run. The host has an arena of the device's layout: on a CPU it
   is the one that the functions work with, else a mirror. The mirror's data and settings are always
   current, anything else only after it was fetched. */
typedef struct RtDevice RtDevice;

/* What a kind of device can do. Functions return false where that fails, with the reason in d->err.
   Work is done in the order in which it is asked for, but only `wait` tells that it is done. */
typedef struct RtDeviceType {
  const char *name; /* as in --device */
  /* Zeroes all that the functions work with, but for the data where they are there. */
  bool (*clear)(RtDevice *d);
  /* Adds one to the i32 at `advance` (unless MLO_NOWHERE), then runs statements first.. up to but
     not `end`, which hold no steps of the top level; reports among them are skipped. `often`: the
     same will be asked for again. */
  bool (*run)(RtDevice *d, int first, int end, int64_t advance, bool often);
  /* The i32 at `at` becomes that value. */
  bool (*set)(RtDevice *d, int64_t at, int32_t value);
  /* The bytes at `at` become those of the host's arena. */
  bool (*put)(RtDevice *d, int64_t at, size_t n);
  /* The other way round; they are there after `wait`. */
  bool (*fetch)(RtDevice *d, int64_t at, size_t n);
  bool (*wait)(RtDevice *d);
  /* After each step of the top level: waits where too much was asked for that is not done yet. */
  bool (*pace)(RtDevice *d);
  void (*close)(RtDevice *d);
} RtDeviceType;

struct RtDevice {
  const RtDeviceType *type;
  MloRun *run;
  unsigned char *arena; /* the host's */
  const MloFunc *func;
  const MloStmt *stmt; /* what it interprets */
  int nstmt;
  RtErr *err;
  char name[128], arch[16]; /* of the device; "" on a CPU: those are the program's */
  int driver;               /* 13000 for 13.0 */
  bool has_data; /* and parts' rows */
  struct Cuda *cuda;
};

/* This CPU, or the first CUDA device: driver, kernels and memory. Errors: RT_DEVICE. */
void rt_device_host(RtDevice *d, MloRun *run);
bool rt_device_cuda(RtDevice *d, MloRun *run, RtErr *e);
/* The device that the options and the program's code allow; says so where `auto` falls back to the
   CPU. */
bool rt_device_open(RtDevice *d, MloRun *run, RtErr *e);

/* Data, settings and the seed, as they are in the host's arena, and zeros else; what an earlier run
   has sent of data is there. */
bool rt_device_begin(RtDevice *d);
/* Arrays of the arena as of now, in the host's arena; put: as they are there, on the device. */
bool rt_fetch(RtDevice *d, const MloArray *array, int n);
bool rt_put(RtDevice *d, const MloArray *array, int n);

/* The i32 at that place. */
int32_t rt_get_i32(const unsigned char *arena, int64_t at);
/* How many rounds a loop has. */
int64_t rt_rounds(const MloStmt *s, const unsigned char *arena);

#endif
