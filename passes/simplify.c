/* simplify: rebuilds every function's graph with algebraic identities. A rule is one small function
   that looks at an operation on already simplified operands and returns a better node, or NULL. No
   rule changes a finite result but by rounding; none drops a NaN. */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "passes/passes.h"

typedef Node *(*Rule)(Graph *g, const Node *n, Node *const *in);

static bool is_zero(const Node *n) { return node_is_const(n, 0); }
static bool is_one(const Node *n) { return node_is_const(n, 1); }

static Node *rule_add(Graph *g, const Node *n, Node *const *in) {
  (void)n;
  for (int k = 0; k < 2; k++) {
    if (is_zero(in[k])) return in[1 - k];
    if (in[k]->op == OP_neg && in[1 - k]->op != OP_neg) return ir_sub(g, in[1 - k], in[k]->in[0]);
  }
  return NULL;
}

static Node *rule_sub(Graph *g, const Node *n, Node *const *in) {
  (void)n;
  if (is_zero(in[1])) return in[0];
  if (is_zero(in[0])) return ir_neg(g, in[1]);
  return in[1]->op == OP_neg ? ir_add(g, in[0], in[1]->in[0]) : NULL;
}

static Node *rule_mul(Graph *g, const Node *n, Node *const *in) {
  (void)n;
  for (int k = 0; k < 2; k++) {
    if (is_one(in[k])) return in[1 - k];
    if (node_is_const(in[k], -1)) return ir_neg(g, in[1 - k]);
    if (in[k]->op == OP_neg && in[1 - k]->op == OP_neg)
      return ir_mul(g, in[k]->in[0], in[1 - k]->in[0]);
    if (in[k]->op == OP_const && in[1 - k]->op == OP_neg)
      return ir_mul(g, ir_num(g, in[k], -in[k]->attr.value), in[1 - k]->in[0]);
  }
  return NULL;
}

static Node *rule_div(Graph *g, const Node *n, Node *const *in) {
  (void)n;
  if (is_one(in[1])) return in[0];
  return is_one(in[0]) ? ir_recip(g, in[1]) : NULL;
}

static Node *rule_neg(Graph *g, const Node *n, Node *const *in) {
  (void)n;
  if (in[0]->op == OP_neg) return in[0]->in[0];
  return in[0]->op == OP_sub ? ir_sub(g, in[0]->in[1], in[0]->in[0]) : NULL;
}

static Node *rule_pow(Graph *g, const Node *n, Node *const *in) {
  (void)n;
  if (is_one(in[1])) return in[0];
  if (node_is_const(in[1], 2)) return ir_mul(g, in[0], in[0]);
  return node_is_const(in[1], 0.5) ? ir_sqrt(g, in[0]) : NULL;
}

static Node *rule_select(Graph *g, const Node *n, Node *const *in) {
  (void)g, (void)n;
  if (in[1] == in[2]) return in[1];
  return in[0]->op == OP_const ? in[in[0]->attr.value != 0 ? 1 : 2] : NULL;
}

/* stop and shift are matters of differentiation alone, which is done. */
static Node *rule_stop(Graph *g, const Node *n, Node *const *in) { return (void)g, (void)n, in[0]; }

static Node *rule_cast(Graph *g, const Node *n, Node *const *in) {
  if (in[0]->type.dtype == n->type.dtype) return in[0];
  return in[0]->op == OP_const && dtype_is_float(n->type.dtype)
             ? ir_const(g, n->type, in[0]->attr.value)
             : NULL;
}

static Node *rule_broadcast(Graph *g, const Node *n, Node *const *in) {
  int64_t axes[MAX_RANK];
  if (in[0]->op == OP_const) return ir_const(g, n->type, in[0]->attr.value);
  if (in[0]->op != OP_broadcast) return NULL;
  for (int k = 0; k < in[0]->attr.n; k++) axes[k] = n->attr.i[in[0]->attr.i[k]];
  return ir_broadcast(g, in[0]->in[0], n->type, axes);
}

static Node *rule_reshape(Graph *g, const Node *n, Node *const *in) {
  return in[0]->op == OP_const || in[0]->op == OP_reshape || type_eq(in[0]->type, n->type)
             ? ir_reshape_like(g, in[0], n->type)
             : NULL;
}

static Node *rule_transpose(Graph *g, const Node *n, Node *const *in) {
  int64_t perm[MAX_RANK];
  if (in[0]->op == OP_const) return ir_const(g, n->type, in[0]->attr.value);
  if (in[0]->op != OP_transpose) return NULL;
  for (int k = 0; k < n->attr.n; k++) perm[k] = in[0]->attr.i[n->attr.i[k]];
  return ir_transpose(g, in[0]->in[0], perm);
}

/* Elements of the operand for each element of the sum. */
static double multiplicity(const Node *n, const Node *x) {
  double m = 1;
  for (int k = 0; k < n->attr.n; k++) m *= (double)x->type.dim[n->attr.i[k]];
  return m;
}

