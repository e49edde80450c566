/* Methods that take differences: the product of an adjoint state mu with the equation of its level
   u, of which only first derivatives are built.

   u has no adjoint states of its own, so its equation is the gradient of its objective g, and for
   anything but z_u itself
     d/dp <mu, dg/dz (z)> = [dg/dp (z + h mu) - dg/dp (z - h mu)] / (2h) + O(h^2),  h = radius /
   |mu| (Liu, Simonyan and Yang 2019, DARTS). With c = |mu| / (2 radius) that is a reverse pass over
   the two perturbed objectives with cotangents c and -c; h and c are constants of it, and where mu
   = 0 both points are z and c is 0. Coordinates that a bound holds do not move. What stands under
   `stop` keeps its value of the middle point. */
#include <string.h>

#include "ir/op.h"
#include "passes/calculus.h"

const Edge *calculus_edge(const Program *p, const Level *reader, const Level *home) {
  for (int e = 0; e < reader->nedge; e++)
    if (reader->edge[e].lower == home) return &reader->edge[e];
  for (int i = p->nlevel - 1; i >= 0; i--) {
    if (!level_is_above(reader, p->level[i])) continue;
    for (int e = 0; e < p->level[i]->nedge; e++)
      if (p->level[i]->edge[e].lower == home) return &p->level[i]->edge[e];
  }
  compiler_bug("differentiate", "no edge leads from `%s` to `%s`", reader->name, home->name);
}

const Adjoint *calculus_adjoint(const Calculus *c, const Level *level) {
  for (int i = 0; i < c->program->nlevel; i++)
    if (c->adjoint[i].level == level) return &c->adjoint[i];
  compiler_bug("differentiate", "`%s` has no equations yet", level->name);
}

const Edge *differences_edge(const Calculus *c, const Adjoint *l, int i) {
  const Unknown *u = &c->unknown[l->u[i]];
  const Edge *e = calculus_edge(c->program, l->level, u->home);
  return e->method->differences && !calculus_adjoint(c, u->owner)->nu ? e : NULL;
}

static Node *radius_of(Graph *g, const Edge *e) {
  for (int i = 0; i < e->method->nsetting; i++)
    if (!strcmp(e->method->setting[i].name, "radius"))
      return storage_read(g, e->setting[i].storage);
  compiler_bug("differentiate", "`%s` has no radius", e->method->name);
}

/* The objective with z_u moved by h times the direction; its `stop` nodes stay as they are. */
static Node *moved_objective(Graph *g, Node *objective, const Unknown *u, Node *const *direction,
                             Node *h) {
  Arena *scratch = arena_new();
  bool *reached = arena_array(scratch, bool, g->nnode);
  ir_reach(g, &objective, 1, reached);
  int n = u->n, end = g->nnode;
  for (int i = 0; i < end; i++) n += reached[i] && g->node[i]->op == OP_stop;
  Node **from = arena_array(scratch, Node *, n), **into = arena_array(scratch, Node *, n), *out;
  n = 0;
  for (int i = 0; i < end; i++)
    if (reached[i] && g->node[i]->op == OP_stop) from[n] = into[n] = g->node[i], n++;
  for (int k = 0; k < u->n; k++) {
    Node *step = ir_mul(g, ir_fill(g, h, direction[k]->type), direction[k]);
    from[n] = u->leaf[k];
    into[n++] = ir_add(g, u->leaf[k], step);
  }
  ir_subst(g, &objective, 1, from, into, n, &out);
  arena_free(scratch);
  return out;
}

int differences_push(Calculus *c, const Adjoint *l, int i, double sign, Node **y, Node **cot,
                     int at) {
  Graph *g = c->graph;
  const Unknown *u = &c->unknown[l->u[i]], *mu = &c->unknown[l->mu[i]];
  Node *objective = calculus_adjoint(c, u->owner)->objective;
  Node *radius = radius_of(g, differences_edge(c, l, i)), *size = NULL;
  Node **direction = arena_array(c->program->arena, Node *, u->n);
  for (int k = 0; k < u->n; k++) {
    direction[k] = u->mask[k] ? ir_mul(g, u->mask[k], mu->leaf[k]) : mu->leaf[k];
    size = ir_plus(g, size, ir_dot(g, direction[k], direction[k]));
  }
  size = ir_sqrt(g, size);
  Node *zero = ir_num(g, size, 0), *some = ir_lt(g, zero, size);
  Node *h = ir_select(g, some, ir_div(g, radius, size), zero);
  Node *weight = ir_div(g, size, ir_scale(g, radius, 2)), *minus = ir_neg(g, weight);
  y[at] = moved_objective(g, objective, u, direction, h);
  cot[at] = sign > 0 ? weight : minus;
  y[at + 1] = moved_objective(g, objective, u, direction, ir_neg(g, h));
  cot[at + 1] = sign > 0 ? minus : weight;
  return at + 2;
}
