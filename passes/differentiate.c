/* differentiate: gives every level its gradient and update functions and its adjoint systems, and
   rewrites each step of a level in the schedule: solve the systems (those of lower levels that it
   reads first), gradient, update. The mathematics is in calculus.c; here expressions become
   functions over storages. */
#include <string.h>

#include "passes/calculus.h"
#include "passes/passes.h"
#include "passes/update.h"

/* ---- storages */

static int64_t unknown_size(const Unknown *u) {
  int64_t n = 0;
  for (int i = 0; i < u->n; i++) n += type_count(u->leaf[i]->type);
  return n;
}

/* Adds views of `flat` from element `at` on, one for each tensor of u, named PREFIX + tensor's own
 * name. */
static int64_t add_views(Program *p, Storage *flat, int64_t at, const char *prefix,
                         const Unknown *u, Storage **view) {
  for (int i = 0; i < u->n; i++) {
    const char *leaf = u->leaf[i]->attr.sym;
    view[i] =
        program_view(p, flat, at, u->leaf[i]->type, arena_printf(p->arena, "%s%s", prefix, leaf));
    at += type_count(u->leaf[i]->type);
  }
  return at;
}

/* ---- functions */

void emit_func(Program *p, Func *f, Node *const *expr, int n, Storage *const *dest) {
  Node **out = arena_array(p->arena, Node *, n);
  ir_subst(f->graph, expr, n, NULL, NULL, 0, out);
  for (int i = 0; i < n; i++)
    func_result(p, f, out[i] ? out[i] : ir_const(f->graph, dest[i]->type, 0), dest[i], NULL);
}

static void emit_gradient(Program *p, Calculus *c, Adjoint *l) {
  Level *level = l->level;
  const Unknown *z = &c->unknown[l->self];
  if (!level->grad)
    level->grad = program_storage(p, ST_GRAD, level->flat->type, "%s.grad", level->name);
  Storage **view = arena_array(p->arena, Storage *, z->n);
  int64_t at = 0;
  for (int i = 0; i < z->n; i++) {
    const char *var = level->var[i]->name + strlen(level->name) + 1;
    view[i] = program_view(p, level->grad, at, level->var[i]->type,
                           arena_printf(p->arena, "%s.grad.%s", level->name, var));
    at += type_count(level->var[i]->type);
  }
  level->gradient = program_func(p, ROLE_GRADIENT, "%s.gradient", level->name);
  emit_func(p, level->gradient, l->gradient, z->n, view);
}

/* Bounds of every element of the flat vector; NULL where no variable has a box on that side. */
static Node *bounds(Program *p, Graph *g, const Level *l, bool high) {
  Node **part = arena_array(p->arena, Node *, l->nvar);
  bool any = false;
  for (int i = 0; i < l->nvar; i++) {
    const Storage *v = l->var[i];
    bool boxed = v->check == CHECK_BOX;
    double limit = boxed ? (high ? v->hi : v->lo) : high ? __builtin_inf() : -__builtin_inf();
    int64_t n = type_count(v->type);
    any = any || boxed;
    part[i] = ir_const(g, type_make(v->type.dtype, 1, &n), limit);
  }
  return any ? ir_concat(g, part, l->nvar, 0) : NULL;
}

/* The optimizer's step on the flat vectors, then the projection onto the box. */
static void emit_update(Program *p, Level *level) {
  const OptimizerInfo *opt = level->optimizer;
  Func *f = level->update = program_func(p, ROLE_UPDATE, "%s.update", level->name);
  Graph *g = f->graph;
  Node *next[MAX_STATE];
  if (!level->count)
    level->count = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.count", level->name);
  if (level->restarts && !level->started)
    level->started = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.started", level->name);
  level->state = arena_array(p->arena, Storage *, opt->nstate);
  for (int i = 0; i < opt->nstate; i++)
    level->state[i] =
        program_storage(p, ST_STATE, level->flat->type, "%s.optimizer.%s", level->name,
                        arena_printf(p->arena, "state.%s", opt->state_name[i]));
  Node *z = level_update(g, level, next);
  Node *lo = bounds(p, g, level, false), *hi = bounds(p, g, level, true);
  if (lo) z = ir_min(g, ir_max(g, z, lo), hi);
  Node *count = storage_read(g, level->count), *one = ir_num(g, count, 1);
  func_result(p, f, z, level->flat, NULL);
  for (int i = 0; i < opt->nstate; i++) func_result(p, f, next[i], level->state[i], NULL);
  func_result(p, f, ir_add(g, count, one), level->count, NULL);
}

