/* For hoist: elementwise sums of products in which one factor is invariant, as sum over k of c_k
   x_k with varying x_k and one invariant coefficient c_k each. A product with a Hessian reads each
   elementwise function's second derivative as several arrays otherwise, one for each factor that
   the chain rule left; multiplied out before the loop they are one. */
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "passes/linear.h"

enum { MAX_REGION = 64 };

/* A coefficient on its way from the root to the x_k: NULL stands for 1. `loads`: full-size arrays
   that computing it in place reads; a dear one is kept in memory and read as one. */
typedef struct Coef {
  Node *node;
  int loads;
  bool dear, set;
} Coef;

typedef struct Linear {
  Graph *g;
  const bool *varying;
  const int64_t *dear;
  int n;           /* nodes before the first rewriting */
  bool *root;      /* read by something that is no such sum */
  int *loads;      /* by node: of an invariant one, computed in place */
  int64_t *extent; /* by node: elements that really differ (a broadcast's are its operand's) */
  Node **map;      /* by node: what has taken its place */
  Coef *coef;
  Node *region[MAX_REGION]; /* sums and x_k, each once */
  int nregion;
} Linear;

/* Sums, and products and quotients of which one side is invariant. */
static bool is_linear(const Linear *l, const Node *n) {
  if (!l->varying[n->id] || !dtype_is_float(n->type.dtype)) return false;
  switch (n->op) {
  case OP_add:
  case OP_sub:
  case OP_neg: return true;
  case OP_mul: return l->varying[n->in[0]->id] != l->varying[n->in[1]->id];
  case OP_div: return !l->varying[n->in[1]->id];
  default: return false;
  }
}

static void survey(Linear *l, const Func *f) {
  for (int i = 0; i < l->n; i++) {
    const Node *n = l->g->node[i];
    Emission e = op_info(n->op)->emit;
    int64_t count = type_count(n->type);
    l->extent[i] = n->op == OP_const ? 1 : e == EMIT_MAP ? 1 : count;
    if (n->op == OP_broadcast) l->extent[i] = l->extent[n->in[0]->id];
    for (int k = 0; e == EMIT_MAP && k < n->nin; k++) {
      if (l->extent[n->in[k]->id] > l->extent[i]) l->extent[i] = l->extent[n->in[k]->id];
      l->loads[i] += l->loads[n->in[k]->id];
    }
    bool array = e != EMIT_MAP || l->dear[i] >= count;
    if (array || l->loads[i] > MAX_REGION) l->loads[i] = 1;
    if (l->extent[i] < count) l->loads[i] = 0;
    for (int k = 0; k < n->nin; k++)
      if (!is_linear(l, n)) l->root[n->in[k]->id] = true;
  }
  for (int i = 0; i < f->nresult; i++) l->root[f->result[i]->id] = true;
}

static Coef invariant(const Linear *l, Node *n) {
  bool whole = l->extent[n->id] == type_count(n->type);
  return (Coef){n, l->loads[n->id], whole && l->dear[n->id] >= type_count(n->type), true};
}

static Coef with(Coef a, Coef b, Node *node) {
  bool dear = a.dear || b.dear;
  return (Coef){node, dear ? 1 : a.loads + b.loads, dear, true};
}

static Coef times(Linear *l, Coef c, Node *a) {
  Coef b = invariant(l, a);
  return c.node ? with(c, b, ir_mul(l->g, c.node, a)) : b;
}

static Coef over(Linear *l, Coef c, Node *a) {
  return with(c, invariant(l, a), c.node ? ir_div(l->g, c.node, a) : ir_recip(l->g, a));
}

static Coef minus(Linear *l, Coef c, const Node *like) {
  c.node = c.node ? ir_neg(l->g, c.node) : ir_num(l->g, like, -1);
  return c;
}

static void push(Linear *l, Node *x, Coef c) {
  Coef *to = &l->coef[x->id];
  if (to->set) {
    Node *a = to->node ? to->node : ir_num(l->g, x, 1), *b = c.node ? c.node : ir_num(l->g, x, 1);
    c = with(*to, c, ir_add(l->g, a, b));
  }
  *to = c;
}

static void push_operands(Linear *l, Node *n, Coef c) {
  Node *x = n->in[0], *z = n->nin > 1 ? n->in[1] : NULL;
  if (n->op == OP_mul) {
    bool first = l->varying[x->id];
    push(l, first ? x : z, times(l, c, first ? z : x));
  } else if (n->op == OP_div) {
    push(l, x, over(l, c, z));
  } else if (n->op == OP_neg) {
    push(l, x, minus(l, c, n));
  } else {
    if (l->varying[x->id]) push(l, x, c);
    if (l->varying[z->id]) push(l, z, n->op == OP_sub ? minus(l, c, n) : c);
  }
}

