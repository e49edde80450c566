/* Bodies: statements in the order of the text, in modules and in levels with `for`. Repetition and
   choice are static: a `for` runs here, once a round, and its rebindings are new values of the same
   names. A call of a module evaluates its body anew. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"

enum { MOST_ROUNDS = 10000 };

/* ---- what is known when the program is compiled */

static bool is_truth(const AstExpr *e) {
  return e->kind == EX_BOOL || (e->kind == EX_UNARY && e->op == AST_NOT) ||
         (e->kind == EX_BINARY &&
          (e->op == AST_AND || e->op == AST_OR || ast_op_is_comparison(e->op))) ||
         (e->kind == EX_CALL && e->a->kind == EX_NAME && !strcmp(e->a->text, "training"));
}

/* A number of the text, a size, or the number of a `for`: no const, which may change later. */
static bool is_fixed_number(const Sema *s, const AstExpr *e) {
  if (e->kind == EX_INT || e->kind == EX_FLOAT) return true;
  if (e->kind == EX_UNARY) return e->op == AST_NEG && is_fixed_number(s, e->a);
  if (e->kind == EX_BINARY) return is_fixed_number(s, e->a) && is_fixed_number(s, e->b);
  if (e->kind != EX_NAME) return false;
  for (const Local *l = s->env.local; l; l = l->next)
    if (!strcmp(l->name, e->text)) return l->is_dim;
  const Symbol *y = scope_find(s, e->text);
  return y && y->kind == SYM_DIM;
}

bool sema_is_static(const Sema *s, const AstExpr *e) {
  if (!is_truth(e)) return false;
  if (e->kind == EX_BOOL || e->kind == EX_CALL) return true;
  if (e->kind == EX_UNARY) return sema_is_static(s, e->a);
  if (e->op == AST_AND || e->op == AST_OR)
    return sema_is_static(s, e->a) && sema_is_static(s, e->b);
  return is_fixed_number(s, e->a) && is_fixed_number(s, e->b);
}

static bool static_number(Sema *s, const AstExpr *e, double *out) {
  bool bake = s->env.bake;
  s->env.bake = true;
  Value v = sema_expr(s, e);
  s->env.bake = bake;
  if (v.bad) return false;
  *out = v.num;
  if (v.lit && (!isnan(v.num) || s->generic)) return true;
  Diag *d = ops_error(&s->ops, e->span, "E0520", "this must be a number known in advance");
  diag_help(s->diags, d, "it may be built of numbers, consts and dimensions with a value");
  return false;
}

static bool static_comparison(Sema *s, const AstExpr *e, bool *out) {
  double x, y;
  bool left = static_number(s, e->a, &x), right = static_number(s, e->b, &y);
  if (!left || !right) return false;
  switch (e->op) {
  case AST_EQ: *out = x == y; break;
  case AST_NE: *out = x != y; break;
  case AST_LT: *out = x < y; break;
  case AST_LE: *out = x <= y; break;
  case AST_GT: *out = x > y; break;
  default: *out = x >= y; break;
  }
  return true;
}

bool sema_static(Sema *s, const AstExpr *e, bool *out) {
  bool x, y;
  if (e->kind == EX_ERROR) return false;
  if (!is_truth(e)) {
    Diag *d = ops_error(&s->ops, e->span, "E0520", "this must be known in advance");
    diag_help(s->diags, d,
              "compare numbers, consts and dimensions; `if c then a else b` is an "
              "expression that chooses by values");
    return false;
  }
  if (e->kind == EX_BOOL || e->kind == EX_CALL) {
    *out = e->kind == EX_BOOL ? e->integer != 0 : s->ops.train;
    return true;
  }
  if (e->kind == EX_UNARY) {
    if (!sema_static(s, e->a, &x)) return false;
    *out = !x;
    return true;
  }
  if (e->op != AST_AND && e->op != AST_OR) return static_comparison(s, e, out);
  if (!sema_static(s, e->a, &x) || !sema_static(s, e->b, &y)) return false;
  *out = e->op == AST_AND ? x && y : x || y;
  return true;
}

