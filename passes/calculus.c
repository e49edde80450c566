/* The one idea: a lower level is a set of equations, and a hypergradient is the gradient of a
   Lagrangian.

   For each level L, lowest first: S is the set of equations of the levels below. U are those
   unknowns of S whose equations depend, through S and differentiably, on L's variables z, and which
   reach L's objective g. Each u in U gets an adjoint state mu_u, and with the Lagrangian Lag = g +
   sum over U of <mu_u, eq(u)> L's own equations are z: dLag/dz = 0 and mu_u: dLag/du = 0. The total
   gradient of L is dLag/dz at the mu that solve the (linear) second kind. Lag itself is never
   built: its derivatives are reverse-mode products of (g, eq) with cotangents (1, mu). */
#include "passes/calculus.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"

bool level_is_above(const Level *upper, const Level *lower) {
  for (int e = 0; e < upper->nedge; e++)
    if (upper->edge[e].lower == lower || level_is_above(upper->edge[e].lower, lower)) return true;
  return false;
}

void calculus_below(const Calculus *c, int k, bool *below) {
  for (int i = 0; i < c->nunknown; i++)
    below[i] = level_is_above(c->program->level[k], c->unknown[i].owner);
}

static Unknown *add_unknown(Calculus *c, const char *name, Level *home, Level *owner) {
  Unknown u = {.name = name, .home = home, .owner = owner, .n = home->nvar};
  Arena *a = c->program->arena;
  u.leaf = arena_array(a, Node *, u.n);
  u.eq = arena_array(a, Node *, u.n);
  u.mask = arena_array(a, Node *, u.n);
  for (int i = 0; i < u.n; i++) {
    const char *var = home->var[i]->name + strlen(home->name); /* ".w" */
    u.leaf[i] = ir_param(c->graph, arena_printf(a, "%s%s", name, var), home->var[i]->type);
  }
  VEC_PUSH(a, c->unknown, c->nunknown, c->cap, u);
  return &c->unknown[c->nunknown - 1];
}

static bool reads_any(const Unknown *u, const bool *active) {
  for (int i = 0; i < u->n; i++)
    if (u->eq[i] && active[u->eq[i]->id]) return true;
  return false;
}

/* Brings the dependence relation up to date: a column for every unknown, for those rows that have
 * their equation. */
static void update_reads(Calculus *c, int nrow) {
  Arena *scratch = arena_new();
  bool *active = arena_array(scratch, bool, c->graph->nnode);
  for (int i = 0; i < nrow; i++) {
    bool *reads = arena_array(c->program->arena, bool, c->nunknown);
    Unknown *u = &c->unknown[i];
    if (u->nread) memcpy(reads, u->reads, sizeof *reads * (size_t)u->nread);
    u->reads = reads;
  }
  for (int w = 0; w < c->nunknown; w++) {
    bool marked = false;
    for (int i = 0; i < nrow; i++) {
      if (c->unknown[i].nread > w) continue;
      if (!marked) ir_active(c->graph, c->unknown[w].leaf, c->unknown[w].n, active);
      marked = true;
      c->unknown[i].reads[w] = reads_any(&c->unknown[i], active);
    }
  }
  for (int i = 0; i < nrow; i++) c->unknown[i].nread = c->nunknown;
  arena_free(scratch);
}

/* Closes `set` inside `all`: adds i while it is linked with a member; forward: i reads the member,
   else the member reads i. */
static void close_over(const Calculus *c, bool *set, const bool *all, bool forward) {
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = 0; i < c->nunknown; i++)
      for (int j = 0; all[i] && !set[i] && j < c->nunknown; j++) {
        if (i == j || !set[j]) continue;
        const Unknown *reader = &c->unknown[forward ? i : j];
        int read = forward ? j : i;
        if (read >= reader->nread || !reader->reads[read]) continue;
        set[i] = changed = true;
      }
  }
}

