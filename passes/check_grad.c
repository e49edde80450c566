/* check_grad (on request): replaces the schedule by one that checks hypergradients. For each level
   k with lower levels, lowest first:
     1. settle: Newton on the joint equations of everything below k (variables and adjoint states),
   so that the lower levels are solved, not merely iterated on;
     2. the gradient of k by its edges' methods, and again with every system solved by `dense`;
     3. sixth-order central differences of the solved program: perturb one variable of k, settle
   again, evaluate k's objective; for all variables, or a spread of SAMPLES of them. What stands
   under `stop` keeps its value of the unperturbed point, as do the active faces of box constraints,
   which are under `stop` in the equations. The results go to outputs k.check.method, k.check.dense,
   k.check.fd (at k.check.index) and k.check.residual. Middle levels are solved by gradients that
   were checked just before, so by induction all of them are. */
#include <math.h>
#include <string.h>

#include "passes/calculus.h"
#include "passes/passes.h"

enum { SAMPLES = 24, STENCIL = 6, MOST_UNKNOWNS = 4000, NEWTON_ROUNDS = 40, CHORD_ROUNDS = 25 };

typedef struct Checker {
  Program *p;
  Calculus *c;
  Adjoint *k;
  Level *level;
  int *unknown, nunknown; /* all that is solved below the level */
  int64_t n;              /* their elements together */
  Stmt **tail;
} Checker;

static Storage *named(Checker *k, StorageKind kind, Type t, const char *name) {
  Storage *s = program_storage(k->p, kind, t, "%s.check.%s", k->level->name, name);
  s->saved = kind == ST_OUTPUT;
  return s;
}

static Func *func(Checker *k, const char *name) {
  return program_func(k->p, ROLE_CHECK, "%s.check.%s", k->level->name, name);
}

static void push(Stmt ***tail, Stmt *s) {
  **tail = s;
  *tail = &s->next;
}

static void push_call(Checker *k, Stmt ***tail, Func *f) {
  Stmt *s = stmt_new(k->p, STMT_CALL);
  s->func = f;
  push(tail, s);
}

static void push_copy(Checker *k, Stmt ***tail, const char *name, const Storage *from,
                      Storage *to) {
  Func *f = func(k, name);
  func_result(k->p, f, storage_read(f->graph, from), to, NULL);
  push_call(k, tail, f);
}

static Type vector_of(Checker *k, int64_t n) { return type_make(program_float(k->p), 1, &n); }

static Node *number(Checker *k, Graph *g, double v) {
  return ir_const(g, type_scalar(program_float(k->p)), v);
}

/* The expressions, flattened and one behind the other, as one vector of graph g; NULL ones are
 * zeros. */
static Node *flat_expressions(Checker *k, Graph *g, Node *const *expr) {
  Arena *scratch = arena_new();
  int total = 0, at = 0;
  for (int i = 0; i < k->nunknown; i++) total += k->c->unknown[k->unknown[i]].n;
  Node **part = arena_array(scratch, Node *, total);
  ir_subst(g, expr, total, NULL, NULL, 0, part);
  for (int i = 0; i < k->nunknown; i++) {
    const Unknown *u = &k->c->unknown[k->unknown[i]];
    for (int j = 0; j < u->n; j++, at++)
      part[at] = ir_flatten(g, part[at] ? part[at] : ir_const(g, u->leaf[j]->type, 0));
  }
  Node *out = ir_concat(g, part, total, 0);
  arena_free(scratch);
  return out;
}

typedef struct Settle {
  Storage *r, *jacobian;       /* row j of jacobian: J e_j */
  Storage *inverse;            /* of J */
  Storage *go, *better, *size; /* the last step was larger than rounding; and smaller than the one
                                  before; its norm^2 */
  Func *residual, *step, *start, *invert;
  Func *freeze, *frozen, *objective; /* stores what is under stop; residual and objective that read
                                        the stored values */
  Storage *value;                    /* of objective, minimized */
  Stmt *linearize;                   /* one loop over the columns */
} Settle;

