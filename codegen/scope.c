/* Scopes, variables and index arithmetic of the expression emitter: where text goes, what variables
   there are, how affine indices become text, quotients and guards. */
#include <string.h>

#include "codegen/expr_impl.h"
#include "ir/op_bulk.h"

void emit_open(Emit *e) {
  if (e->depth + 1 == CG_SCOPES) compiler_bug("codegen", "loops nested too deep");
  Scope *s = &e->scope[++e->depth];
  *s = (Scope){.body = {.arena = e->arena}, .serial = ++e->serial, .barriers = e->barriers};
  text_add(&s->body, "");
}

void emit_close(Emit *e, const char *head) {
  Text *inner = &e->scope[e->depth].body, *outer = &e->scope[e->depth - 1].body;
  text_addf(outer, "%s {\n", head);
  text_add(outer, inner->s);
  text_add(outer, "}\n");
  e->depth--;
}

Text *emit_body(Emit *e) { return &e->scope[e->depth].body; }

const char *emit_name(Emit *e, const char *prefix) {
  return arena_printf(e->arena, "%s%d", prefix, e->nlocal++);
}

int emit_var(Emit *e, int64_t extent, const char *prefix) {
  Var v = {.name = emit_name(e, prefix),
           .extent = extent,
           .depth = e->depth,
           .parent = -1,
           .stride = 1,
           .scope = e->scope[e->depth].serial};
  VEC_PUSH(e->arena, e->var, e->nvar, e->var_cap, v);
  return e->nvar - 1;
}

int emit_part(Emit *e, int parent, int64_t stride, int64_t extent) {
  Var v = e->var[parent];
  v.parent = parent;
  v.stride = stride;
  v.extent = extent;
  VEC_PUSH(e->arena, e->var, e->nvar, e->var_cap, v);
  return e->nvar - 1;
}

void emit_range(const Emit *e, const Aff *a, int64_t *lo, int64_t *hi) {
  *lo = *hi = a->c;
  for (int i = 0; i < a->n; i++) {
    int64_t last = e->var[a->t[i].var].extent - 1, far = a->t[i].k * (last > 0 ? last : 0);
    *(far < 0 ? lo : hi) += far;
  }
}

Aff emit_linear(Type t, const Pos *ix) {
  int64_t stride[MAX_RANK];
  Aff a = aff_const(0);
  type_strides(t, stride);
  for (int k = 0; k < t.rank; k++) a = aff_add(a, ix->e[k], stride[k]);
  return a;
}

/* Dry run: notes which neighbouring axes this index uses otherwise than as one. */
static void note_axes(Emit *e, const Aff *a) {
  for (int k = 0; k + 1 < e->naxis; k++) {
    if (e->axis_var[k] < 0 || e->axis_var[k + 1] < 0) continue; /* no loop yet */
    int64_t outer = aff_coef(a, e->axis_var[k]), inner = aff_coef(a, e->axis_var[k + 1]);
    if (outer != inner * e->var[e->axis_var[k + 1]].extent) e->apart[k] = true;
  }
}

/* Puts a merged loop's variable back where all its axes stand with matching coefficients. */
static Aff join_parts(const Emit *e, Aff a) {
  for (int p = 0; p < e->nvar; p++) {
    int64_t unit = 0;
    bool whole = true, any = false;
    for (int v = p + 1; v < e->nvar; v++) {
      if (e->var[v].parent != p) continue;
      int64_t k = aff_coef(&a, v);
      if (!any) unit = k / e->var[v].stride;
      whole = whole && k == unit * e->var[v].stride;
      any = true;
    }
    if (!any || !whole || !unit) continue;
    for (int v = p + 1; v < e->nvar; v++)
      if (e->var[v].parent == p) a = aff_add(a, aff_var(v), -aff_coef(&a, v));
    a = aff_add(a, aff_var(p), unit);
  }
  return a;
}

/* A part that stands alone is computed from the merged loop's variable. */
static void part_name(Emit *e, int v) {
  Var *part = &e->var[v];
  if (part->parent < 0 || part->name != e->var[part->parent].name) return;
  const Var *p = &e->var[part->parent];
  const char *name = emit_name(e, "q");
  bool outermost = part->stride * part->extent == p->extent;
  text_addf(&e->scope[part->depth].body, "const %s %s = %s / %lld", e->itype, name, p->name,
            (long long)part->stride);
  if (!outermost) text_addf(&e->scope[part->depth].body, " %% %lld", (long long)part->extent);
  text_add(&e->scope[part->depth].body, ";\n");
  part->name = name;
}

