/* `mloc inspect --target=cuda`: what the kernels use of a device, by their cubin; how long each
   takes at least by the roofline model (Williams, Waterman and Patterson, 2009): the longer of its
   arithmetic at the device's rate and its traffic at its bandwidth; sums of a function and of one
   step of the top level. */
#include "codegen/inspect.h"

#include <string.h>

#include "codegen/codegen.h"
#include "codegen/cubin.h"
#include "codegen/arch.h"
#include "codegen/spans.h"
#include "ir/kernel.h"
#include "ir/launch.h"
#include "ir/provider.h"

typedef struct Report {
  const Program *p;
  const CgCompiled *code;
  Arch arch;
  CubinKernel *kernel;
  int nkernel;
} Report;

typedef struct Cost {
  double flops, bytes, seconds;
} Cost;

static void add(Cost *sum, Cost c, double times) {
  sum->flops += times * c.flops;
  sum->bytes += times * c.bytes;
  sum->seconds += times * c.seconds;
}

static bool is_f64(const Kernel *k) {
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].node->type.dtype == DT_F64) return true;
  for (int i = 0; i < k->nstore; i++)
    if (k->store[i].node->type.dtype == DT_F64) return true;
  return false;
}

/* The library's products of rounded operands are done by tensor cores. */
static double rate(const Report *r, const Kernel *k) {
  Products products = launch_by_library(k) ? kernel_products(r->p, k) : PRODUCTS_EXACT;
  if (products == PRODUCTS_BF16) return r->arch.bf16;
  if (products == PRODUCTS_TF32) return r->arch.tf32;
  return is_f64(k) ? r->arch.f64 : r->arch.f32;
}

static double arithmetic(const Report *r, const Kernel *k) { return (double)k->flops / rate(r, k); }

static double traffic(const Report *r, const Kernel *k) {
  return (double)k->bytes / r->arch.bandwidth;
}

static Cost kernel_cost(const Report *r, const Kernel *k) {
  double a = arithmetic(r, k), t = traffic(r, k);
  return (Cost){(double)k->flops, (double)k->bytes, a > t ? a : t};
}

static void set_integer(json_t *o, const char *key, int64_t x) {
  json_object_set_new(o, key, json_integer(x));
}

static void set_real(json_t *o, const char *key, double x) {
  json_object_set_new(o, key, json_real(x));
}

static void set_cost(json_t *o, const Cost *c) {
  set_real(o, "flops", c->flops);
  set_real(o, "bytes", c->bytes);
  set_real(o, "seconds", c->seconds);
}

/* ---- kernels */

static const CubinKernel *find(const Report *r, const char *name) {
  for (int i = 0; i < r->nkernel; i++)
    if (!strcmp(r->kernel[i].name, name)) return &r->kernel[i];
  return NULL;
}

static void set_resources(json_t *o, const CubinKernel *c) {
  set_integer(o, "registers", c->registers);
  set_integer(o, "shared", c->shared);
  set_integer(o, "stack_frame", c->stack_frame);
  set_integer(o, "local", c->local);
  set_integer(o, "spill_stores", c->spill_stores);
  set_integer(o, "spill_loads", c->spill_loads);
  set_integer(o, "code", c->code);
  json_object_set_new(o, "reduces_f64_angles", json_boolean(c->trig64));
}

static void set_launch(const Report *r, json_t *o, const CgLaunch *l) {
  json_object_set_new(o, "kernel", json_string(l->name));
  set_integer(o, "blocks", l->grid);
  set_integer(o, "threads", LAUNCH_BLOCK);
  const CubinKernel *c = find(r, l->name);
  if (!c) return;
  Occupancy at = occupancy(&r->arch, LAUNCH_BLOCK, c->registers, c->shared);
  double resident = (double)at.blocks * r->arch.processors;
  set_resources(o, c);
  set_real(o, "occupancy", at.part);
  set_integer(o, "blocks_a_multiprocessor", at.blocks);
  json_object_set_new(o, "limited_by", json_string(limit_name(at.limit)));
  set_real(o, "waves", resident > 0 ? (double)l->grid / resident : 0);
}