/* restart = fresh: init with the next number of restarts, optimizer states of zero, steps that
   count anew. A step of a level above makes it due, and it comes before the level's next step:
   until then all levels above read what the level has reached. */
static void emit_restart(Program *p, Level *level) {
  Func *f = level->restart = program_func(p, ROLE_INIT, "%s.restart", level->name);
  Graph *g = f->graph;
  Node *now = storage_read(g, level->restarts), *next = ir_add(g, now, ir_num(g, now, 1));
  Node *old = storage_read(level->init->graph, level->restarts);
  for (int i = 0; i < level->init->nresult; i++) {
    Node *value;
    ir_subst(g, &level->init->result[i], 1, &old, &next, 1, &value);
    func_result(p, f, value, level->init->dest[i], NULL);
  }
  for (int i = 0; i < level->optimizer->nstate; i++)
    func_result(p, f, ir_const(g, level->state[i]->type, 0), level->state[i], NULL);
  func_result(p, f, storage_read(g, level->count), level->started, NULL);
  func_result(p, f, next, level->restarts, NULL);
  const Type flag = type_scalar(DT_BOOL);
  Storage *due = program_storage(p, ST_STATE, flag, "%s.restart.due", level->name);
  func_result(p, f, ir_const(g, flag, 0), due, NULL);
  Func *expire = program_func(p, ROLE_UPDATE, "%s.restart.expire", level->name);
  func_result(p, expire, ir_const(expire->graph, flag, 1), due, NULL);
}

/* ---- systems */

static bool same_settings(const Edge *a, const Edge *b) {
  for (int i = 0; i < a->method->nsetting; i++)
    if (a->setting[i].storage->value != b->setting[i].storage->value) return false;
  return true;
}

/* Differences move the variables of one level: the level's own lower levels would have to follow.
 */
static bool check_differences(Calculus *c, const Level *reader, const Unknown *u, const Edge *e) {
  const Adjoint *owner = calculus_adjoint(c, u->owner);
  if (!e->method->differences || !owner->nu) return true;
  const Level *low = c->unknown[owner->u[0]].home;
  Diags *diags = c->program->diags;
  Diag *d = diag_error(diags, e->span, "E0505",
                       "`%s` cannot differentiate `%s`, whose lower level `%s` depends on it",
                       e->method->name, u->owner->name, low->name);
  diag_note(diags, d, "the hypergradient of `%s` moves `%s`, and `%s` would have to move along",
            reader->name, u->owner->name, low->name);
  diag_help(diags, d, "use `dense()`, `cg()`, `neumann(...)` or `identity()` here");
  return false;
}

static const Edge *choose_edge(Calculus *c, const Level *reader, const Component *m) {
  Program *p = c->program;
  const Edge *first = NULL;
  for (int i = 0; i < m->n; i++) {
    const Unknown *u = &c->unknown[m->unknown[i]];
    if (!check_differences(c, reader, u, calculus_edge(p, reader, u->home))) return NULL;
  }
  for (int i = 0; i < m->n; i++) {
    const Edge *e = calculus_edge(p, reader, c->unknown[m->unknown[i]].home);
    if (!first) first = e;
    if (e->method == first->method && same_settings(e, first)) continue;
    Diag *d = diag_error(p->diags, e->span, "E0501",
                         "`%s` and `%s` must be solved together for `%s`, but their methods differ",
                         first->lower->name, e->lower->name, reader->name);
    diag_label(p->diags, d, first->span, "%s here", first->method->name);
    diag_help(p->diags, d, "give both edges the same method with the same settings");
    return NULL;
  }
  if (first->method->one_block && m->n > 1) {
    const char *list = "";
    for (int i = 0; i < m->n; i++)
      list =
          arena_printf(p->arena, "%s%s`%s`", list, i ? ", " : "", c->unknown[m->unknown[i]].name);
    Diag *d = diag_error(p->diags, first->span, "E0502", "`%s` cannot solve a system of %d blocks",
                         first->method->name, m->n);
    diag_note(p->diags, d, "the hypergradient of `%s` couples %s", reader->name, list);
    diag_help(p->diags, d, "use `dense()` on these edges");
    return NULL;
  }
  return first;
}

