#ifndef MLOC_RUNTIME_MLO_SCHEDULE_H
#define MLOC_RUNTIME_MLO_SCHEDULE_H

/* The schedule of a generated program as tables, and what it has for CUDA devices. The runtime
   interprets them. Places (..._at, arguments) are bytes from the arena's start; the arena has the
   same layout on every device. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Same order as the compiler's element types. */
typedef enum MloDType { MLO_BOOL, MLO_I32, MLO_F32, MLO_F64 } MloDType;

enum { MLO_NOWHERE = -1 };

typedef enum MloStmtKind {
  MLO_CALL,
  MLO_REPEAT,
  MLO_WHILE,   /* a REPEAT that ends as soon as its condition is false */
  MLO_REPORT,  /* the body where mlo_due says so, then mlo_report */
  MLO_EVAL,    /* within a report: the body where mlo_eval_due says so */
  MLO_INITIAL, /* initial values are set: --load and --resume give theirs */
  MLO_NSTMTKIND
} MloStmtKind;

typedef struct MloSpan {
  size_t offset, bytes;
} MloSpan;

/* The schedule, flat: the body of a statement follows it, up to `next`. */
typedef struct MloStmt {
  MloStmtKind kind;
  int next;           /* the first statement behind this one and its body */
  int func;           /* CALL: of the program's functions */
  int level;          /* CALL that draws from large sources: the cursors' level; else -1. On a
                         device: of those that may run ahead */
  bool top;           /* REPEAT, WHILE: its rounds are the steps of the top level */
  int64_t count;      /* REPEAT, WHILE: rounds, or the most of them, unless.. */
  int64_t count_at;   /* ..this i32, a setting, has them */
  int64_t counter_at; /* REPEAT, WHILE: i32 that counts the rounds from 0 and is their number behind
                         the loop; REPORT, EVAL: the step; CALL that draws: its draws so far */
  int64_t cond_at;    /* WHILE: bool that must be true for another round */
} MloStmt;

/* A function of the schedule: kernels that run one after another. */
typedef struct MloFunc {
  const char *name;                   /* "fit.update" */
  void (*host)(unsigned char *arena); /* NULL: not built for CPUs */
  int first, n;                       /* on a device: of its launches */
} MloFunc;

typedef enum MloLaunchKind { MLO_KERNEL, MLO_GEMM, MLO_COPY, MLO_FILL } MloLaunchKind;

/* How a product's operands may be rounded. */
typedef enum MloPrecision { MLO_EXACT, MLO_BF16, MLO_TF32 } MloPrecision;

/* Arguments are places in the arena, or, where negative, in the scratch: byte -1 - argument. */
typedef struct MloLaunch {
  MloLaunchKind kind;
  int kernel, grid, block; /* KERNEL: of the device's kernels; blocks, threads a block */
  int arg, narg; /* of the device's arguments. KERNEL: its parameters; COPY: to, from; FILL: to;
                    GEMM: a, b, c */
  int64_t bytes; /* COPY; FILL, with bytes 0xff */
  /* GEMM: C[i] = alpha op(A[i]) op(B[i]) + beta C[i] for i < batch, as mlo_gemm_f32; strides, in
     elements, are from one i to the next. */
  MloDType dtype;
  bool ta, tb;
  int64_t m, n, k, batch, stride_a, stride_b, stride_c;
  double alpha, beta;
  MloPrecision precision;
} MloLaunch;

/* Kernels made for one architecture. */
typedef struct MloCubin {
  const char *arch; /* "sm_90" */
  const unsigned char *image;
  size_t n;
} MloCubin;

/* A level's function that draws, which may be run ahead of its call: what it writes, the counter of
   draws included. Nothing else writes the counter, and no call is in a round that does not count. */
typedef struct MloAhead {
  int nspan; /* 0: it may not */
  const MloSpan *span;
} MloAhead;

/* What a program has for CUDA devices. */
typedef struct MloDevice {
  const char *source; /* CUDA C, compiled where no cubin fits; NULL: there are cubins alone */
  const char *const *kernel; /* names */
  int nkernel;
  const MloLaunch *launch;
  int nlaunch;
  const int64_t *arg; /* of all launches */
  const MloCubin *cubin;
  int ncubin;
  const MloCubin *check; /* beside the cubins: mlo_check, for loops in graphs; may be missing */
  int ncheck;
  size_t scratch_bytes; /* of a buffer beside the arena, zero at the start */
  const MloStmt *stmt;  /* the device's own schedule of the program's functions */
  int nstmt;
  const MloAhead *ahead; /* of the cursors' levels, or NULL */
  int nahead;
} MloDevice;

#endif
