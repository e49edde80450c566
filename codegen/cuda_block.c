/* Several kernels, and loops of them, as one kernel of one block: what is too small for a device
   gets rid of its launches. Each kernel's function runs with a grid of one; a barrier stands
   between two of which one reads or writes what the other writes, or which both use shared memory.
 */
#include "codegen/kernel_cuda.h"
#include "codegen/unit_cuda.h"

/* What one block does, bytes and operations together, while a launch is made: some 60 to the
   nanosecond for about 1.5 microseconds. */
enum { LAUNCH_WORK = 90000, MOST_PLACES = 500 /* parameters have 4 KiB */ };

/* ---- whether it fits */

typedef struct Cost {
  double work, launches;
} Cost;

static double rounds(const Stmt *s) { return s->count_setting ? 1 : (double)s->count; }

static bool add_kernel(const Kernel *k, Cost *c, double times) {
  if (k->kind == KERNEL_CALL) return false;
  c->work += times * (double)(k->flops + k->bytes);
  c->launches += times;
  return k->flops + k->bytes <= 4 * LAUNCH_WORK;
}

static bool add_statements(const Stmt *s, Cost *c, double times) {
  for (; s; s = s->next) {
    if (s->kind == STMT_REPORT) return false;
    if (s->kind != STMT_CALL && !add_statements(s->body, c, times * rounds(s))) return false;
    for (int i = 0; s->kind == STMT_CALL && i < s->func->nkernel; i++)
      if (!add_kernel(s->func->kernel[i], c, times)) return false;
  }
  return true;
}

bool block_fits(const Item *item, int n) {
  Cost c = {0};
  for (int i = 0; i < n; i++) {
    const Item *x = &item[i];
    if (!(x->loop ? add_statements(x->loop->body, &c, rounds(x->loop))
                  : add_kernel(x->kernel, &c, 1)))
      return false;
  }
  return c.work <= c.launches * LAUNCH_WORK && block_kernels(&item[n - 1]) <= BLOCK_KERNELS;
}

static int kernels_of(const Stmt *s) {
  int n = 0;
  for (; s; s = s->next) n += s->kind == STMT_CALL ? s->func->nkernel : kernels_of(s->body);
  return n;
}

int block_kernels(const Item *x) { return x->loop ? kernels_of(x->loop->body) : 1; }

/* ---- its text */

typedef struct Access {
  const Storage *s; /* NULL: shared memory from .. to, doubles */
  bool store;
  bool own; /* each element by the thread that has its number (modulo the block's threads) */
  int64_t from, to;
} Access;

typedef struct Accesses {
  Access *a;
  int n, cap;
} Accesses;

/* What a round of a loop does before its first barrier: behind what is before the loop, and behind
   the end of the round before. */
typedef struct Round {
  Accesses head;
  bool ordered; /* there was a barrier in it */
  struct Round *outer;
} Round;

typedef struct Block {
  Device *d;
  Text text;
  BlockEntry entry;
  int shared, nname;
  Accesses since; /* the last barrier */
  Round *round;
} Block;

/* Two arrays whose elements in common the same threads have. */
static bool same_threads(const Access *a, const Access *b) {
  int size = dtype_bytes(a->s->type.dtype);
  return a->own && b->own && size == dtype_bytes(b->s->type.dtype) &&
         (emit_byte(a->s) - emit_byte(b->s)) % ((int64_t)LAUNCH_BLOCK * size) == 0;
}

static bool conflict(const Access *a, const Access *b) {
  if (!a->store && !b->store) return false;
  if (!a->s || !b->s) return a->s == b->s && a->from < b->to && b->from < a->to;
  return cg_overlap(a->s, b->s) && !same_threads(a, b);
}

static bool conflicts(const Access *a, int n, const Accesses *b) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < b->n; j++)
      if (conflict(&a[i], &b->a[j])) return true;
  return false;
}

static void add(Block *b, Accesses *to, Access a) {
  VEC_PUSH(b->d->unit.arena, to->a, to->n, to->cap, a);
}

/* All that was is before all that comes. */
static void passed(Block *b) {
  b->since.n = 0;
  if (b->round) b->round->ordered = true;
}

static void barrier(Block *b) {
  text_add(&b->text, CUDA_BARRIER);
  passed(b);
}

static void note(Block *b, Access a) {
  add(b, &b->since, a);
  for (Round *r = b->round; r && !r->ordered; r = r->outer) add(b, &r->head, a);
}

