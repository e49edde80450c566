#ifndef MLOC_RUNTIME_DEVICE_H
#define MLOC_RUNTIME_DEVICE_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* Where the functions of a schedule run. The host has an arena with the device's layout: on a CPU
   it is the one that the functions work with, else a mirror. The mirror's data and settings are
   always current, anything else only after it was fetched. */
typedef struct RtDevice RtDevice;

/* What a kind of device can do. Functions return false where that fails, with the reason in d->err.
   Work is done in the order in which it is asked for, but only `wait` tells that it is done. */
typedef struct RtDeviceType {
  const char *name; /* as in --device */
  /* Adds one to the i32 at `advance` (unless MLO_NOWHERE), then runs statements first.. up to but
     not `end`, which hold no steps of the top level; reports among them are skipped. */
  bool (*run)(RtDevice *d, int first, int end, int64_t advance);
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
};

/* This CPU. */
void rt_host_open(RtDevice *d, MloRun *run);

/* The i32 at that place. */
int32_t rt_get_i32(const unsigned char *arena, int64_t at);

/* How many rounds a loop has. */
int64_t rt_rounds(const MloStmt *s, const unsigned char *arena);

#endif