Func *emit_rhs(Calculus *c, const Adjoint *l, int number, bool exact, Storage *const *dest, int n,
               const char *name) {
  Arena *scratch = arena_new();
  Program *p = c->program;
  Graph *g = c->graph;
  const Component *m = &l->component[number];
  Node **wrt = arena_array(scratch, Node *, n), **out = arena_array(scratch, Node *, n);
  Node **mask = arena_array(scratch, Node *, n);
  int total = 1, at = 1, k = 0;
  for (int i = 0; i < l->nu; i++) total += c->unknown[l->u[i]].n + 1;
  Node **y = arena_array(scratch, Node *, total), **cot = arena_array(scratch, Node *, total);
  y[0] = l->objective;
  cot[0] = ir_num(g, l->objective, -1);
  for (int i = 0; i < l->nu; i++) {
    const Unknown *u = &c->unknown[l->u[i]], *mu = &c->unknown[l->mu[i]];
    bool inside = false;
    for (int j = 0; j < m->n; j++) inside = inside || m->unknown[j] == l->u[i];
    bool moves = !exact && differences_edge(c, l, i);
    if (!inside && moves) at = differences_push(c, l, i, -1, y, cot, at);
    for (int j = 0; j < u->n; j++) {
      if (inside && moves) mask[k] = u->mask[j];
      if (inside) wrt[k++] = u->leaf[j];
      if (inside || moves || !u->eq[j]) continue;
      y[at] = u->eq[j];
      cot[at++] = ir_neg(g, mu->leaf[j]);
    }
  }
  ir_vjp(g, y, cot, at, wrt, n, out);
  for (int i = 0; i < n; i++)
    if (mask[i] && out[i]) out[i] = ir_mul(g, mask[i], out[i]);
  Func *f = program_func(p, ROLE_ADJOINT, "%s", name);
  emit_func(p, f, out, n, dest);
  arena_free(scratch);
  return f;
}

/* A v = sum over the component's w of d<v_w, eq(w)>/du. */
static void emit_apply(Program *p, Calculus *c, const Component *m, System *s, Storage *const *in,
                       Storage *const *dest, int n) {
  Arena *scratch = arena_new();
  Graph *g = c->graph;
  Node **wrt = arena_array(scratch, Node *, n), **out = arena_array(scratch, Node *, n);
  Node **y = arena_array(scratch, Node *, n), **cot = arena_array(scratch, Node *, n);
  int at = 0, k = 0;
  for (int j = 0; j < m->n; j++) {
    const Unknown *u = &c->unknown[m->unknown[j]];
    for (int i = 0; i < u->n; i++, k++) {
      wrt[k] = u->leaf[i];
      if (!u->eq[i]) continue;
      y[at] = u->eq[i];
      cot[at++] = storage_read(g, in[k]);
    }
  }
  ir_vjp(g, y, cot, at, wrt, n, out);
  s->apply = program_func(p, ROLE_HVP, "%s.apply", s->name);
  emit_func(p, s->apply, out, n, dest);
  arena_free(scratch);
}

