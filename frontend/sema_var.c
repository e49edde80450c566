/* What a level owns: variables, states, instances of modules, and lists of these. An instance is
   taken apart into its parameters, which become variables of the level, one behind the other; so a
   level has one flat vector however deep its modules nest. */
#include <math.h>
#include <string.h>

#include "frontend/sema_internal.h"

enum { MOST_PARTS = 100000 };

SVar *level_var(SLevel *l, const char *name) {
  for (int i = 0; i < l->nvar; i++)
    if (!strcmp(l->var[i].name, name)) return &l->var[i];
  return NULL;
}

SMember *instance_member(const SInstance *t, const char *name) {
  for (int i = 0; i < t->nmember; i++)
    if (!strcmp(t->member[i].name, name)) return &t->member[i];
  return NULL;
}

static SMember *add_member(Sema *s, SInstance *of, const char *name, MemberKind kind, AstItem *it) {
  SMember m = {.name = name, .kind = kind, .level = of->level, .item = it};
  VEC_PUSH(s->arena, of->member, of->nmember, of->member_cap, m);
  return &of->member[of->nmember - 1];
}

/* The environment of declarations in t: its sizes, and nothing of the level. */
static Env declaring(const SInstance *t) {
  return (Env){.local = t->local,
               .pure = t->module != NULL,
               .library = t->module && t->module->library,
               .owner = t->level};
}

/* ---- one variable */

static bool read_box(Sema *s, SVar *v, const AstExpr *e) {
  Value lo, hi;
  if (e->kind == EX_ERROR) return false;
  if (e->kind != EX_CALL || e->a->kind != EX_NAME || strcmp(e->a->text, "box")) {
    Diag *d = diag_error(s->diags, e->span, "E0521", "this is not a constraint of a variable");
    diag_help(s->diags, d, "`in box(low, high)` keeps every element between two numbers");
    return false;
  }
  if (!sema_box(s, e, "box", &lo, &hi)) return false;
  v->boxed = true;
  v->lo = lo.num;
  v->hi = hi.num;
  return true;
}

static bool variable_type(Sema *s, SVar *v) {
  AstItem *it = v->item;
  if (!sema_type(s, it->type, &v->type)) return false;
  if (!dtype_is_float(v->type.dtype)) {
    Diag *d = diag_error(s->diags, it->type->name_span, "E0324", "`%s` must be of a float type",
                         it->name);
    diag_note(s->diags, d, "levels minimize by derivatives, and integers have none");
    return false;
  }
  if (v->type.dtype == s->ops.flt) return true;
  Diag *d = diag_error(s->diags, it->type->name_span, "E0324", "variables are f32 in this run");
  diag_help(s->diags, d, "`precision = f64` in the run widens all of them");
  return false;
}

static int add_var(Sema *s, SInstance *of, AstItem *it, const char *path, bool good) {
  SLevel *l = of->level;
  SVar v = {.name = path,
            .item = it,
            .instance = of->module ? of : NULL,
            .storage = arena_printf(s->arena, "%s.%s", l->name, path)};
  v.bad = !variable_type(s, &v);
  if (it->constraint && !read_box(s, &v, it->constraint)) v.bad = true;
  v.bad = v.bad || !good;
  if (v.bad) of->bad = true;
  VEC_PUSH(s->arena, l->var, l->nvar, l->var_cap, v);
  return l->nvar - 1;
}

void sema_add_state(Sema *s, SInstance *of, AstItem *it, bool good) {
  SLevel *l = of->level;
  const char *path = *of->path ? arena_printf(s->arena, "%s.%s", of->path, it->name) : it->name;
  SState t = {.name = path,
              .item = it,
              .instance = of->module ? of : NULL,
              .storage = arena_printf(s->arena, "%s.%s", l->name, path)};
  Env env = s->env;
  s->env = declaring(of);
  t.bad = !it->type || !sema_type(s, it->type, &t.type) || !good;
  s->env = env;
  VEC_PUSH(s->arena, l->state, l->nstate, l->state_cap, t);
  SMember *m = add_member(s, of, it->name, MEMBER_STATE, it);
  m->n = 1;
  m->index = arena_array(s->arena, int, 1);
  m->index[0] = l->nstate - 1;
}

