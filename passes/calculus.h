#ifndef MLOC_PASSES_CALCULUS_H
#define MLOC_PASSES_CALCULUS_H

#include "ir/derive.h"
#include "ir/program.h"

/* Own equations, adjoint states and components of every level: the joint Lagrangian formulation.
   All expressions live in one working graph, whose leaves are params named after storages. */

/* One unknown with its equation: a level's variables, or the adjoint states of one unknown for one
   level. Both are lists of tensors, one for each variable of the home level. */
typedef struct Unknown {
  const char *name; /* "fit"; "tune.mu.fit"; "top.mu.mid.mu.fit" */
  Level *home;      /* the level whose variables it shadows */
  Level *owner;     /* the level for whose problem it exists: home itself, or the one that takes the
                       gradient */
  Node **leaf;      /* params of the working graph */
  Node **eq;        /* NULL entries: structurally zero */
  Node **mask;      /* of variables in a box: 1 where no bound holds them; NULL entries: no box */
  int n;
  bool *reads; /* reads[i], i < nread: eq depends differentiably on unknown i of the calculus */
  int nread;
} Unknown;

/* A strongly connected component of a level's adjoint system. */
typedef struct Component {
  int *unknown; /* indices into Calculus.unknown of the u whose mu_u it solves for */
  int n;
} Component;

typedef struct Adjoint { /* what one level adds */
  Level *level;
  Node *objective;      /* minimized: the sign of maximize is turned */
  Node **gradient;      /* dL/dz, one for each variable: the total gradient */
  Node **exact;         /* the same without differences; the same array where there are none */
  int self;             /* index of its variables */
  int *u, *mu, nu;      /* unknowns with an adjoint state, and the states' indices */
  Component *component; /* in the order in which they are solved: users before what they use */
  int ncomponent;
} Adjoint;

typedef struct Calculus {
  Program *program;
  Graph *graph;
  Unknown *unknown;
  int nunknown, cap;
  Adjoint *adjoint; /* by index in program->level */
} Calculus;

/* Builds it for all levels, lowest first. False after user errors: no path from an objective to a
   variable (E0301), games (E0302). */
bool calculus_build(Calculus *c, Program *p);

/* The unknowns of all levels below level k (below[i] by unknown index). */
void calculus_below(const Calculus *c, int k, bool *below);
/* The edge whose method solves for the adjoint state of an unknown of `home`: that of the reading
   level, else the one that leads to home from a level below it. */
const Edge *calculus_edge(const Program *p, const Level *reader, const Level *home);
/* What `level` adds; it must have been built. */
const Adjoint *calculus_adjoint(const Calculus *c, const Level *level);
/* The edge of l's i-th unknown where its method takes differences (and can); else NULL. */
const Edge *differences_edge(const Calculus *c, const Adjoint *l, int i);
/* Stands for sign <mu_u, eq(u)>, u the i-th unknown of l, in a reverse pass with respect to
   anything but u: adds two outputs at y[at], cot[at]; returns at + 2. Formula at the definition. */
int differences_push(Calculus *c, const Adjoint *l, int i, double sign, Node **y, Node **cot,
                     int at);
/* Moves n expressions of the working graph into f as results; NULL ones become zeros of dest's
 * type.
 */
void emit_func(Program *p, Func *f, Node *const *expr, int n, Storage *const *dest);
/* A function of l's component with that number: -dLag/du with the component's own states left out,
   which is what is known before it is solved; unless exact, with differences where the methods take
   them. dest: n tensors, in the order of the component's unknowns. */
Func *emit_rhs(Calculus *c, const Adjoint *l, int number, bool exact, Storage *const *dest, int n,
               const char *name);
/* Statements that bring l's total gradient up to date: the solves of its systems (those of lower
   levels that it reads first), then its gradient function. Returns where the next statement goes.
   After differentiate. */
Stmt **gradient_statements(Program *p, Level *l, Stmt **first);
/* Whether f reads the storage or a view of it. */
bool func_reads(const Program *p, const Func *f, const Storage *flat);
/* The same behind the draws that a step of l makes for it. */
Stmt **hypergradient_statements(Program *p, Level *l, Stmt **first);
bool level_is_above(const Level *upper, const Level *lower);

/* edge_metrics.c: metrics of the edges, and the top level's report between its gradient and its
   update. Once, after steps have become statements. */
void edge_metrics(Program *p);
/* Adds a call of f to every report from s on. */
void report_call(Program *p, Stmt *s, Func *f);

#endif
