/* From what was analysed to the Program that passes read: storages, functions, levels, sources,
   metrics of the chosen run. What the graphs read says what is in it: data, consts and counters
   that nothing reads are left out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/sema_internal.h"

/* ---- what the graphs read */

static void need(Sema *s, const char *storage) {
  const char *dot = strchr(storage, '.');
  const char *owner = dot ? arena_strndup(s->arena, storage, (size_t)(dot - storage)) : storage;
  Symbol *y = scope_find(s, owner);
  if (!y) return;
  if (y->kind == SYM_LEVEL && !strcmp(dot, ".draws")) y->level->drawn = true;
  if (y->kind == SYM_LEVEL && !y->level->reached && !y->level->given && !y->needed) {
    Diag *d = diag_error(s->diags, s->run->item->on->span, "E0332",
                         "this run reads `%s`, but does not reach `%s`", storage, y->name);
    diag_help(s->diags, d, "a run reaches its level and those below it; `run %s of %s` has both",
              s->run->name, y->name);
  }
  y->needed = true;
}

static void need_all(Sema *s, Graph *g, Node *const *root, int n) {
  bool *mark = arena_array(s->arena, bool, g->nnode);
  ir_reach(g, root, n, mark);
  for (int i = 0; i < g->nnode; i++)
    if (mark[i] && g->node[i]->op == OP_param) need(s, g->node[i]->attr.sym);
}

static void find_needs(Sema *s) {
  for (int i = 0; i < s->nlevel; i++) {
    SLevel *l = s->level[i];
    if (!l->reached) continue;
    need_all(s, l->graph, &l->objective, 1);
    for (int k = 0; l->settings && k < l->optimizer->nsetting; k++)
      need_all(s, l->settings, &l->setting[k].node, l->setting[k].node ? 1 : 0);
    if (l->stop) need_all(s, l->stop_graph, &l->stop, 1);
    for (int k = 0; k < l->nvar; k++) need_all(s, l->init, &l->var[k].init, 1);
    for (int k = 0; k < l->nstate; k++) {
      need_all(s, l->init, &l->state[k].init, 1);
      if (l->state[k].next) need_all(s, l->graph, &l->state[k].next, 1);
    }
    for (int k = 0; k < l->nmetric; k++) {
      const SMetric *m = &l->metric[k];
      need_all(s, m->graph, &m->node, 1);
      for (int q = 0; m->chunk && q < m->chunk->npart; q++)
        need_all(s, m->graph, &m->chunk->part[q].node, 1);
    }
  }
}

/* ---- storages */

static Storage *setting_storage(Sema *s, Program *p, const SSetting *set, const char *prefix) {
  const SettingInfo *info = set->info;
  DType d = info->dtype == DT_I32 ? DT_I32 : s->ops.flt;
  Storage *st = program_storage(p, ST_SETTING, type_scalar(d), "%s%s", prefix, info->name);
  st->value = set->value;
  st->lo = info->lo;
  st->hi = info->hi;
  const char *text = sema_set_value(s, st->name);
  if (!text) return st;
  char *end;
  double x = strtod(text, &end);
  if (end == text || *end || !(x >= st->lo && x <= st->hi) || (d == DT_I32 && x != floor(x)))
    diag_error(s->diags, (Span){0, 0}, "E0341", "--set %s=%s: %s from %g to %g", st->name, text,
               d == DT_I32 ? "an integer" : "a number", st->lo, st->hi);
  else
    st->value = x;
  return st;
}

static Setting *settings(Sema *s, Program *p, const SSetting *set, int n, const char *prefix) {
  Setting *out = arena_array(s->arena, Setting, n);
  for (int i = 0; i < n; i++) {
    const char *name = arena_printf(s->arena, "%s%s", prefix, set[i].info->name);
    bool fixed = sema_set_value(s, name);
    bool off = set[i].info->optional && !set[i].given && !fixed;
    out[i] = (Setting){set[i].info, NULL};
    if (set[i].node && !fixed)
      out[i].storage = program_storage(p, ST_TEMP, type_scalar(s->ops.flt), "%s", name);
    else if (!off)
      out[i].storage = setting_storage(s, p, &set[i], prefix);
  }
  return out;
}

