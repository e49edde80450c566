/* Interprets a program's schedule: what is between reports and steps of the top level is one piece
   of work for the device; here is what the host has a hand in. It counts the steps of the top level
   itself, so that a report needs no word from the device to be due. */

#include "runtime/device.h"
#include "runtime/npy.h"
#include "runtime/run.h"

#include <string.h>

typedef struct Walk {
  MloRun *run;
  RtDevice *d;
  const MloStmt *stmt;
  int64_t counter, step; /* of the top level's loop, once it was entered: where, and its value */
  bool inside;           /* that loop: what is done there is done again */
} Walk;

static int list(Walk *w, int at, int end, int64_t advance);

static int failed(const Walk *w) { return w->d->err->code; }

static bool fetch(Walk *w, int64_t at, size_t n) {
  return w->d->type->fetch(w->d, at, n) && w->d->type->wait(w->d);
}

static bool set(Walk *w, int64_t at, int64_t value) {
  return at == MLO_NOWHERE || w->d->type->set(w->d, at, (int32_t)value);
}

/* The number of the step that a report is of. */
static bool step_of(Walk *w, const MloStmt *s, int64_t *step) {
  *step = s->counter_at == w->counter ? w->step : 0;
  if (s->counter_at == w->counter || s->counter_at == MLO_NOWHERE) return true;
  if (!fetch(w, s->counter_at, sizeof(int32_t))) return false;
  *step = rt_get_i32(w->d->arena, s->counter_at);
  return true;
}

/* Whether the loop's condition lets another round begin. */
static bool again(Walk *w, const MloStmt *s, bool *go) {
  *go = true;
  if (s->cond_at == MLO_NOWHERE) return true;
  if (!fetch(w, s->cond_at, 1)) return false;
  *go = w->d->arena[s->cond_at];
  return true;
}

/* Metrics mostly stand close together: then they are one piece. */
static bool fetch_metrics(Walk *w, const MloProgram *p) {
  enum { CLOSE = 1 << 16 };
  size_t from = SIZE_MAX, to = 0;
  for (int i = 0; i < p->nmetric; i++) {
    size_t at = p->metric[i].offset, end = at + rt_dtype_size(p->metric[i].dtype);
    if (at < from) from = at;
    if (end > to) to = end;
  }
  if (to > from && to - from <= CLOSE) return fetch(w, (int64_t)from, to - from);
  for (int i = 0; i < p->nmetric; i++)
    if (!w->d->type->fetch(w->d, (int64_t)p->metric[i].offset, rt_dtype_size(p->metric[i].dtype)))
      return false;
  return w->d->type->wait(w->d);
}

static int report(Walk *w, int at) {
  const MloStmt *s = &w->stmt[at];
  int64_t step;
  int status;
  if (!step_of(w, s, &step)) return failed(w);
  if (s->kind == MLO_EVAL)
    return mlo_eval_due(w->run, step) ? list(w, at + 1, s->next, MLO_NOWHERE) : 0;
  if (!mlo_due(w->run, step)) return 0;
  if ((status = list(w, at + 1, s->next, MLO_NOWHERE))) return status;
  return fetch_metrics(w, w->run->program) ? mlo_report(w->run, step) : failed(w);
}

/* Whether the statements are calls, loops without reports, and reports. */
static bool flat(const MloStmt *s, int at, int end) {
  for (; at < end; at = s[at].next) {
    if (s[at].kind > MLO_REPORT) return false;
    for (int i = at + 1; s[at].kind != MLO_REPORT && i < s[at].next; i++)
      if (s[i].kind >= MLO_REPORT || s[i].top) return false;
  }
  return true;
}

/* One step of the top level. Where no report is due all of it is one piece. */
static int step(Walk *w, int at, int end, bool whole, int64_t counter) {
  for (int i = at; whole && i < end; i = w->stmt[i].next) {
    int64_t number;
    if (w->stmt[i].kind != MLO_REPORT) continue;
    if (!step_of(w, &w->stmt[i], &number)) return failed(w);
    whole = !mlo_due(w->run, number);
  }
  if (!whole) return list(w, at, end, counter);
  return w->d->type->run(w->d, at, end, counter, true) ? 0 : failed(w);
}

/* The top level's loop, from where the runtime says. A device counts its steps itself: before each
   one, so that behind it the counter is that of the step. */
static int steps(Walk *w, int at) {
  const MloStmt *s = &w->stmt[at];
  int64_t n = rt_rounds(s, w->d->arena), i = 0;
  bool go, whole = flat(w->stmt, at + 1, s->next);
  int status = mlo_resume(w->run, &i);
  if (status) return status;
  if (!set(w, s->counter_at, i - 1)) return failed(w);
  w->counter = s->counter_at;
  w->inside = true;
  for (; i < n; i++) {
    if (!again(w, s, &go)) return failed(w);
    if (!go) break;
    w->step = i;
    if ((status = step(w, at + 1, s->next, whole, s->counter_at))) return status;
    if (!w->d->type->pace(w->d)) return failed(w);
    if ((status = mlo_tick(w->run, i + 1))) return status;
  }
  w->step = i;
  w->inside = false;
  if (i < n) mlo_stopped(w->run, i);
  return set(w, s->counter_at, i) ? 0 : failed(w);
}

/* Another loop that has reports or the top level's steps within. */
static int rounds(Walk *w, int at) {
  const MloStmt *s = &w->stmt[at];
  int64_t n = rt_rounds(s, w->d->arena);
  bool go;
  for (int64_t i = 0; i < n; i++) {
    if (!again(w, s, &go)) return failed(w);
    if (!go) break;
    if (!set(w, s->counter_at, i)) return failed(w);
    int status = list(w, at + 1, s->next, MLO_NOWHERE);
    if (status) return status;
  }
  return set(w, s->counter_at, n) ? 0 : failed(w);
}

static int statement(Walk *w, int at) {
  switch (w->stmt[at].kind) {
  case MLO_REPORT:
  case MLO_EVAL: return report(w, at);
  case MLO_INITIAL: return mlo_load(w->run);
  default: return w->stmt[at].top ? steps(w, at) : rounds(w, at);
  }
}

/* The first statement from `at` on that the device cannot do alone. */
static int plain(const MloStmt *s, int at, int end) {
  for (; at < end; at = s[at].next)
    for (int i = at; i < s[at].next; i++)
      if (s[i].kind >= MLO_REPORT || s[i].top) return at;
  return at;
}

/* Statements of one list; the counter at `advance` is advanced before the first. */
static int list(Walk *w, int at, int end, int64_t advance) {
  while (at < end || advance != MLO_NOWHERE) {
    int to = plain(w->stmt, at, end), status;
    if ((to > at || advance != MLO_NOWHERE) && !w->d->type->run(w->d, at, to, advance, w->inside))
      return failed(w);
    advance = MLO_NOWHERE;
    at = to;
    if (at >= end) break;
    if ((status = statement(w, at))) return status;
    at = w->stmt[at].next;
  }
  return 0;
}

int mlo_schedule(MloRun *run, unsigned char *arena) {
  RtDevice *d = &run->device;
  d->arena = arena;
  Walk w = {.run = run, .d = d, .stmt = d->stmt, .counter = MLO_NOWHERE};
  return rt_device_begin(d) ? list(&w, 0, d->nstmt, MLO_NOWHERE) : failed(&w);
}
