/* Programs: named storages, functions over them, levels, schedule. */
#include "ir/program.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

Program *program_new(Arena *a, Diags *d, const char *name) {
  Program *p = arena_new_of(a, Program);
  p->index = arena_new_of(a, StorageIndex);
  p->arena = a;
  p->diags = d;
  p->name = arena_strdup(a, name);
  return p;
}

static Storage *add_storage(Program *p, const char *name, Type type, StorageKind kind) {
  if (program_find(p, name)) compiler_bug("program", "storage `%s` exists", name);
  Storage *s = arena_new_of(p->arena, Storage);
  s->name = name;
  s->type = type;
  s->kind = kind;
  s->offset = -1;
  VEC_PUSH(p->arena, p->storage, p->nstorage, p->storage_cap, s);
  return s;
}

Storage *program_storage(Program *p, StorageKind kind, Type type, const char *name, ...) {
  va_list ap;
  va_start(ap, name);
  const char *s = arena_vprintf(p->arena, name, ap);
  va_end(ap);
  return add_storage(p, s, type, kind);
}

Storage *program_view(Program *p, Storage *base, int64_t offset, Type type, const char *name) {
  Storage *s = add_storage(p, arena_strdup(p->arena, name), type, base->kind);
  s->base = base;
  s->base_offset = offset;
  return s;
}

static int slot_of(const StorageIndex *x, const char *name) {
  int mask = x->nslot - 1, i = (int)(XXH3_64bits(name, strlen(name)) & (uint64_t)mask);
  while (x->slot[i] && strcmp(x->slot[i]->name, name)) i = (i + 1) & mask;
  return i;
}

/* Brings the table up to date; it grows before it is half full. */
static void update_index(const Program *p) {
  StorageIndex *x = p->index;
  if (x->n == p->nstorage && x->nslot) return;
  if (2 * p->nstorage >= x->nslot) {
    x->nslot = 64;
    while (x->nslot <= 4 * p->nstorage) x->nslot *= 2;
    x->slot = arena_array(p->arena, Storage *, x->nslot);
    x->n = 0;
  }
  for (; x->n < p->nstorage; x->n++) {
    Storage *s = p->storage[x->n];
    x->slot[slot_of(x, s->name)] = s;
  }
}

Storage *program_find(const Program *p, const char *name) {
  update_index(p);
  return p->index->slot[slot_of(p->index, name)];
}

void program_keep_storages(Program *p, int n) {
  p->nstorage = n;
  p->index->n = p->index->nslot = 0;
}

Func *program_func(Program *p, Role role, const char *name, ...) {
  va_list ap;
  va_start(ap, name);
  const char *s = arena_vprintf(p->arena, name, ap);
  va_end(ap);
  if (program_find_func(p, s)) compiler_bug("program", "function `%s` exists", s);
  Func *f = arena_new_of(p->arena, Func);
  f->name = s;
  f->role = role;
  f->graph = graph_new(p->arena);
  VEC_PUSH(p->arena, p->func, p->nfunc, p->func_cap, f);
  return f;
}

Func *program_find_func(const Program *p, const char *name) {
  for (int i = 0; i < p->nfunc; i++)
    if (!strcmp(p->func[i]->name, name)) return p->func[i];
  return NULL;
}

Level *program_find_level(const Program *p, const char *name) {
  for (int i = 0; i < p->nlevel; i++)
    if (!strcmp(p->level[i]->name, name)) return p->level[i];
  return NULL;
}

Level *program_level(Program *p, const char *name) {
  Level *l = arena_new_of(p->arena, Level);
  l->name = arena_strdup(p->arena, name);
  VEC_PUSH(p->arena, p->level, p->nlevel, p->level_cap, l);
  return l;
}

void func_result(Program *p, Func *f, Node *node, Storage *dest, Storage *row) {
  Type t = dest->type;
  if (row) {
    t.rank--;
    for (int i = 0; i + 1 < MAX_RANK; i++) t.dim[i] = i < t.rank ? dest->type.dim[i + 1] : 0;
    t.dim[MAX_RANK - 1] = 0;
  }
  if (!type_eq(t, node->type))
    compiler_bug("program", "%s: `%s` is %s, its result %s", f->name, dest->name,
                 type_str(p->arena, t), type_str(p->arena, node->type));
  if (f->nresult == f->cap) {
    int cap = f->cap;
    f->result = arena_grow(p->arena, f->result, f->nresult, &cap, sizeof *f->result);
    cap = f->cap;
    f->dest = arena_grow(p->arena, f->dest, f->nresult, &cap, sizeof *f->dest);
    cap = f->cap;
    f->row = arena_grow(p->arena, f->row, f->nresult, &cap, sizeof *f->row);
    f->cap = cap;
  }
  f->result[f->nresult] = node;
  f->dest[f->nresult] = dest;
  f->row[f->nresult++] = row;
}

Node *storage_read(Graph *g, const Storage *s) { return ir_param(g, s->name, s->type); }

void func_compact(Program *p, Func *f) {
  Graph *g = graph_new(p->arena);
  ir_subst(g, f->result, f->nresult, NULL, NULL, 0, f->result);
  f->graph = g;
}

int64_t cursor_rows(const Cursor *c) {
  return c->rows ? type_count(c->rows->type) : c->source->rows;
}

bool stmt_is_top_loop(const Program *p, const Stmt *s) {
  return (s->kind == STMT_REPEAT || s->kind == STMT_WHILE) && s->count_setting && p->run.top &&
         s->count_setting == p->run.top->steps.storage;
}

DType program_float(const Program *p) { return p->run.precision; }

static const struct {
  const char *name;
  DType precision;
  Products products;
} precisions[] = {{"f32", DT_F32, PRODUCTS_EXACT},
                  {"f64", DT_F64, PRODUCTS_EXACT},
                  {"mixed", DT_F32, PRODUCTS_BF16},
                  {"tf32", DT_F32, PRODUCTS_TF32}};
enum { NPRECISION = sizeof precisions / sizeof *precisions };

const char *run_precision(const Run *r) {
  for (int i = 0; i < NPRECISION; i++)
    if (precisions[i].precision == r->precision && precisions[i].products == r->products)
      return precisions[i].name;
  return "";
}

bool precision_parse(const char *word, DType *precision, Products *products) {
  for (int i = 0; i < NPRECISION; i++) {
    if (strcmp(word, precisions[i].name)) continue;
    *precision = precisions[i].precision;
    *products = precisions[i].products;
    return true;
  }
  return false;
}

const char *products_name(Products p) {
  static const char *const names[NPRODUCTS] = {"exact", "bf16", "tf32"};
  return names[p];
}

Stmt *stmt_new(Program *p, StmtKind kind) {
  Stmt *s = arena_new_of(p->arena, Stmt);
  s->kind = kind;
  return s;
}
