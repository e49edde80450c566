/* Builders of small programs for tests of passes. */
#include "tests/support/build.h"

#include <string.h>

Build build_new(const char *name) {
  Build b = {.arena = arena_new()};
  b.diags = diags_new(b.arena, name, NULL);
  b.p = program_new(b.arena, b.diags, name);
  b.p->run.precision = DT_F64;
  b.p->run.name = "main";
  b.p->seed = program_storage(b.p, ST_COUNTER, type_scalar(DT_I32), "seed");
  return b;
}

void build_free(Build *b) { arena_free(b->arena); }

static Setting setting(Build *b, const SettingInfo *info, double value, const char *name) {
  DType t = info->dtype == DT_I32 ? DT_I32 : DT_F64;
  Storage *s = program_storage(b->p, ST_SETTING, type_scalar(t), "%s", name);
  s->value = value;
  s->lo = info->lo;
  s->hi = info->hi;
  return (Setting){info, s};
}

/* Constant vector: a concatenation of filled scalars. */
static Node *vector(Graph *g, Arena *a, int64_t n, const double *v) {
  Node **part = arena_array(a, Node *, (int)n);
  Type one = type_make(DT_F64, 1, (int64_t[]){1});
  for (int64_t i = 0; i < n; i++) part[i] = ir_const(g, one, v[i]);
  return ir_concat(g, part, (int)n, 0);
}

Level *build_level(Build *b, const char *name, int64_t n, const double *start, double lr,
                   int64_t steps) {
  Program *p = b->p;
  Level *l = program_level(p, name);
  Type t = type_make(DT_F64, 1, &n);
  l->flat = program_storage(p, ST_VAR, t, "%s", name);
  l->var = arena_array(b->arena, Storage *, 1);
  l->var[l->nvar++] = program_view(p, l->flat, 0, t, arena_printf(b->arena, "%s.z", name));
  l->var[0]->saved = true;
  l->loss = program_storage(p, ST_OUTPUT, type_scalar(DT_F64), "%s.loss", name);
  l->init = program_func(p, ROLE_INIT, "%s.init", name);
  func_result(p, l->init, vector(l->init->graph, b->arena, n, start), l->var[0], NULL);
  l->objective = program_func(p, ROLE_OBJECTIVE, "%s.objective", name);
  l->optimizer = optimizer_find("sgd");
  l->setting = arena_array(b->arena, Setting, l->optimizer->nsetting);
  for (int i = 0; i < l->optimizer->nsetting; i++) {
    const SettingInfo *info = &l->optimizer->setting[i];
    l->setting[i].info = info;
    if (info->optional) continue;
    l->setting[i] = setting(b, info, strcmp(info->name, "lr") ? info->value : lr,
                            arena_printf(b->arena, "%s.optimizer.%s", name, info->name));
  }
  l->steps = setting(b, &steps_info, (double)steps, arena_printf(b->arena, "%s.steps", name));
  return l;
}

Node *build_read(Graph *g, const Level *l) { return storage_read(g, l->var[0]); }

void build_minimize(Build *b, Level *l, Node *objective) {
  func_result(b->p, l->objective, objective, l->loss, NULL);
}

void build_edge(Build *b, Level *upper, Level *lower, int64_t iters) {
  Edge *edge = arena_array(b->arena, Edge, upper->nedge + 1);
  if (upper->nedge) memcpy(edge, upper->edge, sizeof *edge * (size_t)upper->nedge);
  Edge *e = &edge[upper->nedge++];
  upper->edge = edge;
  e->lower = lower;
  e->method = method_find(iters < 0 ? "dense" : "cg");
  e->setting = arena_array(b->arena, Setting, e->method->nsetting);
  for (int i = 0; i < e->method->nsetting; i++) {
    const SettingInfo *info = &e->method->setting[i];
    double value = strcmp(info->name, "iters") ? info->value : (double)iters;
    e->setting[i] =
        setting(b, info, value,
                arena_printf(b->arena, "%s.via.%s.%s", upper->name, lower->name, info->name));
  }
}

void build_via(Build *b, Level *upper, Level *lower, const char *method) {
  build_edge(b, upper, lower, -1);
  Edge *e = &upper->edge[upper->nedge - 1];
  e->method = method_find(method);
  e->setting = arena_array(b->arena, Setting, e->method->nsetting);
  for (int i = 0; i < e->method->nsetting; i++) {
    const SettingInfo *info = &e->method->setting[i];
    e->setting[i] =
        setting(b, info, info->value,
                arena_printf(b->arena, "%s.via.%s.%s", upper->name, lower->name, info->name));
  }
}

void build_optimizer(Build *b, Level *l, const char *name, double lr, double decay, double clip) {
  l->optimizer = optimizer_find(name);
  l->setting = arena_array(b->arena, Setting, l->optimizer->nsetting);
  for (int i = 0; i < l->optimizer->nsetting; i++) {
    const SettingInfo *info = &l->optimizer->setting[i];
    const char *at = arena_printf(b->arena, "%s.optimizer.%s", l->name, info->name);
    bool is_lr = !strcmp(info->name, "lr"), is_clip = !strcmp(info->name, "clip");
    double value = is_lr ? lr : is_clip ? clip : strcmp(info->name, "decay") ? info->value : decay;
    l->setting[i].info = info;
    if (info->optional && value == 0) continue;
    Storage *s = program_find(b->p, at);
    l->setting[i] = s ? (Setting){info, s} : setting(b, info, value, at);
    l->setting[i].storage->value = value;
  }
}

Storage *build_data(Build *b, const char *name, int rank, const int64_t *dim) {
  return program_storage(b->p, ST_DATA, type_make(DT_F64, rank, dim), "%s", name);
}

void build_top(Build *b, Level *l) { b->p->run.top = l; }