static int gather_expressions(Checker *k, Node **leaf, Node **eq) {
  int n = 0;
  for (int i = 0; i < k->nunknown; i++)
    for (int j = 0; j < k->c->unknown[k->unknown[i]].n; j++, n++) {
      leaf[n] = k->c->unknown[k->unknown[i]].leaf[j];
      eq[n] = k->c->unknown[k->unknown[i]].eq[j];
    }
  return n;
}

/* Piece of the flat direction d that belongs to a leaf. */
static Node *piece(Graph *g, Node *flat, int64_t *at, Type t) {
  int64_t count = type_count(t);
  Node *s = ir_slice(g, flat, at, type_make(t.dtype, 1, &count));
  *at += count;
  return ir_reshape_like(g, s, t);
}

static void emit_linearize(Checker *k, Settle *s, Node *const *leaf, Node *const *eq, int n) {
  Arena *scratch = arena_new();
  Graph *g = k->c->graph;
  Storage *d = named(k, ST_TEMP, vector_of(k, k->n), "direction");
  Storage *j = named(k, ST_COUNTER, type_scalar(DT_I32), "j");
  Node **tangent = arena_array(scratch, Node *, n), **out = arena_array(scratch, Node *, n);
  Node **have = arena_array(scratch, Node *, n);
  Node *flat = storage_read(g, d);
  int64_t at = 0;
  int m = 0;
  for (int i = 0; i < n; i++) tangent[i] = piece(g, flat, &at, leaf[i]->type);
  for (int i = 0; i < n; i++)
    if (eq[i]) have[m++] = eq[i];
  ir_jvp(g, have, m, leaf, tangent, n, have);
  for (int i = n - 1; i >= 0; i--) out[i] = eq[i] ? have[--m] : NULL;

  Func *unit = func(k, "unit");
  Node *iota = ir_iota(unit->graph, type_with(d->type, DT_I32), 0);
  Node *hit =
      ir_eq(unit->graph, iota, ir_fill(unit->graph, storage_read(unit->graph, j), iota->type));
  func_result(k->p, unit, ir_cast(unit->graph, hit, d->type.dtype), d, NULL);
  Func *column = func(k, "column");
  func_result(k->p, column, flat_expressions(k, column->graph, out), s->jacobian, j);
  s->linearize = stmt_new(k->p, STMT_REPEAT);
  s->linearize->count = k->n;
  s->linearize->counter = j;
  Stmt **tail = &s->linearize->body;
  push_call(k, &tail, unit);
  push_call(k, &tail, column);
  arena_free(scratch);
}

/* (J + e I)^-1, once a linearization: the chord steps of the differences then cost a product each.
   With e = 1e-8 of J's root mean square singular value, directions that no equation sees (a
   softmax's bias) stay put, and the others lose next to nothing of Newton's speed. */
static void emit_invert(Checker *k, Settle *s) {
  Func *f = s->invert = func(k, "invert");
  Graph *g = f->graph;
  Node *j = ir_transpose(g, storage_read(g, s->jacobian), (int64_t[]){1, 0});
  Type square = type_with(j->type, DT_I32);
  Node *column = ir_iota(g, square, 1), *row = ir_iota(g, square, 0);
  Node *unit = ir_cast(g, ir_eq(g, row, column), j->type.dtype);
  Node *mean = ir_scale(g, ir_dot(g, j, j), 1 / (double)k->n);
  Node *e = ir_scale(g, ir_sqrt(g, mean), 1e-8);
  Node *damped = ir_add(g, j, ir_mul(g, ir_fill(g, e, j->type), unit));
  func_result(k->p, f, ir_solve(g, damped, unit), s->inverse, NULL);
}

/* One Newton step with the Jacobian at hand, at most half as long as the unknowns (and 1): far from
   a solution full steps lead nowhere. Steps below 1e-11 of the unknowns are rounding of the solve.
 */