static bool has_part(const CgLaunch *l, const Kernel *k) {
  for (int i = 0; i < l->npart; i++)
    if (l->part[i].kernel == k) return true;
  return false;
}

/* The launches of one kernel: its own (of the library several), and those within which it runs. */
static json_t *kernel_device(const Report *r, const Kernel *k) {
  const CgLaunch *own = NULL;
  json_t *o = json_object(), *within = json_array();
  int calls = 0;
  for (int i = 0; i < r->code->nlaunch; i++) {
    const CgLaunch *l = &r->code->launch[i];
    if (l->kernel == k && !l->name) calls++;
    if (l->kernel == k && l->name && !own) own = l;
    if (has_part(l, k)) json_array_append_new(within, json_string(l->name));
  }
  Launch shape = kernel_launch(k);
  if (shape.shape == LAUNCH_LIBRARY && !calls) shape = launch_product(k);
  const char *bound = arithmetic(r, k) > traffic(r, k) ? "arithmetic" : "memory";
  json_object_set_new(o, "shape", json_string(launch_shape_name(shape.shape)));
  if (calls) json_object_set_new(o, "library", json_string("cuBLAS"));
  if (own) set_launch(r, o, own);
  bool launched = calls || own || json_array_size(within);
  json_object_set_new(o, "within", within);
  set_real(o, "seconds", kernel_cost(r, k).seconds);
  json_object_set_new(o, "bound", json_string(bound));
  if (launched) return o;
  json_decref(o);
  return NULL;
}

/* Adds "device" to the reports of all kernels that are launched; reports are in the program's
   order. */
static void add_kernels(const Report *r, json_t *kernels) {
  size_t at = 0;
  for (int i = 0; i < r->p->nfunc; i++)
    for (int k = 0; k < r->p->func[i]->nkernel; k++, at++) {
      json_t *device = kernel_device(r, r->p->func[i]->kernel[k]);
      if (device) json_object_set_new(json_array_get(kernels, at), "device", device);
    }
}

/* ---- launches of several kernels, and of one step */

static Cost launch_cost(const Report *r, const CgLaunch *l) {
  Cost sum = {0};
  for (int i = 0; i < l->npart; i++) add(&sum, kernel_cost(r, l->part[i].kernel), l->part[i].times);
  if (l->kernel) add(&sum, kernel_cost(r, l->kernel), 1);
  return sum;
}

static json_t *blocks(const Report *r) {
  json_t *a = json_array();
  for (int i = 0; i < r->code->nlaunch; i++) {
    const CgLaunch *l = &r->code->launch[i];
    if (!l->npart) continue;
    json_t *o = json_object(), *kernels = json_array();
    Cost c = launch_cost(r, l);
    set_launch(r, o, l);
    for (int k = 0; k < l->npart; k++) {
      json_t *part = json_object();
      json_object_set_new(part, "name", json_string(l->part[k].kernel->name));
      set_real(part, "times", l->part[k].times);
      json_array_append_new(kernels, part);
    }
    json_object_set_new(o, "kernels", kernels);
    set_cost(o, &c);
    json_array_append_new(a, o);
  }
  return a;
}

static bool ends_early(const Stmt *s) {
  for (; s; s = s->next)
    if (s->kind == STMT_WHILE || ends_early(s->body)) return true;
  return false;
}

static const Stmt *top_loop(const Program *p, const Stmt *s) {
  for (; s; s = s->next) {
    const Stmt *inside = stmt_is_top_loop(p, s) ? s : top_loop(p, s->body);
    if (inside) return inside;
  }
  return NULL;
}

/* The library's products of a sum are launches of one kernel, whose cost counts once. */
static json_t *step(const Report *r) {
  const Stmt *top = top_loop(r->p, r->p->schedule);
  const Kernel *last = NULL;
  double launches = 0;
  Cost sum = {0};
  if (!top) return json_null();
  for (int i = 0; i < r->code->nlaunch; i++) {
    const CgLaunch *l = &r->code->launch[i];
    launches += l->step;
    if (l->name || l->kernel != last) add(&sum, launch_cost(r, l), l->step);
    last = l->name ? NULL : l->kernel;
  }
  json_t *o = json_object();
  json_object_set_new(o, "level", json_string(r->p->run.top->name));
  set_integer(o, "launches", (int64_t)launches);
  set_cost(o, &sum);
  json_object_set_new(o, "at_most", json_boolean(ends_early(top->body)));
  return o;
}