/* ---- instances of modules */

static bool instantiate(Sema *s, SInstance *of, AstItem *it, Symbol *y, const char *path,
                        SInstance **out);

/* The module that a variable without a type is an instance of; NULL: none. */
static Symbol *module_of(Sema *s, const AstExpr *e) {
  const AstExpr *f = e && e->kind == EX_INDEX ? e->a : e;
  return f && f->kind == EX_NAME ? scope_module(s, f->text) : NULL;
}

static Value no_module(Sema *s, AstItem *it) {
  const AstExpr *e = it->value, *f = e && e->kind == EX_INDEX ? e->a : e;
  if (e && e->kind == EX_ERROR) return value_bad();
  bool named = f && f->kind == EX_NAME;
  Diag *d = diag_error(s->diags, named ? f->span : it->name_span, named ? "E0101" : "E0334",
                       named ? "there is no module `%s`" : "`%s` has no type, and is no instance",
                       named ? f->text : it->name);
  if (named) help_nearest_module(s, d, f->text);
  diag_note(s->diags, d,
            "a variable has a type, `var w : f32[D] = zeros;`, or is an instance of a module, "
            "`var net = linear[D, C];`");
  return value_bad();
}

static void add_size(Sema *s, SInstance *t, const AstArg *a, SDim size) {
  Local *l = arena_new_of(s->arena, Local);
  l->name = a->name ? a->name : a->value->text;
  l->is_dim = true;
  l->dim = size;
  l->next = t->local;
  t->local = l;
}

static Diag *wrong_sizes(Sema *s, Span at, const Symbol *y, const char *text) {
  Diag *d = diag_error(s->diags, at, "E0230", "%s", text);
  const char *list = "";
  for (const AstArg *a = y->item->index; a; a = a->next)
    list = arena_printf(s->arena, "%s%s%s", list, *list ? ", " : "",
                        a->name ? arena_printf(s->arena, "%s = ..", a->name) : a->value->text);
  diag_help(s->diags, d, "`%s[%s]`", y->name, list);
  return d;
}

/* The argument for size number i of the module: by name, or by position. */
static const AstArg *size_argument(const AstArg *given, const char *name, int i) {
  int at = 0;
  for (const AstArg *a = given; a; a = a->next)
    if (a->name ? !strcmp(a->name, name) : at++ == i) return a;
  return NULL;
}

static bool known_sizes(Sema *s, const AstExpr *e, const Symbol *y) {
  int n = 0, most = 0;
  for (const AstArg *p = y->item->index; p; p = p->next) most++;
  for (const AstArg *a = e->kind == EX_INDEX ? e->arg : NULL; a; a = a->next) {
    bool known = !a->name && n++ < most;
    int named = 0;
    for (const AstArg *p = y->item->index; a->name && p; p = p->next)
      known = known || !strcmp(p->name ? p->name : p->value->text, a->name);
    for (const AstArg *b = e->arg; a->name && b; b = b->next)
      named += b->name && !strcmp(a->name, b->name);
    if (known && named < 2) continue;
    wrong_sizes(
        s, a->name ? a->name_span : a->value->span, y,
        !known && a->name ? arena_printf(s->arena, "`%s` has no size `%s`", y->name, a->name)
        : a->name
            ? arena_printf(s->arena, "the size `%s` is given twice", a->name)
            : arena_printf(s->arena, "`%s` takes %d size%s", y->name, most, most == 1 ? "" : "s"));
    return false;
  }
  return true;
}

