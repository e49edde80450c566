/* The reference interpreter of schedules. */
#include "tests/support/interp.h"

#include <stdlib.h>
#include <string.h>

#include "ir/eval.h"

static const Storage *base_of(const Storage *s, int64_t *offset) {
  for (; s->base; s = s->base) *offset += s->base_offset;
  return s;
}

static double *address(Interp *i, const Storage *s) {
  int64_t offset = 0;
  const Storage *base = base_of(s, &offset);
  for (int k = 0; k < i->nstorage; k++)
    if (i->p->storage[k] == base) return i->value[k] + offset;
  compiler_bug("interp", "unknown storage `%s`", s->name);
}

Interp *interp_new(Program *p) {
  Arena *a = arena_new();
  Interp *i = arena_new_of(a, Interp);
  i->p = p;
  i->arena = a;
  i->nstorage = p->nstorage;
  i->value = arena_array(a, double *, p->nstorage);
  for (int k = 0; k < p->nstorage; k++) {
    const Storage *s = p->storage[k];
    i->value[k] = arena_array(a, double, (int)type_count(s->type));
    if (s->kind == ST_SETTING || s == p->seed) i->value[k][0] = s->value;
  }
  return i;
}

void interp_free(Interp *i) { arena_free(i->arena); }

double *interp_at(Interp *i, const char *name) {
  const Storage *s = program_find(i->p, name);
  if (!s) compiler_bug("interp", "no storage `%s`", name);
  return address(i, s);
}

static const double *read_param(void *ctx, const Node *n) {
  Interp *i = ctx;
  return interp_at(i, n->attr.sym);
}

void interp_call(Interp *i, const Func *f) {
  Arena *scratch = arena_new();
  const double **out = arena_array(scratch, const double *, f->nresult);
  ir_eval(scratch, f->graph, f->result, f->nresult, read_param, i, out);
  for (int k = 0; k < f->nresult; k++) {
    int64_t n = type_count(f->result[k]->type), row = 0;
    if (f->row[k]) row = (int64_t)*address(i, f->row[k]);
    memcpy(address(i, f->dest[k]) + row * n, out[k], sizeof(double) * (size_t)n);
  }
  i->calls++;
  arena_free(scratch);
}

static int64_t count_of(Interp *i, const Stmt *s) {
  return s->count_setting ? (int64_t)*address(i, s->count_setting) : s->count;
}

void interp_run(Interp *i, const Stmt *s) {
  for (; s; s = s->next) switch (s->kind) {
    case STMT_CALL: interp_call(i, s->func); break;
    case STMT_REPORT: interp_run(i, s->body); break;
    case STMT_REPEAT:
    case STMT_WHILE:
      for (int64_t k = 0, n = count_of(i, s); k < n; k++) {
        if (s->kind == STMT_WHILE && !*address(i, s->cond)) break;
        if (s->counter) *address(i, s->counter) = (double)k;
        interp_run(i, s->body);
      }
      if (s->counter) *address(i, s->counter) = (double)count_of(i, s);
      break;
    default: compiler_bug("interp", "statement %d is not executable", s->kind);
  }
}
