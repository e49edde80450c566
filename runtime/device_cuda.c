/* A CUDA device: the driver's context, one arena of the host's layout, one scratch buffer, one
   stream in which everything happens in order, and what passes between host and device. */

#include "runtime/device_cuda.h"

#include "runtime/gaps.h"
#include "runtime/run.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- opening */

static bool find_device(RtDevice *d, RtErr *e) {
  Cuda *c = d->cuda;
  const RtCuda *api = &c->api;
  int n = 0, major = 0, minor = 0;
  bool ok = rt_cuda_ok(api, api->device_count(&n), e, "CUDA devices cannot be counted");
  if (ok && n == 0) return rt_fail(e, RT_DEVICE, "there is no CUDA device");
  ok = ok && rt_cuda_ok(api, api->device(&c->device, 0), e, "no CUDA device can be used") &&
       rt_cuda_ok(api, api->device_name(d->name, sizeof d->name, c->device), e,
                  "the CUDA device has no name") &&
       rt_cuda_ok(api, api->attribute(&major, CU_MAJOR, c->device), e, "%s does not say what it is",
                  d->name) &&
       rt_cuda_ok(api, api->attribute(&minor, CU_MINOR, c->device), e, "%s does not say what it is",
                  d->name) &&
       rt_cuda_ok(api, api->version(&d->driver), e, "the CUDA driver does not say its version") &&
       rt_cuda_ok(api, api->retain(&c->context, c->device), e, "%s cannot be used", d->name);
  if (!ok) return false;
  c->retained = true;
  snprintf(d->arch, sizeof d->arch, "sm_%d%d", major, minor);
  return rt_cuda_ok(api, api->set_context(c->context), e, "%s cannot be used", d->name) &&
         rt_cuda_ok(api, api->stream(&c->stream, CU_STREAM_NON_BLOCKING), e,
                    "%s has no room for a stream", d->name);
}

/* "33.6 MB", "2.1 kB". */
static const char *amount(char text[32], size_t bytes) {
  double x = (double)bytes;
  int unit = 0;
  for (; x >= 1000 && unit < 3; unit++) x /= 1000;
  static const char *const names[] = {"bytes", "kB", "MB", "GB"};
  snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", x, names[unit]);
  return text;
}

static bool allocate(RtDevice *d, CuAddress *at, size_t n, size_t needed, RtErr *e) {
  const RtCuda *api = &d->cuda->api;
  size_t left = 0, total = 0;
  int result = api->allocate(at, n ? n : 1);
  if (result != CU_OUT_OF_MEMORY) return rt_cuda_ok(api, result, e, "%s gives no memory", d->name);
  *at = 0;
  api->memory(&left, &total);
  char a[32], b[32], c[32];
  return rt_fail(e, RT_DEVICE, "out of memory on %s: the program needs %s, and %s of %s are free",
                 d->name, amount(a, needed), amount(b, left), amount(c, total));
}

static size_t arena_bytes(const RtDevice *d) {
  return d->run->program->arena_bytes - cuda_hole_bytes(d->cuda);
}

/* All buffers; they stay there where it fails. */
static bool make_buffers(RtDevice *d, size_t work, RtErr *e) {
  Cuda *c = d->cuda;
  size_t arena = arena_bytes(d), needed = arena + c->code->scratch_bytes + work;
  return allocate(d, &c->arena, arena, needed, e) &&
         allocate(d, &c->scratch, c->code->scratch_bytes, needed, e) &&
         (!work || allocate(d, &c->workspace, work, needed, e));
}

static void free_buffers(Cuda *c) {
  CuAddress *const buffer[] = {&c->workspace, &c->scratch, &c->arena};
  for (int i = 0; i < 3; i++) {
    if (*buffer[i]) c->api.free(*buffer[i]);
    *buffer[i] = 0;
  }
}

/* The whole arena; where it does not fit, or must not, all but what may stay on the host. */
static bool fit(RtDevice *d, size_t work, RtErr *e) {
  Cuda *c = d->cuda;
  RtErr whole = {0};
  if (!cuda_keeps_data() && make_buffers(d, work, &whole)) return true;
  free_buffers(c);
  if (!cuda_find_holes(d, e)) return false;
  if (!c->nhole && whole.code) return rt_fail(e, whole.code, "%s", whole.text);
  if (!make_buffers(d, work, e) || !cuda_map_holes(d, e)) return false;
  if (c->nhole && whole.code && !d->run->option.quiet)
    fprintf(stderr, "%s: %.1f MB of data stay in the host's memory: %s has no room for them\n",
            d->run->program->name, 1e-6 * (double)cuda_hole_bytes(c), d->name);
  return true;
}

static bool make_room(RtDevice *d, RtErr *e) {
  Cuda *c = d->cuda;
  const MloDevice *code = c->code;
  int most = 1, i;
  bool gemm = false;
  for (i = 0; i < code->nlaunch; i++) {
    gemm = gemm || code->launch[i].kind == MLO_GEMM;
    if (code->launch[i].narg > most) most = code->launch[i].narg;
  }
  size_t work = gemm ? CUDA_WORKSPACE : 0;
  c->value = malloc((size_t)most * sizeof *c->value);
  c->parameter = malloc((size_t)most * sizeof *c->parameter);
  c->head = malloc(((size_t)code->nstmt + 1) * sizeof *c->head);
  if (!c->value || !c->parameter || !c->head) return rt_fail(e, RT_DEVICE, "out of memory");
  for (i = 0; i <= code->nstmt; i++) c->head[i] = -1;
  return fit(d, work, e) && (!gemm || rt_cublas_open(&c->blas, c->stream, c->workspace, work, e));
}