static int later_first(const void *x, const void *y) {
  const Node *a = *(Node *const *)x, *b = *(Node *const *)y;
  return a->id > b->id ? -1 : a->id < b->id;
}

/* False where it is too large, or adds something invariant. */
static bool find_region(Linear *l, Node *n) {
  for (int i = 0; i < l->nregion; i++)
    if (l->region[i] == n) return true;
  if (l->nregion == MAX_REGION) return false;
  l->region[l->nregion++] = n;
  if (!is_linear(l, n)) return true;
  for (int k = 0; k < n->nin; k++) {
    bool varies = l->varying[n->in[k]->id];
    if (!varies && (n->op == OP_add || n->op == OP_sub)) return false;
    if (varies && !find_region(l, n->in[k])) return false;
  }
  return true;
}

/* Arrays that the region reads for its factors as it is. */
static int loads_now(const Linear *l) {
  int sum = 0;
  for (int i = 0; i < l->nregion; i++)
    for (int k = 0; is_linear(l, l->region[i]) && k < l->region[i]->nin; k++) {
      const Node *a = l->region[i]->in[k];
      if (!l->varying[a->id]) sum += l->loads[a->id];
    }
  return sum;
}

/* The x_k with equal coefficients are added first. */
static Node *sum_up(Linear *l, int *loads) {
  Node *sum = NULL;
  *loads = 0;
  for (int i = l->nregion - 1; i >= 0; i--) {
    if (!l->region[i] || is_linear(l, l->region[i])) continue;
    Coef c = l->coef[l->region[i]->id];
    Node *group = NULL;
    for (int k = i; k >= 0; k--) {
      Node *x = l->region[k];
      if (!x || is_linear(l, x) || l->coef[x->id].node != c.node) continue;
      group = group ? ir_add(l->g, group, l->map[x->id]) : l->map[x->id];
      if (k < i) l->region[k] = NULL;
    }
    *loads += c.loads;
    if (c.node) group = ir_mul(l->g, c.node, group);
    sum = sum ? ir_add(l->g, sum, group) : group;
  }
  return sum;
}

/* What takes the root's place; NULL: it stays as it is. */
static Node *rewritten(Linear *l, Node *root) {
  l->nregion = 0;
  if (!is_linear(l, root) || !l->root[root->id] || !find_region(l, root)) return NULL;
  int before = loads_now(l), after;
  if (before < 2) return NULL;
  qsort(l->region, (size_t)l->nregion, sizeof *l->region, later_first);
  for (int i = 0; i < l->nregion; i++) l->coef[l->region[i]->id].set = false;
  l->coef[root->id] = (Coef){.set = true};
  for (int i = 0; i < l->nregion; i++)
    if (is_linear(l, l->region[i])) push_operands(l, l->region[i], l->coef[l->region[i]->id]);
  Node *sum = sum_up(l, &after);
  return after < before ? sum : NULL;
}

static Node *rebuilt(Linear *l, Node *n) {
  Arena *scratch = arena_new();
  Node **in = arena_array(scratch, Node *, n->nin);
  bool same = true;
  for (int k = 0; k < n->nin; k++) {
    in[k] = l->map[n->in[k]->id];
    same = same && in[k] == n->in[k];
  }
  if (!same) n = ir_rebuild(l->g, n, in);
  arena_free(scratch);
  return n;
}

bool linear_collect(Func *f, const bool *varying, const int64_t *dear) {
  Arena *scratch = arena_new();
  int n = f->graph->nnode;
  bool changed = false;
  Linear l = {.g = f->graph, .varying = varying, .dear = dear, .n = n};
  l.root = arena_array(scratch, bool, n);
  l.loads = arena_array(scratch, int, n);
  l.extent = arena_array(scratch, int64_t, n);
  l.map = arena_array(scratch, Node *, n);
  l.coef = arena_array(scratch, Coef, n);
  survey(&l, f);
  for (int i = 0; i < n; i++) {
    Node *old = f->graph->node[i], *now = rewritten(&l, old);
    l.map[i] = now ? now : rebuilt(&l, old);
    changed = changed || now;
  }
  for (int i = 0; i < f->nresult; i++) f->result[i] = l.map[f->result[i]->id];
  arena_free(scratch);
  return changed;
}
