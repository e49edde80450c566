/* Streams and events. Each stream has a queue; by default it is done at once, with option.lazy only
 * when the host waits: then work of one stream runs as late as its waits for events allow, so that
 * a missing wait shows. */

#include "tests/emulator/emu.h"

#include <stdlib.h>

CUstream stream_of(CUstream handle) { return handle ? handle : &emu.legacy; }

static bool is_blocking(CUstream s) {
  return s != &emu.legacy && !(s->flags & CU_STREAM_NON_BLOCKING);
}

/* Does the first of the queue. */
static CUresult step(CUstream s) {
  Queued *q = s->first;
  s->first = q->next;
  if (!s->first) s->last = NULL;
  CUresult error = work_run(&q->work, false);
  work_clear(&q->work);
  free(q);
  return error;
}

CUresult stream_finish(CUstream stream) {
  CUresult error = emu.sticky;
  for (CUstream s = emu.stream; !stream && s && !error; s = s->next) error = stream_finish(s);
  CUstream s = stream ? stream : &emu.legacy;
  while (s->first && !error) error = step(s);
  return error;
}

CUresult event_finish(CUevent event, unsigned long ticket) {
  CUresult error = emu.sticky;
  while (event->done < ticket && event->stream->first && !error) error = step(event->stream);
  return error;
}

/* The stream NULL waits for all blocking streams, and they for it. */
static CUresult wait_implicitly(CUstream s) {
  CUresult error = CUDA_SUCCESS;
  if (is_blocking(s)) return stream_finish(&emu.legacy);
  if (s != &emu.legacy) return error;
  if ((error = capture_forbids_legacy())) return error;
  for (CUstream t = emu.stream; t && !error; t = t->next)
    if (is_blocking(t)) error = stream_finish(t);
  return error;
}

CUresult stream_submit(CUstream stream, Work *w) {
  CUstream s = stream_of(stream);
  if (s->capture != CU_STREAM_CAPTURE_STATUS_NONE) return capture_add(s, w);
  CUresult error = wait_implicitly(s);
  if (error) return work_clear(w), error;
  Queued *q = calloc(1, sizeof *q);
  q->work = *w;
  *(s->last ? &s->last->next : &s->first) = q;
  s->last = q;
  return emu.option.lazy && s != &emu.legacy ? CUDA_SUCCESS : stream_finish(s);
}

API CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  BEGIN();
  if (!stream || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  CUstream s = calloc(1, sizeof *s);
  *s = (struct CUstream_st){.next = emu.stream, .flags = flags};
  emu.stream = *stream = s;
  return CUDA_SUCCESS;
}

API CUresult cuStreamDestroy_v2(CUstream stream) {
  BEGIN();
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  CUresult error = stream_finish(stream);
  CUstream *at = &emu.stream;
  while (*at && *at != stream) at = &(*at)->next;
  if (!*at) return CUDA_ERROR_INVALID_HANDLE;
  *at = stream->next;
  if (stream->origin == stream && !stream->borrowed) graph_free(stream->graph);
  free(stream->tail.node);
  free(stream);
  return error;
}

API CUresult cuStreamSynchronize(CUstream stream) {
  BEGIN();
  CUresult error = stream ? capture_forbids(stream) : capture_forbids_legacy();
  if (error) return error;
  emu.counts.synchronizations++;
  return stream ? stream_finish(stream) : stream_finish(NULL);
}

API CUresult cuStreamQuery(CUstream stream) {
  BEGIN();
  CUresult error = stream ? capture_forbids(stream) : capture_forbids_legacy();
  return error ? error : stream_finish(stream_of(stream));
}

/* An event that was captured makes the stream part of its capture. */
static CUresult wait_captured(CUstream s, CUevent event) {
  if (s->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!event->origin) {
    capture_forbids(s);
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (s->capture == CU_STREAM_CAPTURE_STATUS_NONE) {
    s->capture = event->origin->capture;
    s->mode = event->origin->mode;
    s->origin = event->origin;
    s->graph = event->origin->graph;
    tail_copy(&s->tail, &event->tail);
    return CUDA_SUCCESS;
  }
  if (s->origin != event->origin) return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  tail_join(&s->tail, &event->tail);
  return CUDA_SUCCESS;
}

API CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  BEGIN();
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  CUstream s = stream_of(stream);
  if (event->origin || s->capture != CU_STREAM_CAPTURE_STATUS_NONE) return wait_captured(s, event);
  Work w = {.kind = WORK_WAIT, .event = event, .ticket = event->asked};
  return event->asked ? stream_submit(stream, &w) : CUDA_SUCCESS;
}

API CUresult cuEventCreate(CUevent *event, unsigned flags) {
  BEGIN();
  if (!event || flags & ~3u) return CUDA_ERROR_INVALID_VALUE;
  *event = calloc(1, sizeof **event);
  (*event)->flags = flags;
  return CUDA_SUCCESS;
}

API CUresult cuEventDestroy_v2(CUevent event) {
  BEGIN();
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  CUresult error = stream_finish(NULL);
  free(event->tail.node);
  free(event);
  return error;
}

API CUresult cuEventRecord(CUevent event, CUstream stream) {
  BEGIN();
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  CUstream s = stream_of(stream);
  event->origin = s->capture == CU_STREAM_CAPTURE_STATUS_NONE ? NULL : s->origin;
  if (s->capture == CU_STREAM_CAPTURE_STATUS_INVALIDATED)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (event->origin) return tail_copy(&event->tail, &s->tail), CUDA_SUCCESS;
  event->stream = s;
  Work w = {.kind = WORK_RECORD, .event = event, .ticket = ++event->asked};
  return stream_submit(stream, &w);
}

API CUresult cuEventSynchronize(CUevent event) {
  BEGIN();
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (event->origin) return CUDA_ERROR_CAPTURED_EVENT;
  CUresult error = capture_forbids_all(true);
  if (error) return error;
  emu.counts.synchronizations++;
  return event->asked ? event_finish(event, event->asked) : CUDA_SUCCESS;
}

API CUresult cuEventQuery(CUevent event) {
  BEGIN();
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (event->origin) return CUDA_ERROR_CAPTURED_EVENT;
  CUresult error = capture_forbids_all(true);
  if (error) return error;
  return event->asked ? event_finish(event, event->asked) : CUDA_SUCCESS;
}

API CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end) {
  BEGIN();
  if (!ms) return CUDA_ERROR_INVALID_VALUE;
  if (!start || !end || !start->asked || !end->asked ||
      (start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)
    return CUDA_ERROR_INVALID_HANDLE;
  if (start->done < start->asked || end->done < end->asked) return CUDA_ERROR_NOT_READY;
  *ms = (float)(end->time - start->time);
  return CUDA_SUCCESS;
}

#ifndef EMU_REAL_HEADERS
API CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
  return cuEventElapsedTime_v2(ms, start, end);
}
#endif