const char *emit_aff(Emit *e, Aff a, int *depth) {
  if (e->analyse) note_axes(e, &a);
  a = join_parts(e, a);
  Text t = {.arena = e->arena};
  text_add(&t, "");
  for (int i = 0; i < a.n; i++) {
    part_name(e, a.t[i].var);
    const Var *v = &e->var[a.t[i].var];
    long long k = a.t[i].k;
    if (v->depth > *depth) *depth = v->depth;
    text_add(&t, i ? k < 0 ? " - " : " + " : k < 0 ? "-" : "");
    if (k < 0) k = -k;
    text_add(&t, v->name);
    if (k != 1) text_addf(&t, " * %lld", k);
  }
  if (a.c || !a.n)
    text_addf(&t, "%s%lld",
              a.n       ? a.c < 0 ? " - " : " + "
              : a.c < 0 ? "-"
                        : "",
              (long long)(a.c < 0 ? -a.c : a.c));
  return t.s;
}

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

static int nest_of(const Emit *e, int var) {
  for (int i = 0; i < e->nnest; i++)
    if (e->nest_var[i] == var) return i;
  return -1;
}

/* Dry run: a / d splits into whole terms and a small rest if loops end where their coefficients
   reach d. */
static void note_radix(Emit *e, const Aff *a, int64_t d) {
  for (int i = 0; i < a->n; i++) {
    int l = nest_of(e, a->t[i].var);
    int64_t k = a->t[i].k, r = k > 0 && d % k == 0 ? d / k : 0;
    if (l >= 0 && r > 1 && r < e->nest[l].extent && e->nest[l].extent % r == 0 && !e->radix[l])
      e->radix[l] = r;
  }
}

/* Dry run: 0 <= a < extent is decided inside a loop of which parts end at both bounds. */
static void note_cut(Emit *e, const Aff *a, int64_t extent) {
  int l = a->n == 1 && a->t[0].k == 1 ? nest_of(e, a->t[0].var) : -1;
  if (l < 0) return;
  int64_t n = e->nest[l].extent, bound[] = {-a->c, extent - a->c};
  for (int i = 0; i < 2; i++)
    if (bound[i] > 0 && bound[i] < n) e->cut[l] = gcd(e->cut[l] ? e->cut[l] : n, bound[i]);
}

/* Variables for what could not be split; one pair for equal questions. */
static const Quotient *quotient_of(Emit *e, Aff a, int64_t d) {
  for (int i = 0; i < e->nquotient; i++) {
    Quotient *q = &e->quotient[i];
    int depth = e->var[q->quotient].depth;
    if (q->d == d && aff_eq(&q->a, &a) && depth <= e->depth && e->scope[depth].serial == q->serial)
      return q;
  }
  int depth = 0;
  int64_t lo, hi;
  const char *text = emit_aff(e, a, &depth);
  emit_range(e, &a, &lo, &hi);
  Var v = {.depth = depth, .parent = -1, .stride = 1, .scope = e->scope[depth].serial};
  Quotient q = {a, d, e->nvar, e->nvar + 1, v.scope};
  v.name = emit_name(e, "q");
  v.extent = hi / d + 1;
  VEC_PUSH(e->arena, e->var, e->nvar, e->var_cap, v);
  text_addf(&e->scope[depth].body, "const %s %s = (%s) / %lld;\n", e->itype, v.name, text,
            (long long)d);
  const char *whole = v.name;
  v.name = emit_name(e, "q");
  v.extent = d;
  VEC_PUSH(e->arena, e->var, e->nvar, e->var_cap, v);
  text_addf(&e->scope[depth].body, "const %s %s = %s - %s * %lld;\n", e->itype, v.name, text, whole,
            (long long)d);
  VEC_PUSH(e->arena, e->quotient, e->nquotient, e->quotient_cap, q);
  return &e->quotient[e->nquotient - 1];
}