static void emit_newton(Checker *k, Settle *s, Node *const *leaf, int n) {
  Func *f = s->step = func(k, "step");
  Graph *g = f->graph;
  Node *r = ir_reshape(g, storage_read(g, s->r), 2, (int64_t[]){k->n, 1}), *size = NULL;
  Node *delta = ir_flatten(g, ir_matmul(g, storage_read(g, s->inverse), r, false, false));
  int64_t at = 0;
  for (int i = 0; i < n; i++) {
    Node *z = ir_param(g, leaf[i]->attr.sym, leaf[i]->type);
    size = ir_plus(g, size, ir_dot(g, z, z));
  }
  size = ir_add(g, size, number(k, g, 1));
  Node *length = ir_dot(g, delta, delta), *one = number(k, g, 1);
  Node *longest = ir_mul(g, size, number(k, g, 0.25));
  Node *share = ir_sqrt(g, ir_div(g, longest, length));
  Node *shrink = ir_select(g, ir_lt(g, longest, length), share, one);
  for (int i = 0; i < n; i++) {
    Node *z = ir_param(g, leaf[i]->attr.sym, leaf[i]->type);
    Node *move = piece(g, ir_mul(g, delta, ir_fill(g, shrink, delta->type)), &at, z->type);
    func_result(k->p, f, ir_sub(g, z, move), program_find(k->p, leaf[i]->attr.sym), NULL);
  }
  Node *go = ir_lt(g, ir_mul(g, number(k, g, 1e-22), size), length);
  func_result(k->p, f, go, s->go, NULL);
  func_result(k->p, f, ir_and(g, go, ir_lt(g, length, storage_read(g, s->size))), s->better, NULL);
  func_result(k->p, f, length, s->size, NULL);
  s->start = func(k, "start");
  g = s->start->graph;
  func_result(k->p, s->start, ir_const(g, s->go->type, 1), s->go, NULL);
  func_result(k->p, s->start, ir_const(g, s->go->type, 1), s->better, NULL);
  func_result(k->p, s->start, number(k, g, INFINITY), s->size, NULL);
}

/* The outermost `stop` nodes that the expressions reach. */
static int find_stops(Graph *g, Node *const *expr, int n, Node **stop) {
  Arena *scratch = arena_new();
  bool *mark = arena_array(scratch, bool, g->nnode);
  int found = 0;
  for (int i = 0; i < n; i++)
    if (expr[i]) mark[expr[i]->id] = true;
  for (int i = g->nnode - 1; i >= 0; i--) {
    if (!mark[i]) continue;
    if (g->node[i]->op == OP_stop) {
      if (stop) stop[found] = g->node[i];
      found++;
      continue;
    }
    for (int j = 0; j < g->node[i]->nin; j++) mark[g->node[i]->in[j]->id] = true;
  }
  arena_free(scratch);
  return found;
}

/* Variants of residual and objective for the differences: `stop` reads what `freeze` stored. */
static void emit_frozen(Checker *k, Settle *s, Node *const *eq, int n) {
  Program *p = k->p;
  Graph *g = k->c->graph;
  Arena *scratch = arena_new();
  Node **expr = arena_array(scratch, Node *, n + 1);
  memcpy(expr, eq, sizeof *eq * (size_t)n);
  expr[n] = k->k->objective;
  int nstop = find_stops(g, expr, n + 1, NULL);
  Node **stop = arena_array(scratch, Node *, nstop), **kept = arena_array(scratch, Node *, nstop);
  find_stops(g, expr, n + 1, stop);
  s->freeze = nstop ? func(k, "freeze") : NULL;
  for (int i = 0; i < nstop; i++) {
    Node *now;
    Storage *t = named(k, ST_TEMP, stop[i]->type, arena_printf(p->arena, "stop%d", i));
    ir_subst(s->freeze->graph, &stop[i]->in[0], 1, NULL, NULL, 0, &now);
    func_result(p, s->freeze, now, t, NULL);
    kept[i] = storage_read(g, t);
  }
  ir_subst(g, expr, n + 1, stop, kept, nstop, expr);
  s->frozen = func(k, "frozen");
  func_result(p, s->frozen, flat_expressions(k, s->frozen->graph, expr), s->r, NULL);
  s->objective = func(k, "objective");
  s->value = named(k, ST_TEMP, type_scalar(program_float(p)), "objective");
  Node *value;
  ir_subst(s->objective->graph, &expr[n], 1, NULL, NULL, 0, &value);
  func_result(p, s->objective, value, s->value, NULL);
  arena_free(scratch);
}

