#ifndef MLOC_IR_PROGRAM_H
#define MLOC_IR_PROGRAM_H

#include "ir/diag.h"
#include "ir/graph.h"
#include "ir/schema.h"

/* What a storage holds. DATA, VAR, STATE, SETTING, COUNTER and OUTPUT live for the whole run; the
   others only from their first write to their last read, so the memory plan may let them share
   bytes. */
typedef enum StorageKind {
  ST_DATA,    /* a field of a data source */
  ST_VAR,     /* decision variables: a level's flat vector, and views into it */
  ST_GRAD,    /* a level's gradient: flat, and views */
  ST_STATE,   /* optimizer state, flat */
  ST_ADJOINT, /* adjoint states: one flat vector a component, and views */
  ST_TEMP,    /* solver vectors, hoisted values */
  ST_SETTING, /* scalar that --set may change: consts, optimizer and method settings, steps */
  ST_COUNTER, /* i32 scalar kept by the schedule: loop counters; the seed */
  ST_OUTPUT,  /* losses, metrics, residuals, arrays that are reported or saved */
  NSTORAGEKIND
} StorageKind;

typedef enum Check {
  CHECK_ANY,
  CHECK_BOX /* lo <= x <= hi */,
  CHECK_RANGE /* lo <= x < hi */
} Check;

/* Named memory of the program. Functions read storages through param nodes and write them as
 * results. */
typedef struct Storage {
  const char *name; /* unique: "fit.w", "train.x", "tune.optimizer.lr" */
  Type type;
  StorageKind kind;
  struct Storage *base; /* a view: `type` at base_offset elements into base; NULL: owns its bytes */
  int64_t base_offset;
  Check check;          /* DATA: what the file must hold. VAR views: box constraint (CHECK_BOX) */
  double value, lo, hi; /* SETTING: default and limits; COUNTER "seed": default */
  bool saved;           /* written to final.npz */
  bool loaded;          /* VAR that nothing writes: --load gives it (of a run before this one) */
  bool carried;         /* by plan_memory, of storages that may share bytes: a step of the top level
                           reads what the step before it left there; a checkpoint must hold it */
  const char *dim_name[MAX_RANK]; /* DATA: as the user wrote them */
  int64_t offset;                 /* bytes in the arena, by plan_memory; -1 before */
  int born, dies; /* by plan_memory: first and last step of the linear schedule (reports) at which
                     the bytes are in use */
  Span span;
} Storage;

/* Roles say what a function is for; reports show them. */
typedef enum Role {
  ROLE_INIT,
  ROLE_OBJECTIVE,
  ROLE_METRIC,
  ROLE_GRADIENT,
  ROLE_UPDATE,
  ROLE_ADJOINT,
  ROLE_HVP,
  ROLE_SOLVE,
  ROLE_HOIST,
  ROLE_CHECK,
  ROLE_DRAW,
  NROLE
} Role;

typedef struct Kernel Kernel; /* ir/kernel.h: loop-level form, filled by fuse */

/* A closed graph that reads storages (param nodes) and writes its results to storages. All reads
   see the values from before the call. A result may go to one row of its storage (the first axis),
   chosen by a counter. */
typedef struct Func {
  const char *name; /* "fit.gradient" */
  Role role;
  Graph *graph;
  Node **result;
  Storage **dest;
  Storage **row; /* row[i]: NULL or the counter that picks the row of dest[i] */
  int nresult, cap;
  /* by fuse: the kernels in order, and for each node id the storage its value is loaded from (NULL:
     it is only ever computed inside a kernel) */
  Kernel **kernel;
  int nkernel;
  Storage **home;
} Func;

typedef struct Setting { /* a value of a schema: a storage, since --set may change it */
  const SettingInfo *info;
  Storage *storage;
} Setting;

typedef struct Level Level;
typedef struct Source Source;

typedef struct Edge { /* argmin lower via method(...) */
  Level *lower;
  const MethodInfo *method;
  Setting *setting; /* method->nsetting of them, in schema order */
  Span span;
} Edge;

/* One linear system for adjoint states: a strongly connected component of a level's equations.
   A x = b with A: apply reads `in` (flat) and writes `out` (flat); rhs writes `rhs`; the solution
   goes to `x`. After expand, a method that applies no A leaves apply, in and out NULL. */
