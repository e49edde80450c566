/* The reference evaluator: every node in doubles, rounded to its element type. Slow and plain on
   purpose, and separate from generated code, so that each can be checked against the other. */
#include "ir/eval.h"

#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "ir/op_bulk.h"

static double rounded(double x, DType d) {
  if (d == DT_F32) return (float)x;
  if (d == DT_I32 && fabs(x) < 0x1p62) return (double)(int32_t)(uint32_t)(int64_t)x;
  return x;
}

/* Products of integers may have more bits than a double. */
static double wrapped_product(double x, double z) {
  return (int32_t)((uint32_t)(int32_t)x * (uint32_t)(int32_t)z);
}

static void eval_map(const OpInfo *info, const Node *n, double *const *in, double *out) {
  if (n->op == OP_mul && n->type.dtype == DT_I32) {
    for (int64_t i = 0; i < type_count(n->type); i++) out[i] = wrapped_product(in[0][i], in[1][i]);
    return;
  }
  for (int64_t i = 0; i < type_count(n->type); i++)
    out[i] = info->map(in[0][i], n->nin > 1 ? in[1][i] : 0, n->nin > 2 ? in[2][i] : 0);
}

static void eval_node(const Node *n, double *const *in, double *out, EvalParam param, void *ctx) {
  const OpInfo *info = op_info(n->op);
  int64_t count = type_count(n->type);
  if (n->op == OP_param)
    memcpy(out, param(ctx, n), sizeof *out * (size_t)count);
  else if (n->op == OP_const)
    for (int64_t i = 0; i < count; i++) out[i] = n->attr.value;
  else if (info->emit == EMIT_MAP)
    eval_map(info, n, in, out);
  else
    info->eval(n, in, out);
  for (int64_t i = 0; i < count; i++) out[i] = rounded(out[i], n->type.dtype);
}

void ir_eval(Arena *a, const Graph *g, Node *const *root, int n, EvalParam param, void *ctx,
             const double **out) {
  Arena *scratch = arena_new();
  bool *need = arena_array(scratch, bool, g->nnode);
  double **value = arena_array(scratch, double *, g->nnode);
  ir_reach(g, root, n, need);
  for (int i = 0; i < g->nnode; i++) {
    if (!need[i]) continue;
    const Node *m = g->node[i];
    double **in = arena_array(scratch, double *, m->nin);
    for (int k = 0; k < m->nin; k++) in[k] = value[m->in[k]->id];
    value[i] = arena_array(a, double, (int)type_count(m->type));
    eval_node(m, in, value[i], param, ctx);
  }
  for (int i = 0; i < n; i++) out[i] = root[i] ? value[root[i]->id] : NULL;
  arena_free(scratch);
}
