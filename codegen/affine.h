#ifndef MLOC_CODEGEN_AFFINE_H
#define MLOC_CODEGEN_AFFINE_H

#include <stdbool.h>
#include <stdint.h>

/* An index: c + sum of coefficient * variable, terms sorted by variable, no zero coefficients.
   Variables are numbers; whoever makes them knows their ranges and names. */
enum { AFF_TERMS = 16 };

typedef struct AffTerm {
  int var;
  int64_t k;
} AffTerm;

typedef struct Aff {
  int64_t c;
  int n;
  AffTerm t[AFF_TERMS];
} Aff;

Aff aff_const(int64_t c);
Aff aff_var(int var);
/* a + k b. Sums of more than AFF_TERMS variables do not occur: indices of one tensor combine at
   most its axes' terms, and divisions make a variable of what they cannot split. */
Aff aff_add(Aff a, Aff b, int64_t k);
Aff aff_shift(Aff a, int64_t c);
bool aff_eq(const Aff *a, const Aff *b);
/* Coefficient of var, 0 if absent. */
int64_t aff_coef(const Aff *a, int var);

#endif