static bool make_events(RtDevice *d, RtErr *e) {
  Cuda *c = d->cuda;
  c->pace.stride = 1;
  for (int i = 0; i < 2; i++)
    if (!rt_cuda_ok(&c->api, c->api.event(&c->pace.event[i], CU_EVENT_DISABLE_TIMING), e,
                    "%s has no room for an event", d->name))
      return false;
  return true;
}

/* ---- what the device can do */

static bool zero(RtDevice *d, CuAddress at, size_t n) {
  Cuda *c = d->cuda;
  return !n ||
         rt_cuda_ok(&c->api, c->api.fill(at, 0, n, c->stream), d->err, "memory cannot be cleared");
}

/* What is between data. */
static bool clear_gaps(RtDevice *d) {
  int n;
  RtGap *gap = rt_gaps(d->run->program, &n, d->err);
  bool ok = gap != NULL;
  for (int i = 0; ok && i < n; i++) {
    int64_t at = cuda_behind_hole(d->cuda, (int64_t)gap[i].at),
            end = (int64_t)(gap[i].at + gap[i].n);
    if (at < end) ok = zero(d, cuda_place(d->cuda, at), (size_t)(end - at));
  }
  free(gap);
  return ok;
}

static bool clear(RtDevice *d) {
  Cuda *c = d->cuda;
  cuda_drop_ahead(c);
  return (d->has_data ? clear_gaps(d) : zero(d, c->arena, arena_bytes(d))) &&
         zero(d, c->scratch, c->code->scratch_bytes);
}

static bool set(RtDevice *d, int64_t at, int32_t value) {
  Cuda *c = d->cuda;
  int result = c->api.fill_words(cuda_place(c, at), (unsigned)value, 1, c->stream);
  return rt_cuda_ok(&c->api, result, d->err, "a counter cannot be set");
}

static bool put(RtDevice *d, int64_t at, size_t n) {
  Cuda *c = d->cuda;
  cuda_drop_ahead(c);
  if (!n || cuda_is_host(c, at)) return true;
  int result = c->api.to_device(cuda_place(c, at), d->arena + at, n, c->stream);
  return rt_cuda_ok(&c->api, result, d->err, "data cannot be copied to %s", d->name);
}

/* What fails on the device itself is told to whoever waits next. */
static bool failed_before(RtDevice *d, int result) {
  return rt_cuda_ok(&d->cuda->api, result, d->err, "%s failed at step %lld", d->name,
                    (long long)d->run->step);
}

static bool fetch(RtDevice *d, int64_t at, size_t n) {
  Cuda *c = d->cuda;
  return !n || cuda_is_host(c, at) ||
         failed_before(d, c->api.to_host(d->arena + at, cuda_place(c, at), n, c->stream));
}

static bool wait(RtDevice *d) { return failed_before(d, d->cuda->api.wait(d->cuda->stream)); }

/* Steps of microseconds get long strides, steps of seconds short ones. */
static bool pace(RtDevice *d) {
  static const double SHORT = 0.01, LONG = 0.1;
  Cuda *c = d->cuda;
  CudaPace *p = &c->pace;
  if (++p->since < p->stride) return true;
  p->since = 0;
  int result = p->recorded[p->turn] ? c->api.query(p->event[p->turn]) : CU_SUCCESS;
  if (result == CU_NOT_READY) result = c->api.wait_event(p->event[p->turn]);
  if (result == CU_SUCCESS) result = c->api.record(p->event[p->turn], c->stream);
  p->recorded[p->turn] = true;
  p->turn = 1 - p->turn;
  double now = rt_now();
  if (now - p->last < SHORT && p->stride < 256) p->stride *= 2;
  if (now - p->last > LONG && p->stride > 1) p->stride /= 2;
  p->last = now;
  return failed_before(d, result);
}

static void close(RtDevice *d) {
  Cuda *c = d->cuda;
  const RtCuda *api = &c->api;
  if (c->stream) api->wait(c->stream);
  cuda_free_pieces(c);
  cuda_free_loops(c);
  cuda_free_ahead(c);
  rt_cublas_close(&c->blas);
  for (int i = 0; i < 2; i++)
    if (c->pace.event[i]) api->event_free(c->pace.event[i]);
  if (c->module) api->unload(c->module);
  free_buffers(c);
  cuda_free_holes(d);
  if (c->stream) api->stream_free(c->stream);
  if (c->retained) api->release(c->device);
  rt_cuda_api_close(&c->api);
  free(c->kernel);
  free(c->value);
  free(c->parameter);
  free(c);
  d->cuda = NULL;
}

static const RtDeviceType type = {"cuda", clear, cuda_run, set, put, fetch, wait, pace, close};

bool rt_device_cuda(RtDevice *d, MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  *d = (RtDevice){.type = &type,
                  .run = run,
                  .arena = run->arena,
                  .func = p->func,
                  .stmt = p->cuda->stmt,
                  .nstmt = p->cuda->nstmt,
                  .err = &run->err,
                  .cuda = calloc(1, sizeof(Cuda))};
  if (!d->cuda) return rt_fail(e, RT_DEVICE, "out of memory");
  d->cuda->code = p->cuda;
  d->cuda->ahead.now = -1;
  if (rt_cuda_api(&d->cuda->api, e) && find_device(d, e) && cuda_load(d, e) && make_room(d, e) &&
      make_events(d, e)) {
    cuda_find_loops(d);
    cuda_find_ahead(d);
    return true;
  }
  close(d);
  return false;
}
