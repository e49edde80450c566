#ifndef MLOC_FRONTEND_DIMS_H
#define MLOC_FRONTEND_DIMS_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/arena.h"

/* A size: a polynomial (quotients included) over the named dimensions. Its key is the polynomial's
   value in the field of integers modulo 2^61 - 1 at a fixed random point, one coordinate a name, so
   that equal keys mean equal polynomials but for a chance of about 2^-55 (Schwartz-Zippel). A size
   that is an integer independently of data has that integer as its key. */
typedef struct SDim {
  uint64_t key;
  int64_t value;    /* -1: not known yet */
  const char *text; /* for messages: "2*D" */
  /* In a metric over all rows of a source, which is computed batch by batch: the size is made of
     the size of a batch, and would be `whole` if all rows were one batch. As a number it counts
     as that. */
  bool chunk;
  int64_t whole;
  /* Made of the size of a batch whose last one has fewer rows (`partial = keep`): that size's key;
     else 0. */
  uint64_t ragged;
} SDim;

enum { DIM_UNKNOWN = -1 };

SDim dim_int(Arena *a, int64_t value);                   /* value >= 0 */
SDim dim_named(const char *name, int64_t value);         /* bound by data (or unbound: -1) */
SDim dim_fresh(const char *text, uint64_t number);       /* unlike any other; value unknown */
SDim dim_chunk(SDim batch, int64_t size, int64_t whole); /* of one part of all rows */
int64_t dim_whole(SDim x);
SDim dim_add(Arena *a, SDim x, SDim y);
SDim dim_sub(Arena *a, SDim x, SDim y);
SDim dim_mul(Arena *a, SDim x, SDim y);
/* The exact quotient; when both values are known and y does not divide x (or is 0), *exact is
   false. */
SDim dim_div(Arena *a, SDim x, SDim y, bool *exact);
/* floor(x / y), x mod y: opaque to the algebra unless both are plain integers. y's value must
   not be 0. */
SDim dim_intdiv(Arena *a, SDim x, SDim y);
SDim dim_mod(Arena *a, SDim x, SDim y);
bool dim_eq(SDim x, SDim y);
/* The size does not depend on names: its key is its value. */
bool dim_is_int(SDim x);
bool dim_is(SDim x, int64_t n);
/* x <= y whatever the names stand for: their difference is a small nonnegative integer. */
bool dim_le(SDim x, SDim y);

#endif
