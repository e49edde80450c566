#ifndef MLOC_RUNTIME_OPTIONS_H
#define MLOC_RUNTIME_OPTIONS_H

#include "runtime/error.h"
#include "runtime/mlo.h"

typedef enum RtProgressKind {
  PROGRESS_AUTO, /* a bar on a terminal, plain lines elsewhere */
  PROGRESS_BAR,
  PROGRESS_PLAIN,
  PROGRESS_JSON,
  PROGRESS_NONE
} RtProgressKind;

typedef enum RtAction { ACTION_RUN, ACTION_HELP, ACTION_VERSION, ACTION_LICENSES } RtAction;

typedef enum RtDeviceKind { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA } RtDeviceKind;

/* The command line of an executable, checked against its program. */
typedef struct RtOptions {
  RtAction action;
  char *out;    /* run directory or NULL */
  char *resume; /* "auto", a checkpoint's file, or NULL */
  char *load;   /* a file of initial values, or NULL */
  int64_t seed, steps;
  int64_t seeds; /* how many, from `seed` on; 0: that one, without --seeds */
  int nthread;   /* 0: OpenMP's default */
  RtDeviceKind device;
  bool quiet, verbose;
  RtProgressKind progress;
  double *setting; /* value of each of the program's settings */
  char **data;     /* file given for each source, or NULL */
} RtOptions;

/* Errors: unknown options, names and values out of range (RT_USAGE). */
bool rt_options_parse(int argc, char **argv, const MloProgram *p, RtOptions *out, RtErr *e);
void rt_options_free(const MloProgram *p, RtOptions *o);

/* --help and --licenses, on stdout. */
void rt_print_help(const MloProgram *p);
void rt_print_licenses(void);

#endif