static Settle emit_settle(Checker *k) {
  Arena *scratch = arena_new();
  Settle s = {0};
  int total = 0;
  for (int i = 0; i < k->nunknown; i++) total += k->c->unknown[k->unknown[i]].n;
  Node **leaf = arena_array(scratch, Node *, total), **eq = arena_array(scratch, Node *, total);
  gather_expressions(k, leaf, eq);
  s.r = named(k, ST_TEMP, vector_of(k, k->n), "r");
  s.go = named(k, ST_TEMP, type_scalar(DT_BOOL), "go");
  s.better = named(k, ST_TEMP, type_scalar(DT_BOOL), "better");
  s.size = named(k, ST_TEMP, type_scalar(program_float(k->p)), "size");
  Type square = type_make(program_float(k->p), 2, (int64_t[]){k->n, k->n});
  s.jacobian = named(k, ST_TEMP, square, "jacobian");
  s.inverse = named(k, ST_TEMP, square, "inverse");
  s.residual = func(k, "residual");
  func_result(k->p, s.residual, flat_expressions(k, s.residual->graph, eq), s.r, NULL);
  emit_linearize(k, &s, leaf, eq, total);
  emit_frozen(k, &s, eq, total);
  emit_invert(k, &s);
  emit_newton(k, &s, leaf, total);
  arena_free(scratch);
  return s;
}

/* go = true; while go: [linearize; invert;] residual; step. The chord method ends as well when
 * steps no longer shrink. */
static void push_settle(Checker *k, Stmt ***tail, const Settle *s, bool newton) {
  push_call(k, tail, s->start);
  Stmt *loop = stmt_new(k->p, STMT_WHILE);
  loop->cond = newton ? s->go : s->better;
  loop->count = newton ? NEWTON_ROUNDS : CHORD_ROUNDS;
  Stmt **body = &loop->body;
  if (newton) {
    push(&body, arena_dup(k->p->arena, s->linearize, sizeof *s->linearize));
    push_call(k, &body, s->invert);
  }
  push_call(k, &body, newton ? s->residual : s->frozen);
  push_call(k, &body, s->step);
  push(tail, loop);
}

/* Gradient and right-hand sides of a level without the differences that its methods take. */
static void make_exact(Checker *k, const Adjoint *a) {
  Level *l = a->level;
  if (a->gradient == a->exact) return;
  const Func *old = l->gradient;
  l->gradient = program_func(k->p, ROLE_GRADIENT, "%s.check.%s", k->level->name, old->name);
  emit_func(k->p, l->gradient, a->exact, old->nresult, old->dest);
  for (int j = 0; j < l->nsystem; j++) {
    old = l->system[j]->rhs_func;
    const char *name = arena_printf(k->p->arena, "%s.check.%s", k->level->name, old->name);
    l->system[j]->rhs_func = emit_rhs(k->c, a, j, true, old->dest, old->nresult, name);
  }
}

/* The gradient of the level with all systems solved by `dense`. */
static void push_dense(Checker *k, Stmt ***tail) {
  Program *p = k->p;
  Level *kept = arena_array(p->arena, Level, p->nlevel);
  for (int i = 0; i < p->nlevel; i++) {
    Level *l = p->level[i];
    kept[i] = *l;
    l->system = arena_array(p->arena, System *, l->nsystem);
    for (int j = 0; j < l->nsystem; j++) {
      System *s = l->system[j] = arena_dup(p->arena, kept[i].system[j], sizeof(System));
      s->name = arena_printf(p->arena, "%s.check.%s.dense", k->level->name, s->name);
      s->method = method_find("dense");
      s->setting = NULL;
    }
    make_exact(k, &k->c->adjoint[i]);
  }
  *tail = gradient_statements(p, k->level, *tail);
  for (int i = 0; i < p->nlevel; i++) *p->level[i] = kept[i];
}

