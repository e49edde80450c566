/* level_order: levels lowest first, and the schedule of one run: initial values, then for each step
   of the top level the sweeps of the levels below, the report and the step itself.

   Sweeps (lowest level first): a level steps if every level that it has an edge to has taken its
   `steps` since this level's last step (counted anew in each step of the top), and some level above
   still wants a step of it. Where every level has one level above, that is nested loops, whose
   counts --set may change; on other DAGs the sweeps are run here, once, and the trace of steps is
   folded into loops. */
#include <string.h>

#include "passes/pass.h"
#include "passes/passes.h"

/* ---- order */

static void visit(Level *l, Level **order, int *n) {
  for (int i = 0; i < *n; i++)
    if (order[i] == l) return;
  for (int e = 0; e < l->nedge; e++) visit(l->edge[e].lower, order, n);
  order[(*n)++] = l;
}

static int uppers(const Program *p, const Level *l) {
  int n = 0;
  for (int i = 0; i < p->nlevel; i++)
    for (int e = 0; e < p->level[i]->nedge; e++) n += p->level[i]->edge[e].lower == l;
  return n;
}

/* ---- statements */

typedef struct Block {
  Stmt *first, **tail;
} Block;

static void push(Block *b, Stmt *s) {
  if (!b->first) b->tail = &b->first;
  *b->tail = s;
  b->tail = &s->next;
}

static Stmt *step_of(Program *p, Level *l) {
  Stmt *s = stmt_new(p, STMT_STEP);
  s->level = l;
  return s;
}

static Stmt *repeat(Program *p, int64_t count, Storage *setting, Stmt *body) {
  Stmt *s = stmt_new(p, STMT_REPEAT);
  s->count = count;
  s->count_setting = setting;
  s->body = body;
  return s;
}

static void push_func(Program *p, Block *b, Func *f) {
  if (!f) return;
  Stmt *c = stmt_new(p, STMT_CALL);
  c->func = f;
  push(b, c);
}

/* The steps of l, each of which is `body`: as many as its setting says, or until it stops. */
static Stmt *push_steps(Program *p, Block *b, Level *l, Block *body) {
  push_func(p, b, l->again);
  push_func(p, body, l->check);
  Stmt *s = repeat(p, (int64_t)l->steps.storage->value, l->steps.storage, body->first);
  if (l->go) {
    s->kind = STMT_WHILE;
    s->cond = l->go;
  }
  push(b, s);
  return s;
}

/* Nested loops for everything below l. */
static void nest(Program *p, Block *b, Level *l) {
  for (int e = 0; e < l->nedge; e++) {
    Level *m = l->edge[e].lower;
    Block inner = {0};
    nest(p, &inner, m);
    push(&inner, step_of(p, m));
    push_steps(p, b, m, &inner);
  }
}

/* ---- sweeps on general DAGs */

/* A piece of the trace: a step (level set) or a loop over parts, repeated count times. */
typedef struct Part {
  Level *level;
  struct Part *part;
  int npart;
  int64_t count;
} Part;

typedef struct Trace {
  Part *part;
  int n, cap;
} Trace;

static bool part_eq(const Part *a, const Part *b, bool counts) {
  if (a->level != b->level || a->npart != b->npart || (counts && a->count != b->count))
    return false;
  for (int i = 0; i < a->npart; i++)
    if (!part_eq(&a->part[i], &b->part[i], true)) return false;
  return true;
}

enum { LONGEST_LOOP = 64, LONGEST_TRACE = 1 << 20 };

/* Folds the end of the trace while its last k parts repeat the k before: x x -> 2 x, and a loop
   followed by one more copy of its body -> one more round. */
static bool fold(Program *p, Trace *t) {
  Part *end = t->part + t->n;
  if (t->n >= 2 && part_eq(&end[-2], &end[-1], false)) {
    end[-2].count += end[-1].count;
    t->n--;
    return true;
  }
  for (int k = 2; k <= LONGEST_LOOP && k < t->n; k++) {
    Part *loop = &end[-k - 1];
    bool same = !loop->level && loop->npart == k;
    for (int i = 0; same && i < k; i++) same = part_eq(&loop->part[i], &end[i - k], true);
    if (same) {
      loop->count++;
      t->n -= k;
      return true;
    }
    same = 2 * k <= t->n;
    for (int i = 1; same && i <= k; i++) same = part_eq(&end[-i], &end[-i - k], true);
    if (!same) continue;
    Part made = {
        .part = arena_dup(p->arena, end - k, sizeof *end * (size_t)k), .npart = k, .count = 2};
    t->n -= 2 * k;
    t->part[t->n++] = made;
    return true;
  }
  return false;
}

static void record(Program *p, Trace *t, Level *l) {
  Part one = {.level = l, .count = 1};
  VEC_PUSH(p->arena, t->part, t->n, t->cap, one);
  while (fold(p, t)) continue;
}

/* Steps of the lower level since the upper's last, one count for each edge in level order. */
static int64_t *taken_of(Program *p, int64_t *taken, int upper, int edge) {
  int at = 0;
  for (int i = 0; i < upper; i++) at += p->level[i]->nedge;
  return &taken[at + edge];
}

static bool wanted(Program *p, int64_t *taken, const Level *l) {
  for (int u = 0; u < p->nlevel; u++)
    for (int e = 0; e < p->level[u]->nedge; e++)
      if (p->level[u]->edge[e].lower == l &&
          *taken_of(p, taken, u, e) < (int64_t)l->steps.storage->value)
        return true;
  return false;
}