bool sema_domain(Sema *s, const AstExpr *e, int64_t *lo, int64_t *hi) {
  SDim from, to;
  if (e->kind == EX_ERROR) return false;
  if (e->kind != EX_RANGE || !e->a || !e->b) {
    Diag *d = ops_error(&s->ops, e->span, "E0224", "a `for` goes over a range");
    diag_help(s->diags, d, "write `for i in 0..N { ... }`; `a..b` excludes b");
    return false;
  }
  if (!sema_size(s, e->a, &from) || !sema_size(s, e->b, &to)) return false;
  *lo = from.value;
  *hi = to.value;
  if (s->generic && (*lo < 0 || *hi < 0)) *lo = 0, *hi = 1, s->guessed = true;
  if (*lo >= 0 && *hi >= 0 && *hi - *lo <= MOST_ROUNDS) return true;
  bool unknown = *lo < 0 || *hi < 0;
  Diag *d = ops_error(&s->ops, e->span, unknown ? "E0224" : "E0112",
                      unknown ? "how often a `for` runs must be known without data"
                              : "a `for` of over %d rounds",
                      MOST_ROUNDS);
  if (unknown) diag_help(s->diags, d, "give its dimension a value: `dim L = 4;`");
  return false;
}

/* ---- locals */

static Local *find_local(Local *list, const char *name) {
  for (; list; list = list->next)
    if (!strcmp(list->name, name)) return list;
  return NULL;
}

Local *sema_bind(Sema *s, Local **list, const char *name) {
  Local *l = arena_new_of(s->arena, Local);
  l->name = name;
  l->next = *list;
  *list = l;
  return l;
}

static bool declared_type(Sema *s, const AstItem *it, Value v) {
  SType want;
  if (!it->type) return true;
  if (!sema_type(s, it->type, &want)) return false;
  if (v.lit ? want.rank == 0 : v.type.dtype == want.dtype && stype_same_shape(v.type, want))
    return true;
  Diag *d = ops_error(&s->ops, it->value->span, "E0217", "`%s` is %s, but declared %s", it->name,
                      value_str(&s->ops, v), stype_str(&s->ops, want));
  diag_label(s->diags, d, it->type->span, "declared here");
  return false;
}

Value sema_let_value(Sema *s, const AstItem *it) {
  Value v = sema_expr(s, it->value);
  if (v.bad || !declared_type(s, it, v)) return value_bad();
  if (v.node && !v.node->name && !s->env.library) v.node->name = it->name;
  return v;
}

/* `let node[j] = ...;` */
static bool run_element(Sema *s, AstItem *it) {
  const AstArg *a = it->index;
  SDim i;
  if (a->next || a->name || a->value->kind == EX_RANGE) {
    diag_error(s->diags, it->name_span, "E0329", "an element of a list has one index: `let %s[i]`",
               it->name);
    return false;
  }
  if (!sema_size(s, a->value, &i)) return false;
  if (i.value < 0 && !s->generic) {
    diag_error(s->diags, a->value->span, "E0224", "this must be known without data");
    return false;
  }
  const char *name =
      arena_printf(s->arena, "%s[%lld]", it->name, (long long)(i.value < 0 ? 0 : i.value));
  Local *old = find_local(s->env.list, name);
  if (old && !s->generic) {
    diag_error(s->diags, it->name_span, "E0102", "`%s` is given twice", name);
    return false;
  }
  Value v = sema_let_value(s, it);
  sema_bind(s, &s->env.list, name)->value = v;
  return !v.bad;
}

