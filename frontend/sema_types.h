#ifndef MLOC_FRONTEND_SEMA_TYPES_H
#define MLOC_FRONTEND_SEMA_TYPES_H

#include "frontend/sema.h"
#include "frontend/value.h"

/* What the files of semantic analysis share: symbols, levels, and the state of one analysis. */

typedef enum SymKind {
  SYM_DIM,
  SYM_CONST,
  SYM_DATA,
  SYM_FN,
  SYM_MODULE,
  SYM_LEVEL,
  SYM_RUN,
  SYM_METRIC,
  NSYM
} SymKind;
typedef enum Progress { NOT_CHECKED, IN_PROGRESS, DONE, FAILED } Progress;

typedef struct SField {       /* a field of a data source */
  const char *name, *storage; /* "x", "train.x" */
  AstItem *item;
  SType type;
  Check check;
  double lo, hi;
  SDim limit;            /* CHECK_RANGE: its upper end */
  bool bad, used, index; /* index: checked to be a position, limit the size that it fits */
  int row_axis;          /* which axis counts the source's rows; -1: none */
} SField;

/* Rows that levels draw from: those of a source, or of one part of its split. */
typedef struct SRows {
  const char *name;  /* "train", "train.tr" */
  const char *index; /* storage of a part's row numbers: "train.tr.rows"; NULL: all rows */
  SDim rows, batch;  /* how many there are; how many are read at once */
  int number;        /* among all of the program */
} SRows;

typedef struct SPart { /* of a split */
  const char *name;
  Span span;
  double share;
  SRows rows;
} SPart;

typedef struct SData {
  const char *file, *path; /* as written; where it is */
  Span file_span;
  SField *field;
  int nfield, cap;
  /* settings as written; NULL: not given */
  const AstExpr *batch, *shuffle, *partial, *row_name, *split;
  SDim row;      /* the size that counts rows */
  bool has_rows; /* and which fields have it is known */
  bool bad_rows; /* an error has been said about batches, rows or the split */
  bool shuffled, keep; /* keep: a last batch with fewer rows */
  SRows all;
  SPart *part;
  int npart, part_cap;
  const SField *by; /* split: every value of this field is divided alike; NULL: none */
  int64_t split_seed;
  SemaArray *array;
  int narray;
  SemaProbe probe;
} SData;

typedef struct Symbol Symbol;
typedef struct SLevel SLevel;
typedef struct SInstance SInstance;

typedef struct SVar {         /* of a level: declared in it, or a parameter of a module in it */
  const char *name, *storage; /* "w", "net.l1.W"; "fit.net.l1.W" */
  AstItem *item;
  const SInstance *instance; /* whose parameter it is; NULL: of the level itself */
  SType type;
  bool bad, boxed, frozen; /* frozen: `freeze`; not updated, and no unknown of the level */
  double lo, hi;
  Node *init;                 /* in the level's init graph */
  const struct SVar *copy_of; /* `init = copy(..)`: what it begins with; else NULL */
  AstItem *copy_item;         /* that setting */
} SVar;

typedef struct SState { /* `state`: updated once a step of its level, never differentiated */
  const char *name, *storage;
  AstItem *item;
  const SInstance *instance;
  SType type;
  bool bad;
  Node *init, *next; /* in the level's init and objective graphs; next NULL: not updated */
} SState;

/* A part of a module's instance, or of a level: its variables, states and instances, or lists of
   them. What a list holds is numbered: `block.0`. */
typedef enum MemberKind { MEMBER_VAR, MEMBER_STATE, MEMBER_INSTANCE } MemberKind;
typedef struct SMember {
  const char *name;
  MemberKind kind;
  bool list;
  int n, *index;        /* into the level's var or state */
  SInstance **instance; /* MEMBER_INSTANCE */
  SLevel *level;
  AstItem *item;
} SMember;

/* A module with its sizes in a level; the level's own is its root, without module. */
struct SInstance {
  const char *path; /* "net.l1"; "" of the root */
  SLevel *level;
  Symbol *module;
  struct Local *local; /* its sizes */
  SMember *member;
  int nmember, member_cap;
  int first, nvar; /* its parameters, those of its parts included: level->var[first..first+nvar) */
  bool bad;
};

typedef struct SLet { /* evaluated anew in every graph that uses it; errors are said once */
  AstItem *item;
  Progress progress;
  bool used;
  Graph *graph; /* where `value` lives */
  Value value;
} SLet;

typedef struct SSetting {
  const SettingInfo *info;
  double value;
  bool given;
  const AstExpr *schedule; /* NULL: a number */
  Node *node;              /* of a schedule, in the level's graph of settings */
} SSetting;

typedef struct SEdge {
  SLevel *lower;
  AstItem *item;
  const MethodInfo *method;
  SSetting setting[MAX_SETTINGS];
} SEdge;

typedef struct SMetric {
  AstItem *item;
  Graph *graph;
  Node *node;
  /* on a batched source: the expression for one batch, and anew for the smaller one that is left.
     parts are summed up over all; node is what follows from them, or, per_row, a batch's rows. */
  const SRows *rows;
  Chunk *chunk, *rest;
  Graph *rest_graph;
  Node *rest_node;
  bool per_row;
  bool twice; /* a run has another one of the name: an error has been said */
} SMetric;

