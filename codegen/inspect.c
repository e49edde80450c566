/* `mloc inspect`: what the compiler made of a program, collected as JSON: kernels with their
   provenance and cost, the memory plan, the schedule, the adjoint systems, the system libraries
   that the executable needs. */
#include "codegen/inspect.h"

#include <string.h>

#include "codegen/codegen.h"
#include "codegen/expr.h"
#include "codegen/spans.h"
#include "ir/kernel.h"
#include "ir/op.h"
#include "ir/provider.h"

/* ---- kernels */

static json_t *numbers(const int64_t *x, int n) {
  json_t *a = json_array();
  for (int i = 0; i < n; i++) json_array_append_new(a, json_integer(x[i]));
  return a;
}

static const char *kind_of(const Program *p, const Kernel *k) {
  static const char *const by_library[NPRODUCTS] = {"gemm (BLAS)", "gemm (BLAS, bf16)",
                                                    "gemm (BLAS, TF32)"};
  switch (k->kind) {
  case KERNEL_LOOP: return k->order == ORDER_COLUMNS ? "columns" : "loop";
  case KERNEL_GEMM:
    return provider_info(k->provider)->call ? by_library[kernel_products(p, k)] : "gemm (loops)";
  case KERNEL_SCATTER: return "scatter";
  case KERNEL_CALL: return "call";
  case NKERNELKIND: break;
  }
  return "";
}

static json_t *kernel_nodes(const Kernel *k) {
  json_t *a = json_array();
  for (int i = 0; i < k->nanchor; i++) {
    const Node *n = k->anchor[i].node;
    json_array_append_new(a, json_sprintf("%%%u %s", n->id, op_info(n->op)->name));
  }
  return a;
}

static json_t *kernel_stores(const Kernel *k) {
  json_t *a = json_array();
  for (int i = 0; i < k->nstore; i++) json_array_append_new(a, json_string(k->store[i].dest->name));
  return a;
}

static json_t *kernel_report(const Program *p, const Func *f, const Kernel *k,
                             const Lines *source) {
  int64_t axis[MAX_RANK];
  int *line, naxis = 0, nline = cg_lines(p->arena, source, k, &line);
  json_t *lines = json_array();
  for (int i = 0; i < nline; i++) json_array_append_new(lines, json_integer(line[i]));
  for (int i = 0; i < k->rank; i++)
    if (k->reduced[i]) axis[naxis++] = i;
  json_t *o = json_object();
  json_object_set_new(o, "name", json_string(k->name));
  json_object_set_new(o, "function", json_string(f->name));
  json_object_set_new(o, "role", json_string(cg_role_name(f->role)));
  json_object_set_new(o, "kind", json_string(kind_of(p, k)));
  json_object_set_new(o, "lines", lines);
  json_object_set_new(o, "domain", numbers(k->dim, k->rank));
  json_object_set_new(o, "reduced", numbers(axis, naxis));
  json_object_set_new(o, "parallel", json_boolean(k->parallel));
  json_object_set_new(o, "nodes", kernel_nodes(k));
  json_object_set_new(o, "stores", kernel_stores(k));
  json_object_set_new(o, "flops", json_integer(k->flops));
  json_object_set_new(o, "bytes", json_integer(k->bytes));
  json_object_set_new(o, "intensity",
                      json_real(k->bytes ? (double)k->flops / (double)k->bytes : 0));
  return o;
}

json_t *inspect_kernels(const Program *p, const char *source) {
  Lines lines = cg_find_lines(p->arena, source);
  json_t *a = json_array();
  for (int i = 0; i < p->nfunc; i++)
    for (int k = 0; k < p->func[i]->nkernel; k++)
      json_array_append_new(a, kernel_report(p, p->func[i], p->func[i]->kernel[k], &lines));
  return a;
}

/* ---- memory */

