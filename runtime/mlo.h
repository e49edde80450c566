#ifndef MLOC_RUNTIME_MLO_H
#define MLOC_RUNTIME_MLO_H

/* What a generated executable and the runtime say to each other. The generated file defines one
   `const MloProgram mlo_program` and a main that calls mlo_main(argc, argv, &mlo_program).
   Names are the user's: "fit.w", "train.x", "tune.optimizer.lr". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/mlo_schedule.h"

enum { MLO_ABI = 9, MLO_MAX_RANK = 6 };

/* What a data field's `in` clause promises; checked before step 0. */
typedef enum MloCheck {
  MLO_ANY,
  MLO_BOX /* lo <= x <= hi */,
  MLO_RANGE /* lo <= x < hi */,
  MLO_RAW /* any bits, NaN too: for reading results back */
} MloCheck;

typedef struct MloField {
  const char *name; /* array in the file: "x" */
  MloDType dtype;
  int rank;
  int64_t dim[MLO_MAX_RANK];
  const char *dim_name[MLO_MAX_RANK]; /* for messages: "N" or "10" */
  MloCheck check;
  double lo, hi;
  size_t offset; /* bytes from the arena's start where the loaded array goes */
} MloField;

/* A part of a split: which rows, by number and ascending, is written to the arena after loading. */
typedef struct MloPart {
  const char *name; /* "tr" */
  int64_t count;
  size_t offset; /* int32_t[count] */
} MloPart;

typedef struct MloSource {
  const char *name; /* "train" */
  const char
      *file; /* as written, relative to `dir` of the program unless absolute; --data overrides */
  int nfield;
  const MloField *field;
  int npart, by; /* by: field whose values are each divided as the parts are; -1: none */
  const MloPart *part;
  int64_t nrow, split_seed; /* where there are parts */
} MloSource;

/* A scalar that --set NAME=VALUE may override without recompiling. */
typedef struct MloSetting {
  const char *name; /* "prox", "tune.optimizer.lr" */
  MloDType dtype;
  size_t offset;
  double value, lo, hi; /* default and inclusive limits (infinities where there are none) */
} MloSetting;

/* An array of the arena that is written to final.npz (and read back by tests). */
typedef struct MloArray {
  const char *name; /* "fit.w" */
  MloDType dtype;
  int rank;
  int64_t dim[MLO_MAX_RANK];
  size_t offset;
  bool variable;  /* --load may give its initial value; else computed by the schedule alone */
  bool required;  /* --load must give it */
  MloCheck check; /* MLO_BOX: a variable stays within.. */
  double lo, hi;  /* ..these */
  bool copied;    /* the schedule would begin with another level's values, but for --load, which
                     clears the bool scalar at.. */
  size_t begin;   /* ..this offset */
} MloArray;

/* A scalar shown in reports and written to metrics.csv, valid after the schedule evaluated it. */
typedef struct MloMetric {
  const char *name; /* "tune.loss", "acc" */
  MloDType dtype;
  size_t offset;
  const char *level; /* whose it is, or NULL */
  bool costly;       /* evaluated only where mlo_eval_due says so */
  bool detail;       /* not in the lines of progress */
} MloMetric;

/* Rows that the draws of a level take from a source, so that they can be read ahead: draw t is batch
   t mod b of epoch t div b, b = nrow div batch, one more where `keep`; what is behind the end is
   filled up with the first places. */
typedef struct MloCursor {
  int level; /* which mlo_drawn names; cursors of a level stand together */
  bool shuffled, keep, part;
  uint32_t stream;     /* shuffled: of mlo_shuffle */
  int64_t nrow, batch; /* places, of which `batch` are taken at once */
  size_t rows;         /* part: int32_t[nrow] at this offset has the row of each place */
  int nspan;
  const MloSpan *span; /* fields whose first axis counts rows: row r is `bytes` of them from
                          offset + r bytes */
} MloCursor;

typedef struct MloRun MloRun; /* the runtime's state of one run; opaque to generated code */

