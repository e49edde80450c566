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
/* Statements that bring l's total gradient up to date: the solves of its systems (those of lower
   levels that it reads first), then its gradient function. Returns where the next statement goes.
   After differentiate. */
Stmt **gradient_statements(Program *p, Level *l, Stmt **first);
bool level_is_above(const Level *upper, const Level *lower);

#endif
