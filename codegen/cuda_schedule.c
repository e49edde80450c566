/* The schedule on a CUDA device: rows of functions that are runs of launches. Neighbouring kernels
   that one block does in less time than their launches take become one kernel, and so do whole
   loops, solver iterations included. A loop with a condition may make all its rounds, of which only
   those count that begin while the condition holds: its first launch keeps what it was. */
#include "codegen/schedule.h"
#include "codegen/unit_cuda.h"

typedef struct Walk {
  Device *d;
  Rows rows;
  int before; /* functions that stand before the device's */
  Item *item; /* what no row has been made of yet */
  int nitem, item_cap;
  double step; /* how often in a step of the top level: for reports */
} Walk;

static void begin_func(Walk *w, const char *name) {
  DeviceFunc f = {.name = name, .first = w->d->nlaunch};
  VEC_PUSH(w->d->unit.arena, w->d->func, w->d->nfunc, w->d->func_cap, f);
}

/* draw: the function, where it is one that the runtime may run ahead. */
static void end_func(Walk *w, const Func *draw) {
  DeviceFunc *f = &w->d->func[w->d->nfunc - 1];
  f->n = w->d->nlaunch - f->first;
  for (int i = f->first; i < w->d->nlaunch; i++) w->d->launch[i].step = w->step;
  unit_call(&w->rows, w->before + w->d->nfunc - 1, draw);
}

/* From `at` on: the longest run of items that one block does. */
static int run_length(const Walk *w, int at) {
  int n = 0, kernels = 0;
  for (; at + n < w->nitem && block_fits(&w->item[at + n], 1); n++) {
    kernels += block_kernels(&w->item[at + n]);
    if (kernels > BLOCK_KERNELS) break;
  }
  return n;
}

/* A row of all items that wait. loop: the loop with a condition around them, or 0. */
static void flush(Walk *w, int loop) {
  if (!w->nitem) return;
  begin_func(w, w->item[0].func->name);
  for (int i = 0; i < w->nitem;) {
    int n = w->d->unit.options->poison ? 0 : run_length(w, i);
    if (n > 1 || (n == 1 && w->item[i].loop)) {
      block_launch(w->d, &w->item[i], n, loop);
      i += n;
    } else {
      device_launch(w->d, w->item[i].func, w->item[i].kernel, loop);
      device_poison(w->d, w->item[i].kernel);
      i++;
    }
  }
  end_func(w, NULL);
  w->nitem = 0;
}

/* A row of its own. */
static void draw(Walk *w, const Func *f) {
  flush(w, 0);
  begin_func(w, f->name);
  for (int i = 0; i < f->nkernel; i++) device_launch(w->d, f, f->kernel[i], 0);
  end_func(w, f);
}

static const Func *first_func(const Stmt *s) {
  for (; s; s = s->next) {
    const Func *f = s->kind == STMT_CALL ? s->func : first_func(s->body);
    if (f) return f;
  }
  return NULL;
}

static void add(Walk *w, const Stmt *s) {
  if (s->kind != STMT_CALL) {
    Item x = {.func = first_func(s->body), .loop = s};
    VEC_PUSH(w->d->unit.arena, w->item, w->nitem, w->item_cap, x);
    return;
  }
  for (int i = 0; i < s->func->nkernel; i++) {
    Item x = {.func = s->func, .kernel = s->func->kernel[i]};
    VEC_PUSH(w->d->unit.arena, w->item, w->nitem, w->item_cap, x);
  }
}

static bool is_item(const Walk *w, const Stmt *s) {
  if (s->kind == STMT_CALL) return true;
  Item x = {.loop = s};
  return s->kind != STMT_REPORT && !stmt_is_top_loop(w->d->unit.program, s) &&
         !w->d->unit.options->poison && first_func(s->body) && !ahead_draws_in(w->d, s->body) &&
         block_fits(&x, 1);
}

/* How often a body runs in a step. */
static double steps_of(const Walk *w, const Stmt *s) {
  if (stmt_is_top_loop(w->d->unit.program, s)) return 1;
  if (s->kind == STMT_REPORT) return 0;
  return w->step * cg_rounds(s);
}

static void statements(Walk *w, const Stmt *s, const Stmt *end, int loop) {
  for (; s != end; s = s->next) {
    if (s->kind == STMT_CALL && ahead_is_draw(w->d, s->func)) {
      draw(w, s->func);
      continue;
    }
    if (is_item(w, s)) {
      add(w, s);
      continue;
    }
    flush(w, loop);
    bool counts = s->kind == STMT_WHILE && !stmt_is_top_loop(w->d->unit.program, s);
    int at = unit_open(&w->rows, s), inner = loop;
    double step = w->step;
    w->step = steps_of(w, s);
    if (counts) {
      inner = device_loop(w->d);
      begin_func(w, "while");
      device_keep(w->d, inner, loop, s->cond);
      end_func(w, NULL);
    }
    statements(w, s->body, NULL, inner);
    unit_close(&w->rows, at);
    w->step = step;
  }
  flush(w, loop);
}

int device_schedule(Device *d, int before, const char *name, Text *out) {
  Walk w = {.d = d, .rows = {.u = &d->unit}, .before = before};
  bool loads;
  const Stmt *rest = schedule_rest(d->unit.program, &loads);
  statements(&w, d->unit.program->schedule, rest, 0);
  if (loads) unit_initial(&w.rows);
  statements(&w, rest, NULL, 0);
  return out ? unit_rows(&w.rows, name, out) : w.rows.nrow;
}