static bool emit_system(Program *p, Calculus *c, const Adjoint *l, int number) {
  const Component *m = &l->component[number];
  Level *level = l->level;
  const Edge *edge = choose_edge(c, level, m);
  if (!edge) return false;
  System *s = arena_new_of(p->arena, System);
  s->name = arena_printf(p->arena, "%s.adjoint%d", level->name, number);
  s->level = level;
  s->method = edge->method;
  s->setting = edge->setting;
  s->span = edge->span;
  s->nblock = m->n;
  s->block = arena_array(p->arena, const char *, m->n);
  int n = 0;
  for (int j = 0; j < m->n; j++) {
    s->block[j] = c->unknown[m->unknown[j]].name;
    s->size += unknown_size(&c->unknown[m->unknown[j]]);
    n += c->unknown[m->unknown[j]].n;
  }
  Type flat = type_make(program_float(p), 1, &s->size);
  s->x = program_storage(p, ST_ADJOINT, flat, "%s.x", s->name);
  s->rhs = program_storage(p, ST_TEMP, flat, "%s.rhs", s->name);
  s->in = program_storage(p, ST_TEMP, flat, "%s.in", s->name);
  s->out = program_storage(p, ST_TEMP, flat, "%s.out", s->name);
  Storage **x = arena_array(p->arena, Storage *, n), **rhs = arena_array(p->arena, Storage *, n);
  Storage **in = arena_array(p->arena, Storage *, n), **out = arena_array(p->arena, Storage *, n);
  int64_t at[4] = {0};
  for (int j = 0, k = 0; j < m->n; j++) {
    int i = 0;
    while (l->u[i] != m->unknown[j]) i++;
    const Unknown *mu = &c->unknown[l->mu[i]];
    at[0] = add_views(p, s->x, at[0], "", mu, x + k);
    at[1] = add_views(p, s->rhs, at[1], arena_printf(p->arena, "%s.rhs.", s->name), mu, rhs + k);
    at[2] = add_views(p, s->in, at[2], arena_printf(p->arena, "%s.in.", s->name), mu, in + k);
    at[3] = add_views(p, s->out, at[3], arena_printf(p->arena, "%s.out.", s->name), mu, out + k);
    k += mu->n;
  }
  const char *name = arena_printf(p->arena, "%s.rhs", s->name);
  s->rhs_func = emit_rhs(c, l, number, false, rhs, n, name);
  emit_apply(p, c, m, s, in, out, n);
  level->system[level->nsystem++] = s;
  return true;
}

/* ---- the schedule */

bool func_reads(const Program *p, const Func *f, const Storage *flat) {
  for (int i = 0; i < f->graph->nnode; i++) {
    if (f->graph->node[i]->op != OP_param) continue;
    const Storage *s = program_find(p, f->graph->node[i]->attr.sym);
    if (s && (s->base ? s->base : s) == flat) return true;
  }
  return false;
}

static bool level_reads(const Program *p, const Level *l, const Storage *flat) {
  bool reads = func_reads(p, l->gradient, flat);
  for (int i = 0; i < l->nsystem; i++)
    reads = reads || func_reads(p, l->system[i]->rhs_func, flat) ||
            (!l->system[i]->method->unapplied && func_reads(p, l->system[i]->apply, flat));
  return reads;
}

static Stmt **push_call(Program *p, Func *f, Stmt **tail) {
  *tail = stmt_new(p, STMT_CALL);
  (*tail)->func = f;
  return &(*tail)->next;
}

/* Appends to tail the solves that a step of l needs: adjoint states of lower levels at current
 * values first. */
static Stmt **push_solves(Program *p, Level *l, bool *done, Stmt **tail) {
  for (int i = 0; i < p->nlevel; i++) {
    Level *m = p->level[i];
    bool needed = false;
    for (int s = 0; m != l && level_is_above(l, m) && !done[i] && s < m->nsystem; s++)
      needed = needed || level_reads(p, l, m->system[s]->x);
    if (needed) {
      done[i] = true;
      tail = push_solves(p, m, done, tail);
    }
  }
  for (int s = 0; s < l->nsystem; s++) {
    const Level *lower = program_find_level(p, l->system[s]->block[0]);
    if (l->system[s]->method->updates && lower->settings)
      tail = push_call(p, lower->settings, tail);
    *tail = stmt_new(p, STMT_SOLVE);
    (*tail)->system = l->system[s];
    tail = &(*tail)->next;
  }
  return tail;
}

Stmt **gradient_statements(Program *p, Level *l, Stmt **first) {
  *first = NULL;
  Stmt **tail = push_solves(p, l, arena_array(p->arena, bool, p->nlevel), first);
  return push_call(p, l->gradient, tail);
}

/* while cond: f. Its one round ends it. */
static Stmt **push_once(Program *p, Storage *cond, Func *f, Stmt **tail) {
  Stmt *once = *tail = stmt_new(p, STMT_WHILE);
  once->cond = cond;
  once->count = 1;
  push_call(p, f, &once->body);
  return &once->next;
}

/* What comes before a step: a restart that is due, then copies of other levels' values. */
static Stmt **push_start(Program *p, const Level *l, Stmt **first) {
  Stmt **tail = first;
  *first = NULL;
  if (l->restart) {
    const char *due = arena_printf(p->arena, "%s.restart.due", l->name);
    tail = push_once(p, program_find(p, due), l->restart, tail);
  }
  return l->copy ? push_once(p, l->begin, l->copy, tail) : tail;
}

