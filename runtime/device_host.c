/* The CPU as a device: a function of the schedule is a C function, and its arena is the host's. */

#include "runtime/device.h"

#include "runtime/run.h"

#include <string.h>

int32_t rt_get_i32(const unsigned char *arena, int64_t at) {
  int32_t x;
  memcpy(&x, arena + at, sizeof x);
  return x;
}

int64_t rt_rounds(const MloStmt *s, const unsigned char *arena) {
  return s->count_at == MLO_NOWHERE ? s->count : rt_get_i32(arena, s->count_at);
}

static void put_i32(unsigned char *arena, int64_t at, int64_t value) {
  int32_t x = (int32_t)value;
  if (at != MLO_NOWHERE) memcpy(arena + at, &x, sizeof x);
}

typedef struct Host {
  MloRun *run; /* NULL: nobody reads ahead */
  unsigned char *arena;
  const MloFunc *func;
  const MloStmt *stmt;
} Host;

static void statements(const Host *h, int at, int end);

static void loop(const Host *h, int at) {
  const MloStmt *s = &h->stmt[at];
  int64_t n = rt_rounds(s, h->arena);
  for (int64_t i = 0; i < n && (s->cond_at == MLO_NOWHERE || h->arena[s->cond_at]); i++) {
    put_i32(h->arena, s->counter_at, i);
    statements(h, at + 1, s->next);
  }
  put_i32(h->arena, s->counter_at, n);
}

static void statements(const Host *h, int at, int end) {
  for (; at < end; at = h->stmt[at].next) {
    const MloStmt *s = &h->stmt[at];
    switch (s->kind) {
    case MLO_CALL:
      h->func[s->func].host(h->arena);
      if (s->level >= 0 && h->run) mlo_drawn(h->run, s->level, rt_get_i32(h->arena, s->counter_at));
      break;
    case MLO_REPEAT:
    case MLO_WHILE: loop(h, at); break;
    default: break;
    }
  }
}

void mlo_statements(const MloFunc *func, const MloStmt *stmt, int nstmt, unsigned char *arena) {
  Host h = {.arena = arena, .func = func, .stmt = stmt};
  statements(&h, 0, nstmt);
}

static bool clear(RtDevice *d) {
  (void)d; /* the arena is new, or rt_seeds has cleared it */
  return true;
}

static bool run_statements(RtDevice *d, int first, int end, int64_t advance, bool often) {
  Host h = {d->run, d->arena, d->func, d->stmt};
  (void)often;
  if (advance != MLO_NOWHERE)
    put_i32(d->arena, advance, (int64_t)rt_get_i32(d->arena, advance) + 1);
  statements(&h, first, end);
  return true;
}

static bool set(RtDevice *d, int64_t at, int32_t value) {
  put_i32(d->arena, at, value);
  return true;
}

/* There is one arena, and what was asked for is done. */
static bool same(RtDevice *d, int64_t at, size_t n) {
  (void)d, (void)at, (void)n;
  return true;
}

static bool done(RtDevice *d) {
  (void)d;
  return true;
}

static void nothing(RtDevice *d) { (void)d; }

static const RtDeviceType type = {"cpu", clear, run_statements, set,    same,
                                  same,  done,  done,           nothing};

void rt_device_host(RtDevice *d, MloRun *run) {
  const MloProgram *p = run->program;
  *d = (RtDevice){.type = &type,
                  .run = run,
                  .arena = run->arena,
                  .func = p->func,
                  .stmt = p->stmt,
                  .nstmt = p->nstmt,
                  .err = &run->err};
}
