/* Expressions: one walk types and lowers. Every name, operator and call becomes a value with a
   symbolic type and, where all sizes are known, a node of the graph at hand. A value that an
   error has been reported about is silent from then on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"

Span sema_place(const Sema *s, const AstExpr *e) { return e->span.hi ? e->span : s->ops.call; }

static Value no_value(Sema *s, const AstExpr *e, const char *code, const char *text) {
  ops_error(&s->ops, e->span, code, "%s", text);
  return value_bad();
}

/* ---- names */

static Value read_storage(Sema *s, const char *storage, SType t) {
  Type c;
  return value_new(t, stype_concrete(t, &c) ? ir_param(s->ops.g, storage, c) : NULL);
}

/* The build fixes what sizes and settings are made of: analysis starts over with this const
   baked in. */
static void bake(Sema *s, Symbol *y) {
  if (y->baked) return;
  y->baked = true;
  s->rebake = true;
  VEC_PUSH(s->arena, s->baked, s->nbaked, s->baked_cap, y->name);
}

/* 1 / 11 */
static bool made_of_numbers(const AstExpr *e) {
  if (e->kind == EX_UNARY) return e->op == AST_NEG && made_of_numbers(e->a);
  if (e->kind == EX_BINARY) return made_of_numbers(e->a) && made_of_numbers(e->b);
  return e->kind == EX_INT || e->kind == EX_FLOAT;
}

/* A const made of others is an abbreviation. */
static Value const_expression(Sema *s, Symbol *y) {
  y->progress = IN_PROGRESS;
  Env env = s->env;
  s->env = (Env){.bake = env.bake, .pure = true, .place = "a const"};
  Value v = sema_expr(s, y->item->value);
  s->env = env;
  if (y->progress == IN_PROGRESS) y->progress = v.bad ? FAILED : DONE;
  return y->progress == FAILED ? value_bad() : v;
}

/* The number that the program or --set gives; false after an error. */
static bool const_number(Sema *s, Symbol *y, const char *set, const AstExpr *number,
                         bool negative) {
  if (y->progress == DONE) return true;
  y->progress = FAILED;
  char *end = NULL;
  if (set) {
    y->number = strtod(set, &end);
    if (end == set || *end) {
      diag_error(s->diags, y->item->name_span, "E0341", "--set %s=%s: a const needs a number",
                 y->name, set);
      return false;
    }
    y->integral = strspn(set, "+-0123456789") == strlen(set);
  } else {
    y->number = negative ? -number->number : number->number;
    y->integral = number->kind == EX_INT;
  }
  y->progress = DONE;
  return true;
}

Value sema_const(Sema *s, Symbol *y) {
  y->used = true;
  if (y->progress == IN_PROGRESS) {
    diag_error(s->diags, y->item->name_span, "E0105", "the value of `%s` depends on itself",
               y->name);
    y->progress = FAILED;
  }
  if (y->progress == FAILED || !y->item->value) return value_bad();
  const AstExpr *e = y->item->value;
  bool negative = e->kind == EX_UNARY && e->op == AST_NEG;
  if (negative) e = e->a;
  const char *set = sema_set_value(s, y->name);
  if (!set && e->kind != EX_INT && e->kind != EX_FLOAT) {
    Value v = const_expression(s, y);
    if (!made_of_numbers(e) || v.bad || !v.lit || !(fabs(v.num) <= INT32_MAX)) return v;
    y->number = v.num;
    y->integral = v.lit == LIT_INT;
  } else if (!const_number(s, y, set, e, negative)) {
    return value_bad();
  }
  if (s->env.bake) bake(s, y);
  if (y->baked)
    return y->integral ? value_int(&s->ops, (int64_t)y->number) : value_float(&s->ops, y->number);
  Value v = read_storage(s, y->name, stype_scalar(y->integral ? DT_I32 : s->ops.flt));
  v.soft = !y->integral;
  return v;
}

static Value not_a_value(Sema *s, const AstExpr *e, const Symbol *y) {
  if (y->twice) return value_bad();
  Diag *d =
      ops_error(&s->ops, e->span, "E0106", "`%s` is %s, not a value", y->name, scope_kind(y->kind));
  if (y->kind == SYM_DATA && y->data && y->data->nfield)
    diag_help(s->diags, d, "name a field of it: `%s.%s`", y->name, y->data->field[0].name);
  if (y->kind == SYM_LEVEL && y->level && y->level->nvar)
    diag_help(s->diags, d, "name a variable of it: `%s.%s`", y->name, y->level->var[0].name);
  if (y->kind == SYM_MODULE)
    diag_help(s->diags, d, "a level has instances of it: `var net = %s[..];`", y->name);
  if (y->kind == SYM_FN) diag_help(s->diags, d, "call it: `%s(...)`", y->name);
  return value_bad();
}