/* The differences: for sample i and point s of the stencil -3 -2 -1 1 2 3, z = z0 + offset h e_i
   with h = 5e-3 (1 + |z0_i|); d = sum over points of weight * value / (60 h), weights -1 9 -45 45
   -9 1. */
typedef struct Differences {
  Storage *z0, *value, *q, *index;
  int64_t samples;
} Differences;

static Node *step_sizes(Graph *g, const Differences *d) {
  Node *index = storage_read(g, d->index);
  Node *size = ir_abs(g, ir_gather(g, storage_read(g, d->z0), index));
  return ir_scale(g, ir_add(g, size, ir_num(g, size, 1)), 5e-3);
}

static Func *emit_index(Checker *k, const Differences *d) {
  Func *f = func(k, "samples");
  Graph *g = f->graph;
  Node *i = ir_iota(g, d->index->type, 0);
  Node *scaled = ir_mul(g, i, ir_num(g, i, (double)type_count(d->z0->type)));
  func_result(k->p, f, ir_idiv(g, scaled, ir_num(g, i, (double)d->samples)), d->index, NULL);
  return f;
}

static Func *emit_perturb(Checker *k, const Differences *d) {
  Func *f = func(k, "perturb");
  Graph *g = f->graph;
  Node *q = storage_read(g, d->q), *six = ir_num(g, q, STENCIL), *three = ir_num(g, q, 3);
  Node *point = ir_mod(g, q, six), *sample = ir_idiv(g, q, six);
  Node *right = ir_sub(g, point, ir_num(g, q, 2)), *left = ir_sub(g, point, three);
  Node *offset = ir_select(g, ir_lt(g, point, three), left, right);
  Node *h = ir_gather(g, step_sizes(g, d), sample);
  Node *z0 = storage_read(g, d->z0), *at = ir_gather(g, storage_read(g, d->index), sample);
  Node *iota = ir_iota(g, type_with(z0->type, DT_I32), 0);
  Node *hit = ir_cast(g, ir_eq(g, iota, ir_fill(g, at, iota->type)), z0->type.dtype);
  Node *move = ir_mul(g, h, ir_cast(g, offset, h->type.dtype));
  func_result(k->p, f, ir_add(g, z0, ir_mul(g, hit, ir_fill(g, move, z0->type))), k->level->flat,
              NULL);
  return f;
}

static Func *emit_difference(Checker *k, const Differences *d, Storage *out) {
  const double weight[STENCIL] = {-1, 9, -45, 45, -9, 1};
  Func *f = func(k, "difference");
  Graph *g = f->graph;
  Node *v = ir_reshape(g, storage_read(g, d->value), 2, (int64_t[]){d->samples, STENCIL}),
       *sum = NULL;
  for (int64_t s = 0; s < STENCIL; s++) {
    Node *column =
        ir_slice(g, v, (int64_t[]){0, s}, type_make(v->type.dtype, 2, (int64_t[]){d->samples, 1}));
    column = ir_flatten(g, column);
    sum = ir_plus(g, sum, ir_mul(g, column, ir_num(g, column, weight[s])));
  }
  Node *h = step_sizes(g, d);
  func_result(k->p, f, ir_div(g, sum, ir_mul(g, h, ir_num(g, h, 60))), out, NULL);
  return f;
}