/* U of the level: forward from its variables, and backward from its objective. */
static void find_adjoints(Calculus *c, Adjoint *l, const bool *below) {
  Arena *scratch = arena_new();
  int n = c->nunknown;
  bool *fore = arena_array(scratch, bool, n), *back = arena_array(scratch, bool, n);
  bool *mark = arena_array(scratch, bool, c->graph->nnode);
  fore[l->self] = true;
  close_over(c, fore, below, true);
  for (int i = 0; i < n; i++) {
    if (!below[i]) continue;
    ir_active(c->graph, c->unknown[i].leaf, c->unknown[i].n, mark);
    back[i] = mark[l->objective->id];
  }
  close_over(c, back, below, false);
  l->u = arena_array(c->program->arena, int, n);
  l->mu = arena_array(c->program->arena, int, n);
  for (int i = 0; i < n; i++)
    if (below[i] && fore[i] && back[i]) l->u[l->nu++] = i;
  arena_free(scratch);
}

/* out[..] = dLag/d(wrt): reverse mode over (g, eq(u)...) with cotangents (1, mu_u...); unless
   exact, with differences where the methods take them. */
static void lagrangian_vjp(Calculus *c, const Adjoint *l, bool exact, Node *const *wrt, int n,
                           Node **out) {
  Arena *scratch = arena_new();
  int total = 1, at = 1;
  for (int i = 0; i < l->nu; i++) total += c->unknown[l->u[i]].n + 1;
  Node **y = arena_array(scratch, Node *, total), **cot = arena_array(scratch, Node *, total);
  y[0] = l->objective;
  cot[0] = ir_num(c->graph, l->objective, 1);
  for (int i = 0; i < l->nu; i++) {
    const Unknown *u = &c->unknown[l->u[i]], *mu = &c->unknown[l->mu[i]];
    if (!exact && differences_edge(c, l, i)) {
      at = differences_push(c, l, i, 1, y, cot, at);
      continue;
    }
    for (int k = 0; k < u->n; k++) {
      if (!u->eq[k]) continue;
      y[at] = u->eq[k];
      cot[at++] = mu->leaf[k];
    }
  }
  ir_vjp(c->graph, y, cot, at, wrt, n, out);
  arena_free(scratch);
}

/* 1 where the box constraint of the variable does not hold z, 0 on the active face: z at a bound
   and the descent direction -eq pointing out. A constant of the differentiation. */
static Node *inactive(Graph *g, const Storage *var, Node *z, Node *eq) {
  Node *zero = ir_num(g, z, 0);
  Node *down = ir_lt(g, zero, eq);
  Node *low = ir_and(g, ir_le(g, z, ir_num(g, z, var->lo)), down);
  Node *up = ir_lt(g, eq, zero);
  Node *high = ir_and(g, ir_le(g, ir_num(g, z, var->hi), z), up);
  return ir_stop(g, ir_cast(g, ir_not(g, ir_or(g, low, high)), z->type.dtype));
}

/* The equations of a level with box constraints. With m = inactive: m dLag/dz(m z + (1-m) stop z) +
   (1-m)(z - stop z), whose Jacobian is P H P + (I - P) with P = diag(m): symmetric, and held
   coordinates do not move. */
static void constrain(Calculus *c, const Level *level, Unknown *z) {
  Graph *g = c->graph;
  Arena *scratch = arena_new();
  Node **moved = arena_array(scratch, Node *, z->n), **mask = z->mask;
  bool any = false;
  for (int i = 0; i < z->n; i++) {
    moved[i] = z->leaf[i];
    if (level->var[i]->check != CHECK_BOX || !z->eq[i]) continue;
    any = true;
    Node *m = mask[i] = inactive(g, level->var[i], z->leaf[i], z->eq[i]);
    Node *held = ir_one_minus(g, m), *rest = ir_mul(g, held, ir_stop(g, z->leaf[i]));
    moved[i] = ir_add(g, ir_mul(g, m, z->leaf[i]), rest);
  }
  if (any) ir_subst(g, z->eq, z->n, z->leaf, moved, z->n, z->eq);
  for (int i = 0; i < z->n; i++) {
    if (!mask[i]) continue;
    Node *held = ir_one_minus(g, mask[i]);
    Node *still = ir_mul(g, held, ir_sub(g, z->leaf[i], ir_stop(g, z->leaf[i])));
    z->eq[i] = ir_add(g, ir_mul(g, mask[i], z->eq[i]), still);
  }
  arena_free(scratch);
}

