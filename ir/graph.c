/* Graphs: hash-consed nodes in topological order, and the builders that name one op each. Equal
   expressions are one node by construction, so common subexpressions need no pass. */
#include "ir/graph.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/op.h"

Graph *graph_new(Arena *a) {
  Graph *g = arena_new_of(a, Graph);
  g->arena = a;
  return g;
}

static uint64_t hash_node(Op op, Type type, Node *const *in, int nin, const Attr *attr) {
  int64_t key[4 + 2 * MAX_RANK] = {op, type.dtype, type.rank, attr->n};
  for (int i = 0; i < MAX_RANK; i++) {
    key[4 + i] = type.dim[i];
    key[4 + MAX_RANK + i] = attr->i[i];
  }
  uint64_t h = XXH3_64bits(key, sizeof key);
  h = XXH3_64bits_withSeed(&attr->value, sizeof attr->value, h);
  for (int i = 0; i < nin; i++) h = XXH3_64bits_withSeed(&in[i]->id, sizeof in[i]->id, h);
  if (attr->sym) h = XXH3_64bits_withSeed(attr->sym, strlen(attr->sym), h);
  return h;
}

/* Bitwise on the value, so that 0 and -0 differ and NaN equals itself. */
static bool attr_eq(const Attr *a, const Attr *b) {
  if (memcmp(&a->value, &b->value, sizeof a->value) || a->n != b->n) return false;
  if (memcmp(a->i, b->i, sizeof a->i)) return false;
  if (!a->sym || !b->sym) return a->sym == b->sym;
  return !strcmp(a->sym, b->sym);
}

static bool same_node(const Node *n, Op op, Type type, Node *const *in, int nin, const Attr *attr) {
  if (n->op != op || n->nin != nin || !type_eq(n->type, type) || !attr_eq(&n->attr, attr))
    return false;
  for (int i = 0; i < nin; i++)
    if (n->in[i] != in[i]) return false;
  return true;
}

static uint32_t slot_of(const Graph *g, Op op, Type type, Node *const *in, int nin,
                        const Attr *attr) {
  uint32_t mask = g->ntable - 1, i = (uint32_t)hash_node(op, type, in, nin, attr) & mask;
  while (g->table[i] && !same_node(g->table[i], op, type, in, nin, attr)) i = (i + 1) & mask;
  return i;
}

static void grow_table(Graph *g) {
  g->ntable = g->ntable ? g->ntable * 2 : 64;
  g->table = arena_array(g->arena, Node *, (int)g->ntable);
  for (int i = 0; i < g->nnode; i++) {
    Node *n = g->node[i];
    g->table[slot_of(g, n->op, n->type, n->in, n->nin, &n->attr)] = n;
  }
}

const char *ir_infer(Arena *a, Op op, Node *const *in, int nin, const Attr *attr, Type *type) {
  const OpInfo *info = op_info(op);
  if (info->arity >= 0 ? nin != info->arity : nin < 1)
    return arena_printf(a, "%s takes %d operands, not %d", info->name, info->arity, nin);
  return info->infer(a, in, nin, attr, type);
}

Node *ir_node(Graph *g, Op op, Type type, Node *const *in, int nin, Attr attr) {
  const char *wrong = ir_infer(g->arena, op, in, nin, &attr, &type);
  if (wrong) compiler_bug(op_info(op)->name, "%s", wrong);
  Node *ordered[2];
  if ((op_info(op)->flags & OPF_COMM) && nin == 2 && in[0]->id > in[1]->id) {
    ordered[0] = in[1];
    ordered[1] = in[0];
    in = ordered;
  }
  if (g->nnode * 2 >= (int)g->ntable) grow_table(g);
  uint32_t at = slot_of(g, op, type, in, nin, &attr);
  if (g->table[at]) return g->table[at];
  Node *n = arena_new_of(g->arena, Node);
  *n = (Node){.op = op, .type = type, .nin = nin, .attr = attr, .id = (uint32_t)g->nnode};
  n->in = arena_array(g->arena, Node *, nin);
  if (nin) memcpy(n->in, in, sizeof *in * (size_t)nin);
  n->span = g->span;
  g->table[at] = n;
  VEC_PUSH(g->arena, g->node, g->nnode, g->cap, n);
  return n;
}