static bool run_let(Sema *s, AstItem *it) {
  if (it->index) return run_element(s, it);
  const Symbol *y = s->env.library ? NULL : scope_find(s, it->name);
  const Local *old = find_local(s->env.local, it->name);
  const SMember *m = s->env.instance ? instance_member(s->env.instance, it->name) : NULL;
  if (y || old || m) {
    Diag *d = diag_error(s->diags, it->name_span, "E0102", "`%s` is declared twice", it->name);
    const AstItem *first = y ? y->item : m ? m->item : old->item;
    if (first) diag_label(s->diags, d, first->name_span, "first here");
    return false;
  }
  Value v = sema_let_value(s, it);
  Local *l = sema_bind(s, &s->env.local, it->name);
  l->value = v;
  l->item = it;
  return !v.bad;
}

/* `h = block[i](h);`: the name gets a new value. */
static bool run_rebinding(Sema *s, AstItem *it) {
  Local *l = find_local(s->env.local, it->name);
  if (!l || l->is_dim || !l->item) {
    Diag *d = diag_error(s->diags, it->name_span, l ? "E0109" : "E0101",
                         l ? "`%s` is not a `let`, and cannot be given a new value"
                           : "`%s` is not declared",
                         it->name);
    diag_help(s->diags, d, "declare it before: `let %s = ...;`", it->name);
    return false;
  }
  Value v = sema_let_value(s, it);
  l->value = v;
  return !v.bad;
}

static bool run_for(Sema *s, AstItem *it, bool level) {
  int64_t lo, hi;
  if (scope_find(s, it->binder) || find_local(s->env.local, it->binder)) {
    diag_error(s->diags, it->binder_span, "E0102", "`%s` is declared twice", it->binder);
    return false;
  }
  if (!sema_domain(s, it->domain, &lo, &hi)) return false;
  Local *outer = s->env.local;
  bool ok = true;
  for (int64_t i = lo; ok && i < hi; i++) {
    Local *l = sema_bind(s, &s->env.local, it->binder);
    l->is_dim = true;
    l->dim = dim_int(s->arena, i);
    ok = sema_run_items(s, it->body, level, true, NULL);
    s->env.local = outer;
  }
  return ok;
}

bool sema_run_items(Sema *s, AstItem *first, bool level, bool inside, Value *result) {
  for (AstItem *it = first; it; it = it->next) {
    bool ok = true, yes;
    switch (it->kind) {
    case AST_LET: ok = run_let(s, it); break;
    case AST_FOR: ok = run_for(s, it, level); break;
    case AST_IF:
      ok = sema_static(s, it->value, &yes) &&
           sema_run_items(s, yes ? it->body : it->orelse, level, inside, result);
      break;
    case AST_SETTING:
      if (!level || inside) ok = run_rebinding(s, it);
      break;
    case AST_RETURN:
      if (result) *result = sema_expr(s, it->value);
      break;
    default:
      if (!inside) break;
      diag_error(s->diags, it->name_span, "E0010", "`%s` does not belong in a `for`",
                 ast_item_word(it->kind));
      ok = false;
    }
    if (!ok) return false;
  }
  return true;
}

/* ---- sum(i in 0..4: e) */

static Value larger(Ops *o, Value a, Value b) { return v_map2(o, OP_max, a, b); }
static Value smaller(Ops *o, Value a, Value b) { return v_map2(o, OP_min, a, b); }

static Value combine(Sema *s, const Builtin *b, Value *x, int n) {
  Ops *o = &s->ops;
  static const struct {
    const char *name;
    Value (*with)(Ops *o, Value a, Value b);
  } folds[] = {{"sum", v_add}, {"mean", v_add}, {"max", larger}, {"min", smaller}};
  for (size_t k = 0; k < sizeof folds / sizeof *folds; k++) {
    if (strcmp(folds[k].name, b->name)) continue;
    Value sum = x[0];
    for (int i = 1; i < n; i++) sum = folds[k].with(o, sum, x[i]);
    return strcmp(b->name, "mean") ? sum : v_div(o, sum, value_int(o, n));
  }
  Call c = {.fn = b, .rest = x, .nrest = n};
  c.arg[0] = c.arg[1] = value_int(o, 0);
  c.rest_source = arena_array(s->arena, const AstExpr *, n);
  return b->fn(o, &c);
}

