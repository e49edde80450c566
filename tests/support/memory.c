/* Planned programs on real bytes. */
#include "tests/support/memory.h"

#include <string.h>

#include "ir/eval.h"

static double load(const unsigned char *at, DType d) {
  int32_t i;
  float f;
  double x;
  switch (d) {
  case DT_BOOL: return *at;
  case DT_I32: return memcpy(&i, at, sizeof i), (double)i;
  case DT_F32: return memcpy(&f, at, sizeof f), (double)f;
  default: return memcpy(&x, at, sizeof x), x;
  }
}

static void save(unsigned char *at, DType d, double x) {
  int32_t i = d == DT_I32 ? (int32_t)x : 0;
  float f = (float)x;
  if (d == DT_BOOL) *at = x != 0;
  if (d == DT_I32) memcpy(at, &i, sizeof i);
  if (d == DT_F32) memcpy(at, &f, sizeof f);
  if (d == DT_F64) memcpy(at, &x, sizeof x);
}

void memory_read(const Memory *m, const Storage *s, double *out) {
  for (int64_t i = 0; i < type_count(s->type); i++)
    out[i] = load(m->bytes + s->offset + i * dtype_bytes(s->type.dtype), s->type.dtype);
}

void memory_write(Memory *m, const Storage *s, int64_t row, int64_t count, const double *in) {
  for (int64_t i = 0; i < count; i++)
    save(m->bytes + s->offset + (row * count + i) * dtype_bytes(s->type.dtype), s->type.dtype,
         in[i]);
}

Memory *memory_new(Program *p) {
  Arena *a = arena_new();
  Memory *m = arena_new_of(a, Memory);
  m->p = p;
  m->arena = a;
  m->bytes = arena_alloc(a, (size_t)p->arena_bytes + 1);
  for (int i = 0; i < p->nstorage; i++)
    if (p->storage[i]->kind == ST_SETTING || p->storage[i] == p->seed)
      memory_write(m, p->storage[i], 0, 1, &p->storage[i]->value);
  return m;
}

void memory_free(Memory *m) { arena_free(m->arena); }

static double scalar(const Memory *m, const Storage *s) {
  double x;
  memory_read(m, s, &x);
  return x;
}

typedef struct Loads {
  const Memory *m;
  Arena *arena;
} Loads;

static const double *load_param(void *ctx, const Node *n) {
  Loads *l = ctx;
  const Storage *s = program_find(l->m->p, n->attr.sym);
  double *x = arena_array(l->arena, double, (int)type_count(s->type));
  memory_read(l->m, s, x);
  return x;
}

/* All stores see memory from before the kernel; what earlier kernels stored is loaded, not computed
 * again. */
static void run_kernel(Memory *m, const Func *f, const Kernel *k) {
  Arena *a = arena_new();
  Graph *g = graph_new(a);
  Node **root = arena_array(a, Node *, k->nstore), **out = arena_array(a, Node *, k->nstore);
  Node **from = arena_array(a, Node *, f->graph->nnode),
       **into = arena_array(a, Node *, f->graph->nnode);
  const double **value = arena_array(a, const double *, k->nstore);
  int nmap = 0;
  for (int i = 0; i < k->nstore; i++) root[i] = k->store[i].node;
  for (int i = 0; i < f->graph->nnode; i++) {
    bool mine = false;
    for (int j = 0; j < k->nanchor; j++) mine = mine || k->anchor[j].node == f->graph->node[i];
    if (!f->home[i] || mine) continue;
    from[nmap] = f->graph->node[i];
    into[nmap++] = ir_reshape_like(g, storage_read(g, f->home[i]), f->graph->node[i]->type);
  }
  ir_subst(g, root, k->nstore, from, into, nmap, out);
  Loads l = {m, a};
  ir_eval(a, g, out, k->nstore, load_param, &l, value);
  if (k->scratch) memset(m->bytes + k->scratch->offset, 0xff, (size_t)type_bytes(k->scratch->type));
  for (int i = 0; i < k->nstore; i++) {
    const Store *s = &k->store[i];
    memory_write(m, s->dest, s->row ? (int64_t)scalar(m, s->row) : 0, type_count(s->node->type),
                 value[i]);
  }
  for (int i = 0; i < k->ndead; i++)
    memset(m->bytes + k->dead[i]->offset, 0xff, (size_t)type_bytes(k->dead[i]->type));
  arena_free(a);
}

void memory_call(Memory *m, const Func *f) {
  for (int i = 0; i < f->nkernel; i++) run_kernel(m, f, f->kernel[i]);
}

void memory_run(Memory *m, const Stmt *s) {
  for (; s; s = s->next) {
    if (s->kind == STMT_CALL) memory_call(m, s->func);
    if (s->kind == STMT_REPORT) memory_run(m, s->body);
    if (s->kind != STMT_REPEAT && s->kind != STMT_WHILE) continue;
    int64_t n = s->count_setting ? (int64_t)scalar(m, s->count_setting) : s->count;
    for (int64_t k = 0; k < n && !(s->kind == STMT_WHILE && !scalar(m, s->cond)); k++) {
      double x = (double)k;
      if (s->counter) memory_write(m, s->counter, 0, 1, &x);
      memory_run(m, s->body);
    }
    double end = (double)n;
    if (s->counter) memory_write(m, s->counter, 0, 1, &end);
  }
}
