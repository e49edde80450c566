/* Initial values of variables, into the graph of a level's init function: `zeros`, `ones`, a
   number or expression, or draws from a distribution, each from a stream of its own and scaled
   by the variable's shape where the scheme says so. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"

typedef enum Scheme {
  NO_SCHEME,
  ZEROS,
  ONES,
  NORMAL,
  UNIFORM,
  HE_NORMAL,
  HE_UNIFORM,
  GLOROT_NORMAL,
  GLOROT_UNIFORM
} Scheme;

static const struct {
  const char *name;
  Scheme scheme;
  int nargs;
} schemes[] = {
    {"zeros", ZEROS, 0},
    {"ones", ONES, 0},
    {"normal", NORMAL, 1},
    {"uniform", UNIFORM, 2},
    {"he_normal", HE_NORMAL, 0},
    {"he_uniform", HE_UNIFORM, 0},
    {"glorot_normal", GLOROT_NORMAL, 0},
    {"glorot_uniform", GLOROT_UNIFORM, 0},
    {"xavier_normal", GLOROT_NORMAL, 0},
    {"xavier_uniform", GLOROT_UNIFORM, 0},
};
enum { NSCHEME = sizeof schemes / sizeof *schemes };

/* The name that a whole initial value is or calls; NULL: it is another expression. */
static const char *name_of(const AstExpr *e) {
  const AstExpr *f = e->kind == EX_CALL ? e->a : e;
  return f->kind == EX_NAME ? f->text : NULL;
}

static int find_scheme(const AstExpr *e) {
  const char *name = name_of(e);
  for (int i = 0; i < NSCHEME && name; i++)
    if (!strcmp(schemes[i].name, name)) return i;
  return -1;
}

/* `he_norml`: says what was meant. */
static bool misspelt(Sema *s, const AstExpr *e) {
  const char *name = name_of(e), *list[NSCHEME];
  if (!name || scope_find(s, name) || builtin_find(name)) return false;
  for (int i = 0; i < NSCHEME; i++) list[i] = schemes[i].name;
  if (!nearest(name, list, NSCHEME)) return false;
  Diag *d = diag_error(s->diags, e->span, "E0101", "there is no initial value `%s`", name);
  help_nearest(s, d, name, list, NSCHEME);
  return true;
}

/* Arguments of normal(std) and uniform(low, high), known in advance. */
static bool read_arguments(Sema *s, const AstExpr *e, int want, double *x) {
  int n = 0;
  for (const AstArg *a = e->kind == EX_CALL ? e->arg : NULL; a; a = a->next) {
    Value v;
    if (n == want || a->name) {
      n = -1;
      break;
    }
    if (!sema_number(s, a->value, &v)) return false;
    x[n++] = v.num;
  }
  if (n == want) return true;
  static const char *const form[] = {"no arguments", "`normal(std)`", "`uniform(low, high)`"};
  Diag *d = diag_error(s->diags, e->span, "E0230", "wrong arguments of an initial value");
  diag_help(s->diags, d, "it takes %s", form[want]);
  return false;
}

/* Standard deviation of the He (2015) and Glorot (2010) schemes: for W in x @ W the inputs are all
   axes but the last, the outputs the last. */
static double fan_std(SType t, Scheme k) {
  double in = 1, out = t.rank > 1 ? (double)t.dim[t.rank - 1].value : 1;
  for (int i = 0; i < t.rank - (t.rank > 1); i++) in *= (double)t.dim[i].value;
  bool he = k == HE_NORMAL || k == HE_UNIFORM;
  return sqrt(2 / (he ? in : in + out));
}

static Value draw(Sema *s, SVar *v, Scheme k, const double *x) {
  Ops *o = &s->ops;
  bool uniform = k == UNIFORM || k == HE_UNIFORM || k == GLOROT_UNIFORM;
  Value r = v_random(o, v->type, uniform ? RANDOM_UNIFORM : RANDOM_NORMAL);
  if (k == NORMAL) return v_scale(o, r, x[0]);
  if (k == UNIFORM) return v_offset(o, v_scale(o, r, x[1] - x[0]), x[0]);
  double std = fan_std(v->type, k);
  if (!uniform) return v_scale(o, r, std);
  double bound = sqrt(3) * std;
  return v_offset(o, v_scale(o, r, 2 * bound), -bound);
}

static bool inside(Sema *s, SVar *v, Span at, double lo, double hi) {
  if (!v->boxed || isnan(lo) || isnan(hi) || (lo >= v->lo && hi <= v->hi)) return true;
  Diag *d =
      diag_error(s->diags, at, "E0326", "the initial value of `%s` is not in its box", v->name);
  diag_label(s->diags, d, v->item->constraint->span, "from %g to %g", v->lo, v->hi);
  return false;
}

static Value computed(Sema *s, SVar *v, const AstExpr *e) {
  Env env = s->env;
  s->env = (Env){.place = "an initial value", .owner = env.level};
  if (v->instance) {
    s->env.local = v->instance->local;
    s->env.library = v->instance->module->library;
  }
  Value x = sema_expr(s, e);
  s->env = env;
  if (x.bad) return x;
  if (x.lit && !inside(s, v, e->span, x.num, x.num)) return value_bad();
  Ops *o = &s->ops;
  o->at = e->span;
  SType shape;
  if (x.type.rank <= v->type.rank &&
      (x.lit || x.type.dtype == v->type.dtype || x.soft || x.type.dtype == DT_I32)) {
    Value want = value_new(v->type, NULL);
    o->what = "an initial value";
    if (!v_join_shapes(o, x, want, &shape)) return value_bad();
    if (stype_same_shape(shape, v->type))
      return v_broadcast(o, v_cast(o, x, v->type.dtype), v->type);
  }
  Diag *d = diag_error(s->diags, e->span, "E0327", "the initial value of `%s` is %s, not %s",
                       v->name, value_str(o, x), stype_str(o, v->type));
  diag_label(s->diags, d, v->item->type->span, "declared here");
  return value_bad();
}

Value sema_initial(Sema *s, SVar *v) {
  const AstExpr *e = v->item->value;
  Ops *o = &s->ops;
  o->g->span = e ? sema_place(s, e) : v->item->span;
  if (!e) {
    if (!inside(s, v, v->item->name_span, 0, 0)) return value_bad();
    return v_broadcast(o, v_cast(o, value_int(o, 0), v->type.dtype), v->type);
  }
  int i = find_scheme(e);
  if (i < 0) return misspelt(s, e) ? value_bad() : computed(s, v, e);
  double x[2] = {0, 1};
  Scheme k = schemes[i].scheme;
  if (!read_arguments(s, e, schemes[i].nargs, x)) return value_bad();
  if (k == ZEROS || k == ONES) {
    if (!inside(s, v, e->span, k == ONES, k == ONES)) return value_bad();
    return v_broadcast(o, v_cast(o, value_int(o, k == ONES), v->type.dtype), v->type);
  }
  if (k == UNIFORM && !inside(s, v, e->span, x[0], x[1])) return value_bad();
  return draw(s, v, k, x);
}
