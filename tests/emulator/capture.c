/* Streams that capture: what they are told to do becomes nodes of a graph, each behind the stream's
 * tail. Calls that cannot be captured make the capture invalid, as the driver does. */

#include "tests/emulator/emu.h"

#include <stdlib.h>
#include <string.h>

void tail_copy(Tail *to, const Tail *from) {
  to->n = 0;
  tail_join(to, from);
}

void tail_join(Tail *to, const Tail *from) {
  to->node = realloc(to->node, (size_t)(to->n + from->n + 1) * sizeof(CUgraphNode));
  for (int i = 0; i < from->n; i++) {
    bool known = false;
    for (int k = 0; k < to->n; k++) known |= to->node[k] == from->node[i];
    if (!known) to->node[to->n++] = from->node[i];
  }
}

static void tail_add(Tail *to, CUgraphNode node) { tail_join(to, &(Tail){&node, 1}); }

CUresult capture_add(CUstream s, Work *w) {
  if (s->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED)
    return work_clear(w), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  CUgraphNode node = graph_add(s->graph, w, s->tail.node, (size_t)s->tail.n);
  tail_copy(&s->tail, &(Tail){&node, 1});
  return CUDA_SUCCESS;
}

static void invalidate(CUstream origin) {
  for (CUstream s = emu.stream; s; s = s->next)
    if (s->origin == origin && s->capture == CU_STREAM_CAPTURE_STATUS_ACTIVE)
      s->capture = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
}

CUresult capture_forbids(CUstream s) {
  if (s->capture == CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_SUCCESS;
  if (s->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  invalidate(s->origin);
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult capture_forbids_all(bool unsafe) {
  CUresult error = CUDA_SUCCESS;
  for (CUstream s = emu.stream; s; s = s->next)
    if (s->capture == CU_STREAM_CAPTURE_STATUS_ACTIVE &&
        !(unsafe && s->mode == CU_STREAM_CAPTURE_MODE_RELAXED)) {
      invalidate(s->origin);
      error = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  return error;
}

CUresult capture_forbids_legacy(void) {
  CUresult error = capture_forbids_all(true);
  for (CUstream s = emu.stream; s && !error; s = s->next)
    if (s->capture == CU_STREAM_CAPTURE_STATUS_ACTIVE && !(s->flags & CU_STREAM_NON_BLOCKING)) {
      invalidate(s->origin);
      error = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
  return error;
}

API CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  BEGIN();
  if (!stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  stream->mode = mode;
  stream->origin = stream;
  stream->graph = graph_new();
  stream->borrowed = false;
  stream->tail.n = 0;
  return CUDA_SUCCESS;
}

API CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *before,
                                         const CUgraphEdgeData *edge, size_t n,
                                         CUstreamCaptureMode mode) {
  BEGIN();
  (void)edge;
  if (!stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (!graph || (n > 0 && !before)) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < n; i++)
    if (!graph_has(graph, before[i])) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  stream->mode = mode;
  stream->origin = stream;
  stream->graph = graph;
  stream->borrowed = true;
  stream->tail.n = 0;
  for (size_t i = 0; i < n; i++) tail_add(&stream->tail, before[i]);
  return CUDA_SUCCESS;
}

/* Each node is looked at once a search: where branches part and meet again and again, there are far
   more paths than nodes. */
static bool leads_to(CUgraphNode from, CUgraphNode to, unsigned search) {
  if (to->search == search) return false;
  to->search = search;
  bool found = from == to;
  for (int i = 0; i < to->nbefore && !found; i++) found = leads_to(from, to->before[i], search);
  return found;
}

/* Is all that the other streams of the capture were told before the origin's tail? */
static bool joined(CUstream origin) {
  for (CUstream s = emu.stream; s; s = s->next)
    for (int i = 0; s->origin == origin && s != origin && i < s->tail.n; i++) {
      bool found = false;
      static unsigned search;
      search++;
      for (int k = 0; k < origin->tail.n && !found; k++)
        found = leads_to(s->tail.node[i], origin->tail.node[k], search);
      if (!found) return false;
    }
  return true;
}

API CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  BEGIN();
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  *graph = NULL;
  if (!stream || stream->capture == CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_ERROR_ILLEGAL_STATE;
  if (stream->origin != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  CUresult error = stream->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED
                       ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                   : !joined(stream) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                     : CUDA_SUCCESS;
  if (error && !stream->borrowed) graph_free(stream->graph);
  if (!error) *graph = stream->graph, emu.counts.captures++;
  for (CUstream s = emu.stream; s; s = s->next) {
    if (s->origin != stream) continue;
    s->capture = CU_STREAM_CAPTURE_STATUS_NONE;
    s->graph = NULL;
    s->tail.n = 0;
    s->origin = NULL;
  }
  return error;
}

API CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
  BEGIN();
  if (!status) return CUDA_ERROR_INVALID_VALUE;
  *status = stream_of(stream)->capture;
  return CUDA_SUCCESS;
}

#ifndef EMU_REAL_HEADERS
API CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status,
                                       cuuint64_t *id, CUgraph *graph, const CUgraphNode **before,
                                       size_t *n) {
  BEGIN();
  if (!status) return CUDA_ERROR_INVALID_VALUE;
  CUstream s = stream_of(stream);
  *status = s->capture;
  if (s->capture != CU_STREAM_CAPTURE_STATUS_ACTIVE) return CUDA_SUCCESS;
  if (id) *id = (cuuint64_t)(uintptr_t)s->origin;
  if (graph) *graph = s->graph;
  if (before) *before = s->tail.node;
  if (n) *n = (size_t)s->tail.n;
  return CUDA_SUCCESS;
}

API CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *node, size_t n,
                                               unsigned flags) {
  BEGIN();
  CUstream s = stream_of(stream);
  if (s->capture == CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_ERROR_ILLEGAL_STATE;
  if (s->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES || (n > 0 && !node))
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < n; i++)
    if (!graph_has(s->graph, node[i])) return CUDA_ERROR_INVALID_VALUE;
  if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES) s->tail.n = 0;
  for (size_t i = 0; i < n; i++) tail_add(&s->tail, node[i]);
  return CUDA_SUCCESS;
}
#endif