typedef struct System {
  const char *name;   /* "tune.adjoint0" */
  Level *level;       /* whose hypergradient it serves */
  const char **block; /* the unknowns whose equations these are: "fit", "mu(mid|fit)" */
  int nblock;
  int64_t size;
  Func *rhs_func, *apply;
  Storage *x, *rhs, *in, *out;
  Storage *residual; /* scalar: |b - A x| / |b| at each report; NULL: not computed */
  const MethodInfo *method;
  Setting *setting;
  Span span;
} System;

/* Rows that each draw of a level takes from a large source: its draw t (from 0) is batch t mod b of
   epoch t div b, of the b batches that the rows make. The runtime reads them ahead of the level. */
typedef struct Cursor {
  Source *source; /* has rows, batch and shuffled */
  Storage *rows;  /* of a part of its split; NULL: all rows */
  int64_t stream; /* of the shuffle's random numbers */
  bool keep;      /* a last batch with fewer rows counts as one, filled up with the first ones */
} Cursor;

struct Level {
  const char *name;
  Span span;
  Storage *flat; /* all variables in one vector */
  Storage **var; /* views of flat, in order */
  int nvar;
  bool maximize; /* objective computes the user's value; differentiate turns the sign */
  Storage *loss; /* scalar written by objective: the user's value */
  Func *init, *objective;
  Func *settings; /* writes those settings of the optimizer that are expressions of the step, for
                     the step after `count`; NULL: all are numbers */
  Edge *edge;
  int nedge;
  const OptimizerInfo *optimizer;
  Setting *setting; /* optimizer->nsetting, in schema order */
  Setting steps;
  /* filled by differentiate */
  Storage *grad, **state; /* optimizer->nstate flat vectors; state[0..) */
  Storage *count;         /* i32: steps taken by this level */
  /* restart = fresh: before the first step after each step of the level above, new initial values
     and cleared optimizer state. restarts: how often (init draws by it), by the frontend; NULL:
     warm. started: count at the last restart, from which the optimizer's step number counts. */
  Storage *restarts, *started;
  Func *restart;
  /* By the frontend, where the level has them: advance moves its states (`state .. next ..`), once
     a step before the update; copy takes initial values from other levels (`init = copy(..)`)
     before the first step after a start, while the bool scalar `begin` is true. */
  Func *advance, *copy;
  Storage *begin;
  /* `stop`: the level's steps end when check, after a step, has made the bool scalar go false; again
     makes it true when they begin. */
  Func *check, *again;
  Storage *go;
  /* draws: how many batches and random numbers the level has drawn; NULL: it reads none. draw is
     one more; NULL with draws: the numbers stay as they are (check_grad). */
  Storage *draws;
  Func *draw;
  Cursor *cursor; /* by the frontend, of what the objective reads; few programs have any */
  int ncursor;
  Func *gradient, *update;
  System **system; /* in the order in which they are solved */
  int nsystem;
};

typedef enum StmtKind {
  STMT_STEP,   /* one step of a level: adjoint systems, gradient, update (before differentiate) */
  STMT_SOLVE,  /* solve a system (before expand) */
  STMT_CALL,   /* call a function */
  STMT_REPEAT, /* count (or count_setting) times; counter, if any, counts from 0 */
  STMT_WHILE,  /* while cond (a bool scalar storage) and at most count times */
  STMT_REPORT  /* body only when a report is due at the top level's step counter; then report */
} StmtKind;

typedef struct Stmt Stmt;
struct Stmt {
  StmtKind kind;
  Level *level;
  System *system;
  Func *func;
  int64_t count;
  Storage *count_setting, *counter, *cond;
  bool eval; /* REPORT, within another one: the body only where an evaluation is due as well; reports
                nothing itself */
  Stmt *body; /* first statement inside */
  Stmt *next;
};

typedef struct Metric {
  const char *name; /* "acc" */
  Storage *value;   /* scalar; as f32/f64 */
  Func *func;       /* NULL: written by another function (losses) */
  bool output;      /* an array of final.npz rather than a number of reports; evaluated with them */
  /* Over all rows of a source: start clears accumulators, batch adds one batch to them (or writes
     its rows), nbatch times, numbered by counter; rest the rows that are left; then func. NULL:
     none. */
  Func *start, *batch, *rest;
  Storage *counter;
  int64_t nbatch;
  bool costly;      /* evaluated as the run's `eval` says: not at every report */
  bool detail;      /* not in the lines of progress */
  Level *level;     /* whose it is, for messages; NULL: that whose loss it is */
} Metric;