/* "(const float *)d3": the storage as one of the block's parameters. */
static const char *place(Block *b, const char *type, const Storage *s) {
  BlockEntry *e = &b->entry;
  int n = 0;
  while (n < e->nplace && e->place[n] != emit_byte(s)) n++;
  if (n == MOST_PLACES) compiler_bug("codegen", "one block for more than %d storages", MOST_PLACES);
  if (n == e->nplace) VEC_PUSH(b->d->unit.arena, e->place, e->nplace, e->place_cap, emit_byte(s));
  return arena_printf(b->d->unit.arena, "(%s *)d%d", type, n);
}

/* What a kernel's function is given for its parameters. */
static void arguments(Block *b, const Emit *e) {
  for (int i = 0; i < e->nparam; i++) {
    const Param *p = &e->param[i];
    const char *type = e->target->element[p->s->type.dtype];
    if (!p->store) type = arena_printf(e->arena, "const %s", type);
    text_addf(&b->text, ", %s", place(b, type, p->s));
    if (p->row) text_addf(&b->text, ", %s", place(b, "const int32_t", p->row));
  }
}

static void range(Block *b, const Emit *e, Access a, int first, int last, Accesses *head,
                  Accesses *end) {
  if (first == 0) add(b, head, a);
  if (last == e->barriers) add(b, end, a);
}

/* What the kernel does before the first of its own barriers, and what behind the last; it is the
   same where it has none. */
static void kernel_accesses(Block *b, const Emit *e, const Launch *l, Accesses *first,
                            Accesses *last) {
  bool owns = l->shape == LAUNCH_MAP || l->shape == LAUNCH_TOTAL;
  for (int i = 0; i < e->nparam; i++) {
    const Param *p = &e->param[i];
    Access a = {.s = p->s, .own = owns && !p->others};
    if (p->load) range(b, e, a, p->first[0], p->last[0], first, last);
    a.store = true;
    if (p->store) range(b, e, a, p->first[1], p->last[1], first, last);
    if (p->row) range(b, e, (Access){.s = p->row}, 0, 0, first, last);
  }
  for (int i = 0; i < e->npart; i++) {
    const Shared *p = &e->part[i];
    Access written = {.store = true, .from = p->written, .to = p->written + p->n};
    Access read = {.from = p->read, .to = p->read + p->n};
    if (p->first == 0) add(b, first, written);
    if (p->last == e->barriers) add(b, last, read);
  }
}

/* One block has nothing to wait for and no parts to join. */
static Launch launch_alone(const Kernel *k) {
  Launch l = kernel_launch(k);
  if (l.shape == LAUNCH_LIBRARY) l = launch_product(k);
  if (l.parts > 1) l.part = kernel_row_size(k);
  l.grid = l.parts = 1;
  l.ticket = false;
  l.scratch = 0;
  return l;
}

static void kernel(Block *b, const Func *f, const Kernel *k) {
  Launch l = launch_alone(k);
  Emit e;
  CKernel *c = device_kernel(b->d, f, k, &l, &e);
  Accesses first = {0}, last = {0};
  kernel_accesses(b, &e, &l, &first, &last);
  if (conflicts(first.a, first.n, &b->since)) barrier(b);
  for (int i = 0; i < first.n; i++) note(b, first.a[i]);
  if (e.barriers) passed(b);
  for (int i = 0; e.barriers && i < last.n; i++) note(b, last.a[i]);
  text_addf(&b->text, "%s(0, 1, %s%s", c->name, e.shared ? "mem" : "0",
            e.scratch ? ", scratch" : "");
  arguments(b, &e);
  text_add(&b->text, ");\n");
  if (e.shared > b->shared) b->shared = e.shared;
  b->entry.scratch = b->entry.scratch || e.scratch;
}

/* ---- loops */

static void statements(Block *b, const Stmt *s);

/* The counter is set by thread 0 alone. */
static void set_counter(Block *b, const Stmt *s, const char *n) {
  if (!s->counter) return;
  Access a = {.s = s->counter, .store = true, .own = true};
  if (conflicts(&a, 1, &b->since)) barrier(b);
  text_addf(&b->text, "if (threadIdx.x == 0) *%s = %s;\n", place(b, "int32_t", s->counter), n);
  note(b, a);
}

/* A condition is read by all. */
static void test_condition(Block *b, const Stmt *s) {
  if (s->kind != STMT_WHILE) return;
  text_addf(&b->text, "if (!*%s) break;\n", place(b, "const uint8_t", s->cond));
  note(b, (Access){.s = s->cond});
}

/* Whether there is a round at all is known before. */
static bool runs(const Stmt *s) {
  return s->kind != STMT_WHILE && (s->count_setting ? s->count_setting->lo >= 1 : s->count >= 1);
}

