#ifndef MLOC_IR_GRAPH_H
#define MLOC_IR_GRAPH_H

#include "ir/arena.h"
#include "ir/diag.h"
#include "ir/type.h"

typedef enum Op {
#define MAP1(name, ...) OP_##name,
#define MAP2(name, ...) OP_##name,
#define MAP3(name, ...) OP_##name,
#define BULK(name, ...) OP_##name,
#include "ir/op.def"
  NOP
} Op;

/* What of an operation is not an input. Fields that an op does not use are 0. Axis lists: sum,
   reduce_max, reverse (ascending), argmax, iota, concat (one). transpose: i[k] is the input axis
   that becomes output axis k. broadcast: i[k] is the output axis of input axis k, ascending. slice,
   pad: i[k] is the offset of the smaller tensor inside the larger along axis k. skew: i = {SKEW_*}.
   matmul: i = {transpose a, b}. random: i = {RANDOM_*, stream}. shuffle: i = {n,
   stream}. */
typedef struct Attr {
  double value;    /* const */
  const char *sym; /* param: storage name */
  int n;
  int64_t i[MAX_RANK];
} Attr;

enum { RANDOM_UNIFORM, RANDOM_NORMAL };
enum { SKEW_AXIS, SKEW_ALONG, SKEW_STEP, SKEW_SLANT, SKEW_OFFSET, SKEW_DIVISOR, NSKEW };

typedef struct Node Node;
struct Node { /* immutable, hash-consed on op, type, inputs and attributes */
  Op op;
  Type type;
  int nin;
  Node **in;
  Attr attr;
  uint32_t id;      /* position in its graph; inputs have smaller ids */
  Span span;        /* provenance: the source expression that first built it */
  const char *name; /* provenance: may be NULL */
};

/* Nodes in topological order with the table that makes equal ones one. `span` is given to new
 * nodes. */
typedef struct Graph {
  Arena *arena;
  Node **node;
  int nnode, cap;
  Node **table;
  uint32_t ntable;
  Span span;
} Graph;

Graph *graph_new(Arena *a);

/* Nodes are numbered as they are built, so two arguments of one call never both build nodes: C
   leaves open which is evaluated first, and programs must not depend on the compiler of mloc. */

/* The node op(in) with its type inferred; shape and attribute errors are compiler bugs (users'
   errors are found before). `type` is the result type for ops whose inputs do not determine it:
   const, param, iota, random, cast (dtype), broadcast, reshape, slice, pad, skew, gather's and
   scatter's result; else ignored. */
Node *ir_node(Graph *g, Op op, Type type, Node *const *in, int nin, Attr attr);
/* n's operation on other inputs. */
Node *ir_rebuild(Graph *g, const Node *n, Node *const *in);
/* The type rule of the table: checks inputs, attribute and the proposed type; returns NULL and the
   type in *type, or a message. Used by the verifier and the IR parser. */
const char *ir_infer(Arena *a, Op op, Node *const *in, int nin, const Attr *attr, Type *type);

/* Builders of elementwise ops: ir_neg(G, x), ir_add(G, x, z), ir_select(G, cond, a, b). Same
 * shapes. */
#define MAP1(name, ...) Node *ir_##name(Graph *G, Node *x);
#define MAP2(name, ...) Node *ir_##name(Graph *G, Node *x, Node *z);
#define MAP3(name, ...) Node *ir_##name(Graph *G, Node *x, Node *z, Node *w);
#include "ir/op.def"

Node *ir_const(Graph *g, Type type, double value);
Node *ir_num(Graph *g, const Node *like, double value); /* const of like's type */
Node *ir_param(Graph *g, const char *storage, Type type);
Node *ir_iota(Graph *g, Type type, int axis);
Node *ir_random(Graph *g, Type type, int distribution, int64_t stream, Node *seed, Node *step);
/* Where each position (i32, in 0..n-1) goes in a permutation that (seed, stream, epoch) choose. */
Node *ir_shuffle(Graph *g, int64_t n, int64_t stream, Node *seed, Node *epoch, Node *position);
Node *ir_cast(Graph *g, Node *x, DType dtype);
Node *ir_broadcast(Graph *g, Node *x, Type shape,
                   const int64_t *axes);           /* dtype of x, shape of `shape` */
Node *ir_fill(Graph *g, Node *scalar, Type shape); /* broadcast of a scalar */
Node *ir_reshape(Graph *g, Node *x, int rank, const int64_t *dim);
Node *ir_reshape_like(Graph *g, Node *x, Type shape);
Node *ir_flatten(Graph *g, Node *x);
Node *ir_transpose(Graph *g, Node *x, const int64_t *perm);
Node *ir_slice(Graph *g, Node *x, const int64_t *start, Type shape);
Node *ir_pad(Graph *g, Node *x, const int64_t *start, Type shape); /* zeros outside */
/* The same shape but for axis skew[SKEW_AXIS], which gets that size; see op.def. */
Node *ir_skew(Graph *g, Node *x, int64_t size, const int64_t skew[NSKEW]);
Node *ir_reverse(Graph *g, Node *x, const int64_t *axes, int n);
Node *ir_concat(Graph *g, Node *const *in, int nin, int axis);
Node *ir_gather(Graph *g, Node *x, Node *index);
Node *ir_scatter_add(Graph *g, Node *index, Node *update, int64_t rows);
Node *ir_scatter_max(Graph *g, Node *index, Node *update, int64_t rows);
Node *ir_sum(Graph *g, Node *x, const int64_t *axes, int n);
Node *ir_sum_all(Graph *g, Node *x);
Node *ir_reduce_max(Graph *g, Node *x, const int64_t *axes, int n);
Node *ir_argmax(Graph *g, Node *x, int axis);
Node *ir_matmul(Graph *g, Node *a, Node *b, bool ta, bool tb);
Node *ir_solve(Graph *g, Node *m, Node *b);
Node *ir_scale(Graph *g, Node *x, double c); /* c x */
Node *ir_one_minus(Graph *g, Node *x);       /* 1 - x */
Node *ir_dot(Graph *g, Node *a, Node *b);    /* sum of products over all axes: f[] */
/* Broadcasts the result of reducing `axes` of `like` back to like's shape. */
Node *ir_unreduce(Graph *g, Node *x, const Node *like, const int64_t *axes, int n);
/* log x, but 0 at x = 0: so that d pow(x, z)/dz = pow(x, z) log x has its limit there. */
Node *ir_log_or_0(Graph *g, Node *x);
/* 1 where x > z, 1/2 where equal, 0 elsewhere: the subgradient of max. */
Node *ir_wins(Graph *g, Node *x, Node *z);

bool node_is_const(const Node *n, double value);

/* Copies the expressions root[0..n) into graph `to`, mapping each node in from[] to into[] (nodes
   of `to`); results in out[]. Spans and names go along. */
void ir_subst(Graph *to, Node *const *root, int n, Node *const *from, Node *const *into, int nmap,
              Node **out);
/* Marks (by id) what roots reach; mark has g->nnode entries. */
void ir_reach(const Graph *g, Node *const *root, int n, bool *mark);

#endif
