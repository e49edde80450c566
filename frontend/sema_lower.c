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
static Value scalar(Sema *s, const AstItem *it, const char *what) {
  Ops *o = &s->ops;
  Value v = sema_expr(s, it->value);
  if (v.bad) return v;
  Span span = it->value->span;
  if (v.type.rank) {
    Diag *d =
        diag_error(s->diags, span, "E0328", "%s is %s, not one number", what, value_str(o, v));
    diag_help(s->diags, d, "take the `mean(...)` or `sum(...)` of it");
    return value_bad();
  }
  return v_cast(o, v, o->flt);
}

/* A metric is one number, an output a tensor of any type. */
static Value metric_value(Sema *s, const AstItem *it) {
  if (it->kind != AST_OUTPUT) return scalar(s, it, "a metric");
  Value v = sema_expr(s, it->value);
  return v.lit && !v.bad ? v_cast(&s->ops, v, s->ops.flt) : v;
}

/* ---- metrics over all rows of a source */

/* Rows of the result are those of the batch, or there are none. */
static bool rows_fit(Sema *s, SMetric *m, Value v) {
  Ops *o = &s->ops;
  int n = 0;
  for (int i = 0; i < v.type.rank; i++) n += v.type.dim[i].chunk;
  m->per_row = n > 0;
  if (!n || v.bad) return !v.bad;
  o->at = m->item->value->span;
  o->what = "an output";
  if (n > 1 || !dim_eq(v.type.dim[0], o->chunk->rows))
    chunk_error(o, arena_printf(o->arena, "the first axis counts the rows, and this is %s",
                                value_str(o, v)));
  else if (chunk_finished(o, v.node))
    chunk_error(o, "its rows need what is known only after the last batch");
  else
    return true;
  return false;
}

/* The expression for `size` rows at once of all that there are. */
static Chunk *lower_chunk(Sema *s, SLevel *l, SMetric *m, int64_t size, bool rest, Node **out) {
  const SRows *r = m->rows;
  const char *name = m->item->name;
  Chunk *c = arena_new_of(s->arena, Chunk);
  *c = (Chunk){.name = name, .source = r->name};
  c->rows = dim_chunk(r->batch, size, r->rows.value);
  c->nbatch = r->batch.value > 0 ? r->rows.value / r->batch.value : 0;
  if (!rest) c->counter = arena_printf(s->arena, "%s.batch", name);
  enter(s, l, graph_new(s->arena));
  s->ops.chunk = c;
  s->chunk_rows = r;
  Value v = metric_value(s, m->item);
  *out = rows_fit(s, m, v) ? v.node : NULL;
  s->ops.chunk = NULL;
  return c;
}

static void lower_metric(Sema *s, SLevel *l, SMetric *m) {
  Symbol *source;
  enter(s, l, graph_new(s->arena));
  m->graph = s->ops.g;
  m->rows = m->item->on ? rows_find(s, m->item->on, &source, false) : NULL;
  if (!m->item->value || (m->item->on && (!m->rows || source->data->bad_rows))) return;
  if (!m->rows || !source->data->batch) {
    m->rows = NULL;
    Value v = metric_value(s, m->item);
    s->ops.at = m->item->value->span;
    s->ops.what = "an output";
    for (int i = 0; !v.bad && i < v.type.rank; i++)
      if (!ragged_row_by_row(&s->ops, v, i)) return;
    m->node = v.node;
    return;
  }
  int64_t all = m->rows->rows.value, size = m->rows->batch.value;
  int errors = s->diags->nerror;
  m->chunk = lower_chunk(s, l, m, size, false, &m->node);
  m->graph = s->ops.g;
  if (s->diags->nerror > errors || all < 0 || size <= 0 || all % size == 0) return;
  m->rest = lower_chunk(s, l, m, all % size, true, &m->rest_node);
  m->rest_graph = s->ops.g;
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

/* `stop = condition;`: looked at after each step; `grad` is the gradient that the step took. */
static void lower_stop(Sema *s, SLevel *l) {
  const AstExpr *e = l->stop_item ? l->stop_item->value : NULL;
  if (!e) return;
  l->stop_graph = graph_new(s->arena);
  enter(s, l, l->stop_graph);
  Local *grad = sema_bind(s, &s->env.local, "grad");
  SType t = {.dtype = s->ops.flt, .rank = 1, .dim = {dim_int(s->arena, 0)}};
  for (int i = 0; i < l->nvar; i++)
    if (!l->var[i].bad && !l->var[i].frozen)
      t.dim[0] =
          dim_add(s->arena, t.dim[0], stype_count(&s->ops, l->var[i].type, 0, l->var[i].type.rank));
  Type c;
  Node *node = stype_concrete(t, &c)
                   ? ir_param(l->stop_graph, arena_printf(s->arena, "%s.grad", l->name), c)
                   : NULL;
  grad->value = value_new(t, node);
  Value v = sema_expr(s, e);
  if (v.bad) return;
  if (v.lit || v.type.dtype != DT_BOOL || v.type.rank) {
    Diag *d = diag_error(s->diags, e->span, "E0214", "`stop` needs one truth value, and this is %s",
                         value_str(&s->ops, v));
    diag_help(s->diags, d, "write a comparison: `stop = norm(grad) < 1e-4;`");
    return;
  }
  l->stop = v.node;
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
    l->objective = scalar(s, it, "the objective").node;
  }
  lower_next(s, l);
  s->ops.train = false;
  lower_stop(s, l);
  for (int i = 0; i < l->nmetric; i++) lower_metric(s, l, &l->metric[i]);
  schedules_lower(s, l);
}