static bool repeats(const Stmt *s) {
  return s->kind == STMT_WHILE || s->count_setting || s->count > 1;
}

static void round_of(Block *b, const Stmt *s, const char *i, Round *round) {
  b->text = (Text){.arena = b->d->unit.arena};
  b->since = (Accesses){0};
  b->round = round;
  text_add(&b->text, "");
  test_condition(b, s);
  set_counter(b, s, i);
  statements(b, s->body);
  if (repeats(s) && conflicts(round->head.a, round->head.n, &b->since)) barrier(b);
}

/* A barrier at the end of a round or before the loop stands only where what a round begins with
   needs it. */
static void loop(Block *b, const Stmt *s) {
  Arena *a = b->d->unit.arena;
  Text outside = b->text;
  Accesses before = b->since;
  Round round = {.outer = b->round}, *outer = b->round;
  const char *i = arena_printf(a, "n%d", b->nname++), *n;
  n = s->count_setting ? arena_printf(a, "*%s", place(b, "const int32_t", s->count_setting))
                       : arena_printf(a, "%lld", (long long)s->count);
  round_of(b, s, i, &round);
  Accesses end = b->since;
  Text body = b->text;
  b->text = outside;
  b->round = outer;
  b->since = before;
  if (conflicts(round.head.a, round.head.n, &before)) barrier(b);
  text_addf(&b->text, "for (int32_t %s = 0; %s < %s; %s++) {\n%s}\n", i, i, n, i, body.s);
  if (round.ordered && runs(s)) {
    if (outer) outer->ordered = true;
    b->since.n = 0;
  }
  for (int k = 0; k < end.n; k++) add(b, &b->since, end.a[k]);
  if (s->kind == STMT_WHILE) note(b, (Access){.s = s->cond});
  set_counter(b, s, n);
}

static void statements(Block *b, const Stmt *s) {
  for (; s; s = s->next) {
    if (s->kind != STMT_CALL) {
      loop(b, s);
      continue;
    }
    for (int i = 0; i < s->func->nkernel; i++) kernel(b, s->func, s->func->kernel[i]);
  }
}

/* ---- for reports */

double cg_rounds(const Stmt *s) {
  return s->count_setting ? s->count_setting->value : (double)s->count;
}

typedef struct Parts {
  Arena *arena;
  CgPart *part;
  int n, cap;
} Parts;

static void add_part(Parts *p, const Kernel *k, double times) {
  CgPart part = {k, times};
  VEC_PUSH(p->arena, p->part, p->n, p->cap, part);
}

static void add_parts(Parts *p, const Stmt *s, double times) {
  for (; s; s = s->next) {
    if (s->kind != STMT_CALL) add_parts(p, s->body, times * cg_rounds(s));
    for (int i = 0; s->kind == STMT_CALL && i < s->func->nkernel; i++)
      add_part(p, s->func->kernel[i], times);
  }
}

static void list_parts(Device *d, const Item *item, int n) {
  Parts p = {.arena = d->unit.arena};
  CgLaunch *l = &d->launch[d->nlaunch - 1];
  for (int i = 0; i < n; i++) {
    if (item[i].loop)
      add_parts(&p, item[i].loop->body, cg_rounds(item[i].loop));
    else
      add_part(&p, item[i].kernel, 1);
  }
  l->part = p.part;
  l->npart = p.n;
}

void block_launch(Device *d, const Item *item, int n, int around) {
  Arena *a = d->unit.arena;
  Block b = {.d = d, .text = {.arena = a}};
  text_add(&b.text, "");
  for (int i = 0; i < n; i++) {
    if (item[i].loop)
      loop(&b, item[i].loop);
    else
      kernel(&b, item[i].func, item[i].kernel);
  }
  BlockEntry *e = &b.entry;
  e->func = item[0].func;
  Text t = {.arena = a};
  text_add(&t, "(");
  for (int i = 0; i < e->nplace; i++) text_addf(&t, "%suint8_t *d%d", i ? ", " : "", i);
  text_addf(&t, "%s%s) {\n", e->scratch ? ", uint8_t *scratch" : "",
            around ? ", const uint8_t *on" : "");
  if (around) text_add(&t, "if (!*on) return;\n");
  if (b.shared) text_addf(&t, "__shared__ double mem[%d];\n", b.shared);
  text_addf(&t, "%s}\n\n", b.text.s);
  e->text = t.s;
  device_block(d, e, around);
  list_parts(d, item, n);
}
