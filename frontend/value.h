#ifndef MLOC_FRONTEND_VALUE_H
#define MLOC_FRONTEND_VALUE_H

#include "frontend/dims.h"
#include "ir/diag.h"
#include "ir/graph.h"

/* A type with symbolic sizes. */
typedef struct SType {
  DType dtype;
  int rank;
  SDim dim[MAX_RANK];
} SType;

typedef enum Literal { LIT_NONE, LIT_INT, LIT_FLOAT } Literal;

/* What an expression is: its type, and the node that computes it unless a size is not known yet. */
typedef struct Value {
  bool bad;    /* an error has been reported: whatever uses this is silent */
  Literal lit; /* a number of the program text, or a size: adapts to what it meets; then: */
  double num;  /*   its value, NaN while a dimension in it is unbound */
  bool sized;  /*   LIT_INT: size holds it */
  SDim size;
  bool soft;         /* a const: its float type adapts */
  SType type;        /* scalar for literals */
  Node *node;        /* NULL for literals */
  const char *field; /* i32 data seen through views only: "train.y"; "index(train)" */
  bool ranged;       /* field was declared `in range(0, limit)` */
  SDim limit;
  Span span;
} Value;

/* What one batch gives to a sum or maximum over all rows. */
typedef struct Partial {
  const char *name; /* the accumulator: "acc.part0" */
  Node *node;       /* NULL: a size is not known yet */
  bool max;
} Partial;

/* A metric on a source: all of its rows, batch by batch (chunk.c). */
typedef struct Chunk {
  const char *name, *source; /* "acc", "test" */
  SDim rows;                 /* the size of a batch, which counts as all rows (dims.h) */
  const char *counter;       /* "acc.batch": number of the batch; NULL: the last, smaller one */
  int64_t nbatch;            /* without that one */
  Partial *part;
  int npart, cap;
  Span said; /* where an error has been reported last: one mistake gives one */
} Chunk;

/* Where expressions are lowered to. */
typedef struct Ops {
  Arena *arena;
  Diags *diags;
  Graph *g;
  DType flt;        /* the run's float type */
  Span at;          /* the operator or built-in at hand, for errors */
  const char *what; /* its name in messages: "`@`" */
  Span call;        /* call of a fn from outside of it (hi > lo: say so in errors) */
  const char *callee;
  const char *counter; /* "fit.draws": counts draws of random numbers; NULL: none here */
  bool counted;        /* the counter was used */
  int64_t *stream;     /* next stream of random numbers */
  bool train;          /* the objective of the level that owns what is called is being lowered */
  Chunk *chunk;        /* NULL outside of metrics on a source */
  /* The rows of the batch that a ragged size is made of: valid, bool[batch]; and how many elements
     an axis of that size has, i32; both NULL while sizes are unknown. */
  void (*ragged)(void *ctx, SDim size, Node **valid, Node **count);
  void *ctx;
  Span said; /* where an error about ragged rows has been reported last: one mistake gives one */
  Node *step;          /* in a setting of an optimizer: i32, the number of the step; else NULL */
} Ops;

