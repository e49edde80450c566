/* CUDA kernels of scatters and solutions of linear systems. A warp owns a row of the destination:
   it looks through all indices, which the block reads together, and takes the updates of its row in
   their order, the order of the CPU; no two threads meet in an element, so no sum depends on how
   threads run. */
#include "codegen/kernel_cuda.h"
#include "ir/op.h"

static void copies(Emit *e) {
  const Kernel *k = e->kernel;
  for (int i = 1; i < k->nstore; i++)
    text_addf(emit_body(e), "p%d[%s] = p%d[%s];\n",
              emit_param(e, k->store[i].dest, k->store[i].row, true), "o",
              emit_param(e, k->store[0].dest, k->store[0].row, true), "o");
}

typedef struct Scatter {
  Emit *e;
  const Node *n, *index, *update;
  int dest;
  int64_t rows, width, count; /* of the destination; how many indices */
} Scatter;

/* 256 indices into shared memory: -1 where there are none. */
static void read_indices(Scatter *s, const char *base) {
  Emit *e = s->e;
  Group group[MAX_RANK];
  int n = 0;
  Pos at = {.rank = s->index->type.rank};
  for (int a = 0; a < at.rank; a++) {
    at.e[a] = aff_const(0);
    if (s->index->type.dim[a] != 1)
      group[n++] = (Group){.extent = s->index->type.dim[a], .axis = {a}, .naxis = 1};
  }
  emit_open(e);
  int v = emit_var(e, s->count, "k");
  text_addf(emit_body(e), "const %s %s = %s + t;\n", e->itype, e->var[v].name, base);
  Aff before[MAX_RANK];
  for (int i = 0; i < n; i++) before[i] = e->axis[group[i].axis[0]];
  if (n) cuda_bind(e, group, n, v);
  for (int i = 0; i < n; i++) {
    at.e[group[i].axis[0]] = e->axis[group[i].axis[0]];
    e->axis[group[i].axis[0]] = before[i];
  }
  Val row = emit_node(e, s->index, &at, 0);
  text_addf(emit_body(e), "((int32_t *)mem)[h + t] = %s;\n", row.text);
  emit_close(e, arena_printf(e->arena, "if (%s + t < %lld)", base, (long long)s->count));
}

/* The row of update number k (a name) onto row v of the destination, by the lanes of a warp. */
static void add_row(Scatter *s, const char *k) {
  Emit *e = s->e;
  const Node *u = s->update;
  Group group[MAX_RANK];
  int n = 0, m = 0, first = s->index->type.rank;
  Pos from = {.rank = u->type.rank};
  for (int a = 0; a < from.rank; a++) {
    from.e[a] = aff_const(0);
    if (u->type.dim[a] != 1)
      group[n++] = (Group){.extent = u->type.dim[a], .axis = {a}, .naxis = 1};
  }
  while (m < n && group[m].axis[0] < first) m++;
  int vk = emit_var(e, s->count, "k");
  text_addf(emit_body(e), "const %s %s = %s;\n", e->itype, e->var[vk].name, k);
  if (m) cuda_bind(e, group, m, vk);
  ThreadLoop loop = {
      .group = group + m, .ngroup = n - m, .first = "t % 32", .step = "32", .vector = 1};
  if (n > m)
    cuda_open(e, &loop);
  else
    emit_open(e);
  for (int i = 0; i < n; i++) from.e[group[i].axis[0]] = e->axis[group[i].axis[0]];
  Val v = emit_node(e, u, &from, 0);
  const char *to = arena_printf(e->arena, "p%d[v * %lld + %s]", s->dest, (long long)s->width,
                                n > m ? e->var[loop.var].name : "0");
  if (s->n->op == OP_scatter_add)
    text_addf(emit_body(e), "%s += %s;\n", to, v.text);
  else
    text_addf(emit_body(e), "%s = mlo_max%s(%s, %s);\n", to, s->n->type.dtype == DT_F32 ? "f" : "",
              v.text, to);
  if (n > m)
    cuda_close(e, &loop);
  else
    emit_close(e, "if (t % 32 == 0)");
}