/* Sizes as the instance gives them, read where it stands; defaults, where the module stands. */
static bool bind_sizes(Sema *s, SInstance *t, const AstExpr *e) {
  const Symbol *y = t->module;
  const AstArg *given = e->kind == EX_INDEX ? e->arg : NULL;
  int i = 0;
  if (!known_sizes(s, e, y)) return false;
  for (const AstArg *p = y->item->index; p; p = p->next, i++) {
    const char *name = p->name ? p->name : p->value->text;
    const AstArg *a = size_argument(given, name, i);
    SDim size;
    if (!a && !p->name) {
      wrong_sizes(s, e->span, y, arena_printf(s->arena, "`%s` lacks its size `%s`", y->name, name));
      return false;
    }
    Env env = s->env;
    if (!a) s->env = declaring(t);
    bool ok = sema_size(s, a ? a->value : p->value, &size);
    s->env = env;
    if (!ok) return false;
    add_size(s, t, p, size);
  }
  return true;
}

/* ---- lists */

static bool list_length(Sema *s, const AstItem *it, int *n) {
  const AstArg *a = it->index;
  SDim size;
  *n = 1;
  if (!a) return true;
  if (a->next || a->name || a->value->kind == EX_RANGE) {
    diag_error(s->diags, it->name_span, "E0329", "a list has one length: `var %s[3] = ...;`",
               it->name);
    return false;
  }
  if (!sema_size(s, a->value, &size)) return false;
  if (size.value < 0 && s->generic) size.value = 1, s->guessed = true;
  if (size.value > MOST_PARTS) {
    diag_error(s->diags, a->value->span, "E0112", "a list of %lld is too long",
               (long long)size.value);
    return false;
  }
  if (size.value < 0) {
    Diag *d =
        diag_error(s->diags, a->value->span, "E0329",
                   "the length of a list must be known without data, and `%s` is not", size.text);
    diag_help(s->diags, d, "give it a value: `dim %s = 4;`", size.text);
    return false;
  }
  *n = (int)size.value;
  return true;
}

/* A variable or instance, or a list of them, as a part of `of`. */
static void add_part(Sema *s, SInstance *of, AstItem *it, bool good) {
  Symbol *y = it->type ? NULL : module_of(s, it->value);
  const char *path = *of->path ? arena_printf(s->arena, "%s.%s", of->path, it->name) : it->name;
  int n = 0;
  bool known = list_length(s, it, &n);
  if (!known) good = false;
  if (!it->type && !y) {
    no_module(s, it);
    known = false;
  }
  SMember m = {
      .name = it->name, .kind = y ? MEMBER_INSTANCE : MEMBER_VAR, .level = of->level, .item = it};
  m.list = it->index != NULL;
  m.n = known ? n : 0;
  m.index = arena_array(s->arena, int, n + 1);
  m.instance = arena_array(s->arena, SInstance *, n + 1);
  for (int i = 0; i < m.n; i++) {
    const char *name = m.list ? arena_printf(s->arena, "%s.%d", path, i) : path;
    if (!y)
      m.index[i] = add_var(s, of, it, name, good);
    else if (!instantiate(s, of, it, y, name, &m.instance[i]))
      good = false;
  }
  if (!good || !known) of->bad = true;
  SMember *kept = add_member(s, of, it->name, m.kind, it);
  *kept = m;
}

static bool twice(Sema *s, const SInstance *t, const AstItem *it) {
  const SMember *old = instance_member(t, it->name);
  if (!old) return false;
  Diag *d = diag_error(s->diags, it->name_span, "E0102", "`%s` is declared twice", it->name);
  diag_label(s->diags, d, old->item->name_span, "first here");
  return true;
}

static void declare_parts(Sema *s, SInstance *t, AstItem *first) {
  for (AstItem *it = first; it; it = it->next) {
    bool yes;
    if (it->kind == AST_IF && sema_static(s, it->value, &yes))
      declare_parts(s, t, yes ? it->body : it->orelse);
    if ((it->kind != AST_VAR && it->kind != AST_PARAM && it->kind != AST_STATE) || !it->name)
      continue;
    if (twice(s, t, it) || (!s->env.library && !scope_free_name(s, it->name, it->name_span))) {
      t->bad = true;
    } else if (it->kind == AST_PARAM && !it->type) {
      diag_error(s->diags, it->name_span, "E0334", "a parameter has a type: `param %s : f32[..];`",
                 it->name);
      t->bad = true;
    } else if (it->kind == AST_STATE) {
      sema_add_state(s, t, it, true);
    } else {
      add_part(s, t, it, true);
    }
  }
}

