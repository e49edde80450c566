/* Sizes and types as written, to symbolic ones. In a size all arithmetic is exact: `D / H` must
   divide. Names are dims, consts (which are then part of the build) and, inside of a fn, the
   sizes that its call has bound. */
#include <stdlib.h>
#include <string.h>

#include "frontend/sema_internal.h"

static const int64_t largest = (int64_t)1 << 40;

static bool size_error(Sema *s, const AstExpr *e, const char *code, const char *text) {
  if (e->kind != EX_ERROR) diag_error(s->diags, e->span, code, "%s", text);
  return false;
}

static bool checked(Sema *s, const AstExpr *e, SDim *out) {
  if (out->value <= largest) return true;
  diag_error(s->diags, e->span, "E0221", "this size is %lld: too large", (long long)out->value);
  return false;
}

static bool size_binary(Sema *s, const AstExpr *e, SDim *out) {
  SDim x, y;
  bool left = sema_size(s, e->a, &x), right = sema_size(s, e->b, &y), exact = true;
  if (!left || !right) return false;
  bool known = x.value >= 0 && y.value >= 0;
  switch (e->op) {
  case AST_ADD: *out = dim_add(s->arena, x, y); break;
  case AST_SUB:
    if (known && x.value < y.value) {
      diag_error(s->diags, e->span, "E0221", "this size is negative: %lld - %lld",
                 (long long)x.value, (long long)y.value);
      return false;
    }
    *out = dim_sub(s->arena, x, y);
    break;
  case AST_MUL: *out = dim_mul(s->arena, x, y); break;
  case AST_DIV:
    *out = dim_div(s->arena, x, y, &exact);
    if (exact) break;
    Diag *d = diag_error(s->diags, e->at, "E0220", "`%s` does not divide `%s`: %lld / %lld", y.text,
                         x.text, (long long)x.value, (long long)y.value);
    diag_help(s->diags, d, "sizes are exact; `div` rounds down");
    return false;
  case AST_INTDIV:
  case AST_MOD:
    if (y.value == 0) return size_error(s, e, "E0213", "division by zero");
    *out = e->op == AST_MOD ? dim_mod(s->arena, x, y) : dim_intdiv(s->arena, x, y);
    break;
  default: return size_error(s, e, "E0222", "a size is built with + - * / div and mod");
  }
  return checked(s, e, out);
}

/* A const that a size uses is part of the build. */
static bool size_of_const(Sema *s, const AstExpr *e, Symbol *y, SDim *out) {
  bool bake = s->env.bake;
  s->env.bake = true;
  Value v = sema_const(s, y);
  s->env.bake = bake;
  if (v.bad) return false;
  if (v.sized) {
    *out = v.size;
    return true;
  }
  Diag *d = diag_error(s->diags, e->span, "E0222", "`%s` is not a size", y->name);
  diag_label(s->diags, d, y->item->name_span, "declared here");
  diag_help(s->diags, d, "a size needs an integer that is not negative");
  return false;
}

static bool size_name(Sema *s, const AstExpr *e, SDim *out) {
  for (const Local *l = s->env.local; l; l = l->next)
    if (!strcmp(l->name, e->text)) {
      if (!l->is_dim) return size_error(s, e, "E0222", "a size cannot depend on a value");
      *out = l->dim;
      return true;
    }
  Symbol *y = scope_find(s, e->text);
  if (y) y->used = true;
  if (y && y->kind == SYM_DIM) {
    bool ok = sema_dim(s, y);
    *out = y->dim;
    return ok;
  }
  if (y && y->kind == SYM_CONST) return size_of_const(s, e, y, out);
  if (y && y->twice) return false;
  Diag *d = diag_error(s->diags, e->span, y ? "E0222" : "E0101",
                       y ? "`%s` is %s, not a size" : "`%s` is not declared", e->text,
                       y ? scope_kind(y->kind) : "");
  if (!y) help_nearest_visible(s, d, e->text);
  if (!y && d->note == NULL) diag_help(s->diags, d, "declare it: `dim %s;`", e->text);
  return false;
}