Node *ir_rebuild(Graph *g, const Node *n, Node *const *in) {
  Node *m = ir_node(g, n->op, n->type, in, n->nin, n->attr);
  if (!m->name) m->name = n->name;
  if (m->span.hi == 0) m->span = n->span;
  return m;
}

#define MAP1(name, ...)                                                                            \
  Node *ir_##name(Graph *G, Node *x) {                                                             \
    return ir_node(G, OP_##name, x->type, (Node *[]){x}, 1, (Attr){0});                            \
  }
#define MAP2(name, ...)                                                                            \
  Node *ir_##name(Graph *G, Node *x, Node *z) {                                                    \
    return ir_node(G, OP_##name, x->type, (Node *[]){x, z}, 2, (Attr){0});                         \
  }
#define MAP3(name, ...)                                                                            \
  Node *ir_##name(Graph *G, Node *x, Node *z, Node *w) {                                           \
    return ir_node(G, OP_##name, z->type, (Node *[]){x, z, w}, 3, (Attr){0});                      \
  }
#include "ir/op.def"

static Attr attr_list(const int64_t *i, int n) {
  Attr a = {.n = n};
  for (int k = 0; k < n; k++) a.i[k] = i[k];
  return a;
}

static Node *node1(Graph *g, Op op, Type type, Node *x, Attr attr) {
  return ir_node(g, op, type, (Node *[]){x}, 1, attr);
}

Node *ir_const(Graph *g, Type type, double value) {
  if (type.dtype == DT_F32) value = (float)value;
  return ir_node(g, OP_const, type, NULL, 0, (Attr){.value = value});
}

Node *ir_num(Graph *g, const Node *like, double value) { return ir_const(g, like->type, value); }

Node *ir_param(Graph *g, const char *storage, Type type) {
  return ir_node(g, OP_param, type, NULL, 0, (Attr){.sym = storage});
}

Node *ir_iota(Graph *g, Type type, int axis) {
  return ir_node(g, OP_iota, type_with(type, DT_I32), NULL, 0, attr_list((int64_t[]){axis}, 1));
}

Node *ir_random(Graph *g, Type type, int distribution, int64_t stream, Node *seed, Node *step) {
  return ir_node(g, OP_random, type, (Node *[]){seed, step}, 2,
                 attr_list((int64_t[]){distribution, stream}, 2));
}

Node *ir_shuffle(Graph *g, int64_t n, int64_t stream, Node *seed, Node *epoch, Node *position) {
  return ir_node(g, OP_shuffle, position->type, (Node *[]){seed, epoch, position}, 3,
                 (Attr){.n = 2, .i = {n, stream}});
}

Node *ir_cast(Graph *g, Node *x, DType dtype) {
  if (x->type.dtype == dtype) return x;
  return node1(g, OP_cast, type_with(x->type, dtype), x, (Attr){0});
}

Node *ir_broadcast(Graph *g, Node *x, Type shape, const int64_t *axes) {
  shape.dtype = x->type.dtype;
  if (type_eq(shape, x->type)) return x;
  if (x->op == OP_const) return ir_const(g, shape, x->attr.value);
  return node1(g, OP_broadcast, shape, x, attr_list(axes, x->type.rank));
}

Node *ir_fill(Graph *g, Node *scalar, Type shape) { return ir_broadcast(g, scalar, shape, NULL); }

Node *ir_reshape(Graph *g, Node *x, int rank, const int64_t *dim) {
  Type t = type_make(x->type.dtype, rank, dim);
  if (type_eq(t, x->type)) return x;
  if (x->op == OP_const) return ir_const(g, t, x->attr.value);
  if (x->op == OP_reshape) x = x->in[0];
  if (type_eq(t, x->type)) return x;
  return node1(g, OP_reshape, t, x, (Attr){0});
}

Node *ir_reshape_like(Graph *g, Node *x, Type shape) {
  return ir_reshape(g, x, shape.rank, shape.dim);
}

