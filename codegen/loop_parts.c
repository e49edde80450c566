/* Pieces that the printers of all kernel kinds share: loops over groups of axes, levels of
   reductions, stores and accumulators. */
#include <string.h>

#include "codegen/kernel_c.h"
#include "ir/op.h"

int cg_groups(const Kernel *k, const bool *merge, Group *group) {
  int n = 0;
  for (int reduced = 0; reduced < 2; reduced++) {
    int position = -1; /* among axes longer than 1 */
    Group *open = NULL;
    for (int a = 0; a < k->rank; a++) {
      if (k->dim[a] == 1) continue;
      position++;
      if (k->reduced[a] != (reduced == 1)) {
        open = NULL;
        continue;
      }
      if (!open || !merge[position - 1]) {
        open = &group[n++];
        *open = (Group){.extent = 1, .reduced = k->reduced[a]};
      }
      open->axis[open->naxis++] = a;
      open->extent *= k->dim[a];
    }
  }
  return n;
}

int cg_open_group(Emit *e, const Group *g) {
  emit_open(e);
  int v = emit_var(e, g->extent, g->reduced ? "r" : "i");
  cg_bind_group(e, g, v);
  return v;
}

void cg_bind_group(Emit *e, const Group *g, int v) {
  int64_t stride = 1;
  for (int k = g->naxis - 1; k >= 0; k--) {
    int64_t extent = e->kernel->dim[g->axis[k]];
    int part = g->naxis == 1 ? v : emit_part(e, v, stride, extent);
    e->axis[g->axis[k]] = aff_var(part);
    stride *= extent;
    for (int j = 0, position = 0; j < e->kernel->rank; j++) {
      if (e->kernel->dim[j] == 1) continue;
      if (j == g->axis[k]) e->axis_var[position] = part;
      position++;
    }
  }
}

const char *cg_for(Emit *e, const char *pragma, int var) {
  const Var *v = &e->var[var];
  return arena_printf(e->arena, "%sfor (%s %s = 0; %s < %lld; %s++)", pragma, e->itype, v->name,
                      v->name, (long long)v->extent, v->name);
}

bool cg_overlap(const Storage *a, const Storage *b) {
  int64_t a0 = emit_byte(a), b0 = emit_byte(b);
  return a0 < b0 + type_bytes(b->type) && b0 < a0 + type_bytes(a->type);
}

void cg_stores(Emit *e, const Store *store, const bool *now, AnchorClass cls) {
  const Kernel *k = e->kernel;
  Val *v = arena_array(e->arena, Val, k->nstore);
  for (int i = 0; i < k->nstore; i++) {
    if (!now[i]) continue;
    Pos ix = emit_canonical(e, cls, store[i].node);
    v[i] = emit_node(e, store[i].node, &ix, 0);
  }
  for (int i = 0; i < k->nstore; i++) {
    if (!now[i]) continue;
    Pos ix = emit_canonical(e, cls, store[i].node);
    int depth = e->depth;
    Aff offset = emit_linear(store[i].node->type, &ix);
    int p = emit_access(e, store[i].dest, store[i].row, true, &offset, depth);
    const char *at = emit_aff(e, offset, &depth);
    text_addf(emit_body(e), "p%d[%s] = %s;\n", p, at, v[i].text);
  }
}

const char *cg_reduce_start(Emit *e, const Node *n) {
  DType d = n->in[0]->type.dtype;
  if (n->op == OP_sum) return emit_literal(e, d, 0);
  if (d == DT_I32) return emit_literal(e, d, -2147483648.0);
  return arena_printf(e->arena, "-%s", e->target->inf[d]);
}

void cg_accumulate(Emit *e, const Node *n, const char *acc, const char *v) {
  Text *b = emit_body(e);
  if (n->op == OP_sum)
    emit_add(e, n->type.dtype, acc, v);
  else if (n->type.dtype == DT_I32)
    text_addf(b, "%s = %s > %s ? %s : %s;\n", acc, v, acc, v, acc);
  else
    text_addf(b, "%s = mlo_max%s(%s, %s);\n", acc, n->type.dtype == DT_F32 ? "f" : "", v, acc);
}

SolveCall cg_solve_call(Emit *e) {
  const Kernel *k = e->kernel;
  const Node *n = k->anchor[0].node;
  Operand m, b;
  if (n->op != OP_solve || !kernel_operand(e->func->home, n->in[0], &m) ||
      !kernel_operand(e->func->home, n->in[1], &b) || b.transposed)
    compiler_bug("codegen", "kernel %s: no such call", k->name);
  int pm = emit_param(e, emit_home(e, m.node), NULL, false);
  int pb = emit_param(e, emit_home(e, b.node), NULL, false);
  SolveCall c = {.x = emit_param(e, k->store[0].dest, k->store[0].row, true),
                 .work = emit_param(e, k->scratch, NULL, true)};
  int64_t columns = n->type.rank > 1 ? n->type.dim[1] : 1;
  c.arguments =
      arena_printf(e->arena, "%s, %lld, %lld, p%d + %lld, p%d + %lld, p%d",
                   m.transposed ? "true" : "false", (long long)n->type.dim[0], (long long)columns,
                   pm, (long long)m.offset, pb, (long long)b.offset, c.x);
  return c;
}
