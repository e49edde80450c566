#ifndef MLOC_CODEGEN_EXPR_H
#define MLOC_CODEGEN_EXPR_H

#include "codegen/affine.h"
#include "codegen/text.h"
#include "ir/kernel.h"

/* The expression emitter: a node at an index becomes a few `const` locals. Code is written into
   nested scopes (one a loop); a local goes to the outermost scope in which everything that it reads
   is known, so whatever does not change in a loop is computed before it. */

enum { CG_SCOPES = 24, CG_NEST = 12 };

/* What differs between target languages inside expressions. */
typedef struct Target {
  const char *type[NDTYPE], *inf[NDTYPE], *nan[NDTYPE];
  const char *element[NDTYPE]; /* type in memory: what a bool's load gives is compared with 0 */
  const char *restricted;      /* qualifier of a pointer that nothing else overlaps */
} Target;

extern const Target cg_target_c, cg_target_cuda;

typedef struct Var { /* integer variable of the kernel: 0 <= v < extent */
  const char *name;
  int64_t extent;
  int depth;  /* scope that declares it */
  int parent; /* an axis of a merged loop: value = parent / stride % extent; -1: itself */
  int64_t stride;
  unsigned scope; /* scope instance, for variables made on demand */
} Var;

typedef struct Pos { /* index of one element of a node */
  int rank;
  Aff e[MAX_RANK];
} Pos;

typedef struct Val { /* a name or a literal, valid in scopes of at least this depth */
  const char *text;
  int depth;
} Val;

/* Where an anchor's value is: a local, or an array read at the offset that `at` tells for the
   domain's present index. */
typedef struct Emit Emit;
typedef struct Bound {
  const Anchor *anchor;
  const char *name; /* NULL: not computed yet */
  Aff (*at)(const Emit *e);
  int depth;
} Bound;

typedef struct Scope {
  Text body;
  unsigned serial;
  int barriers; /* CUDA: how many stand before it */
} Scope;

/* Shared memory of a CUDA kernel: `n` doubles, from where they are written first and read last, and
   behind how many barriers that is. */
typedef struct Shared {
  int64_t written, read;
  int n, first, last;
} Shared;

typedef struct Param { /* pointer argument of the kernel: a storage, or one row of it */
  const Storage *s, *row;
  bool load, store;
  /* CUDA: whether some access is not of the thread's own element; behind how many of the kernel's
     barriers it is first and last loaded [0] and stored [1]. */
  bool others;
  int first[2], last[2];
} Param;

/* One loop over part of an axis: index of the axis = sum of stride * variable over its loops. */
typedef struct Nest {
  int axis;
  int64_t stride, extent;
  bool unroll; /* no loop: the body once for each value */
} Nest;

typedef struct Guard Guard;
typedef struct Memo Memo;
typedef struct Quotient Quotient;

struct Emit {
  Arena *arena;
  const Target *target;
  const Program *program;
  const Func *func;
  const Kernel *kernel;
  const char *itype; /* C type of indices */
  Scope scope[CG_SCOPES];
  int depth;
  unsigned serial;
  int nlocal;
  Var *var;
  int nvar, var_cap;
  Param *param;
  int nparam, param_cap;
  Bound *bound; /* by node id */
  Memo **memo;  /* by node id */
  Memo *made;   /* all memos, through `before` */
  Guard *guard;
  int nguard, guard_cap;
  Quotient *quotient;
  int nquotient, quotient_cap;
  Aff axis[MAX_RANK]; /* the domain's index at present */
  int stage;          /* of the loop at present */
  /* Dry run: which neighbouring axes of the domain could be one loop. */
  bool analyse;
  int naxis, axis_var[MAX_RANK]; /* axes longer than 1 */
  bool apart[MAX_RANK];          /* axis k and k + 1 of these are used apart */
  /* Loops over parts of axes, outermost first, and their variables (-1: none at present). Dry run:
     where a quotient or guard asks for a loop to be split, as an extent of its inner half; 0: no.
   */
  Nest nest[CG_NEST];
  int nnest, nest_var[CG_NEST];
  int64_t radix[CG_NEST], cut[CG_NEST];
  bool random, vectors; /* needs mlo_random.h, mlo_vector.h */
  /* CUDA: which of the elements that the thread keeps in registers is at hand; doubles of shared
     memory; whether scratch memory is used. */
  Aff slot;
  int shared;
  bool scratch;
  Shared *part;                  /* of the shared memory */
  int npart, part_cap, barriers; /* printed so far */
  /* CUDA, one block: whether element `own` of every array is this thread's, number own % 256. */
  bool owns, alone; /* alone: no other thread runs */
  Aff own;
};

/* Tables by node id that the kernels of a function use one after the other. */
typedef struct NodeTables {
  const Func *func;
  Bound *bound;
  Memo **memo;
  const char *itype;
} NodeTables;

/* The tables are made anew when the function changes; they must be empty, as emit_end leaves them.
 */
void emit_begin(Emit *e, Arena *a, const Target *t, const Program *p, const Func *f,
                const Kernel *k, NodeTables *tables);
void emit_end(Emit *e);
/* Nodes at an index; guard 0 is "always". */
Val emit_node(Emit *e, const Node *n, const Pos *ix, int guard);
/* The value of array[at]. */
const char *emit_load(const Emit *e, DType d, const char *array, const char *at);
int emit_var(Emit *e, int64_t extent, const char *prefix);
/* Axis of a merged loop. */
int emit_part(Emit *e, int parent, int64_t stride, int64_t extent);
void emit_open(Emit *e); /* a scope; variables made next belong to it */
/* Ends the innermost scope: `head { body }` goes to the one around it. */
void emit_close(Emit *e, const char *head);
Text *emit_body(Emit *e); /* of the innermost scope */
const char *emit_aff(Emit *e, Aff a, int *depth);
const char *emit_name(Emit *e, const char *prefix);
int emit_param(Emit *e, const Storage *s, const Storage *row, bool store);
/* It is accessed at this index; a load's value goes to the scope of this depth. */
int emit_access(Emit *e, const Storage *s, const Storage *row, bool store, const Aff *at,
                int depth);
/* The statement to += v; integers wrap. Both are primary expressions. */
void emit_add(Emit *e, DType d, const char *to, const char *v);
const char *emit_literal(Emit *e, DType d, double value);
Aff emit_linear(Type t, const Pos *ix);
void emit_range(const Emit *e, const Aff *a, int64_t *lo, int64_t *hi);
/* The index of an anchor (or a reduction's operand) at the domain's present index: all axes for
   ELEM, the kept ones else; axes of length 1 do not count. */
Pos emit_canonical(const Emit *e, AnchorClass cls, const Node *n);
/* The storage that n's value is loaded from; NULL: it is computed. */
const Storage *emit_home(const Emit *e, const Node *n);
/* First byte in the arena, views resolved. */
int64_t emit_byte(const Storage *s);

#endif
