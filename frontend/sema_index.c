/* Indexing: x[i, a..b, .., index]. Numbers drop their axis, ranges slice it, i32 tensors gather
   along it, and `..` stands for all axes that are not mentioned. What data index must have been
   declared to fit. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"

static bool is_ellipsis(const AstExpr *e) { return e->kind == EX_RANGE && !e->a && !e->b; }

/* An end of a range, or a position: counted from the end of the axis where negative. */
bool sema_position(Sema *s, const AstExpr *e, SDim size, SDim *out) {
  Value v = sema_expr(s, e);
  if (v.bad) return false;
  if (v.lit == LIT_INT && v.sized) {
    *out = v.size;
  } else if (v.lit == LIT_INT && !isnan(v.num)) {
    SDim back = dim_int(s->arena, (int64_t)-v.num);
    *out = dim_sub(s->arena, size, back);
    if (size.value >= 0 && size.value < back.value) out->value = -1;
    if (size.value < 0 || size.value >= back.value) return true;
    ops_error(&s->ops, e->span, "E0208", "index %.17g is out of range: the axis has size %lld",
              v.num, (long long)size.value);
    return false;
  } else if (!sema_size(s, e, out)) {
    return false;
  }
  return true;
}

static bool slice_axis(Sema *s, const AstExpr *e, Value *x, int axis) {
  SDim size = x->type.dim[axis], lo = dim_int(s->arena, 0), hi = size;
  s->ops.at = e->span;
  s->ops.what = "a range";
  if (e->a && !sema_position(s, e->a, size, &lo)) return false;
  if (e->b && !sema_position(s, e->b, size, &hi)) return false;
  bool order = lo.value >= 0 && hi.value >= 0 && lo.value > hi.value;
  bool fits = size.value < 0 || hi.value < 0 || hi.value <= size.value;
  if (order || !fits) {
    Diag *d = ops_error(&s->ops, e->span, "E0208", "range %s..%s is out of order or out of range",
                        lo.text, hi.text);
    diag_note(s->diags, d, "the axis has size %s; `a..b` excludes b", size.text);
    return false;
  }
  *x = v_slice(&s->ops, *x, axis, lo, dim_sub(s->arena, hi, lo));
  return true;
}

static bool pick(Sema *s, const AstExpr *e, Value *x, int axis) {
  SDim size = x->type.dim[axis], at;
  s->ops.at = e->span;
  s->ops.what = "an index";
  if (!sema_position(s, e, size, &at)) return false;
  if (at.value >= 0 && size.value >= 0 && at.value >= size.value) {
    Diag *d = ops_error(&s->ops, e->span, "E0208", "index %s is out of range: the axis has size %s",
                        at.text, size.text);
    diag_note(s->diags, d, "indices start at 0");
    return false;
  }
  *x = v_squeeze(&s->ops, v_slice(&s->ops, *x, axis, at, dim_int(s->arena, 1)), axis);
  return true;
}

/* Applies one index to the axis; *next is the axis after it in the result. */
static bool apply(Sema *s, const AstExpr *e, Value *x, int axis, int *next) {
  *next = axis + 1;
  if (e->kind == EX_RANGE) return slice_axis(s, e, x, axis);
  Value v = sema_expr(s, e);
  *next = axis;
  if (v.bad) return false;
  if (v.lit == LIT_INT) return pick(s, e, x, axis);
  s->ops.at = e->span;
  s->ops.what = "an index";
  if (v.lit || v.type.dtype != DT_I32) {
    Diag *d = ops_error(&s->ops, e->span, "E0215", "an index is an integer, and this is %s",
                        value_str(&s->ops, v));
    if (!v.lit && v.type.dtype == DT_BOOL)
      diag_help(s->diags, d, "`where(c, a, b)` chooses by truth values");
    return false;
  }
  if (!v_may_index(&s->ops, v, x->type.dim[axis])) return false;
  *x = v_take(&s->ops, *x, v, axis);
  *next = axis + v.type.rank;
  return !x->bad;
}

/* `node[j]` of a list of lets; *found: it is one, or an error has been said. */
static Value element(Sema *s, const AstExpr *e, bool *found) {
  *found = false;
  if (e->a->kind != EX_NAME || !e->arg || e->arg->next || is_ellipsis(e->arg->value))
    return value_bad();
  const char *name = e->a->text;
  size_t n = strlen(name);
  bool list = false, bad = false;
  if (s->env.level && s->env.level->ordered) sema_ordered(s, s->env.level, name, &bad);
  *found = bad;
  if (bad) return value_bad();
  for (const Local *l = s->env.list; l; l = l->next)
    list = list || (!strncmp(l->name, name, n) && l->name[n] == '[');
  if (!list) return value_bad();
  SDim i;
  *found = true;
  if (!sema_size(s, e->arg->value, &i)) return value_bad();
  if (s->generic && i.value < 0) i.value = 0;
  name = arena_printf(s->arena, "%s[%lld]", name, (long long)i.value);
  for (const Local *l = s->env.list; l; l = l->next)
    if (!strcmp(l->name, name)) return l->value;
  ops_error(&s->ops, e->span, "E0208", "there is no `%s`", name);
  return value_bad();
}

Value sema_index(Sema *s, const AstExpr *e) {
  bool found;
  Value part = sema_part(s, e, &found);
  if (!found) part = element(s, e, &found);
  if (found) return part;
  Value x = sema_expr(s, e->a);
  if (x.bad) return x;
  Span base = x.span;
  int n = 0, dots = 0, axis = 0;
  for (const AstArg *a = e->arg; a; a = a->next) {
    if (a->value->kind == EX_ERROR) return value_bad();
    if (a->name) {
      ops_error(&s->ops, a->name_span, "E0209", "an index has no name");
      return value_bad();
    }
    dots += is_ellipsis(a->value);
    n += !is_ellipsis(a->value);
  }
  if (x.lit || n > x.type.rank || dots > 1) {
    const char *text =
        dots > 1 ? "`..` stands once in an index list"
                 : arena_printf(s->arena, "%d indices, but this is %s", n, value_str(&s->ops, x));
    Diag *d = ops_error(&s->ops, e->span, "E0209", "%s", text);
    if (dots <= 1) diag_label(s->diags, d, base, "%s", value_str(&s->ops, x));
    return value_bad();
  }
  int left = n;
  for (const AstArg *a = e->arg; a; a = a->next) {
    s->ops.g->span = sema_place(s, e);
    if (is_ellipsis(a->value)) {
      axis = x.type.rank - left;
      continue;
    }
    int next;
    left--;
    if (!apply(s, a->value, &x, axis, &next)) return value_bad();
    axis = next;
  }
  return x;
}