/* ---- components: Tarjan's algorithm on "eq(u) reads w"; a component is complete before those that
 * read it */

typedef struct Tarjan {
  const Calculus *c;
  const Adjoint *l;
  int *index, *low, *stack, next, nstack;
  bool *on;
  Component *out;
  int nout;
} Tarjan;

static void connect(Tarjan *t, int i) {
  const Adjoint *l = t->l;
  t->index[i] = t->low[i] = ++t->next;
  t->stack[t->nstack++] = i;
  t->on[i] = true;
  for (int j = 0; j < l->nu; j++) {
    if (!t->c->unknown[l->u[i]].reads[l->u[j]]) continue;
    if (!t->index[j]) connect(t, j);
    if (t->on[j] && t->low[j] < t->low[i]) t->low[i] = t->low[j];
  }
  if (t->low[i] != t->index[i]) return;
  Component *m = &t->out[t->nout++];
  m->unknown = arena_array(t->c->program->arena, int, l->nu);
  for (int j = -1; j != i;) {
    j = t->stack[--t->nstack];
    t->on[j] = false;
    m->unknown[m->n++] = l->u[j];
  }
}

static int by_index(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void find_components(Calculus *c, Adjoint *l) {
  Arena *scratch = arena_new(), *a = c->program->arena;
  Tarjan t = {.c = c, .l = l};
  t.index = arena_array(scratch, int, l->nu);
  t.low = arena_array(scratch, int, l->nu);
  t.stack = arena_array(scratch, int, l->nu);
  t.on = arena_array(scratch, bool, l->nu);
  t.out = arena_array(a, Component, l->nu);
  for (int i = 0; i < l->nu; i++)
    if (!t.index[i]) connect(&t, i);
  l->component = arena_array(a, Component, l->nu);
  l->ncomponent = t.nout;
  for (int i = 0; i < t.nout; i++) {
    l->component[i] = t.out[t.nout - 1 - i];
    qsort(l->component[i].unknown, (size_t)l->component[i].n, sizeof(int), by_index);
  }
  arena_free(scratch);
}

/* ---- errors */

/* Two levels of one component of which neither is above the other play a game, which argmin does
 * not define. */
static bool check_games(Calculus *c, const Adjoint *l) {
  for (int i = 0; i < l->ncomponent; i++)
    for (int j = 0; j < l->component[i].n; j++)
      for (int k = 0; k < j; k++) {
        const Level *x = c->unknown[l->component[i].unknown[j]].home;
        const Level *y = c->unknown[l->component[i].unknown[k]].home;
        if (x == y || level_is_above(x, y) || level_is_above(y, x)) continue;
        Diags *d = c->program->diags;
        Diag *e = diag_error(d, x->span, "E0302",
                             "`%s` and `%s` depend on each other, but neither is above the other",
                             y->name, x->name);
        diag_label(d, e, y->span, "the other level");
        diag_path(d, e, "%s -> %s -> %s", y->name, x->name, y->name);
        diag_note(d, e, "that is a game between two levels; its solution is no argmin");
        diag_help(d, e, "put an argmin edge between them, or put one's value under stop(...)");
        return false;
      }
  return true;
}

static bool objective_reads(const Calculus *c, const Level *l, Node *leaf) {
  Arena *scratch = arena_new();
  bool *mark = arena_array(scratch, bool, c->graph->nnode), reads = false;
  ir_active(c->graph, &leaf, 1, mark);
  for (int i = 0; i < c->program->nlevel; i++)
    if (c->adjoint[i].level == l && c->adjoint[i].objective)
      reads = mark[c->adjoint[i].objective->id];
  arena_free(scratch);
  return reads;
}

static bool level_reads_level(const Calculus *c, const Level *upper, const Level *lower) {
  for (int i = 0; i < c->nunknown; i++)
    if (c->unknown[i].owner == lower && c->unknown[i].home == lower)
      for (int k = 0; k < c->unknown[i].n; k++)
        if (objective_reads(c, upper, c->unknown[i].leaf[k])) return true;
  return false;
}

/* "select -> finetune -x-> pretrain": the edges from l down to one that leads to `to`; -x-> where
   the upper objective does not read the lower level. */
static const char *edge_path(const Calculus *c, const Level *l, const Level *to) {
  Arena *a = c->program->arena;
  if (l == to) return l->name;
  for (int e = 0; e < l->nedge; e++) {
    const Level *m = l->edge[e].lower;
    if (m != to && !level_is_above(m, to)) continue;
    const char *arrow = level_reads_level(c, l, m) ? "->" : "-x->";
    return arena_printf(a, "%s %s %s", l->name, arrow, edge_path(c, m, to));
  }
  return l->name;
}

static void no_path(Calculus *c, const Adjoint *l, int var) {
  Diags *d = c->program->diags;
  const Storage *v = l->level->var[var];
  if (!l->level->nedge) {
    Diag *e = diag_error(d, v->span.hi ? v->span : l->level->span, "E0303",
                         "the objective of `%s` does not depend on its variable `%s`",
                         l->level->name, v->name);
    diag_help(d, e, "use it in `minimize`, or remove it");
    return;
  }
  Diag *e = diag_error(d, v->span.hi ? v->span : l->level->span, "E0301",
                       "no hypergradient path from `%s` to `%s`", l->level->name, v->name);
  bool found = false;
  for (int i = 0; i < c->program->nlevel; i++) {
    const Level *m = c->program->level[i];
    if (!level_is_above(l->level, m)) continue;
    if (!objective_reads(c, m, c->unknown[l->self].leaf[var])) continue;
    diag_path(d, e, "%s -> %s", edge_path(c, l->level, m), v->name);
    found = true;
  }
  if (!found) diag_note(d, e, "no level below `%s` reads it differentiably", l->level->name);
  diag_note(d, e, "otherwise `%s` would receive exactly zero gradient",
            v->name + strlen(l->level->name) + 1);
}

/* ---- the construction */

static bool build_level(Calculus *c, int k) {
  Program *p = c->program;
  Adjoint *l = &c->adjoint[k];
  l->level = p->level[k];
  l->self = c->nunknown;
  add_unknown(c, l->level->name, l->level, l->level);
  ir_subst(c->graph, l->level->objective->result, 1, NULL, NULL, 0, &l->objective);
  if (l->level->maximize) l->objective = ir_neg(c->graph, l->objective);

  update_reads(c, l->self);
  bool *below = arena_array(p->arena, bool, c->nunknown);
  calculus_below(c, k, below);
  find_adjoints(c, l, below);
  for (int i = 0; i < l->nu; i++) {
    const Unknown *u = &c->unknown[l->u[i]];
    l->mu[i] = c->nunknown;
    add_unknown(c, arena_printf(p->arena, "%s.mu.%s", l->level->name, u->name), u->home, l->level);
  }
  Unknown *z = &c->unknown[l->self];
  lagrangian_vjp(c, l, true, z->leaf, z->n, z->eq);
  l->exact = arena_dup(p->arena, z->eq, sizeof *z->eq * (size_t)z->n);
  l->gradient = l->exact;
  for (int i = 0; i < l->nu; i++) {
    if (!differences_edge(c, l, i) || l->gradient != l->exact) continue;
    l->gradient = arena_array(p->arena, Node *, z->n);
    lagrangian_vjp(c, l, false, z->leaf, z->n, l->gradient);
  }
  int errors = p->diags->nerror;
  for (int i = 0; i < z->n; i++)
    if (!z->eq[i]) no_path(c, l, i);
  if (p->diags->nerror > errors) return false;
  for (int i = 0; i < l->nu; i++) {
    const Unknown *u = &c->unknown[l->u[i]];
    lagrangian_vjp(c, l, true, u->leaf, u->n, c->unknown[l->mu[i]].eq);
  }
  constrain(c, l->level, z);
  update_reads(c, c->nunknown);
  find_components(c, l);
  return check_games(c, l);
}

bool calculus_build(Calculus *c, Program *p) {
  *c = (Calculus){.program = p, .graph = graph_new(p->arena)};
  c->adjoint = arena_array(p->arena, Adjoint, p->nlevel);
  bool ok = true;
  for (int k = 0; k < p->nlevel; k++) ok = build_level(c, k) && ok;
  return ok;
}
