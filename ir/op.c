/* The op table in memory: rows of op.def joined with their functions. The reference scalar
   functions and the partial derivatives are made here from the very text of the rows. */
#include "ir/op.h"

#include <math.h>
#include <string.h>

#include "ir/op_bulk.h"

/* The functions that the table's text names beyond <math.h>; in reference (double) arithmetic. */
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
static double maximum(double x, double z) { return x != x || x > z ? x : z; }
static double minimum(double x, double z) { return x != x || x < z ? x : z; }
static double floordiv(double x, double z) { return floor(x / z); }
static double floormod(double x, double z) { return x - z * floor(x / z); }

#define UNUSED3 ((void)x, (void)z, (void)w)
#define MAP1(name, text, ...)                                                                      \
  static double map_##name(double x, double z, double w) { return UNUSED3, (double)(text); }
#define MAP2(name, text, ...) MAP1(name, text, )
#define MAP3(name, text, ...) MAP1(name, text, )
#include "ir/op.def"

#define ZERO NULL
#define PARTIAL(name, k, expression)                                                               \
  static Node *partial##k##_##name(Graph *G, Node *x, Node *z, Node *y) {                          \
    return (void)G, (void)x, (void)z, (void)y, (expression);                                       \
  }
#define MAP1(name, text, dx, ...) PARTIAL(name, 0, dx)
#define MAP2(name, text, dx, dz, ...) PARTIAL(name, 0, dx) PARTIAL(name, 1, dz)
#include "ir/op.def"

/* Elementwise type rule: equal shapes and, except for a selector, equal element types that flags
 * allow. */
static const char *infer_elementwise(Arena *a, Node *const *in, int nin, unsigned flags,
                                     Type *type) {
  Type t = in[0]->type;
  for (int k = 1; k < nin; k++)
    if (!type_eq(in[k]->type, t))
      return arena_printf(a, "operands differ: %s and %s", type_str(a, t),
                          type_str(a, in[k]->type));
  bool any = (flags & (OPF_INT | OPF_BOOL)) != 0;
  bool ok = t.dtype == DT_BOOL  ? (flags & OPF_BOOL) != 0
            : t.dtype == DT_I32 ? (flags & OPF_INT) != 0
                                : (flags & OPF_INT) || !any;
  if (!ok) return arena_printf(a, "does not take %s", dtype_name(t.dtype));
  *type = flags & OPF_CMP ? type_with(t, DT_BOOL) : t;
  return NULL;
}

#define MAP1(name, text, dx, lo, hi, flags)                                                        \
  static const char *infer_##name(Arena *a, Node *const *in, int nin, const Attr *attr,            \
                                  Type *type) {                                                    \
    return (void)attr, infer_elementwise(a, in, nin, flags, type);                                 \
  }
#define MAP2(name, text, dx, dz, lo, hi, flags) MAP1(name, text, dx, lo, hi, flags)
#include "ir/op.def"

#define MAP1(name, text, dx, lo, hi, flags)                                                        \
  [OP_##name] = {                                                                                  \
      #name,        1,    EMIT_MAP, flags, lo, hi, #text, map_##name, {partial0_##name, NULL},     \
      infer_##name, NULL, NULL,     NULL},
#define MAP2(name, text, dx, dz, lo, hi, flags)                                                    \
  [OP_##name] = {#name,        2,          EMIT_MAP,                                               \
                 flags,        lo,         hi,                                                     \
                 #text,        map_##name, {partial0_##name, partial1_##name},                     \
                 infer_##name, NULL,       NULL,                                                   \
                 NULL},
#define MAP3(name, text, flags)                                                                    \
  [OP_##                                                                                           \
      name] = {#name,        3,    EMIT_MAP,   flags,     -2, 2, #text, map_##name, {NULL, NULL},  \
               infer_##name, NULL, vjp_##name, jvp_##name},
#define BULK(name, arity, emission, lo, hi, flags)                                                 \
  [OP_##name] = {#name, arity,        emission,     flags,       lo,         hi,        NULL,      \
                 NULL,  {NULL, NULL}, infer_##name, eval_##name, vjp_##name, jvp_##name},
static const OpInfo ops[NOP] = {
#include "ir/op.def"
};

const OpInfo *op_info(Op op) { return &ops[op]; }

bool op_parse(const char *name, Op *out) {
  for (int i = 0; i < NOP; i++)
    if (!strcmp(ops[i].name, name)) {
      *out = (Op)i;
      return true;
    }
  return false;
}