static bool ready(Program *p, int64_t *taken, int i) {
  for (int e = 0; e < p->level[i]->nedge; e++)
    if (*taken_of(p, taken, i, e) < (int64_t)p->level[i]->edge[e].lower->steps.storage->value)
      return false;
  return true;
}

static void count_step(Program *p, int64_t *taken, int i) {
  for (int e = 0; e < p->level[i]->nedge; e++) *taken_of(p, taken, i, e) = 0;
  for (int u = 0; u < p->nlevel; u++)
    for (int e = 0; e < p->level[u]->nedge; e++)
      if (p->level[u]->edge[e].lower == p->level[i]) (*taken_of(p, taken, u, e))++;
}

static void emit_parts(Program *p, Block *b, const Part *part, int n) {
  for (int i = 0; i < n; i++) {
    Block inner = {0};
    Block *into = part[i].count > 1 ? &inner : b;
    if (part[i].level)
      push(into, step_of(p, part[i].level));
    else
      emit_parts(p, into, part[i].part, part[i].npart);
    if (part[i].count > 1) push(b, repeat(p, part[i].count, NULL, inner.first));
  }
}

static bool sweep(Program *p, Block *b) {
  int nedge = 0, top = p->nlevel - 1;
  for (int i = 0; i < p->nlevel; i++) nedge += p->level[i]->nedge;
  int64_t *taken = arena_array(p->arena, int64_t, nedge), length = 0;
  Trace t = {0};
  while (!ready(p, taken, top))
    for (int i = 0; i < top; i++)
      if (ready(p, taken, i) && wanted(p, taken, p->level[i])) {
        record(p, &t, p->level[i]);
        count_step(p, taken, i);
        if (++length > LONGEST_TRACE) {
          Diag *d = diag_error(p->diags, p->run.top->span, "E0310",
                               "one step of `%s` takes over a million steps of the levels below",
                               p->run.top->name);
          diag_help(p->diags, d, "lower the levels' `steps`");
          return false;
        }
      }
  emit_parts(p, b, t.part, t.n);
  for (int i = 0; i < top; i++) { /* the schedule holds these counts: --set must not differ */
    Storage *steps = p->level[i]->steps.storage;
    steps->lo = steps->hi = steps->value;
  }
  return true;
}

/* ---- the pass */

/* Over all rows of a source: batch by batch, then the rows that are left. */
static void push_metric(Program *p, Block *b, const Metric *m) {
  Block batch = {0};
  push_func(p, b, m->start);
  push_func(p, &batch, m->batch);
  if (m->batch) {
    Stmt *loop = repeat(p, m->nbatch, NULL, batch.first);
    loop->counter = m->counter;
    push(b, loop);
  }
  push_func(p, b, m->rest);
  push_func(p, b, m->func);
}

static bool is_costly(const Program *p, const char *metric) {
  for (int i = 0; i < p->nmetric; i++)
    if (!strcmp(p->metric[i].name, metric)) return p->metric[i].costly;
  return false;
}

/* Whether `eval` thins out an evaluation. An output belongs to the report whose variables are kept:
   where the best one may be any, it is evaluated at all. */
static bool thinned(const Program *p, const Metric *m) {
  if (!p->run.eval_every || !m->costly) return false;
  return !m->output || !p->run.best || is_costly(p, p->run.best);
}

static Stmt *report(Program *p, Storage *counter) {
  Stmt *r = stmt_new(p, STMT_REPORT), *eval = stmt_new(p, STMT_REPORT);
  r->counter = eval->counter = counter;
  eval->eval = true;
  Block all = {0}, thin = {0};
  for (int i = 0; i < p->nmetric; i++) {
    const Metric *m = &p->metric[i];
    push_metric(p, thinned(p, m) ? &thin : &all, m);
  }
  eval->body = thin.first;
  if (thin.first) push(&all, eval);
  r->body = all.first;
  return r;
}

/* The top level's own draw comes before the report, which shows its loss on the batch of the step
   after it. */
static void push_report(Program *p, Block *b, Storage *counter) {
  push_func(p, b, p->run.top->draw);
  push(b, report(p, counter));
}

/* Sweeps are counted when the program is compiled. */
static bool check_stops(Program *p) {
  for (int i = 0; i < p->nlevel; i++) {
    const Level *l = p->level[i];
    if (!l->go || l == p->run.top) continue;
    Diag *d = diag_error(p->diags, l->span, "E0311",
                         "`%s` has a `stop`, but the levels of this run form no tree", l->name);
    diag_note(p->diags, d,
              "where a level has several above it, how many steps it takes is fixed in advance");
    return false;
  }
  return true;
}

static bool below_top(Program *p, Block *b, bool tree) {
  if (!tree) return check_stops(p) && sweep(p, b);
  nest(p, b, p->run.top);
  return true;
}

bool pass_level_order(Program *p) {
  Level **order = arena_array(p->arena, Level *, p->nlevel);
  int n = 0;
  visit(p->run.top, order, &n);
  p->level = order;
  p->nlevel = n;
  bool tree = true;
  for (int i = 0; i < n; i++) tree = tree && (order[i] == p->run.top || uppers(p, order[i]) == 1);

  Storage *step =
      program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.steps.done", p->run.top->name);
  Block main = {0}, body = {0};
  for (int i = 0; i < n; i++) {
    push_func(p, &main, order[i]->init);
  }
  if (!below_top(p, &body, tree)) return false;
  push_report(p, &body, step);
  push(&body, step_of(p, p->run.top));
  push_steps(p, &main, p->run.top, &body)->counter = step;
  /* The levels below answer the last step of the top, so that what is saved belongs together. */
  if (!below_top(p, &main, tree)) return false;
  push_report(p, &main, step);
  p->schedule = main.first;
  return true;
}