typedef struct SourcePart { /* of a split */
  const char *name;
  Storage *rows; /* DATA "train.tr.rows", i32: the runtime fills it once the source is loaded */
} SourcePart;

struct Source {
  const char *name, *file;
  Storage **field; /* "train.x": array x of the file */
  const char **array;
  int nfield;
  int64_t rows;  /* of a batched or split source */
  int64_t batch; /* rows of a batch, 0: not batched */
  bool shuffled;
  SourcePart *part;
  int npart;
  Storage *by; /* field whose values are each divided as the parts are; NULL: none */
  int64_t split_seed;
};

/* What the operands of a library's f32 products are rounded to, to nearest even; sums are f32. */
typedef enum Products { PRODUCTS_EXACT, PRODUCTS_BF16, PRODUCTS_TF32, NPRODUCTS } Products;

typedef struct Run {
  const char *name;
  const char *after; /* the run whose final.npz it begins with, or NULL */
  Level *top;
  int64_t seed, report_every;
  int64_t checkpoint_every, checkpoint_keep; /* steps of the top, 0: never; how many stay, 0: all */
  int64_t eval_every; /* steps of the top between evaluations of costly metrics; 0: every report */
  const char *best;   /* the metric whose best report final.npz holds; NULL: the last step's values */
  bool best_max;      /* the greatest is the best; else the least */
  bool csv;
  DType precision;   /* of all floats that do not say another */
  Products products; /* not EXACT: precision is f32 */
} Run;

enum { ARENA_ALIGN = 64 }; /* bytes: where storages start in the arena */

enum { /* facts that passes require, establish and break */
       F_ORDERED = 1,
       F_LEVEL_GRADS = 2,
       F_NO_SOLVE = 4,
       F_FUSED = 8,
       F_PLANNED = 16
};

/* A hash table by name over the first `n` storages. */
typedef struct StorageIndex {
  Storage **slot;
  int n, nslot;
} StorageIndex;

typedef struct Program {
  Arena *arena;
  Diags *diags;
  const char *name; /* from the file name */
  Storage **storage;
  int nstorage, storage_cap;
  StorageIndex *index; /* for program_find */
  Func **func;
  int nfunc, func_cap;
  Level **level; /* lowest first after level_order */
  int nlevel, level_cap;
  Source **source;
  int nsource, source_cap;
  Metric *metric;
  int nmetric, metric_cap;
  Run run;
  Storage *seed; /* COUNTER "seed" */
  Stmt *schedule;
  unsigned facts;
  int64_t arena_bytes, scratch_bytes; /* by plan_memory */
} Program;

Program *program_new(Arena *a, Diags *d, const char *name);
/* Adds a storage; the name must be new. offset starts at -1. */
Storage *program_storage(Program *p, StorageKind kind, Type type, const char *name, ...)
    __attribute__((format(printf, 4, 5)));
Storage *program_view(Program *p, Storage *base, int64_t offset, Type type, const char *name);
Storage *program_find(const Program *p, const char *name); /* NULL if absent */
/* Keeps the first n entries of p->storage, which the caller has moved to the front. */
void program_keep_storages(Program *p, int n);
Func *program_func(Program *p, Role role, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
Func *program_find_func(const Program *p, const char *name);
Level *program_find_level(const Program *p, const char *name);
Level *program_level(Program *p, const char *name);
/* Adds `node` as a result of f, written to dest. Types must match. */
void func_result(Program *p, Func *f, Node *node, Storage *dest, Storage *row);
/* Param node of f's graph (or any graph) that reads s. */
Node *storage_read(Graph *g, const Storage *s);
/* Drops nodes that no result reaches and renumbers; hash-consing starts afresh. Results are kept in
 * order. */
void func_compact(Program *p, Func *f);
/* How many rows a cursor goes through. */
int64_t cursor_rows(const Cursor *c);
/* The loop whose rounds are the steps of the run's top level; also where it is looked at alone. */
bool stmt_is_top_loop(const Program *p, const Stmt *s);
/* The default type of floats in this run. */
DType program_float(const Program *p);
/* The precision of a run in words: "f32", "f64", "mixed" (f32, products of bf16) or "tf32" (f32,
   products of TF32); "" for what no run can have. */
const char *run_precision(const Run *r);
/* Sets both parts by such a word; false, and nothing set, where it is another. */
bool precision_parse(const char *word, DType *precision, Products *products);
const char *products_name(Products p); /* "exact", "bf16", "tf32" */
Stmt *stmt_new(Program *p, StmtKind kind);

#endif