typedef struct MloProgram {
  uint32_t abi;           /* MLO_ABI */
  const char *name, *run; /* "ridge" (from ridge.mlo), "main" */
  const char *source, *dir, *hash, *version,
      *arch;             /* file, its folder, program hash, mloc; arch: "x86-64-v3",
                            or "native:avx2,fma,.." as by mlo_cpu_flags */
  const char *precision; /* "f32" */
  size_t arena_bytes;
  int nsource, nsetting, narray, nmetric;
  const MloSource *data;
  const MloSetting *setting;
  const MloArray *array;
  const MloMetric *metric;
  int nstate;
  const MloArray
      *state; /* what one step of the top level leaves to the next: checkpoints hold it */
  int64_t checkpoint_every, checkpoint_keep; /* steps, 0: never; how many stay, 0: all */
  int ncursor;
  const MloCursor *cursor; /* of large sources; levels count from 0 */
  const char *after;       /* the run whose results it begins with, or NULL */
  int64_t eval_every; /* steps between evaluations of costly metrics; 0: every report */
  const char *best;   /* the metric whose best report final.npz holds, or NULL */
  bool best_max;      /* the greatest is the best */
  const char *top_steps;                     /* the setting that --steps overrides, or NULL */
  size_t seed_offset;                        /* i32 scalar: the run's seed */
  size_t top_steps_offset;           /* i32 scalar that the schedule's outer loop reads: --steps */
  int64_t seed, steps, report_every; /* defaults */
  bool report_csv;
  bool process; /* mlo_main gets the arguments of the process, which it may start anew with them */
  /* Runs the whole schedule; returns 0 or the status that ended it: mlo_schedule. */
  int (*schedule)(MloRun *run, unsigned char *arena);
  int nfunc, nstmt;
  const MloFunc *func;
  const MloStmt *stmt;   /* the schedule on a CPU */
  const MloDevice *cuda; /* NULL: not built for CUDA devices */
} MloProgram;

/* Parses options, loads and checks data, runs, writes the run directory; returns the exit code
   (0 ok, 2 usage, 3 data or output, 4 diverged, 5 device, 75 interrupted). The arena is zeroed and
   aligned to a page. The versioned symbol makes a runtime of another ABI fail at link time. */
#define mlo_main mlo_main_abi7
int mlo_main(int argc, char **argv, const MloProgram *p);

/* Interprets the tables of the run's program on the device that the run has chosen. */
int mlo_schedule(MloRun *run, unsigned char *arena);
/* Runs a schedule without a run, for programs that load compiled functions: on this CPU, without
   what it reports. */
void mlo_statements(const MloFunc *func, const MloStmt *stmt, int nstmt, unsigned char *arena);

/* Called by the schedule once a step of the top level, before its update at 0-based step `step` and
   once after the last. True when a report is due (its first, last, every report_every-th and where
   costly metrics are due), so that metrics are evaluated only then. */
bool mlo_due(MloRun *run, int64_t step);
/* Where a report is due: whether costly metrics are to be evaluated as well (the first, the last
   and every eval_every-th step). */
bool mlo_eval_due(const MloRun *run, int64_t step);
/* Prints and logs one row from the metrics' current values. Nonzero (4: a value that is not finite,
   75: interrupted) tells the schedule to return that status. */
int mlo_report(MloRun *run, int64_t step);
/* After the initial values are set and before anything reads them: puts those of --load in their
   place. Nonzero where that fails. */
int mlo_load(MloRun *run);
/* Before the top level's loop: *first is the step to begin with, 0 or that of the checkpoint whose
   arrays it has put into the arena. Nonzero where it cannot be read. */
int mlo_resume(MloRun *run, int64_t *first);
/* After each step of the top level, `done` of them taken: progress, checkpoints; nonzero (75) when
   interrupted. */
int mlo_tick(MloRun *run, int64_t done);

/* The top level's `stop` has come true after `done` steps: they count as all. */
void mlo_stopped(MloRun *run, int64_t done);

/* Level `level` of the cursors has drawn; its next draw has number `next` (from 0). */
void mlo_drawn(MloRun *run, int level, int32_t next);

/* Fills n bytes of dead buffer with NaN patterns (builds with --poison). */
void mlo_poison(void *p, size_t n);

/* C[m,n] = alpha op(A) op(B) + beta C by OpenBLAS, row-major and dense: A is [m,k], or [k,m] where
   ta transposes it; B is [k,n], or [n,k] where tb does. Each dimension fits an int. */
void mlo_gemm_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                  const float *b, float beta, float *c);
void mlo_gemm_f64(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                  const double *b, double beta, double *c);
/* mlo_gemm_f32 of A and B rounded to bf16 or to TF32, to nearest even; a and b stay as they are;
   work: m*k + k*n floats. */
void mlo_gemm_bf16(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   const float *b, float beta, float *c, void *work);
void mlo_gemm_tf32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   const float *b, float beta, float *c, void *work);
/* x = M^-1 b by LU with partial pivoting (LAPACK getrf, getrs): M is m, or its transpose where tm
   is set; m is n x n row-major, b is n x k row-major; m and b stay as they are; work: n*n + n*k
   elements and n 64-bit pivots. Returns 0, or 1 where M is singular (x is then NaN). */
int mlo_solve_f32(bool tm, int64_t n, int64_t k, const float *m, const float *b, float *x,
                  void *work);
int mlo_solve_f64(bool tm, int64_t n, int64_t k, const double *m, const double *b, double *x,
                  void *work);

#endif