Node *ir_flatten(Graph *g, Node *x) {
  int64_t n = type_count(x->type);
  return ir_reshape(g, x, 1, &n);
}

Node *ir_transpose(Graph *g, Node *x, const int64_t *perm) {
  bool same = true;
  for (int i = 0; i < x->type.rank; i++) same = same && perm[i] == i;
  if (same) return x;
  return node1(g, OP_transpose, x->type, x, attr_list(perm, x->type.rank));
}

Node *ir_slice(Graph *g, Node *x, const int64_t *start, Type shape) {
  shape.dtype = x->type.dtype;
  if (type_eq(shape, x->type)) return x;
  return node1(g, OP_slice, shape, x, attr_list(start, x->type.rank));
}

Node *ir_pad(Graph *g, Node *x, const int64_t *start, Type shape) {
  shape.dtype = x->type.dtype;
  if (type_eq(shape, x->type)) return x;
  return node1(g, OP_pad, shape, x, attr_list(start, x->type.rank));
}

Node *ir_skew(Graph *g, Node *x, int64_t size, const int64_t skew[NSKEW]) {
  Type t = x->type;
  t.dim[skew[SKEW_AXIS]] = size;
  return node1(g, OP_skew, t, x, attr_list(skew, NSKEW));
}

Node *ir_reverse(Graph *g, Node *x, const int64_t *axes, int n) {
  return n ? node1(g, OP_reverse, x->type, x, attr_list(axes, n)) : x;
}

Node *ir_concat(Graph *g, Node *const *in, int nin, int axis) {
  if (nin == 1) return in[0];
  return ir_node(g, OP_concat, in[0]->type, in, nin, attr_list((int64_t[]){axis}, 1));
}

Node *ir_gather(Graph *g, Node *x, Node *index) {
  return ir_node(g, OP_gather, x->type, (Node *[]){x, index}, 2, (Attr){0});
}

static Node *scatter(Graph *g, Op op, Node *index, Node *update, int64_t rows) {
  Type t = {.dtype = update->type.dtype, .rank = update->type.rank - index->type.rank + 1};
  t.dim[0] = rows;
  for (int i = 1; i < t.rank; i++) t.dim[i] = update->type.dim[index->type.rank + i - 1];
  return ir_node(g, op, t, (Node *[]){index, update}, 2, (Attr){0});
}

Node *ir_scatter_add(Graph *g, Node *index, Node *update, int64_t rows) {
  return scatter(g, OP_scatter_add, index, update, rows);
}

Node *ir_scatter_max(Graph *g, Node *index, Node *update, int64_t rows) {
  return scatter(g, OP_scatter_max, index, update, rows);
}

Node *ir_sum(Graph *g, Node *x, const int64_t *axes, int n) {
  return n ? node1(g, OP_sum, x->type, x, attr_list(axes, n)) : x;
}

Node *ir_sum_all(Graph *g, Node *x) {
  int64_t axes[MAX_RANK];
  for (int i = 0; i < MAX_RANK; i++) axes[i] = i;
  return ir_sum(g, x, axes, x->type.rank);
}

Node *ir_reduce_max(Graph *g, Node *x, const int64_t *axes, int n) {
  return n ? node1(g, OP_reduce_max, x->type, x, attr_list(axes, n)) : x;
}

Node *ir_argmax(Graph *g, Node *x, int axis) {
  return node1(g, OP_argmax, x->type, x, attr_list((int64_t[]){axis}, 1));
}

Node *ir_matmul(Graph *g, Node *a, Node *b, bool ta, bool tb) {
  return ir_node(g, OP_matmul, a->type, (Node *[]){a, b}, 2, attr_list((int64_t[]){ta, tb}, 2));
}

Node *ir_solve(Graph *g, Node *m, Node *b) {
  return ir_node(g, OP_solve, b->type, (Node *[]){m, b}, 2, (Attr){0});
}

Node *ir_scale(Graph *g, Node *x, double c) { return ir_mul(g, ir_num(g, x, c), x); }

