/* Loops with a condition as conditional nodes of a step's graph: they end on the device, in the
   round in which the condition became false. `mlo_check` tells the node whether there is another
   round. Kernels keep to the condition by themselves, too: a round too many changes nothing, so
   that a graph with all the rounds, which is what there is where anything is missing, does the
   same. */

#include "runtime/cubin_cache.h"
#include "runtime/device_cuda.h"
#include "runtime/loop_check.h"
#include "runtime/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what they need */

static bool has_condition(const MloStmt *s) {
  return s->kind == MLO_WHILE && !s->top && s->cond_at != MLO_NOWHERE;
}

/* The most loops with a condition that stand in one another. */
static int depth_of(const MloStmt *stmt, int first, int end) {
  int most = 0;
  for (int at = first; at < end; at = stmt[at].next) {
    int n = depth_of(stmt, at + 1, stmt[at].next) + has_condition(&stmt[at]);
    if (n > most) most = n;
  }
  return most;
}

static bool load(RtDevice *d, const void *image, RtErr *e) {
  Cuda *c = d->cuda;
  CudaLoops *l = &c->loops;
  return rt_cuda_ok(&c->api, c->api.load(&l->module, image), e, "mlo_check cannot be loaded") &&
         rt_cuda_ok(&c->api, c->api.function(&l->check, l->module, "mlo_check"), e,
                    "there is no mlo_check");
}

static bool load_made(RtDevice *d, RtErr *e) {
  char key[RT_CUBIN_KEY];
  RtImage image = {0};
  RtErr ignored = {0};
  RtNvrtc *n = rt_nvrtc_open(e);
  if (!n) return false;
  rt_cubin_key(key, rt_loop_check_source, d->arch, rt_nvrtc_version(n));
  bool ok = rt_cubin_find(key, &image) && load(d, image.byte, &ignored);
  if (!ok) {
    rt_image_free(&image);
    ok = rt_loop_check(n, d->arch, &image, e) && load(d, image.byte, e);
    if (ok) cuda_keep(d, key, &image);
  }
  rt_image_free(&image);
  rt_nvrtc_close(n);
  return ok;
}

/* Carried with carried kernels, made with made ones. */
static bool find_check(RtDevice *d, RtErr *e) {
  const MloDevice *code = d->cuda->code;
  if (!cuda_fitting(code->cubin, code->ncubin, d->arch)) return load_made(d, e);
  const MloCubin *carried = cuda_fitting(code->check, code->ncheck, d->arch);
  if (carried) return load(d, carried->image, e);
  return rt_fail(e, RT_DEVICE, "the executable does not carry mlo_check");
}

static bool make_room(RtDevice *d, int depth, RtErr *e) {
  Cuda *c = d->cuda;
  CudaLoops *l = &c->loops;
  for (int i = 0; i < depth; i++)
    if (!rt_cuda_ok(&c->api, c->api.stream(&l->stream[i], CU_STREAM_NON_BLOCKING), e,
                    "%s has no room for a stream", d->name))
      return false;
  return rt_cuda_ok(&c->api, c->api.allocate(&l->counter, (size_t)d->nstmt * sizeof(int32_t)), e,
                    "%s has no room for counters", d->name);
}

static bool find_all(RtDevice *d, int depth, RtErr *e) {
  const char *how = getenv("MLO_GRAPH_LOOPS");
  if (how && !strcmp(how, "fixed")) return rt_fail(e, RT_DEVICE, "MLO_GRAPH_LOOPS=fixed");
  if (!rt_cuda_has_loops(&d->cuda->api))
    return rt_fail(e, RT_DEVICE, "the CUDA driver has no conditional nodes");
  if (depth > CUDA_LOOPS) return rt_fail(e, RT_DEVICE, "they are nested too deeply");
  return make_room(d, depth, e) && find_check(d, e);
}

void cuda_find_loops(RtDevice *d) {
  RtErr why = {0};
  int depth = depth_of(d->stmt, 0, d->nstmt);
  if (depth == 0) return;
  d->cuda->loops.on = find_all(d, depth, &why);
  if (!d->run->option.verbose) return;
  if (d->cuda->loops.on)
    fprintf(stderr, "%s: loops with a condition end early in graphs\n", d->run->program->name);
  else
    fprintf(stderr, "%s: loops with a condition make all their rounds in graphs: %s\n",
            d->run->program->name, why.text);
}

void cuda_give_up_loops(RtDevice *d, const RtErr *why) {
  CudaLoops *l = &d->cuda->loops;
  l->on = false;
  l->stale = true;
  if (d->run->option.verbose)
    fprintf(stderr, "%s: loops with a condition make all their rounds in graphs from now on: %s\n",
            d->run->program->name, why->text);
}

