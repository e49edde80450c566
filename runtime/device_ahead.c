/* The next batch on a CUDA device, where its source stays in the host's memory: the bus is slow, so
   a batch is copied over it while the one before is computed with. The function that draws runs in
   a stream of its own, on copies of all that it writes, the counter of draws included, as soon as
   the draw before it is over; a draw of the schedule waits for it and copies those into the arena.
   In a graph that is a branch beside the rest. Everything is done by the end of a piece, so that
   pieces are launched as others are. */

#include "runtime/device_cuda.h"
#include "runtime/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 256 }; /* of copies */

static const char trouble[] = "a batch cannot be copied ahead";

/* ---- room */

static bool told(const char *how) {
  const char *batches = getenv("MLO_BATCHES");
  return batches && !strcmp(batches, how);
}

bool cuda_keeps_data(void) { return told("ahead") || told("late"); }

static size_t padded(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

/* Whether all that the function is given lies in the arena, and products have no part in it. */
static bool is_simple(const MloDevice *code, const MloFunc *f) {
  for (int i = f->first; i < f->first + f->n; i++) {
    const MloLaunch *l = &code->launch[i];
    if (l->kind != MLO_KERNEL) return false;
    for (int k = 0; k < l->narg; k++)
      if (code->arg[l->arg + k] < 0) return false;
  }
  return true;
}

static bool may_run_ahead(const RtDevice *d, int level) {
  if (d->cuda->code->ahead[level].nspan == 0) return false;
  for (int i = 0; i < d->nstmt; i++)
    if (d->stmt[i].kind == MLO_CALL && d->stmt[i].level == level &&
        !is_simple(d->cuda->code, &d->func[d->stmt[i].func]))
      return false;
  return true;
}

static size_t bytes_of(const MloAhead *a) {
  size_t n = 0;
  for (int i = 0; i < a->nspan; i++) n += padded(a->span[i].bytes);
  return n;
}

/* Buffer, stream and events; false where something is missing, which is no error. */
static bool make_room(Cuda *c, size_t bytes, RtErr *e) {
  CudaAhead *a = &c->ahead;
  bool ok = rt_cuda_ok(&c->api, c->api.allocate(&a->buffer, bytes), e, "no room for copies") &&
            rt_cuda_ok(&c->api, c->api.stream(&a->stream, CU_STREAM_NON_BLOCKING), e,
                       "no room for a stream") &&
            rt_cuda_ok(&c->api, c->api.event(&a->begin, CU_EVENT_DISABLE_TIMING), e,
                       "no room for an event");
  for (int i = 0; ok && i < c->code->nahead; i++)
    ok = rt_cuda_ok(&c->api, c->api.event(&a->draw[i].done, CU_EVENT_DISABLE_TIMING), e,
                    "no room for an event");
  return ok;
}

static bool place_copies(Cuda *c, int level, size_t *at) {
  const MloAhead *a = &c->code->ahead[level];
  CudaDraw *w = &c->ahead.draw[level];
  w->copy = malloc((size_t)a->nspan * sizeof *w->copy);
  for (int i = 0; w->copy && i < a->nspan; i++) {
    w->copy[i] = c->ahead.buffer + *at;
    *at += padded(a->span[i].bytes);
  }
  return w->copy;
}

void cuda_find_ahead(RtDevice *d) {
  Cuda *c = d->cuda;
  RtErr why = {0};
  size_t bytes = 0, at = 0;
  int n = c->code->nahead;
  if (c->nhole == 0 || n <= 0 || told("late")) return;
  for (int i = 0; i < n; i++)
    if (may_run_ahead(d, i)) bytes += bytes_of(&c->code->ahead[i]);
  c->ahead.draw = calloc((size_t)n, sizeof *c->ahead.draw);
  bool ok = bytes > 0 && c->ahead.draw && make_room(c, bytes, &why);
  for (int i = 0; ok && i < n; i++)
    if (may_run_ahead(d, i)) ok = place_copies(c, i, &at);
  if (!ok) cuda_free_ahead(c);
  if (!d->run->option.verbose || bytes == 0) return;
  if (ok)
    fprintf(stderr, "%s: the next batches are copied ahead\n", d->run->program->name);
  else
    fprintf(stderr, "%s: batches are copied when they are drawn: %s\n", d->run->program->name,
            why.code ? why.text : "out of memory");
}

void cuda_free_ahead(Cuda *c) {
  CudaAhead *a = &c->ahead;
  if (a->stream) c->api.wait(a->stream);
  for (int i = 0; a->draw && i < c->code->nahead; i++) {
    if (a->draw[i].done) c->api.event_free(a->draw[i].done);
    free(a->draw[i].copy);
  }
  if (a->begin) c->api.event_free(a->begin);
  if (a->stream) c->api.stream_free(a->stream);
  if (a->buffer) c->api.free(a->buffer);
  free(a->draw);
  *a = (CudaAhead){.now = -1};
}

/* ---- running ahead */

static CudaDraw *draw_of(const RtDevice *d, const MloStmt *s) {
  CudaAhead *a = &d->cuda->ahead;
  if (!a->draw || s->level < 0 || !a->draw[s->level].copy) return NULL;
  return &a->draw[s->level];
}

CuAddress cuda_ahead_place(const Cuda *c, int64_t at) {
  if (c->ahead.now < 0 || at < 0) return 0;
  const MloAhead *a = &c->code->ahead[c->ahead.now];
  for (int i = 0; i < a->nspan; i++) {
    size_t into = (size_t)at - a->span[i].offset;
    if ((size_t)at >= a->span[i].offset && into < a->span[i].bytes)
      return c->ahead.draw[c->ahead.now].copy[i] + into;
  }
  return 0;
}

int cuda_ahead_nodes(const RtDevice *d, const MloStmt *s) {
  return draw_of(d, s) ? d->cuda->code->ahead[s->level].nspan : 0;
}

void cuda_drop_ahead(Cuda *c) {
  for (int i = 0; c->ahead.draw && i < c->code->nahead; i++) c->ahead.draw[i].ready = false;
}

/* All that the draw writes, from the arena to the copies or back. */
static bool move(RtDevice *d, const MloStmt *s, bool out) {
  Cuda *c = d->cuda;
  const MloAhead *a = &c->code->ahead[s->level];
  const CudaDraw *w = &c->ahead.draw[s->level];
  for (int i = 0; i < a->nspan; i++) {
    CuAddress place = cuda_place(c, (int64_t)a->span[i].offset);
    int result = c->api.within(out ? w->copy[i] : place, out ? place : w->copy[i], a->span[i].bytes,
                               c->stream);
    if (!rt_cuda_ok(&c->api, result, d->err, trouble)) return false;
  }
  return true;
}

/* The function on its copies, in the stream where work goes now. */
static bool run_on_copies(RtDevice *d, const MloStmt *s) {
  d->cuda->ahead.now = s->level;
  bool ok = cuda_call(d, &d->func[s->func]);
  d->cuda->ahead.now = -1;
  return ok;
}

/* In its own stream, behind what was launched so far. */
static bool run_beside(RtDevice *d, const MloStmt *s) {
  Cuda *c = d->cuda;
  CudaDraw *w = &c->ahead.draw[s->level];
  CuStream main = c->stream;
  if (!rt_cuda_ok(&c->api, c->api.record(c->ahead.begin, main), d->err, trouble) ||
      !rt_cuda_ok(&c->api, c->api.behind(c->ahead.stream, c->ahead.begin, 0), d->err, trouble))
    return false;
  w->pending = true;
  c->stream = c->ahead.stream;
  bool ok = run_on_copies(d, s);
  c->stream = main;
  return ok && rt_cuda_ok(&c->api, c->api.record(w->done, c->ahead.stream), d->err, trouble);
}

static bool join(RtDevice *d, CudaDraw *w) {
  Cuda *c = d->cuda;
  bool pending = w->pending;
  w->pending = false;
  return !pending || rt_cuda_ok(&c->api, c->api.behind(c->stream, w->done, 0), d->err, trouble);
}

void cuda_forget_ahead(Cuda *c) {
  for (int i = 0; c->ahead.draw && i < c->code->nahead; i++) c->ahead.draw[i].pending = false;
}

bool cuda_begin_ahead(RtDevice *d) {
  for (int i = 0; d->cuda->ahead.draw && i < d->nstmt; i++) {
    const MloStmt *s = &d->stmt[i];
    CudaDraw *w = s->kind == MLO_CALL ? draw_of(d, s) : NULL;
    if (!w || w->ready) continue;
    if (!move(d, s, true) || !run_on_copies(d, s)) return false;
    w->ready = true;
  }
  return true;
}

bool cuda_draw(RtDevice *d, const MloStmt *s) {
  CudaDraw *w = draw_of(d, s);
  if (!w) return cuda_call(d, &d->func[s->func]);
  return join(d, w) && move(d, s, false) && run_beside(d, s);
}

bool cuda_end_ahead(RtDevice *d) {
  CudaAhead *a = &d->cuda->ahead;
  for (int i = 0; a->draw && i < d->cuda->code->nahead; i++)
    if (!join(d, &a->draw[i])) return false;
  return true;
}