/* What follows a step of l: levels below that restart are to do so. */
static Stmt **push_expire(Program *p, const Level *l, Stmt **tail) {
  for (int e = 0; e < l->nedge; e++) {
    const Level *lower = l->edge[e].lower;
    const char *name = arena_printf(p->arena, "%s.restart.expire", lower->name);
    if (lower->restart) tail = push_call(p, program_find_func(p, name), tail);
  }
  return tail;
}

/* Appends the draws that come before the solves and the gradient of l: a fresh batch of every level
   whose equations a system among them reads, unless its method replays those of the last updates.
 */
static Stmt **push_draws(Program *p, Level *l, const Stmt *solves, Stmt **tail) {
  if (l->draw && l != p->run.top) tail = push_call(p, l->draw, tail);
  for (int i = 0; i < p->nlevel; i++) {
    Level *x = p->level[i];
    bool fresh = false;
    for (const Stmt *s = solves; s && x->draw && x != l; s = s->next)
      fresh = fresh || (s->kind == STMT_SOLVE && s->system->method->draw != DRAW_REPLAY &&
                        (func_reads(p, s->system->rhs_func, x->draws) ||
                         (s->system->apply && func_reads(p, s->system->apply, x->draws))));
    if (fresh) tail = push_call(p, x->draw, tail);
  }
  return tail;
}

Stmt **hypergradient_statements(Program *p, Level *l, Stmt **first) {
  Stmt *gradient, **end = gradient_statements(p, l, &gradient);
  *first = NULL;
  *push_draws(p, l, gradient, first) = gradient;
  return end;
}

/* Gradient and next states as one function, so that what both need is computed once: nothing reads
   the one between them but a report that stands there. */
static Func *gradient_and_states(Program *p, const Level *l) {
  Func *f = program_func(p, ROLE_GRADIENT, "%s.gradient_and_states", l->name);
  Func *const part[] = {l->gradient, l->advance};
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < part[k]->nresult; i++) {
      Node *value;
      ir_subst(f->graph, &part[k]->result[i], 1, NULL, NULL, 0, &value);
      func_result(p, f, value, part[k]->dest[i], NULL);
    }
  return f;
}

/* The statement behind a step's gradient: its own, or the call that moves the states as well. */
static Stmt **push_advance(Program *p, Level *l, Stmt *gradient, Stmt **end) {
  if (!l->advance) return end;
  if (l == p->run.top && l->nedge) return push_call(p, l->advance, end);
  while (gradient->func != l->gradient) gradient = gradient->next;
  const char *name = arena_printf(p->arena, "%s.gradient_and_states", l->name);
  Func *both = program_find_func(p, name);
  gradient->func = both ? both : gradient_and_states(p, l);
  return end;
}

static void rewrite(Program *p, Stmt **at) {
  while (*at) {
    Stmt *s = *at;
    rewrite(p, &s->body);
    if (s->kind != STMT_STEP) {
      at = &s->next;
      continue;
    }
    Stmt *first, *gradient, **tail = push_start(p, s->level, &first);
    Stmt **end = hypergradient_statements(p, s->level, &gradient);
    *tail = gradient;
    tail = push_advance(p, s->level, gradient, end);
    if (s->level->settings) tail = push_call(p, s->level->settings, tail);
    tail = push_call(p, s->level->update, tail);
    tail = push_expire(p, s->level, tail);
    *tail = s->next;
    *at = first;
    at = tail;
  }
}

bool pass_differentiate(Program *p) {
  Calculus c;
  if (!calculus_build(&c, p)) return false;
  bool ok = true;
  for (int k = 0; k < p->nlevel; k++) {
    Adjoint *l = &c.adjoint[k];
    emit_gradient(p, &c, l);
    emit_update(p, l->level);
    if (l->level->restarts) emit_restart(p, l->level);
    l->level->system = arena_array(p->arena, System *, l->ncomponent);
    for (int i = 0; i < l->ncomponent; i++) ok = emit_system(p, &c, l, i) && ok;
  }
  if (ok) rewrite(p, &p->schedule);
  if (ok) edge_metrics(p);
  return ok;
}