bool sema_size(Sema *s, const AstExpr *e, SDim *out) {
  switch (e->kind) {
  case EX_INT: *out = dim_int(s->arena, e->integer); return checked(s, e, out);
  case EX_NAME: return size_name(s, e, out);
  case EX_BINARY: return size_binary(s, e, out);
  case EX_CALL:
    if (e->a->kind == EX_NAME && !strcmp(e->a->text, "batch")) return rows_batch(s, e, out);
    return size_error(s, e, "E0222", "this is not a size");
  default: return size_error(s, e, "E0222", "this is not a size");
  }
}

bool sema_dtype(Sema *s, const AstType *t, DType *out) {
  if (dtype_parse(t->name, out)) {
    if (*out == DT_F32) *out = s->ops.flt;
    return true;
  }
  static const char *const names[] = {"f32", "f64", "i32", "bool"};
  Diag *d = diag_error(s->diags, t->name_span, "E0104", "`%s` is no element type", t->name);
  if (!strcmp(t->name, "f16") || !strcmp(t->name, "bf16") || !strcmp(t->name, "i64"))
    diag_note(s->diags, d,
              "there are f32, f64, i32 and bool; files of other types convert when read");
  else
    help_nearest(s, d, t->name, names, 4);
  return false;
}

static bool is_ellipsis(const AstExpr *e) { return e->kind == EX_RANGE && !e->a && !e->b; }

static bool add_leading(Sema *s, const AstExpr *e, SType *out) {
  if (!s->env.has_leading) {
    diag_error(s->diags, e->span, "E0223",
               "`..` stands in the types of a fn's parameters and result only");
    return false;
  }
  for (int i = 0; i < s->env.leading.rank && out->rank < MAX_RANK; i++)
    out->dim[out->rank++] = s->env.leading.dim[i];
  return true;
}

bool sema_type(Sema *s, const AstType *t, SType *out) {
  *out = (SType){.rank = 0};
  bool ok = sema_dtype(s, t, &out->dtype);
  for (const AstArg *a = t->dim; a; a = a->next) {
    if (out->rank == MAX_RANK) {
      diag_error(s->diags, t->span, "E0204", "a tensor has at most %d axes", MAX_RANK);
      return false;
    }
    if (a->name) {
      diag_error(s->diags, a->name_span, "E0222", "a size has no name here");
      return false;
    }
    if (is_ellipsis(a->value)) {
      ok = add_leading(s, a->value, out) && ok;
      continue;
    }
    SDim d = {0};
    ok = sema_size(s, a->value, &d) && ok;
    out->dim[out->rank++] = d;
  }
  return ok;
}

static bool set_dim(Sema *s, Symbol *y, const char *text) {
  char *end;
  long long n = strtoll(text, &end, 10);
  if (*end || end == text || n < 0 || n > largest) {
    diag_error(s->diags, y->item->name_span, "E0341", "--set %s=%s: a dimension needs an integer",
               y->name, text);
    return false;
  }
  y->dim = dim_int(s->arena, n);
  y->pinned = true;
  return true;
}

bool sema_dim(Sema *s, Symbol *y) {
  if (y->progress == DONE || y->progress == FAILED) return y->progress == DONE;
  if (y->progress == IN_PROGRESS) {
    diag_error(s->diags, y->item->name_span, "E0105", "the size of `%s` depends on itself",
               y->name);
    y->progress = FAILED;
    return false;
  }
  y->progress = IN_PROGRESS;
  Env env = s->env;
  s->env = (Env){.bake = true};
  const char *set = sema_set_value(s, y->name);
  bool ok = true;
  if (set)
    ok = set_dim(s, y, set);
  else if (y->item->value)
    ok = sema_size(s, y->item->value, &y->dim);
  else
    y->dim = dim_named(y->name, y->bound_by ? y->dim.value : DIM_UNKNOWN);
  s->env = env;
  if (ok && dim_is_int(y->dim)) y->pinned = true;
  y->dim.text = y->name;
  if (y->progress == IN_PROGRESS) y->progress = ok ? DONE : FAILED;
  return y->progress == DONE;
}

void sema_dims(Sema *s) {
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_DIM) sema_dim(s, s->symbol[i]);
}