Diag *ops_error(Ops *o, Span span, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
const char *stype_str(const Ops *o, SType t); /* "f32[N, D]", "f32" */
const char *value_str(const Ops *o, Value v); /* the same; a literal's words */
bool stype_concrete(SType t, Type *out);      /* false while a size is unknown */
bool stype_same_shape(SType x, SType y);
SType stype_scalar(DType d);
SDim stype_count(const Ops *o, SType t, int lo, int hi); /* product of dims lo..hi */

Value value_bad(void);
Value value_new(SType t, Node *node);
Value value_float(Ops *o, double x); /* literals */
Value value_int(Ops *o, int64_t x);
Value value_size(Ops *o, SDim d);
bool value_is_float(Value v); /* of float type or a literal with a fraction */

/* The rest builds nodes. All take and give bad values silently; shape and type errors are reported
   at o->at unless the caller has excluded them. */
Value v_cast(Ops *o, Value x, DType d);
Value v_tensor(Ops *o, Value x,
               DType literal);  /* literals become scalars of that type, the rest stays */
Value v_float(Ops *o, Value x); /* literals, ints become floats; bools are an error */
Value v_broadcast(Ops *o, Value x, SType shape); /* NumPy's rule; must fit */
bool v_join_shapes(Ops *o, Value a, Value b, SType *out);
bool v_join(Ops *o, Value *a,
            Value *b); /* same dtype and shape, literals included; error if they cannot */

Value v_map1(Ops *o, Op op, Value x); /* x float */
Value v_map2(Ops *o, Op op, Value a, Value b);
Value v_neg(Ops *o, Value x);
Value v_add(Ops *o, Value a, Value b);
Value v_sub(Ops *o, Value a, Value b);
Value v_mul(Ops *o, Value a, Value b);
Value v_div(Ops *o, Value a, Value b); /* true division: floats */
Value v_intdiv(Ops *o, Value a, Value b);
Value v_mod(Ops *o, Value a, Value b);
Value v_pow(Ops *o, Value a, Value b);
Value v_compare(Ops *o, Op op, Value a, Value b);
Value v_logic(Ops *o, Op op, Value a, Value b);
Value v_not(Ops *o, Value x);
Value v_select(Ops *o, Value c, Value a, Value b);
Value v_scale(Ops *o, Value x, double by); /* x * by, x + by */
Value v_offset(Ops *o, Value x, double by);
Value v_stop(Ops *o, Value x);

/* chunk.c: for a metric computed batch by batch; errors reported, at o->at. */
Value chunk_error(Ops *o, const char *why);
/* An operation along the axis is possible: the axis does not count rows. */
bool chunk_row_by_row(Ops *o, Value x, int axis);
/* x has the rows of a batch along this axis, and nothing else that is made of them. */
bool chunk_one_axis(Ops *o, Value x, int axis);
bool chunk_reshapes(Ops *o, Value x, int rank, const SDim *dim); /* each row stays in its place */
bool chunk_finished(const Ops *o, const Node *n); /* n depends on a total over all rows */
/* The sum or maximum over all batches of a batch's part. */
Value chunk_total(Ops *o, Value part, bool max);

/* ragged.c: where the last batch has fewer rows than the others; errors reported, at o->at. */
/* x with the rows that there are not set to a value, along an axis if it counts them. */
Value ragged_fill(Ops *o, Value x, int axis, double value);
/* An operation along the axis is possible: the axis does not count such rows. */
bool ragged_row_by_row(Ops *o, Value x, int axis);
bool ragged_reshapes(Ops *o, Value x, int rank, const SDim *dim);

/* tensor.c: axes are in 0..rank-1, ascending, without repetition. */
Value v_sum(Ops *o, Value x, const int *axes, int n, bool keep);
Value v_reduce_max(Ops *o, Value x, const int *axes, int n, bool keep);
Value v_argmax(Ops *o, Value x, int axis);
Value v_reshape(Ops *o, Value x, int rank, const SDim *dim); /* counts must agree */
Value v_expand(Ops *o, Value x, int axis);                   /* a new axis of size 1 there */
Value v_squeeze(Ops *o, Value x, int axis);
Value v_transpose(Ops *o, Value x, const int *perm);
Value v_move_axis(Ops *o, Value x, int from, int to);
Value v_slice(Ops *o, Value x, int axis, SDim start, SDim size);
Value v_pad(Ops *o, Value x, int axis, SDim before, SDim after); /* zeros */
Value v_reverse(Ops *o, Value x, int axis);
Value v_concat(Ops *o, const Value *x, int n, int axis); /* equal but for axis, one dtype */
Value v_gather(Ops *o, Value x, Value index);            /* rows of axis 0 */
Value v_scatter_add(Ops *o, Value index, Value update, SDim rows);
Value v_scatter_max(Ops *o, Value index, Value update, SDim rows);
Value v_iota(Ops *o, SType shape, int axis); /* i32 */
Value v_random(Ops *o, SType shape, int distribution);
Value v_matmul(Ops *o, Value a, Value b); /* vectors, matrices, batches; errors reported */

#endif