static bool instantiate(Sema *s, SInstance *of, AstItem *it, Symbol *y, const char *path,
                        SInstance **out) {
  SLevel *l = of->level;
  SInstance *t = *out = arena_new_of(s->arena, SInstance);
  *t = (SInstance){.path = path, .level = l, .module = y, .first = l->nvar, .bad = true};
  y->used = true;
  if (y->progress == NOT_CHECKED && !y->library) sema_check_module(s, y);
  if (y->progress == FAILED) return false;
  if (y->progress == IN_PROGRESS) {
    diag_error(s->diags, it->name_span, "E0111", "module `%s` contains itself", y->name);
    return false;
  }
  if (++s->npart > MOST_PARTS) {
    if (s->npart == MOST_PARTS + 1)
      diag_error(s->diags, it->name_span, "E0112",
                 "the modules of this program expand to over "
                 "100000 parts");
    return false;
  }
  if (!bind_sizes(s, t, it->value)) return false;
  Progress progress = y->progress;
  Env env = s->env;
  y->progress = IN_PROGRESS;
  s->env = declaring(t);
  t->bad = false;
  declare_parts(s, t, y->item->body);
  s->env = env;
  y->progress = progress;
  t->nvar = l->nvar - t->first;
  return !t->bad;
}

void sema_add_part(Sema *s, SLevel *l, AstItem *it, bool good) {
  Env env = s->env;
  s->env = declaring(l->root);
  add_part(s, l->root, it, good);
  s->env = env;
}

/* ---- what expressions mean by names */

/* The member that `e` names, looked for in the module at hand, then in the level, then as
   `level.name` and `instance.name`. */
static SMember *named_member(Sema *s, const AstExpr *e) {
  if (e->kind == EX_NAME) {
    for (const Local *l = s->env.local; l; l = l->next)
      if (!strcmp(l->name, e->text)) return NULL;
    const SInstance *t = s->env.instance ? s->env.instance
                         : s->env.level  ? s->env.level->root
                                         : NULL;
    return t ? instance_member(t, e->text) : NULL;
  }
  if (e->kind != EX_FIELD) return NULL;
  Symbol *y = e->a->kind == EX_NAME ? scope_find(s, e->a->text) : NULL;
  if (y && y->kind == SYM_LEVEL && y->level && !s->env.instance) {
    SMember *m = instance_member(y->level->root, e->text);
    if (m) y->used = true;
    return m;
  }
  const SInstance *t = sema_instance(s, e->a);
  return t ? instance_member(t, e->text) : NULL;
}

/* The member's element that `e` means: `w`, `block[i]`. *list: the member as a list, without an
   index. NULL: no member; an error has been said where *bad. */
SMember *sema_member(Sema *s, const AstExpr *e, int *at, bool *bad) {
  bool indexed = e->kind == EX_INDEX;
  SMember *m = named_member(s, indexed ? e->a : e);
  *at = 0;
  *bad = false;
  if (!m || (indexed && !m->list)) return NULL;
  *bad = m->n == 0 && !m->list; /* an error has been said */
  if (!m->list) return *bad ? NULL : m;
  SDim i;
  *bad = true;
  if (!indexed) {
    Diag *d = ops_error(&s->ops, e->span, "E0329", "`%s` is a list of %d", m->name, m->n);
    diag_help(s->diags, d, "take one of them: `%s[0]`", m->name);
    return NULL;
  }
  const AstArg *a = e->arg;
  if (a->next || a->name || a->value->kind == EX_RANGE) {
    ops_error(&s->ops, e->span, "E0329", "an element of a list has one index: `%s[i]`", m->name);
    return NULL;
  }
  if (!sema_position(s, a->value, dim_int(s->arena, m->n), &i)) return NULL;
  if (s->generic && i.value != 0) i.value = 0;
  if (i.value < 0 || i.value >= m->n) {
    ops_error(&s->ops, a->value->span, "E0208", "index %s is out of range: the list has %d", i.text,
              m->n);
    return NULL;
  }
  *bad = false;
  *at = (int)i.value;
  return m;
}