typedef struct SCursor { /* rows whose drawn batches the objective reads */
  const Symbol *data;
  const SRows *rows;
} SCursor;

struct SLevel {
  const char *name;
  AstItem *item, *objective_item, *optimizer_item, *steps_item;
  int number;
  SVar *var;
  int nvar, var_cap;
  SState *state;
  int nstate, state_cap;
  SInstance *root;
  SLet *let;
  int nlet, let_cap;
  AstItem **part_setting; /* `freeze = ..`, `init = ..` */
  int npart_setting, part_setting_cap;
  bool ordered;                 /* has `for`: its lets are evaluated in the order of the text */
  struct Local *run, *run_list; /* their values in graph run_of, and the elements of lists */
  Graph *run_of;
  bool running, lost; /* its statements are run now; an error has been said about them */
  SEdge *edge;
  int nedge, edge_cap;
  SMetric *metric;
  int nmetric, metric_cap;
  const OptimizerInfo *optimizer;
  SSetting setting[MAX_SETTINGS], steps;
  bool *below; /* by number: this level stands above that one */
  Progress visit;
  bool given;          /* not reached by the chosen run, but by one before it */
  bool reached, drawn; /* drawn: something reads its counter of draws */
  SCursor *cursor;
  int ncursor, cursor_cap;
  int64_t *stream;     /* of shuffles, by SRows.number; 0: none yet */
  AstItem *fresh;      /* restart = fresh */
  AstItem *stop_item;  /* stop = condition */
  Graph *stop_graph;
  Node *stop;
  Graph *init, *graph;
  Graph *settings; /* of schedules; NULL: none */
  double most;     /* steps that it takes, for the limits of schedules; 0: not computed */
  Node *objective;
  Level *ir;
};

struct Symbol {
  const char *name;
  SymKind kind;
  AstItem *item;
  Progress progress;
  bool used, needed; /* needed: the chosen run reads it */
  bool twice;        /* declared again, or a built-in: an error has been said */
  SDim dim;          /* SYM_DIM */
  bool pinned;       /* SYM_DIM: bound by a literal or --set */
  const char *bound_by;
  double number; /* SYM_CONST with a plain number: */
  bool integral;
  bool baked; /*   part of the build: a size or setting uses it */
  SData *data;
  SLevel *level;
  bool library;         /* declared in library.mlo */
  SLevel *top;          /* SYM_RUN: its level, */
  struct Symbol *after; /*   and the run that goes before it, or NULL */
};

/* A parameter of the fn or module at hand, a size that its types name, a let of a module, the
   number of a `for`; an element of a list of lets is called `node[3]`. */
typedef struct Local {
  const char *name;
  bool is_dim;
  SDim dim;
  Value value;
  AstItem *item; /* a let */
  struct Local *next;
} Local;

typedef struct Env {
  SLevel *level;       /* whose variables are read; NULL: none may be */
  bool pure;           /* in a fn: no data either */
  bool bake;           /* in a size or setting: consts are numbers */
  SLevel *owner;       /* where level is NULL: whose variables would be meant */
  const char *place;   /* "an initial value": for messages where levels may not be read */
  Local *local, *list; /* list: elements of lists of lets, which outlive the `for` around them */
  const SInstance *instance; /* in the body of a module: whose members are read */
  bool library;              /* in library.mlo: the names of the program mean nothing here */
  SState *next;              /* whose next value is being computed: it goes on from the last one */
  SType leading;             /* what `..` stands for */
  bool has_leading;
} Env;

typedef struct Sema {
  Ops ops;
  Products products; /* of the run */
  Arena *arena;
  Diags *diags;
  const Ast *ast;
  const SemaOptions *opt;
  Symbol **symbol;
  int nsymbol, symbol_cap;
  Symbol **table; /* open addressing by name */
  uint32_t ntable;
  Symbol **library; /* what library.mlo declares */
  int nlibrary, library_cap;
  SLevel **level;
  int nlevel, level_cap;
  Env env;
  Symbol *run;
  SLevel *top;
  int nrows;               /* SRows so far */
  const SRows *chunk_rows; /* those that ops.chunk is of */
  int64_t seed, report_every, stream, checkpoint_every, checkpoint_keep;
  int64_t eval_every;
  const char *best; /* keep_best: a metric, and which of its values is the best */
  Span best_span;
  bool best_max;
  bool csv;
  int depth, ncall; /* of expressions inside of fns inside of ...; of fns evaluated */
  int npart;        /* instances of modules */
  bool guessed;     /* while generic: a list or `for` of unknown length was taken to have one */
  bool generic;     /* a module is checked at its definition: sizes have no value, lists have one
                       element */
  uint64_t fresh;
  bool complete;  /* all sizes are known */
  bool missing;   /* a data file is absent */
  bool lost_edge; /* an `argmin` could not be read: who may read whom is not known */
  bool lost_run;  /* the name of a run was taken */
  bool rebake;    /* a const turned out to be baked: analyse again */
  const char **baked;
  int nbaked, baked_cap;
  bool *set_used;
} Sema;

#endif
