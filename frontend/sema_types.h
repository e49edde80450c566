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
} SField;

typedef struct SData {
  const char *file, *path; /* as written; where it is */
  Span file_span;
  SField *field;
  int nfield, cap;
  SemaArray *array;
  int narray;
  SemaProbe probe;
} SData;

typedef struct SVar {
  const char *name, *storage;
  AstItem *item;
  SType type;
  bool bad, boxed;
  double lo, hi;
  Node *init; /* in the level's init graph */
} SVar;

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
} SSetting;

typedef struct SLevel SLevel;

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
} SMetric;

struct SLevel {
  const char *name;
  AstItem *item, *objective_item, *optimizer_item, *steps_item;
  int number;
  SVar *var;
  int nvar, var_cap;
  SLet *let;
  int nlet, let_cap;
  SEdge *edge;
  int nedge, edge_cap;
  SMetric *metric;
  int nmetric, metric_cap;
  const OptimizerInfo *optimizer;
  SSetting setting[MAX_SETTINGS], steps;
  bool *below; /* by number: this level stands above that one */
  Progress visit;
  bool reached, counted; /* counted: something reads its step counter */
  AstItem *fresh;        /* restart = fresh */
  Graph *init, *graph;
  Node *objective;
  Level *ir;
};

typedef struct Symbol {
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
} Symbol;

typedef struct Local { /* a parameter of the fn at hand, or a size that its types name */
  const char *name;
  bool is_dim;
  SDim dim;
  Value value;
  struct Local *next;
} Local;

typedef struct Env {
  SLevel *level;     /* whose variables are read; NULL: none may be */
  bool pure;         /* in a fn: no data either */
  bool bake;         /* in a size or setting: consts are numbers */
  SLevel *owner;     /* where level is NULL: whose variables would be meant */
  const char *place; /* "an initial value": for messages where levels may not be read */
  Local *local;
  SType leading; /* what `..` stands for */
  bool has_leading;
} Env;

typedef struct Sema {
  Ops ops;
  Arena *arena;
  Diags *diags;
  const Ast *ast;
  const SemaOptions *opt;
  Symbol **symbol;
  int nsymbol, symbol_cap;
  Symbol **table; /* open addressing by name */
  uint32_t ntable;
  SLevel **level;
  int nlevel, level_cap;
  Env env;
  Symbol *run;
  SLevel *top;
  int64_t seed, report_every, stream, checkpoint_every, checkpoint_keep;
  bool csv;
  int depth, ncall; /* of expressions inside of fns inside of ...; of fns evaluated */
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
