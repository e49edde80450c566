/* Random programs. */
#include "tests/support/draw.h"

#include <string.h>

#include "ir/op.h"

uint32_t draw_below(Draw *d, uint32_t n) {
  d->state = d->state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(d->state >> 33) % n;
}

double draw_uniform(Draw *d) { return (double)draw_below(d, 1 << 30) * 0x1p-29 - 1; }

enum { POOL = 256 };

typedef struct Pool {
  Draw *d;
  Graph *g;
  Node *node[POOL];
  int n;
  int64_t size;
} Pool;

static void put(Pool *p, Node *n) {
  if (n && p->n < POOL && type_count(n->type) <= 4096 * 64) p->node[p->n++] = n;
}

static Node *pick(Pool *p) {
  /* Mostly recent ones, so that chains grow. */
  uint32_t n = (uint32_t)p->n,
           back = draw_below(p->d, 3) ? draw_below(p->d, n < 6 ? n : 6) : draw_below(p->d, n);
  return p->node[n - 1 - back];
}

/* Broadcasts x to t if its axes fit t's last (or first) ones. */
static Node *fit(Pool *p, Node *x, Type t) {
  int64_t axes[MAX_RANK];
  Type r = x->type;
  if (type_same_shape(r, t)) return x;
  if (r.rank > t.rank) return ir_fill(p->g, ir_sum_all(p->g, x), t);
  bool lead = draw_below(p->d, 2), fits = true;
  for (int i = 0; i < r.rank; i++) {
    axes[i] = lead ? i : t.rank - r.rank + i;
    fits = fits && t.dim[axes[i]] == r.dim[i];
  }
  if (fits) return ir_broadcast(p->g, x, t, axes);
  return ir_fill(p->g, ir_sum_all(p->g, x), t);
}

static Node *tame(Pool *p, Node *x) { return ir_tanh(p->g, x); }

static Node *draw_map(Pool *p) {
  Graph *g = p->g;
  Node *x = pick(p);
  switch (draw_below(p->d, 9)) {
  case 0: return ir_exp(g, tame(p, x));
  case 1: return tame(p, x);
  case 2: return ir_sigmoid(g, x);
  case 3: return ir_neg(g, x);
  case 4: return ir_add(g, x, fit(p, pick(p), x->type));
  case 5: return ir_mul(g, x, fit(p, pick(p), x->type));
  case 6: return ir_sub(g, fit(p, pick(p), x->type), x);
  case 7: return ir_max(g, x, fit(p, pick(p), x->type));
  default: return ir_select(g, ir_lt(g, x, fit(p, pick(p), x->type)), x, ir_num(g, x, .5));
  }
}

static Node *draw_reduction(Pool *p) {
  Node *x = pick(p);
  int64_t axes[MAX_RANK];
  int n = 0;
  for (int i = 0; i < x->type.rank; i++)
    if (draw_below(p->d, 2)) axes[n++] = i;
  if (!n && x->type.rank) axes[n++] = x->type.rank - 1;
  Node *r = draw_below(p->d, 3) ? ir_sum(p->g, x, axes, n) : ir_reduce_max(p->g, x, axes, n);
  if (n && draw_below(p->d, 2)) put(p, ir_sub(p->g, x, ir_unreduce(p->g, r, x, axes, n)));
  return r;
}

