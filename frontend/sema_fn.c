/* Functions. A fn is checked once at its definition, with sizes unlike any others, and evaluated
   anew at every call with the sizes of the arguments: generic sizes and `..` are bound by
   matching. The graph never sees a function. */
#include <string.h>

#include "frontend/sema_internal.h"

enum { MOST_CALLS = 100000 };

static bool is_ellipsis(const AstExpr *e) { return e->kind == EX_RANGE && !e->a && !e->b; }

static Local *find_local(Local *list, const char *name) {
  for (; list; list = list->next)
    if (!strcmp(list->name, name)) return list;
  return NULL;
}

static Local *add_local(Sema *s, const char *name) {
  Local *l = arena_new_of(s->arena, Local);
  l->name = name;
  l->next = s->env.local;
  s->env.local = l;
  return l;
}

/* A name in a parameter's type that nothing else declares is a size that calls bind. */
static bool is_generic(Sema *s, const AstExpr *e) {
  return e->kind == EX_NAME && !scope_find(s, e->text);
}

static void declare_generics(Sema *s, const AstParam *p) {
  for (; p; p = p->next)
    for (const AstArg *a = p->type ? p->type->dim : NULL; a; a = a->next)
      if (is_generic(s, a->value) && !find_local(s->env.local, a->value->text)) {
        Local *l = add_local(s, a->value->text);
        l->is_dim = true;
        l->dim = dim_fresh(l->name, ++s->fresh);
      }
}

static bool has_dots(const AstParam *p) {
  for (; p; p = p->next)
    for (const AstArg *a = p->type ? p->type->dim : NULL; a; a = a->next)
      if (is_ellipsis(a->value)) return true;
  return false;
}

/* ---- the definition */

void fn_check_result(Sema *s, Symbol *fn, Value v, Span at) {
  SType want;
  Ops *o = &s->ops;
  if (v.bad || !fn->item->type || !sema_type(s, fn->item->type, &want)) return;
  bool fits = v.lit ? want.rank == 0 && (dtype_is_float(want.dtype) || v.lit == LIT_INT)
                    : v.type.dtype == want.dtype && stype_same_shape(v.type, want);
  if (fits) return;
  Diag *d = ops_error(o, at, "E0217", "`%s` gives %s, but its result is declared %s", fn->name,
                      value_str(o, v), stype_str(o, want));
  diag_label(s->diags, d, fn->item->type->span, "declared here");
}

static bool declare_params(Sema *s, Symbol *fn) {
  bool ok = true;
  for (const AstParam *p = fn->item->param; p; p = p->next) {
    const Symbol *y = scope_find(s, p->name);
    SType t;
    if (y || find_local(s->env.local, p->name)) {
      Diag *d = diag_error(s->diags, p->name_span, "E0102", "`%s` is declared twice", p->name);
      if (y) diag_label(s->diags, d, y->item->name_span, "%s of that name", scope_kind(y->kind));
      ok = false;
    } else if (!p->type || !sema_type(s, p->type, &t)) {
      ok = false;
    } else {
      add_local(s, p->name)->value = value_new(t, NULL);
    }
  }
  return ok;
}

bool fn_declare(Sema *s, Symbol *fn) {
  s->env.has_leading = has_dots(fn->item->param);
  s->env.leading.rank = 1;
  s->env.leading.dim[0] = dim_fresh("..", ++s->fresh);
  declare_generics(s, fn->item->param);
  return declare_params(s, fn);
}

void sema_check_fn(Sema *s, Symbol *fn) {
  if (fn->progress != NOT_CHECKED) return;
  fn->progress = IN_PROGRESS;
  Env env = s->env;
  Ops ops = s->ops;
  int errors = s->diags->nerror;
  s->env = (Env){.pure = true, .library = fn->library};
  s->ops.g = graph_new(s->arena);
  s->ops.call = (Span){0, 0};
  bool ok = fn_declare(s, fn);
  if (ok) {
    Value v = sema_expr(s, fn->item->value);
    fn_check_result(s, fn, v, fn->item->value ? fn->item->value->span : fn->item->name_span);
    ok = !v.bad;
  }
  s->ops = ops;
  s->env = env;
  fn->progress = ok && s->diags->nerror == errors ? DONE : FAILED;
}

/* ---- calls */