Value sema_read_var(Sema *s, SVar *v) {
  return v->bad ? value_bad() : read_storage(s, v->storage, v->type);
}

/* The value from before the step; in the expression of its own next value, what an earlier call of
   the same step has made of it. */
static Value read_state(Sema *s, SState *st) {
  if (st->bad) return value_bad();
  if (s->env.next == st && st->next) return value_new(st->type, st->next);
  return read_storage(s, st->storage, st->type);
}

static Value read_member(Sema *s, const SMember *m, int at) {
  if (m->kind == MEMBER_VAR) return sema_read_var(s, &m->level->var[m->index[at]]);
  if (m->kind == MEMBER_STATE) return read_state(s, &m->level->state[m->index[at]]);
  return sema_instance_value(s, m->instance[at]);
}

static Value name_value(Sema *s, const AstExpr *e) {
  for (Local *l = s->env.local; l; l = l->next)
    if (!strcmp(l->name, e->text)) return l->is_dim ? value_size(&s->ops, l->dim) : l->value;
  int at;
  bool bad;
  SMember *m = sema_member(s, e, &at, &bad);
  if (bad) return value_bad();
  if (m) return read_member(s, m, at);
  if (s->env.level && s->env.level->ordered) {
    const Local *l = sema_ordered(s, s->env.level, e->text, &bad);
    if (l || bad) return bad ? value_bad() : l->value;
  }
  SLet *let = s->env.level ? level_let(s->env.level, e->text) : NULL;
  if (let) return sema_let(s, s->env.level, let);
  Symbol *y = scope_find(s, e->text);
  if (y) y->used = true;
  if (y && y->kind == SYM_DIM) return sema_dim(s, y) ? value_size(&s->ops, y->dim) : value_bad();
  if (y && y->kind == SYM_CONST) return sema_const(s, y);
  if (y) return not_a_value(s, e, y);
  SLevel *l = s->env.owner;
  if (l && (instance_member(l->root, e->text) || level_let(l, e->text))) {
    ops_error(&s->ops, e->span, "E0107", "variables cannot be read in %s", s->env.place);
    return value_bad();
  }
  if (s->ops.step && !strcmp(e->text, "step")) return schedule_step(s);
  Diag *d = ops_error(&s->ops, e->span, "E0101", "`%s` is not declared", e->text);
  help_nearest_visible(s, d, e->text);
  const Builtin *b = builtin_find(e->text);
  if (b) diag_help(s->diags, d, "`%s` is a function: `%s`", b->name, b->signature);
  return value_bad();
}

/* ---- fields */

static Value data_field_value(Sema *s, const AstExpr *e, Symbol *y, const SRows *rows) {
  if (s->env.pure) {
    Diag *d = ops_error(&s->ops, e->span, "E0107", "data cannot be read in %s",
                        s->env.place ? s->env.place : "a fn");
    if (!s->env.place) diag_help(s->diags, d, "pass it as an argument");
    return value_bad();
  }
  SField *f = data_field(y->data, e->text);
  Symbol *same;
  if (!f && (y->twice || y->data->bad_rows)) return value_bad();
  if (!f && rows_find(s, e, &same, true)) {
    Diag *d = ops_error(&s->ops, e->span, "E0106",
                        "`%s.%s` is a part of a data source, not a value", y->name, e->text);
    if (y->data->nfield)
      diag_help(s->diags, d, "name a field of it: `%s.%s.%s`", y->name, e->text,
                y->data->field[0].name);
    return value_bad();
  }
  if (!f) {
    const char **names = arena_array(s->arena, const char *, y->data->nfield);
    for (int i = 0; i < y->data->nfield; i++) names[i] = y->data->field[i].name;
    Diag *d = ops_error(&s->ops, e->at, "E0101", "data `%s` has no field `%s`", y->name, e->text);
    help_nearest(s, d, e->text, names, y->data->nfield);
    diag_label(s->diags, d, y->item->name_span, "declared here");
    return value_bad();
  }
  f->used = true;
  if (f->bad) return value_bad();
  Value v = read_storage(s, f->storage, f->type);
  if (f->type.dtype == DT_I32) v.field = f->storage;
  v.ranged = f->check == CHECK_RANGE && f->index;
  v.limit = f->limit;
  s->ops.g->span = e->span;
  return rows_of_field(s, y, rows, f, v);
}

