/* dead_code: drops nodes that no result needs, functions that nothing calls, and storages that
 * nothing names. */
#include <string.h>

#include "passes/passes.h"

static void mark_calls(const Program *p, const Stmt *s, bool *called) {
  for (; s; s = s->next) {
    for (int i = 0; s->func && i < p->nfunc; i++) called[i] = called[i] || p->func[i] == s->func;
    mark_calls(p, s->body, called);
  }
}

static void mark_storage(const Program *p, const Storage *s, bool *used) {
  for (; s; s = s->base)
    for (int i = 0; i < p->nstorage; i++)
      if (p->storage[i] == s) used[i] = true;
}

static void mark_func(const Program *p, const Func *f, bool *used) {
  for (int i = 0; i < f->graph->nnode; i++)
    if (f->graph->node[i]->op == OP_param)
      mark_storage(p, program_find(p, f->graph->node[i]->attr.sym), used);
  for (int i = 0; i < f->nresult; i++) {
    mark_storage(p, f->dest[i], used);
    mark_storage(p, f->row[i], used);
  }
}

static void mark_schedule(const Program *p, const Stmt *s, bool *used) {
  for (; s; s = s->next) {
    mark_storage(p, s->counter, used);
    mark_storage(p, s->cond, used);
    mark_storage(p, s->count_setting, used);
    mark_schedule(p, s->body, used);
  }
}

/* What a user sees or sets stays, whether or not the program still reads it. */
static bool lasting(const Storage *s) {
  return s->kind == ST_DATA || s->kind == ST_VAR || s->kind == ST_SETTING ||
         s->kind == ST_COUNTER || s->kind == ST_OUTPUT || s->kind == ST_STATE;
}

static bool referred(const Program *p, const Func *f) {
  for (int i = 0; i < p->nlevel; i++) {
    const Level *l = p->level[i];
    if (f == l->init || f == l->objective || f == l->gradient || f == l->update ||
        f == l->restart || f == l->advance || f == l->copy || f == l->draw || f == l->settings ||
        f == l->check || f == l->again)
      return true;
    for (int k = 0; k < l->nsystem; k++)
      if (f == l->system[k]->rhs_func || f == l->system[k]->apply) return true;
  }
  for (int i = 0; i < p->nmetric; i++)
    if (p->metric[i].func == f || p->metric[i].start == f || p->metric[i].batch == f ||
        p->metric[i].rest == f)
      return true;
  return false;
}

static void mark_levels(const Program *p, bool *used) {
  for (int i = 0; i < p->nlevel; i++) {
    const Level *l = p->level[i];
    mark_storage(p, l->grad, used);
    for (int k = 0; k < l->nsystem; k++) {
      mark_storage(p, l->system[k]->x, used);
      mark_storage(p, l->system[k]->rhs, used);
      mark_storage(p, l->system[k]->in, used);
      mark_storage(p, l->system[k]->out, used);
    }
  }
}

bool pass_dead_code(Program *p) {
  Arena *scratch = arena_new();
  bool *called = arena_array(scratch, bool, p->nfunc),
       *used = arena_array(scratch, bool, p->nstorage);
  mark_calls(p, p->schedule, called);
  int n = 0;
  for (int i = 0; i < p->nfunc; i++)
    if (called[i] || referred(p, p->func[i])) p->func[n++] = p->func[i];
  p->nfunc = n;
  for (int i = 0; i < p->nfunc; i++) {
    func_compact(p, p->func[i]);
    mark_func(p, p->func[i], used);
  }
  mark_schedule(p, p->schedule, used);
  mark_levels(p, used);
  n = 0;
  for (int i = 0; i < p->nstorage; i++)
    if (used[i] || lasting(p->storage[i])) p->storage[n++] = p->storage[i];
  program_keep_storages(p, n);
  arena_free(scratch);
  return true;
}
