#ifndef MLOC_IR_OP_H
#define MLOC_IR_OP_H

#include "ir/graph.h"

enum {
  OPF_INT = 1,     /* integer operands allowed (floats always are, unless OPF_BOOL stands alone) */
  OPF_BOOL = 2,    /* bool operands allowed */
  OPF_CMP = 4,     /* result is bool */
  OPF_COMM = 8,    /* commutative */
  OPF_LINEAR = 16, /* linear in all its float operands together */
  OPF_BILINEAR = 32,
  OPF_STOP = 64,   /* no derivative passes */
  OPF_HEAVY = 128, /* many flops an element: worth keeping rather than computing twice */
};

/* How a node becomes code: as an expression at an index (MAP, INDEX), a read (LEAF), a reduction
   loop, a scatter, a matrix product, a runtime call. */
typedef enum Emission {
  EMIT_MAP,
  EMIT_INDEX,
  EMIT_LEAF,
  EMIT_REDUCE,
  EMIT_SCATTER,
  EMIT_GEMM,
  EMIT_CALL
} Emission;

typedef struct OpInfo {
  const char *name;
  int arity; /* -1: any */
  Emission emit;
  unsigned flags;
  double lo, hi;    /* sample range for tests */
  const char *text; /* MAP: scalar expression of x, z, w */
  double (*map)(double x, double z, double w);
  /* MAP: partial derivative by operand k; returns NULL where it vanishes. */
  Node *(*partial[2])(Graph *G, Node *x, Node *z, Node *y);
  /* Bulk: see ir_infer; eval reads operands in[k] and writes out, all dense and row-major in
     doubles; vjp: cotangent of operand k from that of n (NULL: none); jvp: tangent of n (missing
     tangents NULL). */
  const char *(*infer)(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type);
  void (*eval)(const Node *n, double *const *in, double *out);
  Node *(*vjp)(Graph *G, Node *n, Node *ct, int k);
  Node *(*jvp)(Graph *G, Node *n, Node *const *tangent);
} OpInfo;

const OpInfo *op_info(Op op);
bool op_parse(const char *name, Op *out);

#endif