static void emit_source(Sema *s, Program *p, Symbol *y) {
  SData *d = y->data;
  Source *src = arena_new_of(s->arena, Source);
  src->name = y->name;
  src->file = d->file;
  src->field = arena_array(s->arena, Storage *, d->nfield);
  src->array = arena_array(s->arena, const char *, d->nfield);
  for (int i = 0; i < d->nfield; i++) {
    const SField *f = &d->field[i];
    Type t;
    stype_concrete(f->type, &t);
    Storage *st = program_storage(p, ST_DATA, t, "%s", f->storage);
    st->check = f->check;
    st->lo = f->lo;
    st->hi = f->hi;
    st->span = f->item->span;
    for (int k = 0; k < t.rank; k++) st->dim_name[k] = f->type.dim[k].text;
    src->field[src->nfield] = st;
    src->array[src->nfield++] = f->name;
  }
  if (d->batch) src->batch = d->all.batch.value;
  src->shuffled = d->shuffled;
  if (d->batch || d->npart) src->rows = d->row.value;
  src->part = arena_array(s->arena, SourcePart, d->npart);
  src->split_seed = d->split_seed;
  if (d->by) src->by = program_find(p, d->by->storage);
  for (; src->npart < d->npart; src->npart++) {
    const SRows *r = &d->part[src->npart].rows;
    Storage *st = program_storage(p, ST_DATA, type_make(DT_I32, 1, &r->rows.value), "%s", r->index);
    src->part[src->npart] = (SourcePart){d->part[src->npart].name, st};
  }
  VEC_PUSH(s->arena, p->source, p->nsource, p->source_cap, src);
}

static void emit_const(Sema *s, Program *p, const Symbol *y) {
  DType d = y->integral ? DT_I32 : s->ops.flt;
  Storage *st = program_storage(p, ST_SETTING, type_scalar(d), "%s", y->name);
  st->value = y->number;
  st->lo = y->integral ? -2147483648.0 : -INFINITY;
  st->hi = y->integral ? 2147483647.0 : INFINITY;
  st->span = y->item->span;
}

static void emit_globals(Sema *s, Program *p) {
  for (int i = 0; i < s->nsymbol; i++) {
    const Symbol *y = s->symbol[i];
    if (!y->needed) continue;
    if (y->kind == SYM_DATA) emit_source(s, p, s->symbol[i]);
    if (y->kind == SYM_CONST && !y->baked) emit_const(s, p, y);
  }
  p->seed = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "seed");
  p->seed->value = (double)s->seed;
  p->seed->hi = 2147483647;
}

/* ---- levels */

static void describe(Storage *st, const SVar *v) {
  st->saved = true;
  st->span = v->item->span;
  if (!v->boxed) return;
  st->check = CHECK_BOX;
  st->lo = v->lo;
  st->hi = v->hi;
}

/* The flat vector of what the level minimizes over, with a view for each variable; frozen variables
   and states have storages of their own. */
static void emit_vars(Sema *s, Program *p, SLevel *l, Level *ir) {
  int64_t total = 0, at = 0;
  Type t;
  for (int i = 0; i < l->nvar; i++) {
    stype_concrete(l->var[i].type, &t);
    if (!l->var[i].frozen) total += type_count(t);
  }
  ir->flat = program_storage(p, ST_VAR, type_make(s->ops.flt, 1, &total), "%s", l->name);
  ir->flat->span = l->item->name_span;
  ir->var = arena_array(s->arena, Storage *, l->nvar);
  for (int i = 0; i < l->nvar; i++) {
    const SVar *v = &l->var[i];
    stype_concrete(v->type, &t);
    if (v->frozen) {
      describe(program_storage(p, ST_VAR, t, "%s", v->storage), v);
      continue;
    }
    Storage *st = program_view(p, ir->flat, at, t, v->storage);
    describe(st, v);
    at += type_count(t);
    ir->var[ir->nvar++] = st;
  }
  for (int i = 0; i < l->nstate; i++) {
    stype_concrete(l->state[i].type, &t);
    Storage *st = program_storage(p, ST_VAR, t, "%s", l->state[i].storage);
    st->saved = true;
    st->span = l->state[i].item->span;
  }
}

