/* Schedules: settings of optimizers that are expressions of the step. They are typed and lowered
   like all expressions, into the level's graph of settings; `step` and the functions below mean
   something there only, and are ordinary names elsewhere. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"
#include "ir/eval.h"

/* ---- the functions. Steps count from 0. */

static Value step_now(Ops *o) {
  return v_cast(o, value_new(stype_scalar(DT_I32), o->step), o->flt);
}

/* Argument i, a number of steps: 1 or more. */
static bool step_count(Ops *o, Call *c, int i, Value *out) {
  Value v = c->arg[i];
  if (v.lit && !isnan(v.num) && v.num < 1) {
    Diag *d = ops_error(o, c->source[i]->span, "E0525", "%s takes 1 step or more", o->what);
    diag_note(o->diags, d, "`%s`: %s", c->fn->signature, c->fn->doc);
    return false;
  }
  Value number = v_float(o, v_tensor(o, v, o->flt));
  *out = v.lit ? number : v_map2(o, OP_max, number, value_int(o, 1));
  return !out->bad;
}

static Value fn_constant(Ops *o, Call *c) { return v_float(o, v_tensor(o, c->arg[0], o->flt)); }

static Value fn_stepwise(Ops *o, Call *c) {
  Value every, factor = v_float(o, v_tensor(o, c->arg[0], o->flt));
  if (factor.bad || !step_count(o, c, 1, &every)) return value_bad();
  Value times = v_map1(o, OP_floor, v_div(o, step_now(o), every));
  return v_map2(o, OP_pow, factor, times);
}

/* Loshchilov and Hutter 2017, without restarts. */
static Value fn_cosine(Ops *o, Call *c) {
  const double pi = 3.14159265358979323846;
  Value steps, end = v_float(o, v_tensor(o, c->arg[1], o->flt));
  if (end.bad || !step_count(o, c, 0, &steps)) return value_bad();
  Value share = v_map2(o, OP_min, v_div(o, step_now(o), steps), value_int(o, 1));
  Value wave = v_scale(o, v_offset(o, v_map1(o, OP_cos, v_scale(o, share, pi)), 1), .5);
  Value range = v_sub(o, value_int(o, 1), end);
  return v_add(o, end, v_mul(o, range, wave));
}

static Value fn_warmup(Ops *o, Call *c) {
  Value steps;
  if (!step_count(o, c, 0, &steps)) return value_bad();
  return v_map2(o, OP_min, v_div(o, v_offset(o, step_now(o), 1), steps), value_int(o, 1));
}

static const Builtin row[] = {
    {"constant", "constant(x)", "x at every step", fn_constant},
    {"stepwise", "stepwise(factor, every)", "factor^floor(step / every)", fn_stepwise},
    {"cosine", "cosine(steps, end = 0)", "from 1 down to end over so many steps, then end",
     fn_cosine},
    {"warmup", "warmup(steps)", "min(1, (step + 1) / steps)", fn_warmup},
};

const Builtin *schedule_find(const char *name) {
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    if (!strcmp(row[i].name, name)) return &row[i];
  return NULL;
}

Value schedule_step(Sema *s) { return s->ops.step ? step_now(&s->ops) : value_bad(); }

/* ---- which settings are schedules */

typedef bool Wanted(Sema *s, SLevel *l, const AstExpr *e);

static const AstExpr *find(Sema *s, SLevel *l, const AstExpr *e, Wanted *wanted) {
  if (!e) return NULL;
  if (wanted(s, l, e)) return e;
  const AstExpr *part[] = {e->a, e->b, e->c}, *found = NULL;
  for (int i = 0; i < 3 && !found; i++) found = find(s, l, part[i], wanted);
  for (const AstArg *a = e->arg; a && !found; a = a->next) found = find(s, l, a->value, wanted);
  return found;
}

static bool is_schedule(Sema *s, SLevel *l, const AstExpr *e) {
  (void)l;
  if (e->kind == EX_NAME) return !strcmp(e->text, "step") && !scope_find(s, "step");
  if (e->kind != EX_CALL || e->a->kind != EX_NAME) return false;
  const Symbol *y = scope_find(s, e->a->text);
  return schedule_find(e->a->text) && !(y && y->kind == SYM_FN);
}

/* What belongs to a level: of any by the level's name, of l itself by its own. */
static bool is_level_read(Sema *s, SLevel *l, const AstExpr *e) {
  if (e->kind == EX_NAME)
    return !scope_find(s, e->text) && (instance_member(l->root, e->text) || level_let(l, e->text));
  const Symbol *y = e->kind == EX_FIELD && e->a->kind == EX_NAME ? scope_find(s, e->a->text) : NULL;
  return y && y->kind == SYM_LEVEL;
}