/* A skew of two axes of x, an axis more where it has none to spare; often windows, then summed. */
static Node *draw_skew(Pool *p, Node *x) {
  Graph *g = p->g;
  Type t = x->type;
  if (!t.rank || t.rank == MAX_RANK || type_count(t) > 400) return x;
  int64_t kept[MAX_RANK], along = draw_below(p->d, (uint32_t)t.rank + 1);
  if (t.rank == 1 || draw_below(p->d, 3)) { /* a new axis */
    int k = 0;
    for (int i = 0; i <= t.rank; i++)
      if (i != along) kept[k++] = i;
    Type wide = {.dtype = t.dtype, .rank = t.rank + 1};
    for (int i = 0; i < t.rank; i++) wide.dim[kept[i]] = t.dim[i];
    wide.dim[along] = 1 + draw_below(p->d, 3);
    x = ir_broadcast(g, x, wide, kept);
    t = wide;
  }
  along %= t.rank;
  int64_t axis = (along + 1 + draw_below(p->d, (uint32_t)t.rank - 1)) % t.rank;
  int64_t by[NSKEW] = {[SKEW_AXIS] = axis, [SKEW_ALONG] = along};
  by[SKEW_STEP] = 1 + draw_below(p->d, 3);
  by[SKEW_SLANT] = (int64_t)draw_below(p->d, 5) - 2;
  by[SKEW_OFFSET] = (int64_t)draw_below(p->d, 5) - 2;
  by[SKEW_DIVISOR] = 1 + draw_below(p->d, 3);
  x = ir_skew(g, x, 1 + draw_below(p->d, (uint32_t)t.dim[axis] + 1), by);
  return draw_below(p->d, 2) ? ir_sum(g, x, &along, 1) : x;
}

static Node *draw_view(Pool *p) {
  Graph *g = p->g;
  Node *x = pick(p);
  Type t = x->type, big = t;
  int64_t start[MAX_RANK] = {0}, perm[MAX_RANK], one[2] = {0};
  for (int i = 0; i < t.rank; i++) perm[i] = t.rank - 1 - i;
  switch (draw_below(p->d, 10)) {
  case 8:
  case 9: return draw_skew(p, x);
  case 0: return ir_transpose(g, x, perm);
  case 1: return ir_flatten(g, x);
  case 2:
    if (t.rank == 1 && t.dim[0] % 2 == 0) return ir_reshape(g, x, 2, (int64_t[]){2, t.dim[0] / 2});
    return t.rank == 2 ? ir_reshape(g, x, 3, (int64_t[]){t.dim[0], 1, t.dim[1]}) : x;
  case 3:
    for (int i = 0; i < t.rank; i++)
      if (t.dim[i] > 1) start[i] = draw_below(p->d, 2), big.dim[i] = t.dim[i] - start[i];
    return ir_slice(g, x, start, big);
  case 4:
    for (int i = 0; i < t.rank; i++)
      start[i] = draw_below(p->d, 2), big.dim[i] = t.dim[i] + start[i];
    return ir_pad(g, x, start, big);
  case 5: return t.rank ? ir_reverse(g, x, one, 1) : x;
  case 6: return t.rank ? ir_concat(g, (Node *[]){x, tame(p, x)}, 2, 0) : x;
  default: return ir_stop(g, x);
  }
}

static Node *indices(Pool *p, int64_t n, int64_t rows) {
  Graph *g = p->g;
  Node *i = ir_iota(g, type_make(DT_I32, 1, &n), 0);
  i = ir_mod(g, ir_mul(g, i, ir_num(g, i, 3)), ir_num(g, i, (double)rows));
  if (n % 3 || !rows) return i;
  Node *seed = ir_const(g, type_scalar(DT_I32), 3);
  return ir_shuffle(g, rows, n, seed, ir_num(g, seed, 1), i);
}

/* A square matrix far from singular, so that solutions do not amplify rounding. */
static Node *regular(Pool *p, Node *x) {
  Graph *g = p->g;
  Type t = x->type, i = type_with(t, DT_I32);
  Node *diagonal = ir_eq(g, ir_iota(g, i, 0), ir_iota(g, i, 1));
  x = tame(p, x);
  return ir_select(g, diagonal, ir_add(g, x, ir_num(g, x, (double)t.dim[0] + 1)), x);
}

static Node *draw_bulk(Pool *p) {
  Graph *g = p->g;
  Node *x = pick(p);
  Type t = x->type;
  int64_t n = 1 + draw_below(p->d, (uint32_t)p->size);
  switch (draw_below(p->d, 5)) {
  case 0: return t.rank ? ir_gather(g, x, indices(p, n, t.dim[0])) : x;
  case 1: return t.rank ? ir_scatter_add(g, indices(p, t.dim[0], n), x, n) : x;
  case 2:
    if (t.rank != 2) return tame(p, x);
    n = draw_below(p->d, 2);
    return tame(p, ir_matmul(g, x, x, n, !n));
  case 3: {
    if (t.rank != 2) return ir_sigmoid(g, x);
    Node *v = fit(p, pick(p), type_make(t.dtype, 1, &t.dim[1]));
    return ir_flatten(g,
                      ir_matmul(g, x, ir_reshape(g, v, 2, (int64_t[]){t.dim[1], 1}), false, false));
  }
  default:
    if (t.rank != 2 || t.dim[0] != t.dim[1] || t.dim[0] > 8) return x;
    return tame(p, ir_solve(g, regular(p, x), fit(p, pick(p), type_make(t.dtype, 1, &t.dim[0]))));
  }
}

