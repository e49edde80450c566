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
  const Storage *s; /* NULL: shared or scratch memory */
  bool store;
} Access;

typedef struct Block {
  Device *d;
  Text text;
  int shared, nname;
  BlockEntry entry;
  Access *access; /* since the last barrier */
  int naccess, access_cap;
} Block;

static bool conflict(const Access *a, const Access *b) {
  if (!a->store && !b->store) return false;
  return a->s && b->s ? cg_overlap(a->s, b->s) : a->s == b->s;
}

static void barrier(Block *b) {
  if (!b->naccess) return;
  text_add(&b->text, "__syncthreads();\n");
  b->naccess = 0;
}

static void note(Block *b, const Storage *s, bool store) {
  Access a = {s, store};
  VEC_PUSH(b->d->unit.arena, b->access, b->naccess, b->access_cap, a);
}

/* Orders what comes behind what was. */
static void order(Block *b, const Access *next, int n) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < b->naccess; j++)
      if (conflict(&next[i], &b->access[j])) {
        barrier(b);
        return;
      }
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

static void kernel(Block *b, const Func *f, const Kernel *k) {
  Launch l = kernel_launch(k);
  Emit e;
  if (l.shape == LAUNCH_LIBRARY) l = launch_product(k);
  CKernel *c = device_kernel(b->d, f, k, &l, &e);
  Access *next = arena_array(e.arena, Access, 2 * e.nparam + 1);
  int n = 0;
  for (int i = 0; i < e.nparam; i++) {
    next[n++] = (Access){e.param[i].s, e.param[i].store};
    if (e.param[i].row) next[n++] = (Access){e.param[i].row, false};
  }
  if (e.shared || e.scratch) next[n++] = (Access){NULL, true};
  order(b, next, n);
  for (int i = 0; i < n; i++) note(b, next[i].s, next[i].store);
  text_addf(&b->text, "%s(0, 1, %s%s", c->name, e.shared ? "mem" : "0",
            e.scratch ? ", scratch" : "");
  arguments(b, &e);
  text_add(&b->text, ");\n");
  if (e.shared > b->shared) b->shared = e.shared;
  b->entry.scratch = b->entry.scratch || e.scratch;
}

static void statements(Block *b, const Stmt *s);

/* The counter is the loop's variable; a condition is read by all before anybody writes it again. */
static void loop(Block *b, const Stmt *s) {
  Arena *a = b->d->unit.arena;
  const char *i = arena_printf(a, "n%d", b->nname++), *n;
  n = s->count_setting ? arena_printf(a, "*%s", place(b, "const int32_t", s->count_setting))
                       : arena_printf(a, "%lld", (long long)s->count);
  barrier(b);
  text_addf(&b->text, "for (int32_t %s = 0; %s < %s; %s++) {\n", i, i, n, i);
  if (s->kind == STMT_WHILE) {
    text_addf(&b->text, "if (!*%s) break;\n", place(b, "const uint8_t", s->cond));
    note(b, s->cond, false);
  }
  if (s->counter) {
    text_addf(&b->text, "if (threadIdx.x == 0) *%s = %s;\n", place(b, "int32_t", s->counter), i);
    note(b, s->counter, true);
  }
  statements(b, s->body);
  barrier(b);
  text_add(&b->text, "}\n");
  if (s->kind == STMT_WHILE) note(b, s->cond, false);
  if (!s->counter) return;
  text_addf(&b->text, "if (threadIdx.x == 0) *%s = %s;\n", place(b, "int32_t", s->counter), n);
  note(b, s->counter, true);
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
  const char *prefix = d->unit.options->library ? d->unit.options->library : "";
  BlockEntry *e = &b.entry;
  e->func = item[0].func;
  e->name = arena_printf(a, "%sblock%d_%s", prefix, d->nlaunch, text_identifier(a, e->func->name));
  Text t = {.arena = a};
  text_addf(&t, "MLO_KERNEL __launch_bounds__(%d, 1) %s(", LAUNCH_BLOCK, e->name);
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