/* Variables and states of a level that an earlier run reached: constants of this one, and passed
   on. */
static void emit_given(Program *p, SLevel *l) {
  Type t;
  for (int i = 0; i < l->nvar; i++) {
    stype_concrete(l->var[i].type, &t);
    Storage *st = program_storage(p, ST_VAR, t, "%s", l->var[i].storage);
    describe(st, &l->var[i]);
    st->loaded = true;
  }
  for (int i = 0; i < l->nstate; i++) {
    stype_concrete(l->state[i].type, &t);
    Storage *st = program_storage(p, ST_VAR, t, "%s", l->state[i].storage);
    st->saved = st->loaded = true;
    st->span = l->state[i].item->span;
  }
}

static void emit_level_storages(Sema *s, Program *p, SLevel *l) {
  Level *ir = l->ir = program_level(p, l->name);
  ir->span = l->item->name_span;
  emit_vars(s, p, l, ir);
  ir->maximize = l->objective_item->kind == AST_MAXIMIZE;
  ir->loss = program_storage(p, ST_OUTPUT, type_scalar(s->ops.flt), "%s.loss", l->name);
  ir->optimizer = l->optimizer;
  ir->setting = settings(s, p, l->setting, l->optimizer->nsetting,
                         arena_printf(s->arena, "%s.optimizer.", l->name));
  ir->steps = *settings(s, p, &l->steps, 1, arena_printf(s->arena, "%s.", l->name));
  if (l->drawn)
    ir->draws = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.draws", l->name);
  if (l->settings)
    ir->count = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.count", l->name);
  if (l->fresh)
    ir->restarts = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.restarts", l->name);
  if (l->fresh && l->settings)
    ir->started = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.started", l->name);
}

static void emit_edges(Sema *s, Program *p, SLevel *l) {
  Level *ir = l->ir;
  ir->edge = arena_array(s->arena, Edge, l->nedge);
  for (int i = 0; i < l->nedge; i++) {
    const SEdge *e = &l->edge[i];
    const char *prefix = arena_printf(s->arena, "%s.via.%s.", l->name, e->lower->name);
    ir->edge[ir->nedge++] =
        (Edge){.lower = e->lower->ir,
               .method = e->method,
               .setting = settings(s, p, e->setting, e->method->nsetting, prefix),
               .span = e->item->span};
  }
}

/* Schedules: a function that writes what the optimizer reads. --set has made numbers of some. */
static void emit_schedules(Program *p, SLevel *l) {
  Level *ir = l->ir;
  for (int i = 0; i < l->optimizer->nsetting; i++) {
    Storage *st = ir->setting[i].storage;
    if (!st || st->kind != ST_TEMP) continue;
    if (!ir->settings) {
      ir->settings = program_func(p, ROLE_UPDATE, "%s.optimizer.settings", l->name);
      ir->settings->graph = l->settings;
    }
    func_result(p, ir->settings, l->setting[i].node, st, NULL);
  }
  if (ir->settings) func_compact(p, ir->settings);
}

/* `init = copy(..)`: taken just before the level's first step, and its first after a restart, when
   the levels below have taken theirs. Until then `begin` is true. */