Node *ir_one_minus(Graph *g, Node *x) { return ir_sub(g, ir_num(g, x, 1), x); }

Node *ir_dot(Graph *g, Node *a, Node *b) { return ir_sum_all(g, ir_mul(g, a, b)); }

Node *ir_unreduce(Graph *g, Node *x, const Node *like, const int64_t *axes, int n) {
  int64_t kept[MAX_RANK];
  int nkept = 0;
  for (int i = 0; i < like->type.rank; i++) {
    bool reduced = false;
    for (int k = 0; k < n; k++) reduced = reduced || axes[k] == i;
    if (!reduced) kept[nkept++] = i;
  }
  return ir_broadcast(g, x, like->type, kept);
}

Node *ir_log_or_0(Graph *g, Node *x) {
  Node *zero = ir_eq(g, x, ir_num(g, x, 0));
  return ir_log(g, ir_select(g, zero, ir_num(g, x, 1), x));
}

Node *ir_wins(Graph *g, Node *x, Node *z) {
  Node *above = ir_cast(g, ir_lt(g, z, x), x->type.dtype);
  Node *equal = ir_cast(g, ir_eq(g, x, z), x->type.dtype);
  return ir_add(g, above, ir_mul(g, equal, ir_num(g, x, 0.5)));
}

bool node_is_const(const Node *n, double value) {
  return n->op == OP_const && n->attr.value == value;
}

void ir_reach(const Graph *g, Node *const *root, int n, bool *mark) {
  memset(mark, 0, sizeof *mark * (size_t)g->nnode);
  for (int i = 0; i < n; i++)
    if (root[i]) mark[root[i]->id] = true;
  for (int i = g->nnode - 1; i >= 0; i--)
    if (mark[i])
      for (int k = 0; k < g->node[i]->nin; k++) mark[g->node[i]->in[k]->id] = true;
}

/* Collects what the roots reach without passing through mapped nodes, in topological order. The
   roots' graph is not at hand, so ids index the scratch arrays; ids are dense within one graph. */
typedef struct Walk {
  Node **node;
  int n, cap;
} Walk;

static void collect(Arena *a, Node *n, bool *seen, Walk *w) {
  Walk stack = {0};
  VEC_PUSH(a, stack.node, stack.n, stack.cap, n);
  while (stack.n) {
    Node *m = stack.node[--stack.n];
    if (seen[m->id]) continue;
    seen[m->id] = true;
    VEC_PUSH(a, w->node, w->n, w->cap, m);
    for (int k = 0; k < m->nin; k++)
      if (!seen[m->in[k]->id]) VEC_PUSH(a, stack.node, stack.n, stack.cap, m->in[k]);
  }
}

void ir_subst(Graph *to, Node *const *root, int n, Node *const *from, Node *const *into, int nmap,
              Node **out) {
  uint32_t top = 0;
  for (int i = 0; i < n; i++)
    if (root[i] && root[i]->id >= top) top = root[i]->id + 1;
  Arena *scratch = arena_new();
  Node **map = arena_array(scratch, Node *, (int)top);
  bool *seen = arena_array(scratch, bool, (int)top);
  Node **order = arena_array(scratch, Node *, (int)top);
  for (int i = 0; i < nmap; i++)
    if (from[i]->id < top) {
      map[from[i]->id] = into[i];
      seen[from[i]->id] = true;
    }
  Walk w = {0};
  for (int i = 0; i < n; i++)
    if (root[i] && !seen[root[i]->id]) collect(scratch, root[i], seen, &w);
  for (int i = 0; i < w.n; i++) order[w.node[i]->id] = w.node[i];
  for (uint32_t i = 0; i < top; i++) {
    if (!order[i]) continue;
    Node **in = arena_array(scratch, Node *, order[i]->nin);
    for (int k = 0; k < order[i]->nin; k++) in[k] = map[order[i]->in[k]->id];
    map[i] = ir_rebuild(to, order[i], in);
  }
  for (int i = 0; i < n; i++) out[i] = root[i] ? map[root[i]->id] : NULL;
  arena_free(scratch);
}