Value sema_each(Sema *s, const Builtin *b, const AstExpr *e) {
  static const char *const takes[] = {"sum", "mean", "max", "min", "stack", "concat"};
  const AstExpr *each = e->arg->value;
  bool known = false;
  int64_t lo, hi;
  for (size_t i = 0; i < sizeof takes / sizeof *takes; i++)
    known = known || !strcmp(takes[i], b->name);
  if (!known) {
    ops_error(&s->ops, each->span, "E0225", "`%s` does not go over a range", b->name);
    return value_bad();
  }
  if (!sema_domain(s, each->a, &lo, &hi)) return value_bad();
  if (lo >= hi) {
    ops_error(&s->ops, each->a->span, "E0224", "this range is empty");
    return value_bad();
  }
  Local *outer = s->env.local;
  Value *x = arena_array(s->arena, Value, (int)(hi - lo));
  bool bad = false;
  for (int64_t i = lo; i < hi && !bad; i++) {
    Local *l = sema_bind(s, &s->env.local, each->text);
    l->is_dim = true;
    l->dim = dim_int(s->arena, i);
    x[i - lo] = sema_expr(s, each->b);
    bad = x[i - lo].bad;
    s->env.local = outer;
  }
  s->ops.at = e->span;
  s->ops.what = arena_printf(s->arena, "`%s`", b->name);
  return bad ? value_bad() : combine(s, b, x, (int)(hi - lo));
}

/* ---- states */

/* After a call in training: the next values of t's states, from what the body has computed. Where a
   module is called several times in one step, each call goes on from the one before. */
static void next_states(Sema *s, const SInstance *t) {
  for (int i = 0; i < t->nmember; i++) {
    if (t->member[i].kind != MEMBER_STATE) continue;
    SState *st = &t->level->state[t->member[i].index[0]];
    if (st->bad || !st->item->update) continue;
    s->env.next = st;
    sema_next_state(s, st);
    s->env.next = NULL;
  }
}

void sema_next_state(Sema *s, SState *st) {
  Value v = sema_expr(s, st->item->update);
  Ops *o = &s->ops;
  SType shape;
  if (v.bad) return;
  o->at = st->item->update->span;
  o->what = "a state";
  bool type = v.lit || v.type.dtype == st->type.dtype || v.soft;
  if (type && (v.lit ? 0 : v.type.rank) <= st->type.rank) {
    Value want = value_new(st->type, NULL);
    if (!v_join_shapes(o, v, want, &shape)) return;
    if (stype_same_shape(shape, st->type)) {
      st->next = v_stop(o, v_broadcast(o, v_cast(o, v, st->type.dtype), st->type)).node;
      return;
    }
  }
  Diag *d = ops_error(o, st->item->update->span, "E0327", "the next value of `%s` is %s, not %s",
                      st->item->name, value_str(o, v), stype_str(o, st->type));
  diag_label(s->diags, d, st->item->type->span, "declared here");
}

/* ---- calls of modules */

/* Takes `mode = train | eval` out of the arguments. */
static const AstExpr *without_mode(Sema *s, const AstExpr *e, bool *train) {
  AstExpr *copy = arena_dup(s->arena, e, sizeof *e);
  AstArg **tail = &copy->arg;
  for (const AstArg *a = e->arg; a; a = a->next) {
    if (a->name && !strcmp(a->name, "mode")) {
      const char *word = a->value->kind == EX_NAME ? a->value->text : "";
      *train = !strcmp(word, "train");
      if (*train || !strcmp(word, "eval")) continue;
      ops_error(&s->ops, a->value->span, "E0525", "`mode` is `train` or `eval`");
      return NULL;
    }
    *tail = arena_dup(s->arena, a, sizeof *a);
    tail = &(*tail)->next;
  }
  *tail = NULL;
  return copy;
}

