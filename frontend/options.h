#ifndef MLOC_FRONTEND_OPTIONS_H
#define MLOC_FRONTEND_OPTIONS_H

#include "ir/arena.h"

#include <stdbool.h>

enum { EXIT_PROGRAM = 1, EXIT_USAGE = 2, EXIT_DEVICE = 5, EXIT_BUG = 70 };

/* The subcommands, as bits: an option belongs to several. */
enum {
  CHECK = 1,
  RUN = 2,
  BUILD = 4,
  EMIT = 8,
  INSPECT = 16,
  FMT = 32,
  EXPLAIN = 64,
  CHECK_GRAD = 128,
  COMPILES = CHECK | RUN | BUILD | EMIT | INSPECT | CHECK_GRAD, /* all that do semantic analysis */
  LOWERS = RUN | BUILD | EMIT | INSPECT | CHECK_GRAD            /* all that run passes */
};

typedef struct Options {
  char *passes, *dump_after, *stage, *march, *out, *run, *diagnostics, *target, *arch, *device;
  char **set, **data;
  int time_passes, verify, poison, pedantic, json, check, verbose, no_spills, help;
  double bandwidth, flops; /* GB/s, TFLOP/s; 0: as the device does */
} Options;

/* Parses the options of subcommand `bit`, called `name`. What remains goes to *rest: for `run`, the
   program first, then what the executable gets. 0, or EXIT_USAGE after a message, or -1 where only
   help was asked for (and printed: `usage`, `text`). */
int options_parse(Arena *a, unsigned bit, const char *name, const char *usage, const char *text,
                  int argc, char **argv, Options *o, char ***rest, int *nrest);

/* Prints "mloc: ..." and gives EXIT_USAGE. */
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool ends_with(const char *s, const char *end);

#endif