static Diag *misfit(Sema *s, Symbol *fn, const AstParam *p, Value v, const char *why) {
  Ops *o = &s->ops;
  Diag *d = ops_error(o, v.span, "E0218", "argument `%s` of `%s` is %s", p->name, fn->name,
                      value_str(o, v));
  diag_label(s->diags, d, p->type->span, "this does not fit");
  if (why) diag_note(s->diags, d, "%s", why);
  return d;
}

/* Binds the sizes that p's type names by the argument's shape; NULL, or why they do not fit. */
static const char *match_dims(Sema *s, const AstParam *p, SType t) {
  int n = 0, dots = 0, i = 0;
  for (const AstArg *a = p->type->dim; a; a = a->next) {
    n += !is_ellipsis(a->value);
    dots += is_ellipsis(a->value);
  }
  if (t.rank < n || (!dots && t.rank != n)) return "the number of axes differs";
  for (const AstArg *a = p->type->dim; a; a = a->next) {
    if (is_ellipsis(a->value)) {
      SType lead = {.rank = t.rank - n};
      for (int k = 0; k < lead.rank; k++) lead.dim[k] = t.dim[i++];
      if (s->env.has_leading && !stype_same_shape(lead, s->env.leading))
        return "`..` stands for other sizes in an argument before";
      s->env.leading = lead;
      s->env.has_leading = true;
      continue;
    }
    SDim want = t.dim[i++];
    const char *name = a->value->kind == EX_NAME ? a->value->text : NULL;
    Local *l = name ? find_local(s->env.local, name) : NULL;
    if (name && is_generic(s, a->value) && !l) {
      l = add_local(s, name);
      l->is_dim = true;
      l->dim = want;
    } else if (l && l->is_dim && !dim_eq(l->dim, want)) {
      return arena_printf(s->arena, "`%s` is `%s` by an argument before, and `%s` here", name,
                          l->dim.text, want.text);
    }
  }
  return NULL;
}

/* The argument in p's element type, its shape matched. */
static bool match_param(Sema *s, Symbol *fn, const AstParam *p, Value *v) {
  DType d;
  if (!sema_dtype(s, p->type, &d)) return false;
  bool fits =
      v->lit ? dtype_is_float(d) || (d == DT_I32 && v->lit == LIT_INT)
             : v->type.dtype == d || (dtype_is_float(d) && (v->soft || v->type.dtype == DT_I32));
  const char *why = "the element type differs";
  if (fits) {
    Value cast = v->lit == LIT_INT && d == DT_I32 ? *v : v_cast(&s->ops, *v, d);
    cast.span = v->span;
    *v = cast;
    why = match_dims(s, p, v->type);
  }
  if (why) misfit(s, fn, p, *v, why);
  return !why;
}

/* A size in a parameter's type that has the name of a dim means that dim, and is not bound by
   calls: said where it is what does not fit. */
static void help_dim(Sema *s, Diag *d, const AstParam *p, SType want, SType got) {
  if (want.rank != got.rank) return;
  int i = 0;
  for (const AstArg *a = p->type->dim; a && !is_ellipsis(a->value); a = a->next, i++) {
    Symbol *y = a->value->kind == EX_NAME ? scope_find(s, a->value->text) : NULL;
    if (!y || y->kind != SYM_DIM || find_local(s->env.local, y->name)) continue;
    if (dim_eq(want.dim[i], got.dim[i])) continue;
    diag_help(s->diags, d, "`%s` is a dim of the program; a size that calls bind has another name",
              y->name);
    return;
  }
}

/* Matches all arguments, then compares sizes that are not bound by matching: numbers, dims,
   `2*I`. */
bool fn_bind(Sema *s, Symbol *fn, Value *v) {
  int i = 0;
  SType want;
  for (const AstParam *p = fn->item->param; p; p = p->next)
    if (!match_param(s, fn, p, &v[i++])) return false;
  i = 0;
  for (const AstParam *p = fn->item->param; p; p = p->next, i++) {
    if (!sema_type(s, p->type, &want)) return false;
    if (!stype_same_shape(want, v[i].type)) {
      const char *why = arena_printf(s->arena, "it must be %s", stype_str(&s->ops, want));
      help_dim(s, misfit(s, fn, p, v[i], why), p, want, v[i].type);
      return false;
    }
  }
  i = 0;
  for (const AstParam *p = fn->item->param; p; p = p->next) add_local(s, p->name)->value = v[i++];
  return true;
}

