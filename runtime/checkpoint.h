#ifndef MLOC_RUNTIME_CHECKPOINT_H
#define MLOC_RUNTIME_CHECKPOINT_H

/* What the writer and the reader of checkpoints agree on. No user's name has a slash or begins with
   a dot; so these entries never meet an array of the program. */
#define CHECKPOINT_FOLDER "checkpoints"
#define CHECKPOINT_ABOUT "run/about.json" /* format, program, hash, step, seed, settings */
#define CHECKPOINT_STEPS "run/steps"      /* f64[rows]: at which step each row was reported */
#define CHECKPOINT_METRICS "run/metrics"  /* f64[rows, metrics] */

enum { CHECKPOINT_FORMAT = 1, CHECKPOINT_DIGITS = 10, CHECKPOINT_NAME = 420 };

#include "runtime/run.h"

/* The numbers of the folder's checkpoints, ascending, from malloc; -1 where there is no folder.
   With `stray` set, files that an interrupted writer left are removed. */
int rt_checkpoint_list(const char *out, bool stray, long long **step);
/* The entry that holds an array as it was at the best report. */
void rt_checkpoint_best(const char *array, char name[CHECKPOINT_NAME]);
/* DIR/checkpoints/0000000050.npz, from malloc. */
char *rt_checkpoint_path(const char *out, long long step);

#endif
