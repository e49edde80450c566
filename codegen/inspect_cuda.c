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

typedef struct Report {
  const Program *p;
  const CgCompiled *code;
  Arch arch;
  CubinKernel *kernel;
  int nkernel;
} Report;

typedef struct Cost {
  double launches, flops, bytes, seconds;
} Cost;

static void add(Cost *sum, Cost c, double times) {
  sum->launches += times * c.launches;
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

static double arithmetic(const Report *r, const Kernel *k) {
  return (double)k->flops / (is_f64(k) ? r->arch.f64 : r->arch.f32);
}

static double traffic(const Report *r, const Kernel *k) {
  return (double)k->bytes / r->arch.bandwidth;
}

static bool by_library(const CgLaunch *l) { return l && !l->name; }

/* How a kernel is launched; NULL where the schedule does not call it. */
static const CgLaunch *launch_of(const Report *r, const Kernel *k) {
  for (int i = 0; i < r->code->nlaunch; i++)
    if (r->code->launch[i].kernel == k) return &r->code->launch[i];
  return NULL;
}

/* A library is called for each product of a sum; results beside its own are copies. */
static int launches_of(const Report *r, const Kernel *k) {
  if (!by_library(launch_of(r, k))) return 1;
  return (k->nanchor > 1 ? k->nanchor - 1 : 1) + k->nstore - 1;
}

static Cost kernel_cost(const Report *r, const Kernel *k) {
  double a = arithmetic(r, k), t = traffic(r, k);
  return (Cost){launches_of(r, k), (double)k->flops, (double)k->bytes, a > t ? a : t};
}

static void set_integer(json_t *o, const char *key, int64_t x) {
  json_object_set_new(o, key, json_integer(x));
}

static void set_real(json_t *o, const char *key, double x) {
  json_object_set_new(o, key, json_real(x));
}

static void set_cost(json_t *o, const Cost *c) {
  set_integer(o, "launches", (int64_t)c->launches);
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
  Launch shape = kernel_launch(l->kernel);
  if (shape.shape == LAUNCH_LIBRARY) shape = launch_product(l->kernel);
  json_object_set_new(o, "kernel", json_string(l->name));
  json_object_set_new(o, "shape", json_string(launch_shape_name(shape.shape)));
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

/* How the kernel runs on the device: with its launch and what it uses, or as calls of the library.
 */
static json_t *kernel_device(const Report *r, const Kernel *k, const CgLaunch *l) {
  json_t *o = json_object();
  if (by_library(l)) json_object_set_new(o, "library", json_string("cuBLAS"));
  if (by_library(l)) set_integer(o, "calls", launches_of(r, k));
  if (!by_library(l)) set_launch(r, o, l);
  set_real(o, "seconds", kernel_cost(r, k).seconds);
  const char *bound = arithmetic(r, k) > traffic(r, k) ? "arithmetic" : "memory";
  json_object_set_new(o, "bound", json_string(bound));
  return o;
}

/* Adds "device" to the reports of all kernels that are launched; reports are in the program's
   order. */
static void add_kernels(const Report *r, json_t *kernels) {
  size_t at = 0;
  for (int i = 0; i < r->p->nfunc; i++)
    for (int k = 0; k < r->p->func[i]->nkernel; k++, at++) {
      const CgLaunch *l = launch_of(r, r->p->func[i]->kernel[k]);
      if (!l) continue;
      json_t *device = kernel_device(r, r->p->func[i]->kernel[k], l);
      json_object_set_new(json_array_get(kernels, at), "device", device);
    }
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

/* ---- functions, the step */

static Cost function_cost(const Report *r, const Func *f) {
  Cost sum = {0};
  for (int k = 0; k < f->nkernel; k++) add(&sum, kernel_cost(r, f->kernel[k]), 1);
  return sum;
}

static json_t *functions(const Report *r) {
  json_t *a = json_array();
  for (int i = 0; i < r->p->nfunc; i++) {
    const Func *f = r->p->func[i];
    if (!f->nkernel || !launch_of(r, f->kernel[0])) continue;
    Cost c = function_cost(r, f);
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(f->name));
    json_object_set_new(o, "role", json_string(cg_role_name(f->role)));
    set_cost(o, &c);
    json_array_append_new(a, o);
  }
  return a;
}

/* All calls of a body, with the loops' default counts, without what only reports need. */
static Cost body_cost(const Report *r, const Stmt *s, bool *at_most) {
  Cost sum = {0};
  for (; s; s = s->next) {
    if (s->kind == STMT_CALL && s->func) add(&sum, function_cost(r, s->func), 1);
    if (s->kind != STMT_REPEAT && s->kind != STMT_WHILE) continue;
    double times = s->count_setting ? s->count_setting->value : (double)s->count;
    Cost round = body_cost(r, s->body, at_most);
    if (s->kind == STMT_WHILE) {
      *at_most = true;
      round.launches++; /* of the kernel that keeps the condition */
    }
    add(&sum, round, times);
  }
  return sum;
}

static const Stmt *top_loop(const Program *p, const Stmt *s) {
  for (; s; s = s->next) {
    const Stmt *inside = stmt_is_top_loop(p, s) ? s : top_loop(p, s->body);
    if (inside) return inside;
  }
  return NULL;
}

static json_t *step(const Report *r) {
  const Stmt *top = top_loop(r->p, r->p->schedule);
  bool at_most = false;
  if (!top) return json_null();
  Cost c = body_cost(r, top->body, &at_most);
  json_t *o = json_object();
  json_object_set_new(o, "level", json_string(r->p->run.top->name));
  set_cost(o, &c);
  json_object_set_new(o, "at_most", json_boolean(at_most));
  return o;
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
  if (code->flops > 0) r.arch.f32 = r.arch.f64 = code->flops;
  if (!cubin_read(p->arena, code->cubin.image, code->cubin.n, code->log, &r.kernel, &r.nkernel,
                  &error))
    return arena_printf(p->arena, "the image for %s cannot be read: %s", code->cubin.arch, error);
  json_object_set_new(report, "device", device_report(&r));
  add_kernels(&r, json_object_get(report, "kernels"));
  json_object_set_new(report, "functions", functions(&r));
  json_object_set_new(report, "step", step(&r));
  add_libraries(&r, json_object_get(report, "libraries"));
  return NULL;
}