/* Those that spill or keep arrays on the stack. */
static json_t *loose_kernels(const Report *r) {
  json_t *a = json_array();
  for (int i = 0; i < r->nkernel; i++) {
    if (cubin_is_tight(&r->kernel[i])) continue;
    json_t *o = json_object();
    json_object_set_new(o, "kernel", json_string(r->kernel[i].name));
    set_resources(o, &r->kernel[i]);
    json_array_append_new(a, o);
  }
  return a;
}

/* ---- functions */

static json_t *functions(const Report *r, const json_t *kernels) {
  size_t at = 0;
  json_t *a = json_array();
  for (int i = 0; i < r->p->nfunc; i++) {
    const Func *f = r->p->func[i];
    Cost sum = {0};
    int launched = 0;
    for (int k = 0; k < f->nkernel; k++) {
      if (!json_object_get(json_array_get(kernels, at++), "device")) continue;
      add(&sum, kernel_cost(r, f->kernel[k]), 1);
      launched++;
    }
    if (!launched) continue;
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(f->name));
    json_object_set_new(o, "role", json_string(cg_role_name(f->role)));
    set_integer(o, "kernels", launched);
    set_cost(o, &sum);
    json_array_append_new(a, o);
  }
  return a;
}

static json_t *device_report(const Report *r) {
  int64_t code = 0;
  json_t *o = json_object();
  for (int i = 0; i < r->nkernel; i++) code += r->kernel[i].code;
  json_object_set_new(o, "arch", json_string(r->arch.name));
  json_object_set_new(o, "assumed", json_string(r->arch.device));
  set_integer(o, "multiprocessors", r->arch.processors);
  set_real(o, "bandwidth", r->arch.bandwidth);
  set_real(o, "flops_f32", r->arch.f32);
  set_real(o, "flops_f64", r->arch.f64);
  set_real(o, "flops_bf16", r->arch.bf16);
  set_real(o, "flops_tf32", r->arch.tf32);
  set_integer(o, "kernels", r->nkernel);
  set_integer(o, "code", code);
  json_object_set_new(o, "loose", loose_kernels(r));
  return o;
}

/* Opened when the executable starts, beside those that it links. */
static void add_libraries(const Report *r, json_t *libraries) {
  bool products = false;
  for (int i = 0; i < r->code->nlaunch; i++)
    products |= r->code->launch[i].kernel && !r->code->launch[i].name;
  json_array_append_new(libraries, json_string("libcuda"));
  json_array_append_new(libraries, json_string("libnvrtc"));
  if (products) json_array_append_new(libraries, json_string("libcublas"));
}

const char *inspect_cuda(const Program *p, const CgCompiled *code, json_t *report) {
  Report r = {.p = p, .code = code};
  const Arch *known = arch_find(code->cubin.arch);
  const char *error = NULL;
  if (!known)
    return arena_printf(p->arena, "no device of architecture %s is known", code->cubin.arch);
  r.arch = *known;
  if (code->bandwidth > 0) r.arch.bandwidth = code->bandwidth;
  if (code->flops > 0) r.arch.f32 = r.arch.f64 = r.arch.bf16 = r.arch.tf32 = code->flops;
  if (!cubin_read(p->arena, code->cubin.image, code->cubin.n, code->log, &r.kernel, &r.nkernel,
                  &error))
    return arena_printf(p->arena, "the image for %s cannot be read: %s", code->cubin.arch, error);
  json_object_set_new(report, "device", device_report(&r));
  add_kernels(&r, json_object_get(report, "kernels"));
  json_object_set_new(report, "blocks", blocks(&r));
  json_object_set_new(report, "functions", functions(&r, json_object_get(report, "kernels")));
  json_object_set_new(report, "step", step(&r));
  add_libraries(&r, json_object_get(report, "libraries"));
  return NULL;
}