/* Whether the level at hand stands above or below the other, or is it. */
static bool may_read(const Sema *s, const SLevel *other) {
  const SLevel *me = s->env.level;
  return me == other || me->below[other->number] || other->below[me->number] ||
         sema_reads_before(s, me, other);
}

static Value unrelated(Sema *s, const AstExpr *e, const SLevel *other) {
  const SLevel *me = s->env.level;
  if (s->lost_edge) return value_bad();
  Diag *d = ops_error(&s->ops, e->span, "E0322",
                      "`%s` cannot read `%s.%s`: neither level stands above the other", me->name,
                      other->name, e->text);
  diag_help(s->diags, d, "`argmin %s via ...;` in `%s` makes `%s.%s` the solution there",
            other->name, me->name, other->name, e->text);
  return value_bad();
}

static Value level_field_value(Sema *s, const AstExpr *e, Symbol *y) {
  SLevel *me = s->env.level, *other = y->level;
  if (!me) {
    Diag *d = ops_error(&s->ops, e->span, "E0107", "variables cannot be read in %s",
                        s->env.place ? s->env.place : "a fn");
    if (!s->env.place) diag_help(s->diags, d, "pass them as arguments");
    return value_bad();
  }
  const SMember *m = instance_member(other->root, e->text);
  if (!m && y->twice) return value_bad();
  if (!m) {
    const char **names = arena_array(s->arena, const char *, other->root->nmember);
    for (int i = 0; i < other->root->nmember; i++) names[i] = other->root->member[i].name;
    Diag *d =
        ops_error(&s->ops, e->at, "E0101", "level `%s` has no variable `%s`", y->name, e->text);
    if (level_let(other, e->text))
      diag_note(s->diags, d,
                "`%s` is a `let` of that level; only its variables are read from outside", e->text);
    else
      help_nearest(s, d, e->text, names, other->root->nmember);
    return value_bad();
  }
  bool found;
  return sema_part(s, e, &found);
}

static Value transposed(Sema *s, const AstExpr *e, Value x) {
  Ops *o = &s->ops;
  if (x.bad) return x;
  if (x.lit || x.type.rank < 2) {
    ops_error(o, e->at, "E0202", "`.T` needs a matrix, and this is %s", value_str(o, x));
    return value_bad();
  }
  int perm[MAX_RANK], r = x.type.rank;
  for (int i = 0; i < r; i++) perm[i] = i == r - 2 ? r - 1 : i == r - 1 ? r - 2 : i;
  return v_transpose(o, x, perm);
}

static Value no_part(Sema *s, const AstExpr *e, const SInstance *t) {
  const char **names = arena_array(s->arena, const char *, t->nmember);
  for (int i = 0; i < t->nmember; i++) names[i] = t->member[i].name;
  Diag *d = ops_error(&s->ops, e->at, "E0101", "`%s` has no part `%s`", t->path, e->text);
  help_nearest(s, d, e->text, names, t->nmember);
  return value_bad();
}

Value sema_part(Sema *s, const AstExpr *e, bool *found) {
  int at;
  bool bad;
  SMember *m = sema_member(s, e, &at, &bad);
  *found = m || bad;
  if (!m) {
    const SInstance *t = !bad && e->kind == EX_FIELD ? sema_instance(s, e->a) : NULL;
    if (!t || t->bad) return value_bad();
    *found = true;
    return no_part(s, e, t);
  }
  const AstExpr *base = e->kind == EX_INDEX ? e->a : e;
  if (s->env.level && !may_read(s, m->level)) return unrelated(s, base, m->level);
  return read_member(s, m, at);
}

static Value field_value(Sema *s, const AstExpr *e) {
  const AstExpr *a = e->a;
  if (a->kind == EX_NAME) {
    Symbol *y = scope_find(s, a->text);
    if (y && (y->kind == SYM_DATA || y->kind == SYM_LEVEL)) {
      y->used = true;
      if (y->kind == SYM_DATA) return data_field_value(s, e, y, &y->data->all);
      return y->level ? level_field_value(s, e, y) : value_bad();
    }
  }
  Symbol *source;
  const SRows *rows = a->kind == EX_FIELD ? rows_find(s, a, &source, true) : NULL;
  if (rows) return data_field_value(s, e, source, rows);
  bool found;
  Value part = sema_part(s, e, &found);
  if (found) return part;
  Value x = sema_expr(s, a);
  if (x.bad) return x;
  if (!strcmp(e->text, "T")) return transposed(s, e, x);
  Diag *d = ops_error(&s->ops, e->at, "E0108", "%s has no `.%s`", value_str(&s->ops, x), e->text);
  diag_help(s->diags, d, "fields belong to data sources and levels; `.T` transposes a matrix");
  return value_bad();
}