static Value run_body(Sema *s, SInstance *t, Value *arg) {
  Symbol *y = t->module;
  Value v = value_bad();
  if (!fn_bind(s, y, arg)) return v;
  int errors = s->diags->nerror;
  if (sema_run_items(s, y->item->body, false, false, &v)) {
    fn_check_result(s, y, v, y->item->name_span);
    if (!v.bad && s->ops.train && s->ops.g == t->level->graph) next_states(s, t);
  }
  t->bad = s->diags->nerror > errors; /* what is wrong with it is said once */
  return t->bad ? value_bad() : fn_result(s, y, v);
}

Value sema_call_module(Sema *s, SInstance *t, const AstExpr *e) {
  Ops *o = &s->ops;
  Symbol *y = t->module;
  bool inherited = s->env.instance || s->env.level == t->level;
  bool train = o->train && inherited, before = o->train;
  e = without_mode(s, e, &train);
  Value *arg;
  if (t->bad || !e || !fn_count_call(s, y, e) || !fn_arguments(s, y, e, &arg)) return value_bad();
  Env env = s->env;
  Span call = o->call;
  const char *callee = o->callee;
  if (call.hi == call.lo) o->call = e->span, o->callee = y->name;
  o->train = train;
  s->env = (Env){.pure = true,
                 .bake = env.bake,
                 .local = t->local,
                 .instance = t,
                 .library = y->library,
                 .place = "a module"};
  Value v = run_body(s, t, arg);
  s->env = env;
  o->train = before;
  o->call = call;
  o->callee = callee;
  return v;
}

Value sema_instance_value(Sema *s, const SInstance *t) {
  Ops *o = &s->ops;
  Value *part = arena_array(s->arena, Value, t->nvar + 1);
  if (t->bad || !t->nvar) {
    if (!t->bad) ops_error(o, o->at, "E0106", "`%s` has no parameters, and is no value", t->path);
    return value_bad();
  }
  for (int i = 0; i < t->nvar; i++) {
    SVar *v = &t->level->var[t->first + i];
    SDim n = stype_count(o, v->type, 0, v->type.rank);
    part[i] = v_reshape(o, sema_read_var(s, v), 1, &n);
  }
  return t->nvar == 1 ? part[0] : v_concat(o, part, t->nvar, 0);
}

/* Arguments, and the sizes that their types bind, hide no part of the module. */
static bool names_apart(Sema *s, const SInstance *t) {
  for (const Local *l = s->env.local; l; l = l->next) {
    const SMember *m = instance_member(t, l->name);
    if (!m) continue;
    Diag *d = diag_error(s->diags, m->item->name_span, "E0102", "`%s` is declared twice", l->name);
    diag_note(s->diags, d, "it is an argument of the module, or a size in an argument's type");
    return false;
  }
  return true;
}

void sema_check_body(Sema *s, SInstance *t) {
  Symbol *y = t->module;
  Env env = s->env;
  s->env = (Env){
      .pure = true, .local = t->local, .instance = t, .library = y->library, .place = "a module"};
  if (fn_declare(s, y) && names_apart(s, t)) {
    Value v = value_bad();
    if (sema_run_items(s, y->item->body, false, false, &v)) {
      fn_check_result(s, y, v, y->item->name_span);
      next_states(s, t);
    }
  }
  const AstItem *end = y->item->body;
  while (end && end->kind != AST_RETURN) end = end->next;
  if (end && end->next) {
    Diag *d = diag_error(s->diags, end->next->name_span, "E0010", "nothing comes after `return`");
    diag_label(s->diags, d, end->name_span, "the value of module `%s`", y->name);
  }
  if (!end) {
    Diag *d =
        diag_error(s->diags, y->item->name_span, "E0334", "module `%s` returns nothing", y->name);
    diag_help(s->diags, d, "end it with `return ...;`");
  }
  s->env = env;
}