static Node *rule_sum(Graph *g, const Node *n, Node *const *in) {
  Node *x = in[0];
  if (x->op == OP_const && dtype_is_float(n->type.dtype))
    return ir_const(g, n->type, x->attr.value * multiplicity(n, x));
  if (x->op == OP_neg) return ir_neg(g, ir_sum(g, x->in[0], n->attr.i, n->attr.n));
  if (x->op != OP_mul) return NULL;
  for (int k = 0; k < 2; k++) { /* sum(c x) = c sum(x) where c is one number */
    Node *c = x->in[k];
    bool same = c->op == OP_const || (c->op == OP_broadcast && c->in[0]->type.rank == 0);
    if (!same) continue;
    Node *rest = ir_sum(g, x->in[1 - k], n->attr.i, n->attr.n);
    Node *scale =
        c->op == OP_const ? ir_num(g, rest, c->attr.value) : ir_fill(g, c->in[0], rest->type);
    return ir_mul(g, scale, rest);
  }
  return NULL;
}

/* A transposition of the last two axes is a flag of the product. */
static Node *rule_matmul(Graph *g, const Node *n, Node *const *in) {
  Node *operand[2] = {in[0], in[1]};
  bool flag[2] = {n->attr.i[0], n->attr.i[1]}, changed = false;
  for (int k = 0; k < 2; k++) {
    int r = in[k]->type.rank;
    bool swap = in[k]->op == OP_transpose;
    for (int i = 0; swap && i < r; i++)
      swap = in[k]->attr.i[i] == (i == r - 1 ? r - 2 : i == r - 2 ? r - 1 : i);
    if (!swap) continue;
    operand[k] = in[k]->in[0];
    flag[k] = !flag[k];
    changed = true;
  }
  return changed ? ir_matmul(g, operand[0], operand[1], flag[0], flag[1]) : NULL;
}

static const struct {
  Op op;
  Rule rule;
} rules[] = {
    {OP_add, rule_add},
    {OP_sub, rule_sub},
    {OP_mul, rule_mul},
    {OP_div, rule_div},
    {OP_neg, rule_neg},
    {OP_pow, rule_pow},
    {OP_select, rule_select},
    {OP_stop, rule_stop},
    {OP_shift, rule_stop},
    {OP_cast, rule_cast},
    {OP_sum, rule_sum},
    {OP_broadcast, rule_broadcast},
    {OP_reshape, rule_reshape},
    {OP_transpose, rule_transpose},
    {OP_matmul, rule_matmul},
};

/* An elementwise op on constants is a constant; in f32 the fold rounds as the kernel would. */
static Node *fold(Graph *g, const Node *n, Node *const *in) {
  const OpInfo *info = op_info(n->op);
  if (info->emit != EMIT_MAP || !dtype_is_float(n->type.dtype)) return NULL;
  double v[3] = {0};
  for (int k = 0; k < n->nin; k++) {
    if (in[k]->op != OP_const) return NULL;
    v[k] = in[k]->attr.value;
  }
  return ir_const(g, n->type, info->map(v[0], v[1], v[2]));
}

/* f(broadcast a, broadcast b, const) = broadcast f(a, b, const): less work, done once. */
static Node *narrow(Graph *g, const Node *n, Node *const *in) {
  if (op_info(n->op)->emit != EMIT_MAP) return NULL;
  const Node *wide = NULL;
  for (int k = 0; k < n->nin; k++) {
    if (in[k]->op == OP_const) continue;
    if (in[k]->op != OP_broadcast) return NULL;
    if (wide &&
        (wide->attr.n != in[k]->attr.n || memcmp(wide->attr.i, in[k]->attr.i, sizeof wide->attr.i)))
      return NULL;
    wide = in[k];
  }
  if (!wide) return NULL;
  Node *small[3];
  for (int k = 0; k < n->nin; k++)
    small[k] = in[k]->op == OP_const
                   ? ir_const(g, type_with(wide->in[0]->type, in[k]->type.dtype), in[k]->attr.value)
                   : in[k]->in[0];
  return ir_broadcast(g, ir_rebuild(g, n, small), n->type, wide->attr.i);
}

static Node *improve(Graph *g, const Node *n, Node *const *in) {
  Node *better = fold(g, n, in);
  for (size_t i = 0; !better && i < sizeof rules / sizeof *rules; i++)
    if (rules[i].op == n->op) better = rules[i].rule(g, n, in);
  return better ? better : narrow(g, n, in);
}

/* Improves until no rule applies; rules build nodes whose operands may allow the next rule. */
static Node *simplest(Graph *g, const Node *n, Node *const *in) {
  Node *m = NULL;
  for (int round = 0; round < 8; round++) {
    Node *better = improve(g, m ? m : n, m ? m->in : in);
    if (!better) break;
    m = better;
    if (m->nin == 0) break;
  }
  return m ? m : ir_rebuild(g, n, in);
}

static void simplify_func(Program *p, Func *f) {
  Graph *g = graph_new(p->arena);
  Arena *scratch = arena_new();
  Node **map = arena_array(scratch, Node *, f->graph->nnode);
  for (int i = 0; i < f->graph->nnode; i++) {
    const Node *n = f->graph->node[i];
    Node **in = arena_array(scratch, Node *, n->nin);
    for (int k = 0; k < n->nin; k++) in[k] = map[n->in[k]->id];
    g->span = n->span;
    map[i] = simplest(g, n, in);
    if (!map[i]->name) map[i]->name = n->name;
  }
  g->span = (Span){0};
  for (int i = 0; i < f->nresult; i++) f->result[i] = map[f->result[i]->id];
  f->graph = g;
  func_compact(p, f);
  arena_free(scratch);
}

bool pass_simplify(Program *p) {
  for (int i = 0; i < p->nfunc; i++) simplify_func(p, p->func[i]);
  return true;
}
