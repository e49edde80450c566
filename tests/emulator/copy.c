/* Copies and fills, at once or on a stream, and doing work of all kinds. */

#include "tests/emulator/emu.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *pointer(CUdeviceptr at) { return (char *)(uintptr_t)at; }

static double milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void fill(const Work *w) {
  emu.counts.fills++;
  for (size_t i = 0; i < w->n; i += w->element) memcpy(w->to + i, &w->value, w->element);
}

static void copy(const Work *w) {
  memmove(w->to, w->from, w->n);
  *(w->way == COPY_IN    ? &emu.counts.copies_in
    : w->way == COPY_OUT ? &emu.counts.copies_out
                         : &emu.counts.copies_within) += 1;
}

static CUresult run(const Work *w, bool in_graph) {
  unsigned long *count = in_graph ? &emu.counts.graph_kernels : &emu.counts.kernels;
  CUresult error = CUDA_SUCCESS;
  switch (w->kind) {
  case WORK_EMPTY: break;
  case WORK_KERNEL:
    ++*count;
    error = module_launch(w);
    break;
  case WORK_COPY: copy(w); break;
  case WORK_FILL: fill(w); break;
  case WORK_CALL:
    emu.counts.gemms++;
    if (in_graph) ++*count;
    error = (CUresult)w->call(w->data);
    break;
  case WORK_GRAPH:
    emu.counts.graph_launches++;
    emu.running = w->exec;
    conditions_assign(w->exec);
    error = graph_run(w->exec);
    emu.running = NULL;
    break;
  case WORK_LOOP: error = condition_run(w); break;
  case WORK_RECORD:
    w->event->done = w->ticket;
    w->event->time = milliseconds();
    break;
  case WORK_WAIT: error = event_finish(w->event, w->ticket); break;
  }
  return error;
}

/* The first error stays: as on a device, nothing runs after it. */
CUresult work_run(const Work *w, bool in_graph) {
  if (emu.sticky) return emu.sticky;
  memory_open();
  emu.sticky = run(w, in_graph);
  memory_close();
  return emu.sticky;
}

void work_clear(Work *w) {
  free(w->parameter);
  free(w->data);
  memset(w, 0, sizeof *w);
}

Work work_copy(const Work *w) {
  Work c = *w;
  if (w->parameter) c.parameter = parameters_copy(w->function, w->parameter);
  if (w->kind == WORK_CALL) {
    c.data = malloc(w->n + 1);
    memcpy(c.data, w->data, w->n);
  }
  return c;
}

API CUresult emu_stream_call(CUstream stream, EmuCall *call, const void *data, size_t n) {
  BEGIN();
  Work w = {.kind = WORK_CALL, .call = call, .n = n, .data = malloc(n + 1)};
  memcpy(w.data, data, n);
  return stream_submit(stream, &w);
}

static bool is_pinned(const void *at, size_t n) {
  const Region *r = region_of(at, n);
  return r && (r->kind == REGION_HOST || r->kind == REGION_REGISTERED);
}

/* Are both ends of the copy in memory of the device, where they must be? */
static bool ends_fit(const Work *w) {
  return (w->way == COPY_OUT || region_of(w->to, w->n)) &&
         (w->way == COPY_IN || region_of(w->from, w->n)) && w->to && w->from;
}

static CUresult copy_now(Work w) {
  if (w.n == 0) return CUDA_SUCCESS;
  if (!ends_fit(&w)) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = capture_forbids_legacy();
  if (error) return error;
  emu.counts.synchronizations++;
  return stream_submit(NULL, &w);
}

/* Memory that is not pinned is staged: what comes from there is read before the call returns, and
 * what goes there waits for the stream. */
static CUresult copy_on(Work w, CUstream stream) {
  if (w.n == 0) return CUDA_SUCCESS;
  if (!ends_fit(&w)) return CUDA_ERROR_INVALID_VALUE;
  bool captured = stream_of(stream)->capture != CU_STREAM_CAPTURE_STATUS_NONE;
  bool staged_in = w.way == COPY_IN && !captured && !is_pinned(w.from, w.n);
  bool staged_out = w.way == COPY_OUT && !captured && !is_pinned(w.to, w.n);
  if (staged_in) {
    w.data = malloc(w.n);
    w.from = memcpy(w.data, w.from, w.n);
  }
  CUresult error = stream_submit(stream, &w);
  if (error || !staged_out) return error;
  emu.counts.synchronizations++;
  return stream_finish(stream_of(stream));
}

API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n) {
  BEGIN();
  return copy_now(
      (Work){.kind = WORK_COPY, .way = COPY_IN, .to = pointer(to), .from = from, .n = n});
}

API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n) {
  BEGIN();
  return copy_now(
      (Work){.kind = WORK_COPY, .way = COPY_OUT, .to = to, .from = pointer(from), .n = n});
}

API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t n) {
  BEGIN();
  return copy_now((Work){
      .kind = WORK_COPY, .way = COPY_WITHIN, .to = pointer(to), .from = pointer(from), .n = n});
}

API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream stream) {
  BEGIN();
  return copy_on((Work){.kind = WORK_COPY, .way = COPY_IN, .to = pointer(to), .from = from, .n = n},
                 stream);
}

API CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream stream) {
  BEGIN();
  return copy_on(
      (Work){.kind = WORK_COPY, .way = COPY_OUT, .to = to, .from = pointer(from), .n = n}, stream);
}

API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  BEGIN();
  return copy_on(
      (Work){
          .kind = WORK_COPY, .way = COPY_WITHIN, .to = pointer(to), .from = pointer(from), .n = n},
      stream);
}

/* n: elements. */
static CUresult fill_on(CUdeviceptr to, unsigned value, unsigned element, size_t n,
                        CUstream stream) {
  Work w = {
      .kind = WORK_FILL, .to = pointer(to), .value = value, .element = element, .n = n * element};
  if (n == 0) return CUDA_SUCCESS;
  if (to % element != 0 || !region_of(w.to, w.n)) return CUDA_ERROR_INVALID_VALUE;
  return stream_submit(stream, &w);
}

API CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t n) {
  BEGIN();
  CUresult error = capture_forbids_legacy();
  return error ? error : fill_on(to, value, 1, n, NULL);
}

API CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t n) {
  BEGIN();
  CUresult error = capture_forbids_legacy();
  return error ? error : fill_on(to, value, 4, n, NULL);
}

API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream) {
  BEGIN();
  return fill_on(to, value, 1, n, stream);
}

API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t n, CUstream stream) {
  BEGIN();
  return fill_on(to, value, 4, n, stream);
}