void cuda_free_loops(Cuda *c) {
  CudaLoops *l = &c->loops;
  if (l->module) c->api.unload(l->module);
  if (l->counter) c->api.free(l->counter);
  for (int i = 0; i < CUDA_LOOPS; i++)
    if (l->stream[i]) c->api.stream_free(l->stream[i]);
  *l = (CudaLoops){0};
}

/* ---- capturing one */

bool cuda_is_loop(const RtDevice *d, const MloStmt *s) {
  return d->cuda->loops.on && has_condition(s) && rt_rounds(s, d->arena) > 1;
}

static const char trouble[] = "a loop cannot be captured";

/* What is captured into, and what the next node comes behind. */
static bool captured(RtDevice *d, CuGraph *g, const CuGraphNode **tail, size_t *n) {
  const RtCuda *api = &d->cuda->api;
  int status = 0;
  int result = api->capture_info(d->cuda->stream, &status, NULL, g, tail, n);
  return rt_cuda_ok(api, result, d->err, trouble) &&
         ((status == CU_CAPTURE_ACTIVE && *g) || rt_fail(d->err, RT_DEVICE, "%s", trouble));
}

/* The loop's counter, or one of its own. */
static bool check(RtDevice *d, int at, uint64_t handle, bool first) {
  Cuda *c = d->cuda;
  const MloStmt *s = &d->stmt[at];
  int64_t rounds = rt_rounds(s, d->arena);
  CuAddress on = cuda_place(c, s->cond_at),
            counter = s->counter_at != MLO_NOWHERE
                          ? cuda_place(c, s->counter_at)
                          : c->loops.counter + (CuAddress)at * sizeof(int32_t);
  int32_t most = rounds < INT32_MAX ? (int32_t)rounds : INT32_MAX, begins = first;
  void *parameter[] = {&handle, &on, &counter, &most, &begins};
  int result = c->api.launch(c->loops.check, 1, 1, 1, 1, 1, 1, 0, c->stream, parameter, NULL);
  return rt_cuda_ok(&c->api, result, d->err, trouble);
}

/* The node of the loop behind what was captured; what follows comes behind it. */
static bool add_node(RtDevice *d, uint64_t handle, CuGraph *body) {
  Cuda *c = d->cuda;
  CuGraph g = NULL;
  CuGraphNode node = NULL;
  const CuGraphNode *tail = NULL;
  size_t ntail = 0;
  CuNodeParams p = {.type = CU_NODE_CONDITIONAL,
                    .handle = handle,
                    .kind = CU_LOOP,
                    .size = 1,
                    .context = c->context};
  if (!captured(d, &g, &tail, &ntail) ||
      !rt_cuda_ok(&c->api, c->api.add_node(&node, g, tail, ntail, &p), d->err, trouble) ||
      !rt_cuda_ok(&c->api, c->api.set_dependencies(c->stream, &node, 1, CU_REPLACE_DEPENDENCIES),
                  d->err, trouble))
    return false;
  *body = p.body ? p.body[0] : NULL;
  return *body || rt_fail(d->err, RT_DEVICE, "%s", trouble);
}

/* Work goes into that stream, products as well. */
static bool turn_to(RtDevice *d, CuStream s) {
  Cuda *c = d->cuda;
  c->stream = s;
  int status = c->blas.handle ? rt_cublas_turn(&c->blas, s, c->workspace, CUDA_WORKSPACE) : 0;
  return !status || rt_fail(d->err, RT_DEVICE, "%s: %s", trouble, c->blas.error(status));
}

static bool capture_body(RtDevice *d, int at, uint64_t handle, CuGraph body) {
  Cuda *c = d->cuda;
  CuStream outer = c->stream, inner = c->loops.stream[c->loops.depth];
  CuGraph same = NULL; /* the body: the node's */
  if (!rt_cuda_ok(&c->api, c->api.capture_into(inner, body, NULL, NULL, 0, CU_CAPTURE_THREAD_LOCAL),
                  d->err, trouble))
    return false;
  c->loops.depth++;
  bool ok = turn_to(d, inner) && cuda_statements(d, at + 1, d->stmt[at].next) &&
            check(d, at, handle, false);
  c->loops.depth--;
  ok = turn_to(d, outer) && ok;
  int result = c->api.end_capture(inner, &same); /* in any case: it ends what began */
  return ok && rt_cuda_ok(&c->api, result, d->err, trouble);
}

bool cuda_capture_loop(RtDevice *d, int at) {
  Cuda *c = d->cuda;
  CuGraph g = NULL, body = NULL;
  uint64_t handle = 0;
  return captured(d, &g, NULL, NULL) &&
         rt_cuda_ok(&c->api, c->api.condition(&handle, g, c->context, 1, CU_ASSIGN_AT_LAUNCH),
                    d->err, trouble) &&
         check(d, at, handle, true) && add_node(d, handle, &body) &&
         capture_body(d, at, handle, body);
}