static void emit_copy(Sema *s, Program *p, SLevel *l) {
  Level *ir = l->ir;
  Graph *g = NULL;
  for (int i = 0; i < l->nvar; i++) {
    const SVar *v = &l->var[i];
    Type t;
    if (!v->copy_of) continue;
    if (!g) {
      ir->begin = program_storage(p, ST_STATE, type_scalar(DT_BOOL), "%s.begin", l->name);
      ir->copy = program_func(p, ROLE_INIT, "%s.copy", l->name);
      g = ir->copy->graph;
      Node *yes = ir_const(ir->init->graph, ir->begin->type, 1);
      func_result(p, ir->init, yes, ir->begin, NULL);
    }
    stype_concrete(v->type, &t);
    need(s, v->copy_of->storage);
    Storage *dest = program_find(p, v->storage);
    Node *value = ir_param(g, v->copy_of->storage, t);
    if (v->boxed) {
      value = ir_max(g, value, ir_num(g, value, v->lo));
      value = ir_min(g, value, ir_num(g, value, v->hi));
    }
    func_result(p, ir->copy, value, dest, NULL);
  }
  if (g) func_result(p, ir->copy, ir_const(g, ir->begin->type, 0), ir->begin, NULL);
}

/* The next values of the states, once a step. */
static void emit_advance(Program *p, SLevel *l) {
  Level *ir = l->ir;
  for (int i = 0; i < l->nstate; i++) {
    SState *st = &l->state[i];
    Node *value;
    if (!st->next) continue;
    if (!ir->advance) ir->advance = program_func(p, ROLE_UPDATE, "%s.advance", l->name);
    ir_subst(ir->advance->graph, &st->next, 1, NULL, NULL, 0, &value);
    func_result(p, ir->advance, value, program_find(p, st->storage), NULL);
  }
}

/* `stop`: `go` until it is true; `again` when the level's steps begin. */
static void emit_stop(Program *p, SLevel *l) {
  Level *ir = l->ir;
  if (!l->stop) return;
  ir->grad = program_storage(p, ST_GRAD, ir->flat->type, "%s.grad", l->name);
  ir->go = program_storage(p, ST_STATE, type_scalar(DT_BOOL), "%s.go", l->name);
  ir->again = program_func(p, ROLE_UPDATE, "%s.again", l->name);
  func_result(p, ir->again, ir_const(ir->again->graph, ir->go->type, 1), ir->go, NULL);
  ir->check = program_func(p, ROLE_UPDATE, "%s.check", l->name);
  ir->check->graph = l->stop_graph;
  func_result(p, ir->check, ir_not(l->stop_graph, l->stop), ir->go, NULL);
  func_compact(p, ir->check);
}

static void emit_functions(Sema *s, Program *p, SLevel *l) {
  Level *ir = l->ir;
  emit_advance(p, l);
  emit_stop(p, l);
  ir->init = program_func(p, ROLE_INIT, "%s.init", l->name);
  ir->init->graph = l->init;
  for (int i = 0; i < l->nvar; i++)
    func_result(p, ir->init, l->var[i].init, program_find(p, l->var[i].storage), NULL);
  for (int i = 0; i < l->nstate; i++)
    func_result(p, ir->init, l->state[i].init, program_find(p, l->state[i].storage), NULL);
  emit_copy(s, p, l);
  func_compact(p, ir->init);
  ir->objective = program_func(p, ROLE_OBJECTIVE, "%s.objective", l->name);
  ir->objective->graph = l->graph;
  func_result(p, ir->objective, l->objective, ir->loss, NULL);
  func_compact(p, ir->objective);
  emit_schedules(p, l);
  if (!ir->draws) return;
  ir->draw = program_func(p, ROLE_DRAW, "%s.draw", l->name);
  Node *draws = storage_read(ir->draw->graph, ir->draws);
  Node *one = ir_num(ir->draw->graph, draws, 1);
  func_result(p, ir->draw, ir_add(ir->draw->graph, draws, one), ir->draws, NULL);
  cursors_emit(s, p, l);
}

