#ifndef MLOC_CODEGEN_EXPR_IMPL_H
#define MLOC_CODEGEN_EXPR_IMPL_H

#include "codegen/expr.h"

/* Shared by the files of the expression emitter only. */

struct Memo { /* the local that holds a node at an index under a guard */
  Pos ix;
  int guard;
  Val value;
  unsigned serial;
  uint32_t id;         /* of the node */
  Memo *next, *before; /* of the same node; of all */
};

/* Guards chain: a guard holds where its parent and 0 <= e < extent hold. Loads under one are
   conditional, arithmetic is not. */
struct Guard {
  int parent;
  Aff e;
  int64_t extent;
  const char *text;
  int depth;
  unsigned serial;
};

struct Quotient { /* variables for a / d and a % d that indices could not split */
  Aff a;
  int64_t d;
  int quotient, remainder;
  unsigned serial;
};

Val emit_local(Emit *e, DType d, int depth, const char *expression);
/* Nodes whose row in the op table says INDEX; anything else is a bug of the kernel's plan. */
Val emit_view(Emit *e, const Node *n, const Pos *ix, int guard);
/* a = quotient * d + remainder, 0 <= remainder < d, for a >= 0 */
void emit_divide(Emit *e, Aff a, int64_t d, Aff *quotient, Aff *remainder);
/* A guard for 0 <= a < extent inside `parent`; 0 and parent itself where it always holds; -1: it
 * never does. */
int emit_guard(Emit *e, int parent, Aff a, int64_t extent);
/* The same for an index that a value gave (emit_value_var), of which nothing is known: always
 * tests. */
int emit_row_guard(Emit *e, int parent, Aff a, int64_t extent);
int emit_value_var(Emit *e, Val v);

#endif
