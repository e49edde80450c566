/* Arithmetic of affine indices. Keeping indices in this form until the last moment is what lets
   offsets simplify, unit strides be seen, and reshapes resolve without divisions. */
#include "codegen/affine.h"

#include "ir/diag.h"

Aff aff_const(int64_t c) { return (Aff){.c = c}; }

Aff aff_var(int var) { return (Aff){.n = 1, .t = {{var, 1}}}; }

static void push(Aff *r, int var, int64_t k) {
  if (!k) return;
  if (r->n == AFF_TERMS) compiler_bug("codegen", "an index of more than %d variables", AFF_TERMS);
  r->t[r->n++] = (AffTerm){var, k};
}

Aff aff_add(Aff a, Aff b, int64_t k) {
  Aff r = {.c = a.c + k * b.c};
  int i = 0, j = 0;
  while (i < a.n || j < b.n) {
    if (j == b.n || (i < a.n && a.t[i].var < b.t[j].var)) {
      push(&r, a.t[i].var, a.t[i].k);
      i++;
    } else if (i == a.n || b.t[j].var < a.t[i].var) {
      push(&r, b.t[j].var, k * b.t[j].k);
      j++;
    } else {
      push(&r, a.t[i].var, a.t[i].k + k * b.t[j].k);
      i++, j++;
    }
  }
  return r;
}

Aff aff_shift(Aff a, int64_t c) {
  a.c += c;
  return a;
}

bool aff_eq(const Aff *a, const Aff *b) {
  if (a->c != b->c || a->n != b->n) return false;
  for (int i = 0; i < a->n; i++)
    if (a->t[i].var != b->t[i].var || a->t[i].k != b->t[i].k) return false;
  return true;
}

int64_t aff_coef(const Aff *a, int var) {
  for (int i = 0; i < a->n; i++)
    if (a->t[i].var == var) return a->t[i].k;
  return 0;
}
