/* LOOP kernels without reductions whose indices do not follow the axes: a reshape inside divides, a
   pad or concat tests. Where the numbers fit, axes are split into several loops, so that every
   quotient is a variable and every test is decided before the program runs: [64, 384] read as three
   times [64, 4, 32] becomes loops over 64, then for each third loops over 4 and 32. */
#include <string.h>

#include "codegen/kernel_c.h"
#include "ir/op.h"

enum { MAX_PARTS = 4, MIN_PART = 16, MIN_THREADS = 8 };

int cg_nest_start(const Kernel *k, Nest *nest) {
  int n = 0;
  if (k->kind != KERNEL_LOOP || k->order != ORDER_ROWS) return 0;
  for (int a = 0; a < k->rank; a++) {
    if (k->reduced[a]) return 0;
    if (k->dim[a] != 1) nest[n++] = (Nest){a, 1, k->dim[a], false};
  }
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].cls != ANCHOR_ELEM) return 0;
  return n;
}

/* Loop i becomes two, the inner one of `part` iterations. */
static void split(Nest *nest, int *n, int i, int64_t part, bool unroll) {
  memmove(&nest[i + 1], &nest[i], sizeof *nest * (size_t)(*n - i));
  ++*n;
  nest[i].extent /= part;
  nest[i].stride *= part;
  nest[i].unroll = unroll;
  nest[i + 1].extent = part;
}

/* Tests first: what a radix splits is then no longer one variable. */
bool cg_nest_refine(const Emit *dry, Nest *nest, int *n) {
  bool changed = false;
  for (int i = dry->nnest - 1; i >= 0 && *n < CG_NEST; i--) {
    int64_t part = dry->cut[i];
    if (part < MIN_PART || part == nest[i].extent || nest[i].extent / part > MAX_PARTS) continue;
    split(nest, n, i, part, true);
    changed = true;
  }
  for (int i = dry->nnest - 1; i >= 0 && *n < CG_NEST && !changed; i--) {
    int64_t outer = dry->radix[i] ? nest[i].extent / dry->radix[i] : 0;
    if (!outer || (i == 0 && dry->kernel->parallel && outer < MIN_THREADS)) continue;
    split(nest, n, i, dry->radix[i], false);
    return true;
  }
  return changed;
}

static void loops(Emit *e, int at, bool threads, const bool *now) {
  const Kernel *k = e->kernel;
  if (at == e->nnest) {
    cg_stores(e, k->store, now, ANCHOR_ELEM);
    return;
  }
  const Nest *l = &e->nest[at];
  Aff before = e->axis[l->axis];
  for (int64_t value = 0; l->unroll && value < l->extent; value++) {
    emit_open(e);
    e->axis[l->axis] = aff_shift(before, value * l->stride);
    loops(e, at + 1, threads, now);
    emit_close(e, "");
  }
  if (!l->unroll) {
    bool inner = at + 1 == e->nnest;
    emit_open(e);
    int v = emit_var(e, l->extent, "i");
    e->nest_var[at] = v;
    e->axis[l->axis] = aff_add(before, aff_var(v), l->stride);
    loops(e, at + 1, false, now);
    e->nest_var[at] = -1;
    const char *pragma = inner && threads ? "#pragma omp parallel for simd schedule(simd:static)\n"
                         : threads        ? "#pragma omp parallel for schedule(static)\n"
                         : inner          ? "#pragma omp simd\n"
                                          : "";
    emit_close(e, cg_for(e, pragma, v));
  }
  e->axis[l->axis] = before;
}

void cg_loop_nest(Emit *e) {
  const Kernel *k = e->kernel;
  bool *now = arena_array(e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) now[i] = true;
  for (int i = 0; i < CG_NEST; i++) e->nest_var[i] = -1;
  for (int i = 0; i < e->nnest; i++) e->axis[e->nest[i].axis] = aff_const(0);
  loops(e, 0, k->parallel, now);
}
