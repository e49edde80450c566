/* SCATTER and CALL kernels. A scatter fills its destination and then takes the updates in row-major
   order, always the same, so that sums have the same bits in every run. */
#include "codegen/kernel_c.h"
#include "ir/op.h"

static const char *count_text(Emit *e, int64_t n) {
  return arena_printf(e->arena, "%lld", (long long)n);
}

static void copy_stores(Emit *e) {
  const Kernel *k = e->kernel;
  for (int i = 1; i < k->nstore; i++)
    text_addf(emit_body(e), "memcpy(p%d, p%d, %lld);\n",
              emit_param(e, k->store[i].dest, k->store[i].row, true),
              emit_param(e, k->store[0].dest, k->store[0].row, true),
              (long long)type_bytes(k->store[i].node->type));
}

static void fill(Emit *e, const Node *n, int dest) {
  DType d = n->type.dtype;
  emit_open(e);
  int v = emit_var(e, type_count(n->type), "i");
  const char *start = n->op == OP_scatter_add ? emit_literal(e, d, 0)
                                              : arena_printf(e->arena, "-%s", e->target->inf[d]);
  text_addf(emit_body(e), "p%d[%s] = %s;\n", dest, e->var[v].name, start);
  emit_close(e, cg_for(e, "#pragma omp simd\n", v));
}

/* Loops over the update's axes [first, last); their variables go into at. Returns how many there
 * are. */
static int open_axes(Emit *e, const Node *update, int first, int last, Pos *at, int *var) {
  int n = 0;
  for (int a = first; a < last; a++) {
    at->e[a] = aff_const(0);
    if (update->type.dim[a] == 1) continue;
    emit_open(e);
    var[n] = emit_var(e, update->type.dim[a], "i");
    at->e[a] = aff_var(var[n++]);
  }
  return n;
}

/* Loops over the index; where it is in range, loops over the elements of a row, which do not depend
   on each other. */
void cg_scatter(Emit *e) {
  const Kernel *k = e->kernel;
  const Node *n = k->anchor[0].node, *index = n->in[0], *update = n->in[1];
  int dest = emit_param(e, k->store[0].dest, k->store[0].row, true), depth = 0;
  int outer[MAX_RANK], inner[MAX_RANK];
  Pos at = {.rank = index->type.rank}, from = {.rank = update->type.rank},
      to = {.rank = n->type.rank};
  fill(e, n, dest);
  int nouter = open_axes(e, update, 0, at.rank, &from, outer);
  for (int a = 0; a < at.rank; a++) at.e[a] = from.e[a];
  Val row = emit_node(e, index, &at, 0);
  emit_open(e);
  int ninner = open_axes(e, update, at.rank, from.rank, &from, inner);
  to.e[0] = aff_const(0);
  for (int a = 1; a < to.rank; a++) to.e[a] = from.e[at.rank + a - 1];
  Val v = emit_node(e, update, &from, 0);
  const char *rest = emit_aff(e, emit_linear(n->type, &to), &depth);
  int64_t width = n->type.dim[0] ? type_count(n->type) / n->type.dim[0] : 0;
  const char *acc = arena_printf(e->arena, "p%d[(%s)%s * %s + %s]", dest, e->itype, row.text,
                                 count_text(e, width), rest);
  if (n->op == OP_scatter_add)
    text_addf(emit_body(e), "%s += %s;\n", acc, v.text);
  else
    text_addf(emit_body(e), "%s = mlo_max%s(%s, %s);\n", acc, n->type.dtype == DT_F32 ? "f" : "",
              v.text, acc);
  for (int i = ninner - 1; i >= 0; i--)
    emit_close(e, cg_for(e, i == ninner - 1 ? "#pragma omp simd\n" : "", inner[i]));
  emit_close(e, arena_printf(e->arena, "if (%s >= 0 && %s < %s)", row.text, row.text,
                             count_text(e, n->type.dim[0])));
  while (nouter--) emit_close(e, cg_for(e, "", outer[nouter]));
  copy_stores(e);
}

void cg_call(Emit *e) {
  SolveCall c = cg_solve_call(e);
  text_addf(emit_body(e), "mlo_solve_%s(%s, p%d);\n",
            dtype_name(e->kernel->anchor[0].node->type.dtype), c.arguments, c.work);
  copy_stores(e);
}
