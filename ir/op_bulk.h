#ifndef MLOC_IR_OP_BULK_H
#define MLOC_IR_OP_BULK_H

#include "ir/op.h"

/* The functions of the table's bulk rows; see OpInfo for their contracts. NULL function pointers
   are spelled as macros where an op has no derivative. */
#define BULK(name, ...)                                                                            \
  const char *infer_##name(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type);      \
  void eval_##name(const Node *n, double *const *in, double *out);                                 \
  Node *vjp_##name(Graph *G, Node *n, Node *ct, int k);                                            \
  Node *jvp_##name(Graph *G, Node *n, Node *const *t);
#define MAP3(name, ...)                                                                            \
  const char *infer_##name(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type);      \
  Node *vjp_##name(Graph *G, Node *n, Node *ct, int k);                                            \
  Node *jvp_##name(Graph *G, Node *n, Node *const *t);
#include "ir/op.def"

/* Names of functions that would be empty. */
#define vjp_const NULL
#define jvp_const NULL
#define eval_const NULL
#define vjp_param NULL
#define jvp_param NULL
#define eval_param NULL
#define vjp_iota NULL
#define jvp_iota NULL
#define vjp_random NULL
#define jvp_random NULL
#define vjp_shuffle NULL
#define jvp_shuffle NULL
#define vjp_argmax NULL
#define jvp_argmax NULL
#define vjp_solve NULL
#define jvp_solve NULL
#define jvp_cast NULL
#define jvp_broadcast NULL
#define jvp_reshape NULL
#define jvp_transpose NULL
#define jvp_slice NULL
#define jvp_pad NULL
#define jvp_skew NULL
#define jvp_reverse NULL
#define jvp_concat NULL
#define jvp_sum NULL
#define jvp_matmul NULL

/* Row-major strides of t, in elements. */
void type_strides(Type t, int64_t *stride);
/* Bound of |step i + slant j + offset| and |divisor i'| over the elements of a skew of one tensor
   to another type: what its indices reach. A double, since any attribute may be asked about. */
double skew_reach(Type from, Type to, const Attr *attr);

#endif
