/* Metrics of each edge, part of differentiate: for every level with `argmin` edges the norm of its
   hypergradient, and for every system that is solved for it the relative residual |b - A x| / |b|,
   which expand computes. They are evaluated with the reports; so that they belong to the values
   beside them, the report of the top level stands between its gradient and its update, and after
   the last step the gradient is taken once more. */
#include <string.h>

#include "passes/calculus.h"
#include "passes/passes.h"

static void push_metric(Program *p, Storage *value, Func *f, Level *level) {
  Metric m = {.name = value->name, .value = value, .func = f, .detail = true, .level = level};
  VEC_PUSH(p->arena, p->metric, p->nmetric, p->metric_cap, m);
}

void report_call(Program *p, Stmt *s, Func *f) {
  for (; s; s = s->next) {
    if (s->kind != STMT_REPORT) {
      report_call(p, s->body, f);
      continue;
    }
    Stmt **tail = &s->body;
    while (*tail) tail = &(*tail)->next;
    *tail = stmt_new(p, STMT_CALL);
    (*tail)->func = f;
  }
}

/* |dLag/dz|, the length of the whole vector. */
static void add_norm(Program *p, Level *l) {
  Storage *norm = program_storage(p, ST_OUTPUT, type_scalar(l->flat->type.dtype),
                                  "%s.hypergradient.norm", l->name);
  Func *f = program_func(p, ROLE_METRIC, "metric.%s", norm->name);
  Node *grad = storage_read(f->graph, l->grad);
  func_result(p, f, ir_sqrt(f->graph, ir_dot(f->graph, grad, grad)), norm, NULL);
  report_call(p, p->schedule, f);
  push_metric(p, norm, f, l);
}

/* Methods whose expansion leaves a residual; the others solve no system to an accuracy. */
static bool has_residual(const MethodInfo *m) {
  static const char *const list[] = {"dense", "cg", "neumann"};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (!strcmp(list[i], m->name)) return true;
  return false;
}

/* A system is called by the level whose variables its first block shadows: that of `fit`, and of
   `mid.mu.fit`. Where there are several, the others have numbers. */
static void add_residual(Program *p, System *s) {
  const char *lower = s->block[0];
  for (const char *mu; (mu = strstr(lower, ".mu."));) lower = mu + 4;
  const char *name = arena_printf(p->arena, "%s.via.%s.residual", s->level->name, lower);
  const char *free_name = name;
  for (int i = 2; program_find(p, free_name); i++)
    free_name = arena_printf(p->arena, "%s%d", name, i);
  s->residual = program_storage(p, ST_OUTPUT, type_scalar(s->x->type.dtype), "%s", free_name);
  push_metric(p, s->residual, NULL, s->level);
}

static bool is_report(const Stmt *s) { return s->kind == STMT_REPORT && !s->eval; }

/* [report, solves, gradient, update] -> [solves, gradient, report, update], and [solves, gradient]
   before the last report. */
static void move_reports(Program *p) {
  Level *top = p->run.top;
  Stmt **at = &p->schedule, **report;
  while (*at && !stmt_is_top_loop(p, *at)) at = &(*at)->next;
  if (!*at) return;
  for (report = &(*at)->body; *report && !is_report(*report);) report = &(*report)->next;
  Stmt *moved = *report;
  if (!moved) return;
  *report = moved->next;
  while (*report && (*report)->func != top->gradient) report = &(*report)->next;
  if (!*report) compiler_bug("differentiate", "`%s` takes no step", top->name);
  moved->next = (*report)->next;
  (*report)->next = moved;
  for (at = &(*at)->next; *at && !is_report(*at);) at = &(*at)->next;
  Stmt *first, **tail = hypergradient_statements(p, top, &first);
  *tail = *at;
  *at = first;
}

void edge_metrics(Program *p) {
  for (int i = 0; i < p->nlevel; i++) {
    Level *l = p->level[i];
    if (!l->nedge) continue;
    add_norm(p, l);
    for (int k = 0; k < l->nsystem; k++)
      if (has_residual(l->system[k]->method)) add_residual(p, l->system[k]);
  }
  if (p->run.top->nedge) move_reports(p);
}