static void draw_node(Pool *p) {
  uint32_t kind = draw_below(p->d, 10);
  put(p, kind < 5   ? draw_map(p)
         : kind < 7 ? draw_reduction(p)
         : kind < 9 ? draw_view(p)
                    : draw_bulk(p));
}

static Type draw_type(Draw *d, int64_t size) {
  int64_t dim[2] = {1 + draw_below(d, (uint32_t)size), 1 + draw_below(d, (uint32_t)size)};
  return type_make(DT_F64, (int)draw_below(d, 3), dim);
}

static void leaves(Pool *p, Build *b, const Storage **read, int nread) {
  for (int i = 0; i < nread; i++) put(p, storage_read(p->g, read[i]));
  Type t = draw_type(p->d, p->size);
  Node *seed = storage_read(p->g, b->p->seed);
  put(p, ir_random(p->g, t, RANDOM_NORMAL, draw_below(p->d, 100), seed, ir_num(p->g, seed, 0)));
  put(p, ir_cast(p->g, ir_iota(p->g, type_make(DT_I32, 1, &p->size), 0), DT_F64));
}

Func *draw_func(Draw *d, Build *b, const char *name, int nnode, int64_t size) {
  Func *f = program_func(b->p, ROLE_CHECK, "%s", name);
  Pool p = {.d = d, .g = f->graph, .size = size};
  leaves(&p, b, NULL, 0);
  for (int i = 0; i < nnode; i++) draw_node(&p);
  for (int i = 0; i < 4; i++) {
    Node *n = pick(&p);
    func_result(b->p, f, n, program_storage(b->p, ST_OUTPUT, n->type, "%s.r%d", name, i), NULL);
  }
  return f;
}

/* ---- programs */

enum { MAX_STORAGE = 64 };

typedef struct World {
  Build b;
  Draw *d;
  Storage *all[MAX_STORAGE];
  int n;
  Storage *counter, *flag;
} World;

static void add_storage(World *w, StorageKind kind, Type t) {
  char *name = arena_printf(w->b.arena, "s%d", w->n);
  Storage *s = program_storage(w->b.p, kind, t, "%s", name);
  w->all[w->n++] = s;
  if (t.rank != 1 || t.dim[0] < 2) return;
  int64_t half = t.dim[0] / 2, rest = t.dim[0] - half;
  w->all[w->n++] = program_view(w->b.p, s, 0, type_make(t.dtype, 1, &half),
                                arena_printf(w->b.arena, "%s.a", name));
  w->all[w->n++] = program_view(w->b.p, s, half, type_make(t.dtype, 1, &rest),
                                arena_printf(w->b.arena, "%s.b", name));
}

static bool dest_taken(const Func *f, const Storage *s) {
  for (int i = 0; i < f->nresult; i++) {
    const Storage *d = f->dest[i], *rd = d->base ? d->base : d, *rs = s->base ? s->base : s;
    if (rd == rs && !(d->base && s->base && d != s)) return true;
  }
  return false;
}

/* Some node of the pool, made to fit the storage (or a row of it). */
static void write_to(World *w, Pool *p, Func *f, Storage *s) {
  Type t = s->type;
  bool row = t.rank == 2 && t.dim[0] > 2 && !draw_below(w->d, 2);
  if (row) t = type_make(t.dtype, 1, &t.dim[1]);
  Node *n = NULL;
  for (int i = p->n - 1; i >= 0 && !n; i--)
    if (type_eq(p->node[i]->type, t) && draw_below(w->d, 3)) n = p->node[i];
  if (!n) n = tame(p, fit(p, pick(p), t));
  func_result(w->b.p, f, n, s, row ? w->counter : NULL);
}