static int64_t place(Type t) {
  return (type_bytes(t) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

/* Bytes count with what alignment adds, so that the sums compare with the arena's size. */
json_t *inspect_memory(const Program *p) {
  json_t *o = json_object(), *a = json_array();
  int64_t sum = 0, permanent = 0;
  for (int i = 0; i < p->nstorage; i++) {
    const Storage *s = p->storage[i];
    if (!s->base) sum += place(s->type);
    if (!s->base && storage_permanent(s)) permanent += place(s->type);
    json_t *x = json_object();
    json_object_set_new(x, "name", json_string(s->name));
    json_object_set_new(x, "kind", json_string(cg_storage_kind_name(s->kind)));
    json_object_set_new(x, "type", json_string(type_str(p->arena, s->type)));
    json_object_set_new(x, "bytes", json_integer(type_bytes(s->type)));
    json_object_set_new(x, "offset", json_integer(emit_byte(s)));
    json_object_set_new(x, "view_of", s->base ? json_string(s->base->name) : json_null());
    json_object_set_new(x, "whole_run", json_boolean(storage_permanent(s)));
    json_object_set_new(x, "first_step", json_integer(storage_root(s)->born));
    json_object_set_new(x, "last_step", json_integer(storage_root(s)->dies));
    json_array_append_new(a, x);
  }
  json_object_set_new(o, "total", json_integer(p->arena_bytes));
  json_object_set_new(o, "without_reuse", json_integer(sum));
  json_object_set_new(o, "whole_run", json_integer(permanent));
  json_object_set_new(o, "reused", json_integer(sum > p->arena_bytes ? sum - p->arena_bytes : 0));
  json_object_set_new(o, "storages", a);
  return o;
}

/* ---- schedule */

static json_t *statements(const Program *p, const Stmt *s);

static json_t *statement(const Program *p, const Stmt *s) {
  static const char *const names[] = {"step", "solve", "call", "repeat", "while", "report"};
  json_t *o = json_object();
  json_object_set_new(o, "kind", json_string(s->eval ? "eval" : names[s->kind]));
  if (s->func) json_object_set_new(o, "function", json_string(s->func->name));
  if (s->level) json_object_set_new(o, "level", json_string(s->level->name));
  if (s->count_setting)
    json_object_set_new(o, "count", json_string(s->count_setting->name));
  else if (s->kind == STMT_REPEAT || s->kind == STMT_WHILE)
    json_object_set_new(o, "count", json_integer(s->count));
  if (s->cond) json_object_set_new(o, "while", json_string(s->cond->name));
  if (s->body) json_object_set_new(o, "body", statements(p, s->body));
  return o;
}

static json_t *statements(const Program *p, const Stmt *s) {
  json_t *a = json_array();
  for (; s; s = s->next) json_array_append_new(a, statement(p, s));
  return a;
}

json_t *inspect_schedule(const Program *p) { return statements(p, p->schedule); }

/* ---- data */

json_t *inspect_sources(const Program *p) {
  json_t *a = json_array();
  for (int i = 0; i < p->nsource; i++) {
    const Source *s = p->source[i];
    json_t *o = json_object(), *parts = json_object();
    json_object_set_new(o, "name", json_string(s->name));
    json_object_set_new(o, "file", json_string(s->file));
    if (s->rows) json_object_set_new(o, "rows", json_integer(s->rows));
    if (s->batch) json_object_set_new(o, "batch", json_integer(s->batch));
    json_object_set_new(o, "shuffled", json_boolean(s->shuffled));
    for (int k = 0; k < s->npart; k++)
      json_object_set_new(parts, s->part[k].name, json_integer(type_count(s->part[k].rows->type)));
    json_object_set_new(o, "parts", parts);
    json_array_append_new(a, o);
  }
  return a;
}

/* ---- systems and libraries */

json_t *inspect_systems(const Program *p) {
  json_t *a = json_array();
  for (int i = 0; i < p->nlevel; i++)
    for (int k = 0; k < p->level[i]->nsystem; k++) {
      const System *s = p->level[i]->system[k];
      json_t *o = json_object(), *blocks = json_array();
      for (int b = 0; b < s->nblock; b++) json_array_append_new(blocks, json_string(s->block[b]));
      json_object_set_new(o, "name", json_string(s->name));
      json_object_set_new(o, "level", json_string(p->level[i]->name));
      json_object_set_new(o, "order", json_integer(k));
      json_object_set_new(o, "blocks", blocks);
      json_object_set_new(o, "size", json_integer(s->size));
      json_object_set_new(o, "method", json_string(s->method ? s->method->name : ""));
      json_array_append_new(a, o);
    }
  return a;
}

json_t *inspect_libraries(const Program *p) {
  json_t *a = json_array();
  const char *const always[] = {"libc", "libm",       "libgomp", "libzip",
                                "libz", "libjansson", "libpopt"};
  for (size_t i = 0; i < sizeof always / sizeof *always; i++)
    json_array_append_new(a, json_string(always[i]));
  if (cg_needs_blas(p)) json_array_append_new(a, json_string("libopenblas"));
  return a;
}

const char *cg_inspect(const Program *p, const char *source, const CgCompiled *code, FILE *out,
                       bool json, int *loose) {
  json_t *o = json_object();
  json_object_set_new(o, "program", json_string(p->name));
  json_object_set_new(o, "run", p->run.name ? json_string(p->run.name) : json_null());
  json_object_set_new(o, "sources", inspect_sources(p));
  json_object_set_new(o, "kernels", inspect_kernels(p, source));
  json_object_set_new(o, "memory", inspect_memory(p));
  json_object_set_new(o, "schedule", inspect_schedule(p));
  json_object_set_new(o, "systems", inspect_systems(p));
  json_object_set_new(o, "libraries", inspect_libraries(p));
  const char *error = code ? inspect_cuda(p, code, o) : NULL;
  const json_t *device = json_object_get(o, "device");
  if (loose) *loose = (int)json_array_size(json_object_get(device, "loose"));
  if (!error && json) {
    json_dumpf(o, out, JSON_INDENT(2));
    fputc('\n', out);
  } else if (!error) {
    inspect_print(o, out);
  }
  json_decref(o);
  return error;
}