/* ---- operators */

static Value binary(Sema *s, const AstExpr *e) {
  Ops *o = &s->ops;
  Value a = sema_expr(s, e->a), b = sema_expr(s, e->b);
  o->at = e->at;
  o->g->span = e->span;
  o->what = arena_printf(s->arena, "`%s`", ast_op_text(e->op));
  switch (e->op) {
  case AST_OR: return v_logic(o, OP_or, a, b);
  case AST_AND: return v_logic(o, OP_and, a, b);
  case AST_EQ: return v_compare(o, OP_eq, a, b);
  case AST_NE: return v_compare(o, OP_ne, a, b);
  case AST_LT: return v_compare(o, OP_lt, a, b);
  case AST_LE: return v_compare(o, OP_le, a, b);
  case AST_GT: return v_compare(o, OP_lt, b, a);
  case AST_GE: return v_compare(o, OP_le, b, a);
  case AST_ADD: return v_add(o, a, b);
  case AST_SUB: return v_sub(o, a, b);
  case AST_MUL: return v_mul(o, a, b);
  case AST_DIV: return v_div(o, a, b);
  case AST_MATMUL: return v_matmul(o, a, b);
  case AST_INTDIV: return v_intdiv(o, a, b);
  case AST_MOD: return v_mod(o, a, b);
  default: return v_pow(o, a, b);
  }
}

static Value unary(Sema *s, const AstExpr *e) {
  Value x = sema_expr(s, e->a);
  s->ops.at = e->at;
  s->ops.g->span = sema_place(s, e);
  s->ops.what = e->op == AST_NOT ? "`not`" : "`-`";
  return e->op == AST_NOT ? v_not(&s->ops, x) : v_neg(&s->ops, x);
}

static Value conditional(Sema *s, const AstExpr *e) {
  bool yes;
  if (sema_is_static(s, e->a)) {
    if (!sema_static(s, e->a, &yes)) return value_bad();
    return sema_expr(s, yes ? e->b : e->c);
  }
  Value c = sema_expr(s, e->a), a = sema_expr(s, e->b), b = sema_expr(s, e->c);
  s->ops.at = e->span;
  s->ops.g->span = sema_place(s, e);
  s->ops.what = "`if`";
  return v_select(&s->ops, c, a, b);
}

/* ---- calls */

static bool argument_size(void *ctx, const AstExpr *e, SDim *out) { return sema_size(ctx, e, out); }
static bool argument_number(void *ctx, const AstExpr *e, Value *out) {
  return sema_number(ctx, e, out);
}

static Value call_builtin(Sema *s, const Builtin *b, const AstExpr *e) {
  if (e->arg && e->arg->value->kind == EX_EACH) return sema_each(s, b, e);
  int n = 0;
  for (const AstArg *a = e->arg; a; a = a->next) n++;
  Value *v = arena_array(s->arena, Value, n);
  n = 0;
  for (const AstArg *a = e->arg; a; a = a->next) v[n++] = sema_expr(s, a->value);
  Call c = {.fn = b, .expr = e, .size = argument_size, .number = argument_number, .ctx = s};
  s->ops.g->span = sema_place(s, e);
  return builtin_call(&s->ops, &c, v);
}

/* Functions of the language that this version lacks. */
static bool is_planned(const char *name) {
  static const char *const list[] = {"copy", "sort", "argsort", "top_k", "batchnorm"};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (!strcmp(list[i], name)) return true;
  return false;
}

/* `classifier.nett(x)`: what is called is a part of a level or of an instance. */
static Value no_function(Sema *s, const AstExpr *f) {
  int errors = s->diags->nerror;
  Value v = sema_expr(s, f);
  if (s->diags->nerror == errors && !v.bad)
    ops_error(&s->ops, f->span, "E0109", "this is %s, not a function", value_str(&s->ops, v));
  return value_bad();
}

