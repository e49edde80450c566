/* Built-in functions: puts the tables together, binds the arguments of a call to the parameters
   of the signature, and gives the functions what they need to read their arguments: numbers,
   flags, sizes, axes, with the errors of each. */
#include "frontend/builtins.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const BuiltinList *const lists[] = {&builtins_math,  &builtins_reduce, &builtins_shape,
                                           &builtins_index, &builtins_loss,   &builtins_nn,
                                           &builtins_conv,  &builtins_layers};
enum { NLIST = sizeof lists / sizeof *lists };

int builtin_count(void) {
  int n = 0;
  for (int i = 0; i < NLIST; i++) n += lists[i]->n;
  return n;
}

const Builtin *builtin_at(int i) {
  int k = 0;
  while (i >= lists[k]->n) i -= lists[k++]->n;
  return &lists[k]->row[i];
}

const Builtin *builtin_find(const char *name) {
  for (int k = 0; k < NLIST; k++)
    for (int i = 0; i < lists[k]->n; i++)
      if (!strcmp(lists[k]->row[i].name, name)) return &lists[k]->row[i];
  return NULL;
}

void builtins_print(FILE *out) {
  fprintf(out, "| function | value |\n|---|---|\n");
  for (int i = 0; i < builtin_count(); i++)
    fprintf(out, "| `%s` | %s |\n", builtin_at(i)->signature, builtin_at(i)->doc);
}

/* ---- signatures */

typedef struct Parameter {
  char name[32];
  bool optional, rest;
  double number; /* default; NaN: a word */
} Parameter;

static const char *skip_space(const char *p) {
  while (*p == ' ') p++;
  return p;
}

/* Reads the parameters of "name(a, b = 1, c..)"; returns their number. */
static int read_signature(const char *p, Parameter *out) {
  int n = 0;
  p = strchr(p, '(') + 1;
  while (*(p = skip_space(p)) != ')') {
    Parameter *q = &out[n++];
    *q = (Parameter){.number = NAN};
    size_t k = 0;
    while (isalnum((unsigned char)*p) || *p == '_') q->name[k++] = *p++;
    if (!strncmp(p, "..", 2)) {
      q->rest = true;
      p += 2;
    }
    p = skip_space(p);
    if (*p == '=') {
      q->optional = true;
      p = skip_space(p + 1);
      char *end;
      double x = strtod(p, &end);
      if (end != p) q->number = x;
      if (!strncmp(p, "false", 5)) q->number = 0;
      p += strcspn(p, ",)");
    }
    if (*p == ',') p++;
  }
  return n;
}

static Value wrong_call(Ops *o, const Call *c, Span at, const char *text) {
  Diag *d = ops_error(o, at, "E0230", "%s", text);
  diag_help(o->diags, d, "`%s`", c->fn->signature);
  return value_bad();
}

static int find_parameter(const Parameter *p, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (!p[i].rest && !strcmp(p[i].name, name)) return i;
  return -1;
}

static bool bind_argument(Ops *o, Call *c, const Parameter *p, int n, const AstArg *a, Value v,
                          int *next) {
  int i = a->name ? find_parameter(p, n, a->name) : *next;
  if (!a->name && *next < n && p[*next].rest) {
    c->rest[c->nrest] = v;
    c->rest_source[c->nrest++] = a->value;
    return true;
  }
  if (i < 0 || i >= n) {
    const char *text =
        a->name ? arena_printf(o->arena, "`%s` has no argument named `%s`", c->fn->name, a->name)
                : arena_printf(o->arena, "`%s` takes no more than %d argument%s", c->fn->name, n,
                               n == 1 ? "" : "s");
    wrong_call(o, c, a->name ? a->name_span : a->value->span, text);
    return false;
  }
  if (c->source[i]) {
    wrong_call(o, c, a->value->span,
               arena_printf(o->arena, "argument `%s` is given twice", p[i].name));
    return false;
  }
  c->arg[i] = v;
  c->source[i] = a->value;
  if (!a->name) *next = i + 1;
  return true;
}

Value builtin_call(Ops *o, Call *c, const Value *value) {
  Parameter p[MAX_ARGS];
  int n = read_signature(c->fn->signature, p), next = 0, total = 0, k = 0;
  bool bad = false;
  for (const AstArg *a = c->expr->arg; a; a = a->next) total++;
  c->rest = arena_array(o->arena, Value, total);
  c->rest_source = arena_array(o->arena, const AstExpr *, total);
  for (const AstArg *a = c->expr->arg; a; a = a->next, k++) {
    if (!bind_argument(o, c, p, n, a, value[k], &next)) return value_bad();
    bad = bad || value[k].bad;
  }
  for (int i = 0; i < n; i++) {
    if (c->source[i] || p[i].rest) continue;
    if (!p[i].optional)
      return wrong_call(
          o, c, c->expr->span,
          arena_printf(o->arena, "`%s` lacks its argument `%s`", c->fn->name, p[i].name));
    if (!isnan(p[i].number)) {
      bool integer = p[i].number == floor(p[i].number);
      c->arg[i] = integer ? value_int(o, (int64_t)p[i].number) : value_float(o, p[i].number);
    }
  }
  if (bad) return value_bad();
  o->at = c->expr->a->span;
  o->what = arena_printf(o->arena, "`%s`", c->fn->name);
  return c->fn->fn(o, c);
}