SInstance *sema_instance(Sema *s, const AstExpr *e) {
  int at;
  bool bad;
  SMember *m = sema_member(s, e, &at, &bad);
  return m && m->kind == MEMBER_INSTANCE ? m->instance[at] : NULL;
}

/* ---- settings of parts */

/* The variables that a member's element holds: level->var[*first..*first + *n). */
static void vars_of(const SMember *m, int at, int *first, int *n) {
  *first = m->kind == MEMBER_INSTANCE ? m->instance[at]->first : m->index[at];
  *n = m->kind == MEMBER_INSTANCE ? m->instance[at]->nvar : 1;
}

/* A part with variables, of level l or of another (*of). False after an error. */
static bool find_part(Sema *s, SLevel *l, const AstExpr *e, SLevel **of, int *first, int *n) {
  int at;
  bool bad;
  s->env = (Env){.level = l};
  SMember *m = e->kind == EX_ERROR ? NULL : sema_member(s, e, &at, &bad);
  if (m && m->kind != MEMBER_STATE) {
    vars_of(m, at, first, n);
    *of = m->level;
    return m->kind != MEMBER_INSTANCE || !m->instance[at]->bad;
  }
  if (e->kind == EX_ERROR || bad) return false;
  for (const AstExpr *b = e; b->kind == EX_FIELD || b->kind == EX_INDEX; b = b->a) {
    const SInstance *t = sema_instance(s, b->a);
    if (t && t->bad) return false; /* of a module about which an error has been said */
  }
  diag_error(s->diags, e->span, "E0335", "this names no variable and no module of a level");
  return false;
}

static void freeze(Sema *s, SLevel *l, const AstExpr *e) {
  int first, n;
  SLevel *of;
  if (!find_part(s, l, e, &of, &first, &n)) return;
  if (of != l) {
    Diag *d = diag_error(s->diags, e->span, "E0335", "`%s` cannot freeze what belongs to `%s`",
                         l->name, of->name);
    diag_help(s->diags, d, "a level reads the variables of others without changing them");
    return;
  }
  for (int i = first; i < first + n; i++) l->var[i].frozen = true;
}

static bool may_copy(Sema *s, SLevel *l, const AstExpr *e, const SLevel *from) {
  if (from != l && (l->below[from->number] || from->below[l->number])) return true;
  Diag *d = diag_error(s->diags, e->span, "E0335", "`%s` cannot begin with values of `%s`", l->name,
                       from->name);
  diag_help(s->diags, d, "copy from a level below it, `argmin %s via ...;`, or above it",
            from == l ? "OTHER" : from->name);
  return false;
}

/* init = copy(enc, pretrain.enc); */
static void read_copy(Sema *s, SLevel *l, AstItem *it) {
  const AstExpr *e = it->value;
  const AstArg *a = e->kind == EX_CALL ? e->arg : NULL, *b = a ? a->next : NULL;
  bool form =
      b && !b->next && !a->name && !b->name && e->a->kind == EX_NAME && !strcmp(e->a->text, "copy");
  SLevel *to, *from;
  int first, n, source, m;
  if (e->kind == EX_ERROR) return;
  if (!form) {
    Diag *d = diag_error(s->diags, e->span, "E0522", "this is not a way to begin");
    diag_help(s->diags, d, "write `init = copy(enc, pretrain.enc);`");
    return;
  }
  if (!find_part(s, l, a->value, &to, &first, &n) || !find_part(s, l, b->value, &from, &source, &m))
    return;
  if (to != l) {
    diag_error(s->diags, a->value->span, "E0335",
               "the first argument of `copy` must be a part of `%s`", l->name);
    return;
  }
  if (!may_copy(s, l, b->value, from)) return;
  bool fits = n == m;
  for (int i = 0; fits && i < n; i++)
    fits = stype_same_shape(l->var[first + i].type, from->var[source + i].type);
  if (!fits) {
    diag_error(s->diags, e->span, "E0335", "the two differ in their parameters or sizes");
    return;
  }
  for (int i = 0; i < n; i++) {
    SVar *v = &l->var[first + i];
    if (v->copy_item)
      diag_error(s->diags, a->value->span, "E0524", "`%s` is given two initial values", v->name);
    v->copy_item = it;
    v->copy_of = &from->var[source + i];
  }
}

