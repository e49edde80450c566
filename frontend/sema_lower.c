/* The expressions of a level, each into its own graph: initial values, the objective, metrics.
   Lets are put in place wherever they are used, one node a graph, and are checked even where
   nothing uses them. */
#include <string.h>

#include "frontend/sema_internal.h"

static void enter(Sema *s, SLevel *l, Graph *g) {
  s->env = (Env){.level = l};
  s->ops.g = g;
  s->ops.call = (Span){0, 0};
  s->ops.counter = arena_printf(s->arena, "%s.draws", l->name);
  s->ops.counted = false;
  s->ops.train = false;
}

const Local *sema_ordered(Sema *s, SLevel *l, const char *name, bool *bad) {
  *bad = false;
  if (l->run_of == s->ops.g && l->running) return NULL; /* read in the order of the text */
  if (l->run_of != s->ops.g) {
    Env env = s->env;
    int errors = s->diags->nerror;
    s->env = (Env){.level = l};
    l->run_of = s->ops.g;
    l->running = true;
    l->lost = l->lost || !sema_run_items(s, l->item->body, true, false, NULL);
    l->lost = l->lost || s->diags->nerror > errors;
    l->running = false;
    l->run = s->env.local;
    l->run_list = s->env.list;
    s->env = env;
  }
  *bad = l->lost;
  if (l->lost) return NULL;
  s->env.list = l->run_list;
  for (const Local *x = l->run; x; x = x->next)
    if (!strcmp(x->name, name)) return x;
  return NULL;
}

/* A let is evaluated once in every graph that uses it; what is wrong with it is said the first
   time. */
Value sema_let(Sema *s, SLevel *l, SLet *let) {
  let->used = true;
  if (let->progress == IN_PROGRESS) {
    diag_error(s->diags, let->item->name_span, "E0105", "the value of `%s` depends on itself",
               let->item->name);
    let->progress = FAILED;
  }
  if (let->progress == FAILED) return value_bad();
  if (let->graph == s->ops.g) return let->value;
  Env env = s->env;
  s->env = (Env){.level = l};
  let->progress = IN_PROGRESS;
  Value v = sema_let_value(s, let->item);
  s->env = env;
  if (let->progress == IN_PROGRESS) let->progress = v.bad ? FAILED : DONE;
  let->graph = s->ops.g;
  let->value = v;
  return let->progress == DONE ? v : value_bad();
}

/* The one number that an objective or metric is. */
static Node *scalar(Sema *s, const AstItem *it, const char *what) {
  Ops *o = &s->ops;
  Value v = sema_expr(s, it->value);
  if (v.bad) return NULL;
  Span span = it->value->span;
  if (v.type.rank) {
    Diag *d =
        diag_error(s->diags, span, "E0328", "%s is %s, not one number", what, value_str(o, v));
    diag_help(s->diags, d, "take the `mean(...)` or `sum(...)` of it");
    return NULL;
  }
  return v_cast(o, v, o->flt).node;
}

/* What an output is: a tensor of any type. */
static Node *array(Sema *s, const AstItem *it) {
  Value v = sema_expr(s, it->value);
  if (v.bad) return NULL;
  return v.lit ? v_cast(&s->ops, v, s->ops.flt).node : v.node;
}

static void lower_vars(Sema *s, SLevel *l) {
  l->init = graph_new(s->arena);
  for (int i = 0; i < l->nvar; i++) {
    enter(s, l, l->init);
    s->ops.counter = l->fresh ? arena_printf(s->arena, "%s.restarts", l->name) : NULL;
    if (!l->var[i].bad) l->var[i].init = sema_initial(s, &l->var[i]).node;
  }
  for (int i = 0; i < l->nstate; i++) {
    SState *st = &l->state[i];
    SVar as = {.name = st->name, .item = st->item, .instance = st->instance, .type = st->type};
    enter(s, l, l->init);
    s->ops.counter = l->fresh ? arena_printf(s->arena, "%s.restarts", l->name) : NULL;
    if (!st->bad) st->init = sema_initial(s, &as).node;
  }
}

/* The next values of the level's own states; those of modules came with their calls. */
static void lower_next(Sema *s, SLevel *l) {
  for (int i = 0; i < l->nstate; i++) {
    SState *st = &l->state[i];
    if (st->bad || st->instance || !st->item->update) continue;
    if (l->ordered) s->env.local = l->run;
    sema_next_state(s, st);
    s->env.local = NULL;
  }
}

void sema_lower_level(Sema *s, SLevel *l) {
  lower_vars(s, l);
  enter(s, l, graph_new(s->arena));
  l->graph = s->ops.g;
  s->ops.train = true;
  bool bad;
  if (l->ordered) sema_ordered(s, l, "", &bad);
  for (int i = 0; !l->ordered && i < l->nlet; i++) {
    bool used = l->let[i].used;
    sema_let(s, l, &l->let[i]);
    l->let[i].used = used;
  }
  if (l->objective_item && l->objective_item->value) {
    const AstItem *it = l->objective_item;
    l->objective = scalar(s, it, "the objective");
  }
  lower_next(s, l);
  s->ops.train = false;
  for (int i = 0; i < l->nmetric; i++) {
    SMetric *m = &l->metric[i];
    enter(s, l, graph_new(s->arena));
    m->graph = s->ops.g;
    if (!m->item->value) continue;
    m->node = m->item->kind == AST_OUTPUT ? array(s, m->item) : scalar(s, m->item, "a metric");
  }
}
