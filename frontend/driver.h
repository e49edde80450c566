#ifndef MLOC_FRONTEND_DRIVER_H
#define MLOC_FRONTEND_DRIVER_H

#include "ir/arena.h"

#include <signal.h>
#include <stdbool.h>

typedef enum DriverStatus {
  DRIVER_OK,
  DRIVER_NO_COMPILER, /* there is no C compiler, or the runtime library is missing */
  DRIVER_REJECTED,    /* the C compiler did not accept the text: a bug of ours */
  DRIVER_IO           /* a file cannot be written or an executable not started */
} DriverStatus;

/* How C text becomes an executable. Strings may be NULL. */
typedef struct DriverOptions {
  const char *cc;    /* NULL: $MLOC_CC, then the compiler that mloc was built with */
  const char *march; /* as for the compiler; NULL: x86-64-v3 */
  const char *cpu;   /* what "native" means here: part of the cache's key */
  const char *name;  /* of the program, for the C file's name in the compiler's messages */
  bool verbose;      /* print the compiler's command to stderr */
  bool uncached;     /* build even if the cache has it */
} DriverOptions;

/* An executable to start. `temporary`: it stands in a directory of its own that goes away with it.
 */
typedef struct DriverProgram {
  const char *path;
  bool temporary, cached; /* cached: nothing was compiled */
} DriverProgram;

/* Compiles `text` to the executable `out`, which appears at once or not at all. *error: one line.
 */
DriverStatus driver_build(Arena *a, const char *text, const DriverOptions *o, const char *out,
                          const char **error);

/* The same into the cache ($XDG_CACHE_HOME/mloc or ~/.cache/mloc, readable by its owner only),
   unless it is there already; into a temporary directory where the cache cannot be used. Any number
   of processes may do so at once. */
DriverStatus driver_cached(Arena *a, const char *text, const DriverOptions *o, DriverProgram *out,
                           const char **error);

/* Becomes the program; returns only when that fails. A temporary one runs as a child, and is
   removed: then *code is its exit code and the result DRIVER_OK. */
DriverStatus driver_exec(Arena *a, const DriverProgram *p, char *const *argv, int *code,
                         const char **error);

/* The signals that driver_spawn waits for: those it hands on, and SIGCHLD. All threads but the one
   that calls it block them. */
void driver_signals(sigset_t *set);

/* Runs the program as a child and waits for it; a temporary one is removed. SIGINT, SIGTERM and
   SIGHUP that another process sends go on to the child. *code: its exit code. */
DriverStatus driver_spawn(Arena *a, const DriverProgram *p, char *const *argv, int *code,
                          const char **error);

/* A new empty folder below $TMPDIR or /tmp, or NULL (errno says why); and its removal with its
 * files. */
const char *driver_folder(Arena *a);
void driver_remove_folder(Arena *a, const char *folder);

#endif