static Value wrong_arguments(Sema *s, Symbol *fn, Span at, const char *text) {
  Diag *d = ops_error(&s->ops, at, "E0230", "%s", text);
  diag_label(s->diags, d, fn->item->name_span, "declared here");
  return value_bad();
}

/* The argument of each parameter: by name, or by position among those without one. */
static bool sort_arguments(Sema *s, Symbol *fn, const AstExpr *e, const AstArg **out) {
  int n = 0, next = 0;
  for (const AstParam *p = fn->item->param; p; p = p->next) n++;
  for (const AstArg *a = e->arg; a; a = a->next) {
    int i = 0;
    const AstParam *p = fn->item->param;
    if (a->name)
      for (; p && strcmp(p->name, a->name); p = p->next) i++;
    else
      i = next++;
    if (i >= n || out[i]) {
      const char *text =
          i < n ? "this argument is given twice"
          : a->name
              ? arena_printf(s->arena, "`%s` has no argument `%s`", fn->name, a->name)
              : arena_printf(s->arena, "`%s` takes %d argument%s", fn->name, n, n == 1 ? "" : "s");
      wrong_arguments(s, fn, a->name ? a->name_span : a->value->span, text);
      return false;
    }
    out[i] = a;
  }
  int i = 0;
  for (const AstParam *p = fn->item->param; p; p = p->next, i++)
    if (!out[i]) {
      wrong_arguments(s, fn, e->span,
                      arena_printf(s->arena, "`%s` lacks its argument `%s`", fn->name, p->name));
      return false;
    }
  return true;
}

/* A number of the text becomes what the result is declared. */
Value fn_result(Sema *s, Symbol *fn, Value v) {
  DType d;
  if (v.lit && fn->item->type && sema_dtype(s, fn->item->type, &d) && dtype_is_float(d))
    v = v_cast(&s->ops, v, d);
  return v;
}

static Value evaluate_body(Sema *s, Symbol *fn, const AstExpr *e) {
  Ops *o = &s->ops;
  Span call = o->call;
  const char *callee = o->callee;
  if (call.hi == call.lo) {
    o->call = e->span;
    o->callee = fn->name;
  }
  Progress progress = fn->progress;
  fn->progress = IN_PROGRESS;
  Value v = sema_expr(s, fn->item->value);
  fn_check_result(s, fn, v, fn->item->value->span);
  fn->progress = progress;
  o->call = call;
  o->callee = callee;
  return fn_result(s, fn, v);
}

bool fn_count_call(Sema *s, const Symbol *fn, const AstExpr *e) {
  if (++s->ncall <= MOST_CALLS) return true;
  if (s->ncall == MOST_CALLS + 1)
    ops_error(&s->ops, e->span, "E0112", "the %ss of this program expand to over 100000 calls",
              fn->kind == SYM_FN ? "fn" : "module");
  return false;
}

bool fn_arguments(Sema *s, Symbol *fn, const AstExpr *e, Value **out) {
  int n = 0;
  for (const AstParam *p = fn->item->param; p; p = p->next) n++;
  const AstArg **arg = arena_array(s->arena, const AstArg *, n);
  Value *value = *out = arena_array(s->arena, Value, n);
  bool ok = sort_arguments(s, fn, e, arg);
  for (int i = 0; ok && i < n; i++) {
    value[i] = sema_expr(s, arg[i]->value);
    ok = !value[i].bad;
  }
  return ok;
}

Value sema_call_fn(Sema *s, Symbol *fn, const AstExpr *e) {
  if (fn->progress == NOT_CHECKED) sema_check_fn(s, fn);
  if (fn->progress == IN_PROGRESS) {
    Diag *d = diag_error(s->diags, e->a->span, "E0111", "`%s` calls itself", fn->name);
    diag_note(s->diags, d, "a fn is an expression with parameters; recursion would never end");
    return value_bad();
  }
  Value *value;
  if (!fn_count_call(s, fn, e) || fn->progress != DONE || !fn_arguments(s, fn, e, &value))
    return value_bad();
  Env env = s->env;
  s->env = (Env){.pure = true, .bake = env.bake, .library = fn->library};
  Value v = fn_bind(s, fn, value) ? evaluate_body(s, fn, e) : value_bad();
  s->env = env;
  return v;
}