/* One batch of all rows: its parts go to the accumulators, the rows of an output to their place. */
static Func *emit_batch(Program *p, const SMetric *m, const Chunk *c, Node *node, const Metric *to,
                        Storage *rows) {
  bool last = c == m->rest;
  Func *f = program_func(p, ROLE_METRIC, "%s.%s.%s", to->output ? "output" : "metric", to->name,
                         last ? "rest" : "batch");
  for (int i = 0; i < c->npart; i++) {
    Storage *sum = program_find(p, c->part[i].name);
    Node *part, *old = storage_read(f->graph, sum);
    ir_subst(f->graph, &c->part[i].node, 1, NULL, NULL, 0, &part);
    part = c->part[i].max ? ir_max(f->graph, old, part) : ir_add(f->graph, old, part);
    func_result(p, f, part, sum, NULL);
  }
  if (!m->per_row) return f;
  Node *out;
  ir_subst(f->graph, &node, 1, NULL, NULL, 0, &out);
  func_result(p, f, out, rows, last ? NULL : to->counter);
  return f;
}

static double neutral(const Partial *part) {
  if (!part->max) return 0;
  return part->node->type.dtype == DT_I32 ? -2147483648.0 : -INFINITY;
}

static void emit_start(Program *p, const Chunk *c, Metric *to) {
  if (!c->npart) return;
  to->start =
      program_func(p, ROLE_METRIC, "%s.%s.start", to->output ? "output" : "metric", to->name);
  for (int i = 0; i < c->npart; i++) {
    const Node *n = c->part[i].node;
    Storage *sum = program_storage(p, ST_TEMP, n->type, "%s", c->part[i].name);
    Node *value = ir_const(to->start->graph, n->type, neutral(&c->part[i]));
    func_result(p, to->start, value, sum, NULL);
  }
}

/* An output with a row for each row of the source has all of them; batches are views of it. */
static void emit_chunks(Sema *s, Program *p, const SMetric *m, Metric *to) {
  const Chunk *c = m->chunk;
  int64_t all = m->rows->rows.value, size = m->rows->batch.value;
  Storage *batches = NULL, *left = NULL;
  if (!c->npart && !m->per_row) return;
  emit_start(p, c, to);
  to->nbatch = all / size;
  to->counter = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.batch", to->name);
  if (m->per_row) {
    Type t = m->node->type, wide = {.dtype = t.dtype, .rank = t.rank + 1, .dim = {to->nbatch}};
    for (int i = 0; i < t.rank; i++) wide.dim[i + 1] = t.dim[i];
    int64_t done = type_count(wide);
    batches = program_view(p, to->value, 0, wide, arena_printf(s->arena, "%s.batches", to->name));
    t.dim[0] = all % size;
    if (m->rest)
      left = program_view(p, to->value, done, t, arena_printf(s->arena, "%s.rest", to->name));
  }
  to->batch = emit_batch(p, m, c, m->node, to, batches);
  if (m->rest) to->rest = emit_batch(p, m, m->rest, m->rest_node, to, left);
}

static void emit_metrics(Sema *s, Program *p, SLevel *l) {
  Level *ir = l->ir;
  for (int i = 0; i < l->nmetric; i++) {
    const SMetric *m = &l->metric[i];
    Metric to = {.name = m->item->name,
                 .output = m->item->kind == AST_OUTPUT,
                 .level = ir,
                 .costly = m->item->on};
    Type t = m->node->type;
    if (m->per_row) t.dim[0] = m->rows->rows.value;
    to.value = program_storage(p, ST_OUTPUT, t, "%s", to.name);
    to.value->span = m->item->span;
    to.value->saved = to.output;
    if (m->chunk) emit_chunks(s, p, m, &to);
    if (!m->per_row) {
      to.func = program_func(p, ROLE_METRIC, "%s.%s", to.output ? "output" : "metric", to.name);
      to.func->graph = m->graph;
      func_result(p, to.func, m->node, to.value, NULL);
      func_compact(p, to.func);
    }
    VEC_PUSH(s->arena, p->metric, p->nmetric, p->metric_cap, to);
  }
}