/* ---- lowering */

typedef struct Moment {
  Sema *s;
  const SLevel *level;
  double step, value[1];
} Moment;

static const double *value_of(void *ctx, const Node *param) {
  Moment *m = ctx;
  const Symbol *y = scope_find(m->s, param->attr.sym);
  size_t n = strlen(m->level->name);
  bool count =
      !strncmp(param->attr.sym, m->level->name, n) && !strcmp(param->attr.sym + n, ".count");
  m->value[0] = count ? m->step : y ? y->number : 0;
  return m->value;
}

/* How many steps the level takes from its start or restart: the product of the steps on the longest
   way up, at most 1e7. */
static double most_steps(Sema *s, SLevel *l) {
  double above = 1;
  if (l->most) return l->most;
  for (int i = 0; i < s->nlevel && !l->fresh; i++)
    for (int e = 0; e < s->level[i]->nedge; e++)
      if (s->level[i]->edge[e].lower == l) above = fmax(above, most_steps(s, s->level[i]));
  return l->most = fmin(above * l->steps.value, 1e7);
}

static void check_limits(Sema *s, SLevel *l, const SSetting *set) {
  const SettingInfo *info = set->info;
  Arena *scratch = arena_new();
  double end = most_steps(s, l);
  for (double step = 0; step < end; step = step < 64 ? step + 1 : floor(step * 1.1)) {
    Moment m = {.s = s, .level = l, .step = step};
    const double *x;
    ir_eval(scratch, l->settings, &set->node, 1, value_of, &m, &x);
    if (isfinite(*x) && *x >= info->lo && *x <= info->hi) continue;
    Diag *d = diag_error(s->diags, set->schedule->span, "E0525",
                         "`%s` = %g at step %.0f is out of its range", info->name, *x, step);
    diag_note(s->diags, d, "it is at least %g%s: %s", info->lo,
              isinf(info->hi) ? "" : arena_printf(s->arena, " and at most %g", info->hi),
              info->doc);
    break;
  }
  arena_free(scratch);
}

static void lower(Sema *s, SLevel *l, SSetting *set) {
  const AstExpr *e = set->schedule;
  Env env = s->env;
  Ops ops = s->ops;
  if (!l->settings) l->settings = graph_new(s->arena);
  Graph *g = s->ops.g = l->settings;
  s->env = (Env){.pure = true, .owner = l, .place = "an optimizer's setting"};
  s->ops.counter = NULL;
  Node *count = ir_param(g, arena_printf(s->arena, "%s.count", l->name), type_scalar(DT_I32));
  const char *started = arena_printf(s->arena, "%s.started", l->name);
  s->ops.step = l->fresh ? ir_sub(g, count, ir_param(g, started, count->type)) : count;
  Value v = sema_expr(s, e);
  if (!v.bad && !v.lit && v.type.rank) {
    Diag *d = diag_error(s->diags, e->span, "E0520", "`%s` must be one number, and this is %s",
                         set->info->name, value_str(&s->ops, v));
    diag_note(s->diags, d, "%s", set->info->doc);
    v = value_bad();
  }
  if (!v.bad) v = v_cast(&s->ops, v, s->ops.flt);
  s->env = env;
  s->ops = ops;
  set->node = v.bad ? NULL : v.node;
}

void schedules_lower(Sema *s, SLevel *l) {
  for (int i = 0; l->optimizer && i < l->optimizer->nsetting; i++)
    if (l->setting[i].schedule) lower(s, l, &l->setting[i]);
  for (int i = 0; l->settings && !s->diags->nerror && i < l->optimizer->nsetting; i++)
    if (l->setting[i].node) check_limits(s, l, &l->setting[i]);
}

bool schedule_value(Sema *s, SLevel *l, const AstExpr *e, SSetting *set, bool *ok) {
  const AstExpr *read = find(s, l, e, is_level_read);
  *ok = false;
  if (read) {
    Diag *d = diag_error(s->diags, read->span, "E0528", "`%s` of `%s` reads a variable",
                         set->info->name, l->optimizer->name);
    const char *upper = read->kind == EX_FIELD ? read->a->text : l->name;
    if (strcmp(upper, l->name))
      diag_path(s->diags, d, "%s -> %s -x-> %s.optimizer.%s -> %s.%s", upper, l->name, l->name,
                set->info->name, upper, read->text);
    diag_note(s->diags, d,
              "methods differentiate the solution of `%s`, in which its optimizer has no part; "
              "only `unroll`, which is not offered, differentiates the steps",
              l->name);
    return true;
  }
  if (find(s, l, e, is_schedule)) set->schedule = e;
  *ok = set->schedule;
  return *ok;
}
