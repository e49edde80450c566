#ifndef MLOC_RUNTIME_RUN_H
#define MLOC_RUNTIME_RUN_H

#include "runtime/device.h"
#include "runtime/options.h"
#include "runtime/prefetch.h"
#include "runtime/write.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* SIGINT and SIGTERM wait in a thread of their own, so that no handler and no global is needed: the
   first sets `stop`; one that comes more than half a second later ends the process as the signal
   would have. */
typedef struct RtSignals {
  pthread_t thread;
  sigset_t set, before;
  atomic_int stop; /* the signal's number */
  atomic_bool quit;
  bool running;
} RtSignals;

/* Begin before any other thread exists: threads inherit the blocked signals. */
bool rt_signals_begin(RtSignals *s);
void rt_signals_end(RtSignals *s);

/* One line, bar or JSON object a report, on stderr. */
typedef struct RtProgress {
  RtProgressKind kind; /* resolved: never AUTO */
  bool drawn;          /* a bar stands on the terminal's last line */
  double last;         /* when it was drawn */
} RtProgress;

/* Metrics of all reports: step and one value a metric. */
typedef struct RtRows {
  int64_t *step;
  double *value;
  size_t n, room;
} RtRows;

/* What --load gives: the arrays of the file that are variables of the program, in one block. */
typedef struct RtLoad {
  MloField *field;
  const MloArray **array; /* which each field becomes */
  int n;
  unsigned char *block;
} RtLoad;

/* Checksums (CRC-32) of the values that the run reads: all data, and what --load gives. */
typedef struct RtInputs {
  uint32_t data, load;
} RtInputs;

/* The best report so far of the program's `best` metric (metric < 0: it has none): the arrays of
   final.npz then, as entries into the block. */
typedef struct RtBest {
  int metric;
  bool have;
  int64_t step;
  double value;
  RtEntry *entry; /* the program's narray */
  unsigned char *block;
} RtBest;

struct MloRun {
  const MloProgram *program;
  RtOptions option;
  unsigned char *arena; /* the host's */
  RtDevice device;
  int nthread;
  double begin;     /* monotonic seconds when the schedule began */
  char started[32]; /* UTC, ISO 8601 */
  int64_t step;     /* the last one seen */
  int64_t stopped;  /* after how many steps `stop` ended the top level's; 0: it has not */
  RtSignals signals;
  RtPrefetch prefetch;
  RtProgress progress;
  RtRows rows;
  RtLoad load;
  RtInputs inputs;
  RtBest best;
  int64_t saved; /* step of the last checkpoint on the disk, -1: none */
  int64_t good;  /* of the last one that a report has followed, when that was written; -1: none */
  char *resume_path; /* the checkpoint to enter the loop with, checked; NULL: from the start */
  bool checkpoint_failed, checkpoint_adopted; /* it was said; older runs' files were dealt with */
  double logged;                              /* when metrics.csv was last written */
  RtErr err;                                  /* why the schedule was stopped */
};

double rt_now(void); /* monotonic seconds */

void rt_progress_begin(MloRun *run);
void rt_progress_tick(MloRun *run);
void rt_progress_row(MloRun *run);
void rt_progress_end(MloRun *run);

/* Adds a row of the metrics' current values; false where memory ends. */
bool rt_rows_add(MloRun *run, int64_t step);
double rt_metric_value(const MloRun *run, int i);

/* Whether metric i was evaluated for a report; else its cell is empty. */
bool rt_evaluated(const MloRun *run, int i, double value, int64_t step);
/* keep_best. begin: once, after the arena is there. report: after the row of a report was added;
   false where the device fails. The row of the best report is NULL where there is none. */
bool rt_best_begin(MloRun *run, RtErr *e);
bool rt_best_report(MloRun *run, int64_t step);
const double *rt_best_row(const MloRun *run);
void rt_best_free(RtBest *b);

/* The metrics that a run ends with, the best ones where it keeps them, nmetric of them; NULL where nothing was reported. */
const double *rt_result(const MloRun *run, int64_t *step);
bool rt_stopping(const MloRun *run);

/* One run, from the first file to the last: signals, threads and the data in the arena are there.
   Returns the exit code; the message is in run->err, or in e where it is about files. */
int rt_once(MloRun *run, RtErr *e);
/* --seeds: one run after another, each from an arena that holds the data alone, then the table over
   them. Returns the exit code, after its own messages. */
int rt_seeds(MloRun *run);
/* Settings and seed into the arena. */
void rt_write_options(MloRun *run);
/* "NAME: message" on stderr; returns the code. */
int rt_say(const MloRun *run, const RtErr *e);

/* The run directory. rt_dir_check makes the folder where it does not exist and tries whether it can
   be written and has room for the results; rt_dir_begin removes an older run's files and writes the
   first run.json. */
bool rt_dir_check(const MloProgram *p, const RtOptions *o, RtErr *e);
/* Keeps other runs out of the folder for as long as *lock is open, or the process alive; -1 where
   the filesystem has no locks. With --seeds the folder of them all is locked. Errors: RT_USAGE,
   where another run is at work there. */
bool rt_dir_lock(const char *out, int *lock, RtErr *e);
bool rt_dir_begin(MloRun *run, RtErr *e);
bool rt_dir_metrics(MloRun *run, RtErr *e);
/* metrics.csv, final.npz where the variables are worth keeping (status 0 and 75), run.json. */
bool rt_dir_end(MloRun *run, int status, RtErr *e);

/* Whether the run directory holds a finished run of this program, seed, settings, inputs and steps:
   its exit code, last step and metrics (NaN: not known) then. Errors: RT_DATA, where it is another
   one's. */
typedef struct RtFinished {
  int status;
  int64_t step;
  double *value; /* the program's nmetric, given by the caller */
} RtFinished;
bool rt_dir_finished(const MloRun *run, RtFinished *out, bool *found, RtErr *e);
/* FOLDER/FILE, from malloc; and a text file there. */
char *rt_join(const char *folder, const char *file);
bool rt_write_in(const char *folder, const char *file, const char *text, size_t n, RtErr *e);

/* --load. Reads the file and checks all that it will give; the arena stays as it is. Errors:
   RT_DATA, where nothing matches or an array of a variable's name does not fit it. */
bool rt_load_begin(MloRun *run, RtErr *e);
/* Whether there is what the run begins with: one that comes after another needs --load or a
   checkpoint. */
bool rt_load_given(const MloRun *run, RtErr *e);
/* Sets run->inputs; data and --load are there. */
void rt_inputs_sum(MloRun *run);
/* Errors: of the device. */
bool rt_load_apply(MloRun *run);
void rt_load_free(RtLoad *l);

/* Checkpoints. Finds the one that --resume means, checks all of it and takes its rows of metrics;
   resume_path stays NULL where `auto` finds none. Errors: RT_DATA, naming what differs. */
bool rt_checkpoint_find(MloRun *run, RtErr *e);
/* Puts the arrays of resume_path into the arena; *step is its step. */
bool rt_checkpoint_load(MloRun *run, int64_t *step, RtErr *e);
/* Writes one after `done` steps; whatever goes wrong is said once and the run goes on. Returns
   whether the state is on the disk. */
bool rt_checkpoint_write(MloRun *run, int64_t done);

#endif