Value sema_call(Sema *s, const AstExpr *e) {
  const AstExpr *f = e->a;
  int at;
  bool bad;
  if (f->kind == EX_ERROR) return value_bad();
  SMember *m = sema_member(s, f, &at, &bad);
  if (bad) return value_bad();
  if (m && m->kind == MEMBER_INSTANCE) {
    SInstance *t = m->instance[at];
    SLevel *l = s->env.level;
    if (l && !s->env.instance && !may_read(s, t->level)) return unrelated(s, f, t->level);
    return sema_call_module(s, t, e);
  }
  if (f->kind == EX_FIELD || f->kind == EX_INDEX) return no_function(s, f);
  if (f->kind != EX_NAME) return no_value(s, f, "E0109", "this is not a function");
  Symbol *y = scope_find(s, f->text);
  if (y) y->used = true;
  if (y && y->kind == SYM_FN) return sema_call_fn(s, y, e);
  const Builtin *b = builtin_find(f->text), *schedule = schedule_find(f->text);
  if (s->ops.step && schedule) return call_builtin(s, schedule, e);
  if ((!y || y->twice || y->kind == SYM_MODULE) && b)
    return b->fn ? call_builtin(s, b, e) : rows_call(s, e);
  if (y && y->twice) return value_bad();
  if (!y && is_planned(f->text))
    return no_value(s, f, "E0110", arena_printf(s->arena, "`%s` is not offered", f->text));
  Diag *d;
  if (y || (s->env.level &&
            (instance_member(s->env.level->root, f->text) || level_let(s->env.level, f->text)))) {
    d = ops_error(&s->ops, f->span, "E0109", "`%s` is not a function", f->text);
    if (y && y->kind == SYM_MODULE)
      diag_help(s->diags, d, "a level has instances of it, which are called: `var net = %s[..];`",
                y->name);
  } else {
    d = ops_error(&s->ops, f->span, "E0101", "there is no function `%s`", f->text);
    if (schedule)
      diag_help(s->diags, d, "schedules stand in the settings of optimizers");
    else if (!strcmp(f->text, "training"))
      diag_help(s->diags, d, "it is a condition: `if training() then a else b`");
    else if (scope_module(s, f->text))
      diag_help(s->diags, d, "a level has instances of it, which are called: `var net = %s[..];`",
                f->text);
    else
      help_nearest_visible(s, d, f->text);
  }
  return value_bad();
}

static Value evaluate(Sema *s, const AstExpr *e) {
  switch (e->kind) {
  case EX_INT: return value_int(&s->ops, e->integer);
  case EX_FLOAT: return value_float(&s->ops, e->number);
  case EX_BOOL:
    return value_new(stype_scalar(DT_BOOL),
                     ir_const(s->ops.g, type_scalar(DT_BOOL), (double)e->integer));
  case EX_NAME: return name_value(s, e);
  case EX_FIELD: return field_value(s, e);
  case EX_CALL: return sema_call(s, e);
  case EX_INDEX: return sema_index(s, e);
  case EX_UNARY: return unary(s, e);
  case EX_BINARY: return binary(s, e);
  case EX_IF: return conditional(s, e);
  case EX_STRING: return no_value(s, e, "E0106", "a text is not a value");
  case EX_RANGE: return no_value(s, e, "E0106", "a range `a..b` stands in index lists only");
  case EX_EACH:
    return no_value(
        s, e, "E0225",
        "`i in a..b: ...` stands alone in a call of sum, mean, max, min, stack or concat");
  default: return value_bad();
  }
}

/* More is no program but a mistake, and would exhaust the stack or the memory. */
static const int64_t most_elements = (int64_t)1 << 40;
enum { DEEPEST = 4000 };

static bool too_large(Sema *s, const AstExpr *e, const Value *v) {
  int64_t n = 1;
  for (int i = 0; !v->bad && i < v->type.rank; i++) {
    int64_t d = v->type.dim[i].value;
    if (d < 0 || d == 0) return false;
    n = d > most_elements / n ? most_elements + 1 : n * d;
    if (n <= most_elements) continue;
    ops_error(&s->ops, e->span, "E0221", "a tensor of type %s is too large",
              stype_str(&s->ops, v->type));
    return true;
  }
  return false;
}

Value sema_expr(Sema *s, const AstExpr *e) {
  if (!e) return value_bad();
  if (s->depth >= DEEPEST) return no_value(s, e, "E0112", "fns call each other too deeply");
  s->depth++;
  Value v = evaluate(s, e);
  s->depth--;
  v.span = e->span;
  return too_large(s, e, &v) ? value_bad() : v;
}

bool sema_number(Sema *s, const AstExpr *e, Value *out) {
  Env env = s->env;
  SLevel *owner = env.level ? env.level : env.owner;
  s->env =
      (Env){.bake = true, .pure = true, .owner = owner, .place = "what must be known in advance"};
  *out = sema_expr(s, e);
  s->env = env;
  if (out->bad || out->lit) return !out->bad;
  Diag *d = diag_error(s->diags, e->span, "E0520", "this must be a number known in advance");
  diag_help(s->diags, d, "it may be built of numbers, consts and dimensions");
  return false;
}
