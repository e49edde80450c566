/* The verifier: what must hold of every program, and what each fact adds. It trusts nothing that a
   text file could get wrong, so that later stages may. */
#include "ir/verify.h"

#include <string.h>

#include "ir/kernel.h"
#include "ir/op.h"

typedef struct Verifier {
  const Program *p;
  const char *wrong;
} Verifier;

static void fail(Verifier *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(Verifier *v, const char *fmt, ...) {
  if (v->wrong) return;
  va_list ap;
  va_start(ap, fmt);
  v->wrong = arena_vprintf(v->p->arena, fmt, ap);
  va_end(ap);
}

/* ---- storages */

static int index_of(const Program *p, const Storage *s) {
  for (int i = 0; i < p->nstorage; i++)
    if (p->storage[i] == s) return i;
  return -1;
}

static void check_storage(Verifier *v, int at) {
  const Storage *s = v->p->storage[at];
  for (int i = 0; i < at; i++)
    if (!strcmp(v->p->storage[i]->name, s->name)) fail(v, "two storages are called `%s`", s->name);
  if (s->loaded && (s->kind != ST_VAR || s->base)) fail(v, "`%s` cannot be loaded", s->name);
  if (!s->base) return;
  int base = index_of(v->p, s->base);
  if (base < 0 || base >= at) fail(v, "view `%s` comes before its base", s->name);
  if (s->base->type.dtype != s->type.dtype || s->base->kind != s->kind)
    fail(v, "view `%s` differs in kind from its base", s->name);
  int64_t room = type_count(s->base->type) - type_count(s->type);
  if (s->base_offset < 0 || s->base_offset > room) fail(v, "view `%s` leaves its base", s->name);
}

static void check_scalar(Verifier *v, const Storage *s, DType d, const char *what) {
  if (s && !type_eq(s->type, type_scalar(d)))
    fail(v, "%s `%s` is no %s scalar", what, s->name, dtype_name(d));
}

/* ---- functions */

static void check_node(Verifier *v, const Func *f, int at) {
  const Node *n = f->graph->node[at];
  if (n->id != (uint32_t)at) fail(v, "%s: %%%d has another number", f->name, at);
  for (int k = 0; k < n->nin; k++)
    if (n->in[k]->id >= (uint32_t)at || f->graph->node[n->in[k]->id] != n->in[k])
      fail(v, "%s: %%%d reads a later or a foreign node", f->name, at);
  if (v->wrong) return;
  Type t = n->type;
  const char *wrong = ir_infer(v->p->arena, n->op, n->in, n->nin, &n->attr, &t);
  if (wrong)
    fail(v, "%s: %%%d %s: %s", f->name, at, op_info(n->op)->name, wrong);
  else if (!type_eq(t, n->type))
    fail(v, "%s: %%%d has the wrong type", f->name, at);
  bool exact = n->attr.value != n->attr.value || (double)(float)n->attr.value == n->attr.value;
  if (n->op == OP_const && n->type.dtype == DT_F32 && !exact)
    fail(v, "%s: %%%d is not rounded", f->name, at);
  if (n->op != OP_param || v->wrong) return;
  const Storage *s = program_find(v->p, n->attr.sym);
  if (!s)
    fail(v, "%s: %%%d reads `%s`, which does not exist", f->name, at, n->attr.sym);
  else if (!type_eq(s->type, n->type))
    fail(v, "%s: %%%d reads `%s` at another type", f->name, at, s->name);
}

static void check_result(Verifier *v, const Func *f, int at) {
  const Node *n = f->result[at];
  const Storage *s = f->dest[at], *row = f->row[at];
  Type t = s->type;
  if (n->id >= (uint32_t)f->graph->nnode || f->graph->node[n->id] != n)
    fail(v, "%s: result %d is a foreign node", f->name, at);
  if (index_of(v->p, s) < 0) fail(v, "%s: `%s` does not exist", f->name, s->name);
  if (s->kind == ST_DATA) fail(v, "%s writes data `%s`", f->name, s->name);
  check_scalar(v, row, DT_I32, "row counter");
  if (row && t.rank < 1) fail(v, "%s: `%s` has no rows", f->name, s->name);
  if (row && !v->wrong) t = type_make(t.dtype, t.rank - 1, t.dim + 1);
  if (!v->wrong && !type_eq(t, n->type))
    fail(v, "%s: `%s` and its result differ in type", f->name, s->name);
  for (int i = 0; i < at; i++)
    if (!row && !f->row[i] && storage_overlap(f->dest[i], s))
      fail(v, "%s writes `%s` twice", f->name, s->name);
}

static void check_func(Verifier *v, const Func *f) {
  for (int i = 0; i < f->graph->nnode && !v->wrong; i++) check_node(v, f, i);
  for (int i = 0; i < f->nresult && !v->wrong; i++) check_result(v, f, i);
}

static void check_known(Verifier *v, const Func *f) {
  for (int i = 0; f && i < v->p->nfunc; i++)
    if (v->p->func[i] == f) return;
  if (f) fail(v, "function `%s` does not exist", f->name);
}

/* ---- levels */

static bool reaches(const Level *from, const Level *to, int depth) {
  if (depth > 64) return true;
  for (int i = 0; i < from->nedge; i++)
    if (from->edge[i].lower == to || reaches(from->edge[i].lower, to, depth + 1)) return true;
  return false;
}

static void check_settings(Verifier *v, const Setting *s, int n) {
  for (int i = 0; i < n; i++) {
    if (!s[i].storage && !s[i].info->optional)
      fail(v, "the setting `%s` is missing", s[i].info->name);
    if (s[i].info->dtype == DT_I32)
      check_scalar(v, s[i].storage, DT_I32, "setting");
    else
      check_scalar(v, s[i].storage, program_float(v->p), "setting");
  }
}

static void check_cursor(Verifier *v, const Level *l, const Cursor *c) {
  const Source *s = c->source;
  bool known = !c->rows;
  for (int i = 0; i < s->npart; i++) known = known || s->part[i].rows == c->rows;
  if (!known) fail(v, "level `%s`: `%s` is no part of `%s`", l->name, c->rows->name, s->name);
  if (!l->draws) fail(v, "level `%s` reads batches, but does not count them", l->name);
  if (s->batch < 1 || s->batch > cursor_rows(c) || s->rows > INT32_MAX)
    fail(v, "level `%s`: `%s` has no such batches", l->name, s->name);
}

static void check_level(Verifier *v, const Level *l) {
  if (!l->flat || !l->loss || !l->init || !l->objective || !l->optimizer || !l->steps.storage) {
    fail(v, "level `%s` is incomplete", l->name);
    return;
  }
  if (l->flat->type.rank != 1) fail(v, "level `%s`: its variables are no vector", l->name);
  for (int i = 0; i < l->nvar; i++)
    if (storage_root(l->var[i]) != l->flat)
      fail(v, "`%s` is no part of `%s`", l->var[i]->name, l->flat->name);
  check_scalar(v, l->loss, program_float(v->p), "loss");
  check_scalar(v, l->steps.storage, DT_I32, "setting");
  check_settings(v, l->setting, l->optimizer->nsetting);
  check_scalar(v, l->draws, DT_I32, "counter");
  if (l->draw && !l->draws) fail(v, "level `%s` draws, but does not count it", l->name);
  check_known(v, l->draw);
  for (int i = 0; i < l->ncursor; i++) check_cursor(v, l, &l->cursor[i]);
  check_known(v, l->settings);
  if (l->objective->nresult < 1) fail(v, "level `%s` has no objective", l->name);
  check_scalar(v, l->begin, DT_BOOL, "begin");
  check_scalar(v, l->go, DT_BOOL, "condition");
  if (!l->go != !l->check || !l->go != !l->again)
    fail(v, "level `%s`: check, again and go belong together", l->name);
  if (!l->begin != !l->copy) fail(v, "level `%s`: copy and begin belong together", l->name);
  for (int i = 0; i < l->nedge; i++)
    check_settings(v, l->edge[i].setting, l->edge[i].method->nsetting);
  if (reaches(l, l, 0)) fail(v, "level `%s` stands above itself", l->name);
  if (!(v->p->facts & F_LEVEL_GRADS)) return;
  if (!l->grad || !l->count || !l->gradient || !l->update || (l->optimizer->nstate && !l->state)) {
    fail(v, "level `%s` has no gradient or update", l->name);
    return;
  }
  if (!type_eq(l->grad->type, l->flat->type))
    fail(v, "`%s` is no gradient of `%s`", l->grad->name, l->flat->name);
  check_scalar(v, l->count, DT_I32, "counter");
  if (l->restarts && (!l->started || !l->restart)) fail(v, "level `%s` has no restart", l->name);
}

static void check_system(Verifier *v, const System *s) {
  bool solved = v->p->facts & F_NO_SOLVE, apply = s->apply && s->in && s->out;
  if (!s->method || !s->rhs_func || !s->x || !s->rhs ||
      (!apply && !(solved && s->method->unapplied))) {
    fail(v, "system `%s` is incomplete", s->name);
    return;
  }
  check_scalar(v, s->residual, program_float(v->p), "residual");
  const Storage *vectors[] = {s->x, s->rhs, s->in, s->out};
  for (int i = 0; i < (apply ? 4 : 2); i++)
    if (vectors[i]->type.rank != 1 || vectors[i]->type.dim[0] != s->size)
      fail(v, "system `%s`: `%s` has another size", s->name, vectors[i]->name);
  check_settings(v, s->setting, s->method->nsetting);
}

/* ---- schedule */

static void check_stmts(Verifier *v, const Stmt *s, bool reported) {
  for (; s && !v->wrong; s = s->next) {
    if (s->eval && !reported) fail(v, "an evaluation stands outside of a report");
    if (s->kind == STMT_STEP && (!s->level || v->p->facts & F_LEVEL_GRADS))
      fail(v, "the schedule has a step left");
    if (s->kind == STMT_SOLVE && (!s->system || v->p->facts & F_NO_SOLVE))
      fail(v, "the schedule has a solve left");
    if (s->kind == STMT_CALL) {
      if (!s->func) fail(v, "the schedule calls nothing");
      check_known(v, s->func);
    }
    if (s->kind == STMT_WHILE && !s->cond) fail(v, "a loop has no condition");
    check_scalar(v, s->cond, DT_BOOL, "condition");
    check_scalar(v, s->count_setting, DT_I32, "count");
    check_scalar(v, s->counter, DT_I32, "counter");
    check_stmts(v, s->body, s->kind == STMT_REPORT);
  }
}

static void check_source(Verifier *v, const Source *s) {
  int64_t left = s->rows;
  bool by = !s->by;
  if (s->batch > s->rows) fail(v, "source `%s`: a batch has more rows than there are", s->name);
  for (int i = 0; i < s->npart; i++) {
    const Storage *r = s->part[i].rows;
    left -= type_count(r->type);
    if (r->kind != ST_DATA || r->base || r->type.dtype != DT_I32 || r->type.rank != 1)
      fail(v, "`%s` holds no row numbers", r->name);
  }
  if (left < 0) fail(v, "source `%s`: its parts have more rows than there are", s->name);
  for (int i = 0; i < s->nfield; i++) by = by || s->field[i] == s->by;
  if (!by || (s->by && !type_eq(s->by->type, type_make(DT_I32, 1, &s->rows))))
    fail(v, "source `%s`: `%s` does not label its rows", s->name, s->by->name);
}

static void check_run(Verifier *v) {
  const Program *p = v->p;
  for (int i = 0; i < p->nsource; i++) check_source(v, p->source[i]);
  bool best = false;
  for (int i = 0; i < p->nsource; i++)
    for (int k = 0; k < p->source[i]->nfield; k++)
      if (p->source[i]->field[k]->kind != ST_DATA || p->source[i]->field[k]->base)
        fail(v, "`%s` is no data", p->source[i]->field[k]->name);
  for (int i = 0; i < p->nmetric; i++) {
    if (p->metric[i].value->type.rank != 0 && !p->metric[i].output)
      fail(v, "metric `%s` is no scalar", p->metric[i].name);
    check_known(v, p->metric[i].func);
    check_known(v, p->metric[i].start);
    check_known(v, p->metric[i].batch);
    check_known(v, p->metric[i].rest);
    check_scalar(v, p->metric[i].counter, DT_I32, "counter");
    best = best || (p->run.best && !p->metric[i].output && !strcmp(p->metric[i].name, p->run.best));
  }
  if (p->run.best && !best) fail(v, "there is no metric `%s` to be best", p->run.best);
  check_scalar(v, p->seed, DT_I32, "seed");
  if (p->nlevel && !p->run.top) fail(v, "the run has no top level");
  if (p->nlevel && !p->seed) fail(v, "the program has no seed");
  if (p->run.name && !*run_precision(&p->run))
    fail(v, "no run has floats of %s with products of %s", dtype_name(p->run.precision),
         products_name(p->run.products));
  if (p->nlevel && (p->facts & F_ORDERED) && !p->schedule) fail(v, "the program has no schedule");
}

const char *ir_verify(const Program *p) {
  Verifier v = {.p = p};
  for (int i = 0; i < p->nstorage && !v.wrong; i++) check_storage(&v, i);
  check_run(&v);
  for (int i = 0; i < p->nfunc && !v.wrong; i++) check_func(&v, p->func[i]);
  for (int i = 0; i < p->nlevel && !v.wrong; i++) {
    check_level(&v, p->level[i]);
    for (int k = 0; k < p->level[i]->nsystem && !v.wrong; k++)
      check_system(&v, p->level[i]->system[k]);
  }
  if (!v.wrong) check_stmts(&v, p->schedule, false);
  if (!v.wrong && (p->facts & (F_FUSED | F_PLANNED))) return kernel_verify(p);
  return v.wrong;
}