/* ---- reading arguments */

bool call_given(const Call *c, int i) { return c->source[i] != NULL; }

/* What an argument is must be known when the program is compiled: a const in it is then fixed. */
static bool fix(Ops *o, const Call *c, Value *v, const AstExpr *e) {
  if (v->bad || v->lit) return !v->bad;
  return e && o && c->number(c->ctx, e, v);
}

bool call_number(Ops *o, Call *c, int i, double *out) {
  if (!fix(o, c, &c->arg[i], c->source[i])) return false;
  *out = isnan(c->arg[i].num) ? 1 : c->arg[i].num; /* NaN: a size that is not known yet */
  return true;
}

bool call_flag(Ops *o, Call *c, int i, bool *out) {
  const AstExpr *e = c->source[i];
  *out = e && e->integer;
  if (!e || e->kind == EX_BOOL) return true;
  ops_error(o, e->span, "E0231", "write `true` or `false` here");
  return false;
}

bool call_size(Ops *o, Call *c, int i, SDim *out) {
  if (c->arg[i].lit && c->arg[i].sized) {
    *out = c->arg[i].size;
    return true;
  }
  return c->size(c->ctx, c->source[i], out) && o;
}

static bool axis_of(Ops *o, Call *c, Value v, const AstExpr *e, Value x, int *out) {
  if (x.bad || !fix(o, c, &v, e)) return false;
  if (v.lit == LIT_INT && !isnan(v.num) && v.num >= -x.type.rank && v.num < x.type.rank) {
    *out = (int)v.num + (v.num < 0 ? x.type.rank : 0);
    return true;
  }
  Span at = e ? e->span : o->at;
  if (v.lit != LIT_INT || isnan(v.num)) {
    ops_error(o, at, "E0231", "an axis is an integer known in advance");
    return false;
  }
  Diag *d = ops_error(o, at, "E0205", "%s has no axis %.17g", value_str(o, x), v.num);
  if (x.span.hi) diag_label(o->diags, d, x.span, "%s", value_str(o, x));
  return false;
}

bool call_axis(Ops *o, Call *c, int i, Value x, int *out) {
  return axis_of(o, c, c->arg[i], c->source[i], x, out);
}

static bool add_axis(Ops *o, int axis, Span at, int *axes, int *n) {
  int k = 0;
  while (k < *n && axes[k] < axis) k++;
  if (k < *n && axes[k] == axis) {
    ops_error(o, at, "E0205", "axis %d is named twice", axis);
    return false;
  }
  memmove(&axes[k + 1], &axes[k], sizeof *axes * (size_t)(*n - k));
  axes[k] = axis;
  ++*n;
  return true;
}

bool call_axes(Ops *o, Call *c, int i, Value x, int *axes, int *n) {
  *n = 0;
  if (x.bad) return false;
  if (!call_given(c, i) && !c->nrest) {
    for (int k = 0; k < x.type.rank; k++) axes[(*n)++] = k;
    return true;
  }
  int axis;
  if (call_given(c, i)) {
    if (!axis_of(o, c, c->arg[i], c->source[i], x, &axis)) return false;
    add_axis(o, axis, c->source[i]->span, axes, n);
  }
  for (int k = 0; k < c->nrest; k++)
    if (!axis_of(o, c, c->rest[k], c->rest_source[k], x, &axis) ||
        !add_axis(o, axis, c->rest_source[k]->span, axes, n))
      return false;
  return true;
}

bool call_rank(Ops *o, Call *c, int i, int at_least) {
  Value v = c->arg[i];
  if (v.bad) return false;
  if (v.type.rank >= at_least) return true;
  Diag *d = ops_error(o, c->source[i] ? c->source[i]->span : o->at, "E0202",
                      "%s needs at least %d ax%s here, and this is %s", o->what, at_least,
                      at_least == 1 ? "is" : "es", value_str(o, v));
  diag_help(o->diags, d, "`%s`", c->fn->signature);
  return false;
}

bool call_index(Ops *o, Call *c, int i) {
  c->arg[i] = v_tensor(o, c->arg[i], DT_I32);
  Value v = c->arg[i];
  if (v.bad) return false;
  if (v.type.dtype == DT_I32) return true;
  Diag *d = ops_error(o, c->source[i]->span, "E0215", "%s needs integers here, and this is %s",
                      o->what, value_str(o, v));
  diag_help(o->diags, d, "`%s`", c->fn->signature);
  return false;
}

bool call_room(Ops *o, Value x, int more) {
  if (x.bad) return false;
  if (x.type.rank + more <= MAX_RANK) return true;
  ops_error(o, o->at, "E0204", "a tensor has at most %d axes", MAX_RANK);
  return false;
}