static void push_differences(Checker *k, Stmt ***tail, const Settle *s) {
  Program *p = k->p;
  int64_t size = type_count(k->level->flat->type);
  Differences d = {.samples = size < SAMPLES ? size : SAMPLES};
  int64_t points = d.samples * STENCIL;
  d.z0 = named(k, ST_TEMP, k->level->flat->type, "z0");
  d.value = named(k, ST_TEMP, type_make(program_float(p), 2, (int64_t[]){points, 1}), "value");
  d.q = named(k, ST_COUNTER, type_scalar(DT_I32), "q");
  d.index = named(k, ST_OUTPUT, type_make(DT_I32, 1, &d.samples), "index");
  push_copy(k, tail, "keep", k->level->flat, d.z0);
  push_call(k, tail, emit_index(k, &d));
  if (s->freeze) push_call(k, tail, s->freeze);
  Stmt *loop = stmt_new(p, STMT_REPEAT);
  loop->count = points;
  loop->counter = d.q;
  Stmt **body = &loop->body;
  push_call(k, &body, emit_perturb(k, &d));
  push_settle(k, &body, s, false);
  push_call(k, &body, s->objective);
  Func *keep = func(k, "evaluate");
  Node *loss = storage_read(keep->graph, s->value);
  func_result(p, keep, ir_reshape(keep->graph, loss, 1, (int64_t[]){1}), d.value, d.q);
  push_call(k, &body, keep);
  push(tail, loop);
  push_copy(k, tail, "restore", d.z0, k->level->flat);
  Storage *fd = named(k, ST_OUTPUT, vector_of(k, d.samples), "fd");
  push_call(k, tail, emit_difference(k, &d, fd));
}

static void push_residual(Checker *k, Stmt ***tail, const Settle *s) {
  push_call(k, tail, s->residual);
  Func *f = func(k, "norm");
  Node *r = storage_read(f->graph, s->r);
  Storage *out = named(k, ST_OUTPUT, type_scalar(program_float(k->p)), "residual");
  func_result(k->p, f, ir_sqrt(f->graph, ir_dot(f->graph, r, r)), out, NULL);
  push_call(k, tail, f);
}

static bool check_level(Program *p, Calculus *c, int index, Stmt ***tail) {
  Checker k = {.p = p, .c = c, .k = &c->adjoint[index], .level = p->level[index]};
  k.unknown = arena_array(p->arena, int, c->nunknown);
  bool *below = arena_array(p->arena, bool, c->nunknown);
  calculus_below(c, index, below);
  for (int i = 0; i < c->nunknown; i++) {
    if (!below[i]) continue;
    k.unknown[k.nunknown++] = i;
    for (int j = 0; j < c->unknown[i].n; j++) k.n += type_count(c->unknown[i].leaf[j]->type);
  }
  if (k.n > MOST_UNKNOWNS) {
    Diag *d = diag_error(p->diags, k.level->span, "E0503",
                         "the levels below `%s` have %lld unknowns, too many to solve exactly",
                         k.level->name, (long long)k.n);
    diag_help(p->diags, d, "check a smaller instance: at most %d", MOST_UNKNOWNS);
    return false;
  }
  Settle s = emit_settle(&k);
  push_settle(&k, tail, &s, true);
  push_residual(&k, tail, &s);
  *tail = gradient_statements(p, k.level, *tail);
  push_copy(&k, tail, "method", k.level->grad, named(&k, ST_OUTPUT, k.level->grad->type, "method"));
  push_dense(&k, tail);
  push_copy(&k, tail, "dense", k.level->grad, named(&k, ST_OUTPUT, k.level->grad->type, "dense"));
  push_differences(&k, tail, &s);
  return true;
}

/* The calls of init functions, and the lower sweeps that follow the top level's loop, as a start.
 */
static Stmt **warm_up(Program *p) {
  Stmt **at = &p->schedule;
  while (*at && (*at)->kind == STMT_CALL) at = &(*at)->next;
  *at = (*at)->next; /* drop the top level's loop */
  while (*at && (*at)->kind != STMT_REPORT) at = &(*at)->next;
  *at = NULL;
  return at;
}

bool pass_check_grad(Program *p) {
  Calculus c;
  if (!calculus_build(&c, p)) return false;
  Stmt **tail = warm_up(p);
  /* Batches and random numbers stay those that the warm-up has drawn last. */
  for (int i = 0; i < p->nlevel; i++) p->level[i]->draw = NULL;
  bool ok = true, any = false;
  for (int i = 0; i < p->nlevel; i++) {
    if (!p->level[i]->nedge) continue;
    any = true;
    ok = check_level(p, &c, i, &tail) && ok;
  }
  if (!any)
    diag_error(p->diags, p->run.top->span, "E0504", "no level of this run has an `argmin` edge");
  return ok && any;
}
