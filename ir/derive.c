/* Forward and reverse mode over graphs. Both read the derivatives of the op table; structural zeros
   stay NULL and never become tensors. */
#include "ir/derive.h"

#include <string.h>

#include "ir/op.h"

Node *ir_plus(Graph *g, Node *a, Node *b) { return !a ? b : !b ? a : ir_add(g, a, b); }

void ir_active(const Graph *g, Node *const *wrt, int nwrt, bool *mark) {
  memset(mark, 0, sizeof *mark * (size_t)g->nnode);
  for (int i = 0; i < nwrt; i++) mark[wrt[i]->id] = true;
  for (int i = 0; i < g->nnode; i++) {
    const Node *n = g->node[i];
    if (mark[i] || !dtype_is_float(n->type.dtype) || (op_info(n->op)->flags & OPF_STOP)) continue;
    for (int k = 0; k < n->nin; k++) mark[i] = mark[i] || mark[n->in[k]->id];
  }
}

/* partial * v, where units need no product. */
static Node *scale(Graph *g, Node *partial, Node *v) {
  if (node_is_const(partial, 1)) return v;
  if (node_is_const(v, 1)) return partial;
  return node_is_const(partial, -1) ? ir_neg(g, v) : ir_mul(g, partial, v);
}

/* The contribution of n's cotangent to its operand k; NULL: none. */
static Node *pull_back(Graph *g, Node *n, Node *ct, int k) {
  const OpInfo *info = op_info(n->op);
  if (info->vjp) return info->vjp(g, n, ct, k);
  if (info->emit != EMIT_MAP) compiler_bug("vjp", "`%s` has no derivative", info->name);
  Node *partial = info->partial[k](g, n->in[0], n->nin > 1 ? n->in[1] : NULL, n);
  if (!partial) return NULL;
  return scale(g, partial, ct);
}

void ir_vjp(Graph *g, Node *const *out, Node *const *cot, int nout, Node *const *wrt, int nwrt,
            Node **result) {
  Arena *scratch = arena_new();
  int n = g->nnode; /* nodes made below are never differentiated here */
  bool *active = arena_array(scratch, bool, n), *leaf = arena_array(scratch, bool, n);
  Node **ct = arena_array(scratch, Node *, n);
  ir_active(g, wrt, nwrt, active);
  for (int i = 0; i < nwrt; i++) leaf[wrt[i]->id] = true;
  for (int i = 0; i < nout; i++)
    if (cot[i] && active[out[i]->id]) ct[out[i]->id] = ir_plus(g, ct[out[i]->id], cot[i]);
  for (int i = n - 1; i >= 0; i--) {
    Node *m = g->node[i];
    if (!ct[i] || leaf[i] || !active[i]) continue;
    g->span = m->span;
    for (int k = 0; k < m->nin; k++) {
      uint32_t at = m->in[k]->id;
      if (active[at]) ct[at] = ir_plus(g, ct[at], pull_back(g, m, ct[i], k));
    }
  }
  g->span = (Span){0};
  for (int i = 0; i < nwrt; i++) result[i] = ct[wrt[i]->id];
  arena_free(scratch);
}

/* A linear op with some tangents missing: zeros where the op needs all of them. */
static Node *push_linear(Graph *g, Node *n, Node *const *t) {
  Node *in[64], **all = n->nin <= 64 ? in : arena_array(g->arena, Node *, n->nin);
  for (int k = 0; k < n->nin; k++) all[k] = t[k] ? t[k] : ir_num(g, n->in[k], 0);
  return ir_rebuild(g, n, all);
}

static Node *push_bilinear(Graph *g, Node *n, Node *const *t) {
  Node *left = NULL, *right = NULL;
  if (t[0]) left = ir_rebuild(g, n, (Node *[]){t[0], n->in[1]});
  if (t[1]) right = ir_rebuild(g, n, (Node *[]){n->in[0], t[1]});
  return ir_plus(g, left, right);
}

static Node *push_forward(Graph *g, Node *n, Node *const *t) {
  const OpInfo *info = op_info(n->op);
  if (info->jvp) return info->jvp(g, n, t);
  if (info->emit != EMIT_MAP && (info->flags & OPF_LINEAR)) return push_linear(g, n, t);
  if (info->flags & OPF_BILINEAR) return push_bilinear(g, n, t);
  if (info->emit != EMIT_MAP) compiler_bug("jvp", "`%s` has no derivative", info->name);
  Node *sum = NULL;
  for (int k = 0; k < n->nin; k++) {
    Node *partial = t[k] ? info->partial[k](g, n->in[0], n->nin > 1 ? n->in[1] : NULL, n) : NULL;
    if (!partial) continue;
    sum = ir_plus(g, sum, scale(g, partial, t[k]));
  }
  return sum;
}

void ir_jvp(Graph *g, Node *const *out, int nout, Node *const *wrt, Node *const *tangent, int nwrt,
            Node **result) {
  Arena *scratch = arena_new();
  int n = g->nnode;
  bool *active = arena_array(scratch, bool, n), *need = arena_array(scratch, bool, n);
  bool *leaf = arena_array(scratch, bool, n);
  Node **t = arena_array(scratch, Node *, n);
  ir_active(g, wrt, nwrt, active);
  ir_reach(g, out, nout, need);
  for (int i = 0; i < nwrt; i++) {
    leaf[wrt[i]->id] = true;
    t[wrt[i]->id] = tangent[i];
  }
  for (int i = 0; i < n; i++) {
    Node *m = g->node[i];
    if (leaf[i] || !active[i] || !need[i]) continue;
    Node **in = arena_array(scratch, Node *, m->nin);
    bool any = false;
    for (int k = 0; k < m->nin; k++) {
      in[k] = t[m->in[k]->id];
      any = any || in[k];
    }
    g->span = m->span;
    if (any) t[i] = push_forward(g, m, in);
  }
  g->span = (Span){0};
  for (int i = 0; i < nout; i++) result[i] = t[out[i]->id];
  arena_free(scratch);
}

void ir_grad(Graph *g, Node *scalar, Node *const *wrt, int nwrt, Node **result) {
  Node *one = ir_num(g, scalar, 1);
  ir_vjp(g, &scalar, &one, 1, wrt, nwrt, result);
}