void emit_divide(Emit *e, Aff a, int64_t d, Aff *quotient, Aff *remainder) {
  if (d < 1) d = 1;
  Aff q = aff_const(0), r = aff_const(0);
  q.c = a.c >= 0 ? a.c / d : -((d - 1 - a.c) / d);
  r.c = a.c - q.c * d;
  for (int i = 0; i < a.n; i++) {
    Aff v = aff_var(a.t[i].var);
    int64_t whole = a.t[i].k / d;
    if (whole * d == a.t[i].k)
      q = aff_add(q, v, whole);
    else
      r = aff_add(r, v, a.t[i].k);
  }
  int64_t lo, hi;
  emit_range(e, &r, &lo, &hi);
  if (lo < 0 || hi >= d) {
    if (e->analyse) note_radix(e, &a, d);
    const Quotient *opaque = quotient_of(e, a, d);
    q = aff_var(opaque->quotient);
    r = aff_var(opaque->remainder);
  }
  *quotient = q;
  *remainder = r;
}

/* A guard that tests what it is told to. */
static int make_guard(Emit *e, int parent, Aff a, int64_t extent, bool low, bool high) {
  for (int i = 0; i < e->nguard; i++) {
    const Guard *g = &e->guard[i];
    if (g->parent == parent && g->extent == extent && aff_eq(&g->e, &a) && g->depth <= e->depth &&
        e->scope[g->depth].serial == g->serial)
      return i + 1;
  }
  int depth = 0;
  const char *text = emit_aff(e, a, &depth);
  const Guard *outer = parent ? &e->guard[parent - 1] : NULL;
  if (outer && outer->depth > depth) depth = outer->depth;
  Guard g = {parent, a, extent, emit_name(e, "g"), depth, e->scope[depth].serial};
  Text *b = &e->scope[depth].body;
  text_addf(b, "const bool %s = ", g.text);
  if (outer) text_addf(b, "%s & ", outer->text);
  if (low) text_addf(b, "(%s >= 0)%s", text, high ? " & " : "");
  if (high) text_addf(b, "(%s < %lld)", text, (long long)extent);
  text_add(b, ";\n");
  VEC_PUSH(e->arena, e->guard, e->nguard, e->guard_cap, g);
  return e->nguard;
}

int emit_guard(Emit *e, int parent, Aff a, int64_t extent) {
  int64_t lo, hi;
  emit_range(e, &a, &lo, &hi);
  if (lo >= 0 && hi < extent) return parent;
  if (hi < 0 || lo >= extent) return -1;
  if (e->analyse) note_cut(e, &a, extent);
  return make_guard(e, parent, a, extent, lo < 0, hi >= extent);
}

int emit_row_guard(Emit *e, int parent, Aff a, int64_t extent) {
  return make_guard(e, parent, a, extent, true, true);
}

int emit_value_var(Emit *e, Val v) {
  const char *name = v.text;
  if (strcmp(e->itype, "int32_t")) name = arena_printf(e->arena, "(%s)%s", e->itype, name);
  unsigned serial = e->scope[v.depth].serial;
  for (int k = 0; k < e->nvar; k++)
    if (e->var[k].scope == serial && !strcmp(e->var[k].name, name)) return k;
  Var var = {.name = name,
             .extent = INT32_MAX,
             .depth = v.depth,
             .parent = -1,
             .stride = 1,
             .scope = serial};
  VEC_PUSH(e->arena, e->var, e->nvar, e->var_cap, var);
  return e->nvar - 1;
}

static void note_access(Param *p, bool store, int barriers) {
  bool *before = store ? &p->store : &p->load;
  if (!*before || barriers < p->first[store]) p->first[store] = barriers;
  if (!*before || barriers > p->last[store]) p->last[store] = barriers;
  *before = true;
}

static int find_param(Emit *e, const Storage *s, const Storage *row) {
  int i = 0;
  while (i < e->nparam && (e->param[i].s != s || e->param[i].row != row)) i++;
  if (i == e->nparam) {
    Param p = {.s = s, .row = row};
    VEC_PUSH(e->arena, e->param, e->nparam, e->param_cap, p);
  }
  return i;
}

int emit_param(Emit *e, const Storage *s, const Storage *row, bool store) {
  int i = find_param(e, s, row);
  note_access(&e->param[i], store, e->barriers);
  return i;
}

/* A load at an index without variables may be moved to where all threads do it. */
int emit_access(Emit *e, const Storage *s, const Storage *row, bool store, const Aff *at,
                int depth) {
  int i = find_param(e, s, row);
  Param *p = &e->param[i];
  note_access(p, store, depth < e->depth ? e->scope[depth + 1].barriers : e->barriers);
  bool own = e->owns && !row && aff_eq(at, &e->own);
  if (!own || (p->load && !at->n && !e->alone)) p->others = true;
  return i;
}

int64_t emit_byte(const Storage *s) { return storage_root(s)->offset + storage_start(s); }