static void scan(Scatter *s) {
  Emit *e = s->e;
  emit_open(e);
  read_indices(s, "base");
  text_add(emit_body(e), CUDA_BARRIER);
  cuda_barriers(e, 1, 0, 0, 128, (s->rows + 7) / 8 * ((s->count + 255) / 256));
  emit_open(e);
  text_addf(emit_body(e),
            "uint32_t found = __ballot_sync(MLO_WARP, v < %lld && base + c + t %% 32 < %lld && "
            "((int32_t *)mem)[h + c + t %% 32] == v);\n",
            (long long)s->rows, (long long)s->count);
  emit_open(e);
  text_add(emit_body(e), "const int32_t bit = __ffs((int)found) - 1;\nfound &= found - 1;\n");
  add_row(s, "base + c + bit");
  emit_close(e, "while (found)");
  emit_close(e, "for (int32_t c = 0; c < 256; c += 32)");
  text_add(emit_body(e), "h = 256 - h;\n");
  emit_close(e, arena_printf(e->arena, "for (%s base = 0; base < %lld; base += 256)", e->itype,
                             (long long)s->count));
}

void cuda_scatter(Emit *e) {
  const Kernel *k = e->kernel;
  const Node *n = k->anchor[0].node;
  Scatter s = {.e = e, .n = n, .index = n->in[0], .update = n->in[1]};
  s.dest = emit_param(e, k->store[0].dest, k->store[0].row, true);
  s.rows = n->type.dim[0];
  s.width = s.rows ? type_count(n->type) / s.rows : 0;
  s.count = type_count(s.index->type);
  DType d = n->type.dtype;
  if (!s.rows || !s.width) return;
  const char *start = n->op == OP_scatter_add ? emit_literal(e, d, 0)
                                              : arena_printf(e->arena, "-%s", e->target->inf[d]);
  e->shared = 256;
  text_add(emit_body(e), "int32_t h = 0;\n");
  emit_open(e);
  text_addf(emit_body(e), "const %s v = w + t / 32;\n", e->itype);
  text_addf(emit_body(e),
            "for (%s j = t %% 32; v < %lld && j < %lld; j += 32) p%d[v * %lld + j] = %s;\n",
            e->itype, (long long)s.rows, (long long)s.width, s.dest, (long long)s.width, start);
  if (s.count) scan(&s);
  emit_param(e, k->store[0].dest, k->store[0].row, true);
  emit_open(e);
  text_addf(emit_body(e), "const %s o = v * %lld + j;\n", e->itype, (long long)s.width);
  copies(e);
  emit_close(e, arena_printf(e->arena, "for (%s j = t %% 32; v < %lld && j < %lld; j += 32)",
                             e->itype, (long long)s.rows, (long long)s.width));
  emit_close(e, arena_printf(e->arena, "for (%s w = block * 8; w < %lld; w += blocks * 8)",
                             e->itype, (long long)s.rows));
}

void cuda_solve(Emit *e) {
  const Kernel *k = e->kernel;
  const Node *n = k->anchor[0].node;
  SolveCall c = cg_solve_call(e);
  e->shared = 32;
  text_addf(emit_body(e), "mlo_solve_block_%s(%s, (%s *)p%d, mem);\n", dtype_name(n->type.dtype),
            c.arguments, e->target->type[n->type.dtype], c.work);
  cuda_barriers(e, 1, 0, 0, e->shared, 1);
  emit_param(e, k->store[0].dest, k->store[0].row, true);
  emit_param(e, k->scratch, NULL, true);
  for (int i = 1; i < k->nstore; i++)
    text_addf(emit_body(e), "for (int32_t o = t; o < %lld; o += 256) p%d[o] = p%d[o];\n",
              (long long)type_count(n->type),
              emit_param(e, k->store[i].dest, k->store[i].row, true), c.x);
}
