#ifndef MLOC_FRONTEND_BUILTINS_H
#define MLOC_FRONTEND_BUILTINS_H

#include <stdio.h>

#include "frontend/ast.h"
#include "frontend/value.h"

enum { MAX_ARGS = 8 };

typedef struct Builtin Builtin;

/* A call whose arguments have been bound to the parameters of the signature. */
typedef struct Call {
  const Builtin *fn;
  const AstExpr *expr;
  Value arg[MAX_ARGS];             /* by parameter; a default of the signature where not given */
  const AstExpr *source[MAX_ARGS]; /* NULL: not given */
  Value *rest;                     /* what a parameter written `name..` collects */
  const AstExpr **rest_source;
  int nrest;
  /* the exact size that an argument means, errors reported; names resolve where the call stands */
  bool (*size)(void *ctx, const AstExpr *e, SDim *out);
  /* the number that an argument means, consts in it made part of the build; errors reported */
  bool (*number)(void *ctx, const AstExpr *e, Value *out);
  void *ctx;
} Call;

/* The table of built-in functions is the only place that knows one. Its signature is what the
   reference prints and what calls are bound by: `name(x, ids, n, axis = -1, rest..)`. A default
   that is a number is used as such; one that is a word describes what happens when the argument is
   not given. */
struct Builtin {
  const char *name, *signature, *doc;
  Value (*fn)(Ops *o, Call *c); /* NULL: its argument is no value but a source (sema_rows.c) */
};

const Builtin *builtin_find(const char *name); /* NULL if there is none */
int builtin_count(void);
const Builtin *builtin_at(int i);
/* Binds arguments (values already computed, in the order of c->expr's arguments) and calls. */
Value builtin_call(Ops *o, Call *c, const Value *value);
/* The table as a Markdown table, for the reference and `mloc explain builtins`. */
void builtins_print(FILE *out);

/* Rows of the table live in files by subject; builtins.c puts them together. */
typedef struct BuiltinList {
  const Builtin *row;
  int n;
} BuiltinList;
extern const BuiltinList builtins_math, builtins_reduce, builtins_shape, builtins_index,
    builtins_loss, builtins_nn, builtins_conv, builtins_layers;

/* ---- for the functions themselves */
bool call_given(const Call *c, int i);
/* A number that must be known when the program is compiled. */
bool call_number(Ops *o, Call *c, int i, double *out);
bool call_flag(Ops *o, Call *c, int i, bool *out);
bool call_size(Ops *o, Call *c, int i, SDim *out);
/* An axis of x, counted from the end if negative: 0..rank-1. */
bool call_axis(Ops *o, Call *c, int i, Value x, int *out);
/* The axes to reduce: parameter i, further ones from the rest; all of x where none is given. */
bool call_axes(Ops *o, Call *c, int i, Value x, int *axes, int *n);
bool call_rank(Ops *o, Call *c, int i,
               int at_least);              /* argument i is a tensor of that rank or more */
bool call_index(Ops *o, Call *c, int i);   /* i32 */
bool call_room(Ops *o, Value x, int more); /* MAX_RANK leaves room for more axes */

/* Shared by several: x - stop(max), sum of exponentials, ... over axes; kept axes of size 1. */
Value v_shift(Ops *o, Value x, const int *axes, int n, Value *top);
Value v_logsumexp(Ops *o, Value x, const int *axes, int n, bool keep);
Value v_softmax(Ops *o, Value x, int axis);
Value v_log_softmax(Ops *o, Value x, int axis);
Value v_mean(Ops *o, Value x, const int *axes, int n, bool keep);
Value v_safe_sqrt(Ops *o, Value x);                /* 0 with derivative 0 at 0 */
Value v_one_hot_mask(Ops *o, Value index, SDim n); /* bool: index == 0..n along a new last axis */
/* x at the indices along an axis, whose place the index's axes take; out of range: NaN. */
Value v_take(Ops *o, Value x, Value index, int axis);
/* Data may index only if it was declared to fit the indexed size; else an error. */
bool v_may_index(Ops *o, Value index, SDim size);
Value v_relu(Ops *o, Value x);
Value v_mean_all(Ops *o, Value x);

#endif
