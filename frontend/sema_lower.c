/* The expressions of a level, each into its own graph: initial values, the objective, metrics.
   Lets are put in place wherever they are used, one node a graph, and are checked even where
   nothing uses them. */
#include "frontend/sema_internal.h"

static void enter(Sema *s, SLevel *l, Graph *g) {
  s->env = (Env){.level = l};
  s->ops.g = g;
  s->ops.call = (Span){0, 0};
  s->ops.counter = arena_printf(s->arena, "%s.count", l->name);
  s->ops.counted = false;
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
  Value v = sema_expr(s, let->item->value);
  SType want;
  if (!v.bad && let->item->type) {
    if (!sema_type(s, let->item->type, &want)) {
      v = value_bad();
    } else if (v.lit ? want.rank != 0
                     : v.type.dtype != want.dtype || !stype_same_shape(v.type, want)) {
      Diag *d = ops_error(&s->ops, let->item->value->span, "E0217", "`%s` is %s, but declared %s",
                          let->item->name, value_str(&s->ops, v), stype_str(&s->ops, want));
      diag_label(s->diags, d, let->item->type->span, "declared here");
      v = value_bad();
    }
  }
  s->env = env;
  if (let->progress == IN_PROGRESS) let->progress = v.bad ? FAILED : DONE;
  if (v.node && !v.node->name) v.node->name = let->item->name;
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
}

void sema_lower_level(Sema *s, SLevel *l) {
  lower_vars(s, l);
  enter(s, l, graph_new(s->arena));
  l->graph = s->ops.g;
  for (int i = 0; i < l->nlet; i++) {
    bool used = l->let[i].used;
    sema_let(s, l, &l->let[i]);
    l->let[i].used = used;
  }
  if (l->objective_item && l->objective_item->value) {
    const AstItem *it = l->objective_item;
    l->objective = scalar(s, it, "the objective");
  }

  for (int i = 0; i < l->nmetric; i++) {
    SMetric *m = &l->metric[i];
    enter(s, l, graph_new(s->arena));
    m->graph = s->ops.g;
    if (!m->item->value) continue;
    m->node = m->item->kind == AST_OUTPUT ? array(s, m->item) : scalar(s, m->item, "a metric");
  }
}