void sema_part_settings(Sema *s, SLevel *l) {
  for (int i = 0; i < l->npart_setting; i++) {
    AstItem *it = l->part_setting[i];
    if (!strcmp(it->name, "freeze"))
      freeze(s, l, it->value);
    else
      read_copy(s, l, it);
  }
  int free_vars = 0;
  for (int i = 0; i < l->nvar; i++) free_vars += !l->var[i].frozen;
  if (l->nvar && !free_vars)
    diag_error(s->diags, l->item->name_span, "E0324",
               "all variables of `%s` are frozen: it has nothing to minimize over", l->name);
  bool empty = !l->nvar;
  for (int i = 0; empty && i < l->root->nmember; i++) {
    const SMember *m = &l->root->member[i];
    for (int k = 0; m->kind == MEMBER_INSTANCE && k < m->n; k++)
      empty = empty && !m->instance[k]->bad;
    empty = empty && (m->kind != MEMBER_VAR || m->n);
  }
  if (empty && l->root->nmember)
    diag_error(s->diags, l->item->name_span, "E0324",
               "`%s` has no variables: its modules have no parameters", l->name);
}

/* ---- modules at their definition */

/* Names of sizes: each once, and not the name of something else. */
static void check_sizes(Sema *s, const Symbol *y) {
  for (const AstArg *p = y->item->index; p; p = p->next) {
    const char *name = p->name ? p->name : p->value->text;
    Span at = p->name ? p->name_span : p->value->span;
    bool again = false;
    for (const AstArg *q = y->item->index; q != p; q = q->next)
      again = again || !strcmp(q->name ? q->name : q->value->text, name);
    if (again) diag_error(s->diags, at, "E0102", "`%s` is declared twice", name);
  }
}

/* An instance with sizes unlike any others in a level of its own, and a call of it in training:
   what is wrong whatever the sizes is said here, once. Where the length of a list or `for` had to
   be guessed, errors may come of that: they are forgotten, and said of the instances that have
   them. */
void sema_check_module(Sema *s, Symbol *y) {
  if (y->progress != NOT_CHECKED) return;
  Ops ops = s->ops;
  Env env = s->env;
  int errors = s->diags->nerror;
  SLevel *l = arena_new_of(s->arena, SLevel);
  SInstance *root = arena_new_of(s->arena, SInstance);
  SInstance *t = arena_new_of(s->arena, SInstance);
  *l = (SLevel){.name = y->name, .root = root, .graph = graph_new(s->arena)};
  *root = (SInstance){.path = "", .level = l};
  *t = (SInstance){.path = "", .level = l, .module = y};
  bool generic = s->generic, guessed = s->guessed;
  int ndiag = s->diags->ndiag;
  s->generic = true;
  s->guessed = false;
  s->ops.g = l->graph;
  s->ops.call = (Span){0, 0};
  s->ops.train = true;
  for (const AstArg *p = y->item->index; p; p = p->next)
    add_size(s, t, p, dim_fresh(p->name ? p->name : p->value->text, ++s->fresh));
  y->progress = IN_PROGRESS;
  s->env = declaring(t);
  check_sizes(s, y);
  declare_parts(s, t, y->item->body);
  t->nvar = l->nvar;
  if (s->diags->nerror == errors) sema_check_body(s, t);
  s->ops = ops;
  s->env = env;
  s->generic = generic;
  if (s->guessed) {
    s->diags->ndiag = ndiag;
    s->diags->nerror = errors;
  }
  s->guessed = guessed || s->guessed;
  y->progress = s->diags->nerror == errors ? DONE : FAILED;
}