static Func *world_func(World *w, int number, int nnode, int64_t size) {
  Func *f = program_func(w->b.p, ROLE_CHECK, "f%d", number);
  Pool p = {.d = w->d, .g = f->graph, .size = size};
  const Storage *read[4];
  for (int i = 0; i < 4; i++) read[i] = w->all[draw_below(w->d, (uint32_t)w->n)];
  leaves(&p, &w->b, read, 4);
  Node *step = storage_read(p.g, w->counter);
  if (draw_below(w->d, 2)) put(&p, ir_cast(p.g, step, DT_F64));
  if (draw_below(w->d, 2))
    put(&p, ir_random(p.g, draw_type(w->d, size), RANDOM_UNIFORM, draw_below(w->d, 100),
                      storage_read(p.g, w->b.p->seed), step));
  for (int i = 0; i < nnode; i++) draw_node(&p);
  int results = 1 + (int)draw_below(w->d, 4);
  for (int i = 0; i < results; i++) {
    Storage *s = w->all[draw_below(w->d, (uint32_t)w->n)];
    if (s->kind != ST_DATA && !dest_taken(f, s)) write_to(w, &p, f, s);
  }
  if (!draw_below(w->d, 3)) {
    Node *sum = ir_sum_all(p.g, pick(&p));
    func_result(w->b.p, f, ir_lt(p.g, sum, ir_num(p.g, sum, 1.234)), w->flag, NULL);
  }
  if (!f->nresult) write_to(w, &p, f, w->all[0]);
  return f;
}

/* Loops of few rounds, so that the counter stays inside every storage that it picks rows of, also
   behind the loop. */
static void draw_loop(World *w, Stmt *s) {
  static const StmtKind kinds[] = {STMT_REPEAT, STMT_REPEAT, STMT_REPEAT, STMT_WHILE, STMT_REPORT};
  s->kind = kinds[draw_below(w->d, 5)];
  s->count = 1 + draw_below(w->d, 3);
  if (s->kind == STMT_WHILE) s->cond = w->flag;
  if (s->kind == STMT_REPORT || draw_below(w->d, 2)) return;
  s->counter = w->counter;
  if (s->count > 2) s->count = 2;
}

static Stmt *draw_stmts(World *w, int depth, int *next) {
  Stmt *first = NULL, **tail = &first;
  int n = 1 + (int)draw_below(w->d, 3);
  for (int i = 0; i < n; i++) {
    Stmt *s = *tail = stmt_new(w->b.p, STMT_CALL);
    tail = &s->next;
    if (depth < 2 && !draw_below(w->d, depth ? 3 : 2)) {
      draw_loop(w, s);
      s->body = draw_stmts(w, depth + 1, next);
    } else {
      s->func = w->b.p->func[(*next)++ % w->b.p->nfunc];
    }
  }
  return first;
}

Build draw_program(uint64_t seed, int nfunc, int nnode, int64_t size) {
  Draw d = {seed * 2654435761u + 12345};
  World w = {.b = build_new("drawn"), .d = &d};
  w.b.p->facts = F_ORDERED | F_LEVEL_GRADS | F_NO_SOLVE;
  w.counter = program_storage(w.b.p, ST_COUNTER, type_scalar(DT_I32), "counter");
  w.flag = program_storage(w.b.p, ST_STATE, type_scalar(DT_BOOL), "flag");
  const StorageKind kinds[] = {ST_VAR,  ST_VAR,     ST_OUTPUT, ST_TEMP, ST_TEMP,
                               ST_GRAD, ST_ADJOINT, ST_TEMP,   ST_TEMP};
  for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
    add_storage(&w, kinds[i], draw_type(&d, size));
  for (int i = 0; i < nfunc; i++) world_func(&w, i, nnode, size);
  int next = 0;
  Stmt **tail = &w.b.p->schedule;
  while (next < nfunc) {
    *tail = draw_stmts(&w, 0, &next);
    while (*tail) tail = &(*tail)->next;
  }
  return w.b;
}