/* What `eval` thins out and `keep_best` looks at: metrics that are there now. */
static void check_metrics(Sema *s, Program *p) {
  bool costly = false, best = false;
  for (int i = 0; i < p->nmetric; i++) {
    costly = costly || p->metric[i].costly;
    best = best || (s->best && !p->metric[i].output && !strcmp(p->metric[i].name, s->best));
  }
  p->run.eval_every = costly ? s->eval_every : 0;
  if (s->best && !best)
    diag_error(s->diags, s->best_span, "E0350", "this run does not reach the level of `%s`",
               s->best);
}

/* Of several runs that go one after another, each takes the settings of what it has. */
static bool of_another_run(const Sema *s, const char *text) {
  if (!s->opt->phase) return false;
  const char *name = arena_strndup(s->arena, text, strcspn(text, ".="));
  const Symbol *y = scope_find(s, name);
  if (!y) return false;
  return (y->kind == SYM_LEVEL && y->level && !y->level->reached) ||
         (y->kind == SYM_CONST && !y->needed);
}

/* Every --set must have found its place. */
static void check_sets(Sema *s, const Program *p) {
  for (int i = 0; i < s->opt->nset; i++) {
    if (s->set_used[i] || of_another_run(s, s->opt->set[i])) continue;
    const char *text = s->opt->set[i], *eq = strchr(text, '=');
    Diag *d = diag_error(
        s->diags, (Span){0, 0}, "E0340",
        eq ? "--set %s: there is nothing of that name" : "--set %s: write NAME=VALUE", text);
    const char **names = NULL;
    int n = 0, cap = 0;
    for (int k = 0; k < p->nstorage; k++)
      if (p->storage[k]->kind == ST_SETTING) VEC_PUSH(s->arena, names, n, cap, p->storage[k]->name);
    for (int k = 0; k < s->nsymbol; k++)
      if (s->symbol[k]->kind == SYM_DIM) VEC_PUSH(s->arena, names, n, cap, s->symbol[k]->name);
    if (eq) help_nearest(s, d, arena_strndup(s->arena, text, (size_t)(eq - text)), names, n);
  }
}

Program *sema_emit(Sema *s) {
  Program *p = program_new(s->arena, s->diags, s->opt->program ? s->opt->program : "program");
  p->run = (Run){.name = s->run->name,
                 .after = s->run->after ? s->run->after->name : NULL,
                 .seed = s->seed,
                 .report_every = s->report_every,
                 .csv = s->csv,
                 .checkpoint_every = s->checkpoint_every,
                 .checkpoint_keep = s->checkpoint_keep,
                 .best = s->best,
                 .best_max = s->best_max,
                 .precision = s->ops.flt,
                 .products = s->products};
  find_needs(s);
  if (s->diags->nerror) return NULL;
  emit_globals(s, p);
  for (int i = 0; i < s->nlevel; i++)
    if (s->level[i]->reached)
      emit_level_storages(s, p, s->level[i]);
    else if (s->level[i]->given)
      emit_given(p, s->level[i]);
  for (int i = 0; i < s->nlevel; i++) {
    SLevel *l = s->level[i];
    if (!l->reached) continue;
    emit_edges(s, p, l);
    emit_functions(s, p, l);
    Metric loss = {.name = l->ir->loss->name, .value = l->ir->loss, .func = l->ir->objective};
    VEC_PUSH(s->arena, p->metric, p->nmetric, p->metric_cap, loss);
  }
  for (int i = 0; i < s->nlevel; i++)
    if (s->level[i]->reached) emit_metrics(s, p, s->level[i]);
  p->run.top = s->top->ir;
  check_metrics(s, p);
  if (p->run.report_every == 0) {
    int64_t steps = (int64_t)p->run.top->steps.storage->value;
    p->run.report_every = steps > 20 ? steps / 20 : 1;
  }
  check_sets(s, p);
  return s->diags->nerror ? NULL : p;
}
