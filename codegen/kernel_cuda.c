/* Kernels as CUDA functions, shared where texts are equal, and the entries that are launched. A
   function's body knows nothing of the grid but `block` and `blocks`; an entry gives it shared
   memory and its place in the grid, and, within a loop with a condition, does nothing once that is
   false. */
#include "codegen/kernel_cuda.h"

#include <string.h>

#include "codegen/device_text.h"
#include "codegen/unit_cuda.h"
#include "ir/op.h"
#include "ir/provider.h"

static void print_body(Emit *e, const Launch *l, const bool *merge) {
  switch (l->shape) {
  case LAUNCH_MAP: cuda_map(e, l, merge); break;
  case LAUNCH_ROWS:
  case LAUNCH_TOTAL: cuda_rows(e, l, merge); break;
  case LAUNCH_COLUMNS: cuda_columns(e, l, merge); break;
  case LAUNCH_DOTS:
  case LAUNCH_TILES: cuda_gemm(e, l); break;
  case LAUNCH_SCATTER: cuda_scatter(e); break;
  case LAUNCH_SOLVE: cuda_solve(e); break;
  case LAUNCH_LIBRARY:
  case NLAUNCHSHAPE: compiler_bug("codegen", "kernel %s is no kernel", e->kernel->name);
  }
}

/* "const float *__restrict__ p0, const int32_t *r0" for all parameters, behind what is in t. */
static void parameters(const Emit *e, Text *t) {
  for (int i = 0; i < e->nparam; i++) {
    const Param *p = &e->param[i];
    bool alone = unit_unaliased(e, i);
    text_addf(t, "%s%s%s *%s%sp%d", t->n ? ", " : "", p->store ? "" : "const ",
              e->target->element[p->s->type.dtype], alone ? e->target->restricted : "",
              alone ? " " : "", i);
    if (p->row) text_addf(t, ", const int32_t *r%d", i);
  }
}

static const char *body_text(Emit *e) {
  Text t = {.arena = e->arena};
  text_addf(&t, "(const int32_t block, const int32_t blocks, double *mem%s",
            e->scratch ? ", uint8_t *scratch" : "");
  parameters(e, &t);
  text_add(&t, ") {\n");
  text_add(&t, "const int32_t t = (int32_t)threadIdx.x;\n");
  for (int i = 0; i < e->nparam; i++) {
    const Param *q = &e->param[i];
    Type type = q->s->type;
    int align = unit_alignment(q);
    if (q->row)
      text_addf(&t, "p%d += *r%d * (int64_t)%lld;\n", i, i,
                (long long)(type.dim[0] ? type_count(type) / type.dim[0] : 0));
    if (align >= 16)
      text_addf(&t, "p%d = (%s%s *)__builtin_assume_aligned(p%d, %d);\n", i,
                q->store ? "" : "const ", e->target->element[type.dtype], i, align);
  }
  text_add(&t, e->scope[0].body.s);
  text_add(&t, "(void)block, (void)blocks, (void)mem, (void)t;\n}\n");
  return text_indent(e->arena, t.s);
}

/* The parameter list of an entry, and what it hands on. */
static void entry_lists(const Emit *e, Text *list, Text *passed) {
  text_add(list, e->scratch ? "uint8_t *scratch" : "");
  parameters(e, list);
  text_add(passed, e->scratch ? ", scratch" : "");
  for (int i = 0; i < e->nparam; i++) {
    text_addf(passed, ", p%d", i);
    if (e->param[i].row) text_addf(passed, ", r%d", i);
  }
}

/* Text of a kernel, each line of which comes from the same line of the source; line: NULL where it
   comes from none. For a reader (`plain`) that is said once. */
static void add_lined(Device *d, Text *t, const char *line, const char *text) {
  const CgOptions *o = d->unit.options;
  if (!line && o->source && !o->plain) line = "#line 1 \"made by mloc\"\n";
  if (line) text_add(t, line);
  if (!line || o->plain) {
    text_add(t, text);
    return;
  }
  for (const char *s = text; *s;) {
    int n = (int)strcspn(s, "\n") + 1;
    text_addf(t, "%s%.*s", s == text ? "" : line, n, s);
    s += n;
  }
}

/* The number of the function's entry, with a condition or without. Room for two blocks is asked
   for: without that, ptxas spills for more of them. */
static int entry(Device *d, const Emit *e, CKernel *c, bool guarded) {
  if (c->entry[guarded]) return c->entry[guarded] - 1;
  Text list = {.arena = e->arena}, passed = {.arena = e->arena};
  const char *name = arena_printf(e->arena, "%s_%s%s", c->name,
                                  text_identifier(e->arena, e->kernel->name), guarded ? "_if" : "");
  entry_lists(e, &list, &passed);
  if (guarded) text_addf(&list, "%sconst uint8_t *on", list.n ? ", " : "");
  Text t = {.arena = e->arena};
  text_addf(&t, "MLO_KERNEL __launch_bounds__(%d, 2) %s(%s) {\n", LAUNCH_BLOCK, name, list.s);
  if (guarded) text_add(&t, "if (!*on) return;\n");
  if (e->shared) text_addf(&t, "__shared__ double mem[%d];\n", e->shared);
  text_addf(&t, "%s((int32_t)blockIdx.x, (int32_t)gridDim.x, %s%s);\n}\n", c->name,
            e->shared ? "mem" : "0", passed.s);
  add_lined(d, &d->entries, c->line, t.s);
  text_add(&d->entries, "\n");
  VEC_PUSH(d->unit.arena, d->entry, d->nentry, d->entry_cap, name);
  c->entry[guarded] = d->nentry;
  return d->nentry - 1;
}

static void arg(Device *d, int64_t at) {
  text_addf(&d->args, "%lld, ", (long long)at);
  d->narg++;
}

/* The end of a row that is no product; its bytes. */
#define NO_PRODUCT "%lld, MLO_F32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, MLO_EXACT},\n"

static int64_t guard_byte(int loop) { return LAUNCH_TICKETS * 4 + loop - 1; }

static void launched(Device *d, const char *name, const Func *f, const Kernel *k, int64_t grid) {
  CgLaunch l = {.name = name, .func = f, .kernel = k, .grid = grid};
  VEC_PUSH(d->unit.arena, d->launch, d->nlaunch, d->launch_cap, l);
}

/* Its arguments are those from `first` on. */
static void launch_row(Device *d, int number, int64_t grid, int block, int first) {
  text_addf(&d->launches, "{MLO_KERNEL, %d, %lld, %d, %d, %d, " NO_PRODUCT, number, (long long)grid,
            block, first, d->narg - first, 0LL);
}

static void print_launch(Device *d, const Emit *e, int number, const Launch *l, int loop) {
  int first = d->narg;
  if (e->scratch) arg(d, -1);
  for (int i = 0; i < e->nparam; i++) {
    arg(d, emit_byte(e->param[i].s));
    if (e->param[i].row) arg(d, emit_byte(e->param[i].row));
  }
  if (loop) arg(d, -1 - guard_byte(loop));
  launch_row(d, number, l->grid, LAUNCH_BLOCK, first);
  launched(d, d->entry[number], e->func, e->kernel, l->grid);
}

CKernel *device_kernel(Device *d, const Func *f, const Kernel *k, const Launch *l, Emit *e) {
  Unit *u = &d->unit;
  Emit dry;
  bool merge[MAX_RANK] = {false};
  unit_begin(u, &dry, &cg_target_cuda, f, k);
  dry.analyse = true;
  print_body(&dry, l, merge);
  emit_end(&dry);
  for (int a = 0; a + 1 < dry.naxis; a++) merge[a] = !dry.apart[a];
  unit_begin(u, e, &cg_target_cuda, f, k);
  print_body(e, l, merge);
  emit_end(e);
  u->random = u->random || e->random;
  CKernel *c = unit_share(u, body_text(e));
  text_addf(&c->comment, "/* %s (%s)%s: %lld flop, %lld bytes */\n", k->name, cg_role_name(f->role),
            cg_source_lines(u->arena, &u->lines, k), (long long)k->flops, (long long)k->bytes);
  int *line, n = cg_lines(u->arena, &u->lines, k, &line);
  if (!c->line && n && u->options->source)
    c->line =
        arena_printf(u->arena, "#line %d %s\n", line[0], text_quote(u->arena, u->options->source));
  if (l->scratch > d->scratch) d->scratch = l->scratch;
  return c;
}

/* ---- products by the library */

static int64_t operand_byte(const Func *f, const Node *n, bool *transposed) {
  Operand o;
  if (!kernel_operand(f->home, (Node *)n, &o))
    compiler_bug("codegen", "an operand of a product has no home");
  const Storage *s = f->home[o.node->id];
  if (!s && o.node->op == OP_param) compiler_bug("codegen", "a parameter has no home");
  *transposed = *transposed != o.transposed;
  return emit_byte(s) + o.offset * dtype_bytes(n->type.dtype);
}

static void product(Device *d, const Func *f, const Kernel *k, const Term *term, int beta) {
  const Node *n = term->product;
  int r = n->type.rank, first = d->narg;
  bool ta = n->attr.i[0] != 0, tb = n->attr.i[1] != 0;
  int64_t m = n->type.dim[r - 2], c = n->type.dim[r - 1];
  int64_t sum = n->in[0]->type.dim[ta ? r - 2 : r - 1],
          batch = m && c ? type_count(n->type) / m / c : 0;
  arg(d, operand_byte(f, n->in[0], &ta));
  arg(d, operand_byte(f, n->in[1], &tb));
  arg(d, emit_byte(k->store[0].dest));
  static const char *const types[NDTYPE] = {"MLO_BOOL", "MLO_I32", "MLO_F32", "MLO_F64"};
  static const char *const precisions[NPRODUCTS] = {"MLO_EXACT", "MLO_BF16", "MLO_TF32"};
  text_addf(
      &d->launches,
      "{MLO_GEMM, 0, 0, 0, %d, 3, 0, %s, %d, %d, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %d, %d, "
      "%s},\n",
      first, types[n->type.dtype], ta, tb, (long long)m, (long long)c, (long long)sum,
      (long long)batch, (long long)(m * sum), (long long)(sum * c), (long long)(m * c),
      term->minus ? -1 : 1, beta, precisions[kernel_products(d->unit.program, k)]);
  launched(d, NULL, f, k, 0);
}

static void bytes(Device *d, const char *kind, int64_t to, int64_t from, bool two, int64_t n) {
  int first = d->narg;
  arg(d, to);
  if (two) arg(d, from);
  text_addf(&d->launches, "{%s, 0, 0, 0, %d, %d, " NO_PRODUCT, kind, first, d->narg - first,
            (long long)n);
  launched(d, NULL, NULL, NULL, 0);
}

static void library(Device *d, const Func *f, const Kernel *k) {
  Term term[MAX_TERMS] = {{.product = k->anchor[0].node}};
  int n = k->nanchor > 1 ? kernel_terms(k->anchor[k->nanchor - 1].node, term) : 1;
  for (int j = 0; j < n; j++) product(d, f, k, &term[j], j > 0);
  for (int i = 1; i < k->nstore; i++)
    bytes(d, "MLO_COPY", emit_byte(k->store[i].dest), emit_byte(k->store[0].dest), true,
          type_bytes(k->store[i].node->type));
}

/* In a loop with a condition the library's product runs once more than it should, so that what it
   leaves must be of the round alone. */
static bool of_the_round(const Kernel *k) {
  for (int i = 0; i < k->nstore; i++)
    if (storage_root(k->store[i].dest)->kind != ST_TEMP) return false;
  return true;
}

void device_launch(Device *d, const Func *f, const Kernel *k, int loop) {
  Launch l = kernel_launch(k);
  Emit e;
  if (l.shape == LAUNCH_LIBRARY && loop && !of_the_round(k)) l = launch_product(k);
  if (l.shape == LAUNCH_LIBRARY) {
    library(d, f, k);
  } else {
    CKernel *c = device_kernel(d, f, k, &l, &e);
    print_launch(d, &e, entry(d, &e, c, loop > 0), &l, loop);
  }
}

void device_poison(Device *d, const Kernel *k) {
  for (int i = 0; d->unit.options->poison && i < k->ndead; i++)
    bytes(d, "MLO_FILL", emit_byte(k->dead[i]), 0, false, type_bytes(k->dead[i]->type));
}

static int entry_named(Device *d, const char *name) {
  int i = 0;
  while (i < d->nentry && strcmp(d->entry[i], name)) i++;
  if (i == d->nentry) VEC_PUSH(d->unit.arena, d->entry, d->nentry, d->entry_cap, name);
  return i;
}

/* Blocks of equal text are one. */
static const char *block_named(Device *d, const BlockEntry *b) {
  Arena *a = d->unit.arena;
  const char *prefix = d->unit.options->library ? d->unit.options->library : "";
  for (int i = 0; i < d->nblock; i++)
    if (!strcmp(d->block[i].text, b->text)) return d->block[i].name;
  BlockText x = {.text = b->text};
  x.name = arena_printf(a, "%sblock%d_%s", prefix, d->nblock, text_identifier(a, b->func->name));
  VEC_PUSH(a, d->block, d->nblock, d->block_cap, x);
  add_lined(
      d, &d->entries, NULL,
      arena_printf(a, "MLO_KERNEL __launch_bounds__(%d, 1) %s%s", LAUNCH_BLOCK, x.name, x.text));
  return x.name;
}

void device_block(Device *d, const BlockEntry *b, int loop) {
  const char *name = block_named(d, b);
  int first = d->narg, number = entry_named(d, name);
  for (int i = 0; i < b->nplace; i++) arg(d, b->place[i]);
  if (b->scratch) arg(d, -1);
  if (loop) arg(d, -1 - guard_byte(loop));
  launch_row(d, number, 1, LAUNCH_BLOCK, first);
  launched(d, name, b->func, NULL, 1);
}

int device_loop(Device *d) {
  if (d->nloop == LAUNCH_GUARDS)
    compiler_bug("codegen", "more than %d loops with conditions", LAUNCH_GUARDS);
  if (d->scratch < LAUNCH_PARTIALS) d->scratch = LAUNCH_PARTIALS;
  return ++d->nloop;
}

void device_keep(Device *d, int loop, int outer, const Storage *cond) {
  const char *name = outer ? "mlo_keep_within" : "mlo_keep";
  int first = d->narg, number = entry_named(d, name);
  arg(d, -1 - guard_byte(loop));
  arg(d, emit_byte(cond));
  if (outer) arg(d, -1 - guard_byte(outer));
  launch_row(d, number, 1, 32, first);
  launched(d, name, NULL, NULL, 1);
}

/* ---- the text */

void device_begin(Device *d, Arena *a, Program *p, const CgOptions *o) {
  *d = (Device){.unit = {.arena = a, .program = p, .options = o, .functions = {.arena = a}},
                .entries = {.arena = a},
                .launches = {.arena = a},
                .args = {.arena = a}};
  d->unit.lines = cg_find_lines(a, p->diags ? p->diags->source : NULL);
  text_add(&d->entries, "");
  text_add(&d->launches, "");
  text_add(&d->args, "");
}

char *device_source(Device *d) {
  Unit *u = &d->unit;
  Text t = {.arena = u->arena};
  text_addf(&t, "/* CUDA kernels, made by mloc %s from %s; do not edit. */\n",
            u->options->version ? u->options->version : "",
            u->options->source ? u->options->source : u->program->name);
  text_add(&t, cg_mlo_device);
  text_add(&t, cg_mlo_math64);
  text_add(&t, cg_mlo_math);
  if (u->random) text_add(&t, cg_mlo_normal);
  if (u->random) text_add(&t, cg_mlo_random);
  text_add(&t, cg_mlo_team);
  text_add(&t, "\n");
  for (int i = 0; i < u->nkernel; i++) {
    const CKernel *k = &u->kernel[i];
    text_add(&t, k->comment.s);
    add_lined(d, &t, k->line, arena_printf(u->arena, "MLO_INLINE void %s%s", k->name, k->text));
    text_add(&t, "\n");
  }
  text_add(&t, text_indent(u->arena, d->entries.s));
  return t.s;
}

char *cg_cuda(Program *p, const CgOptions *o, const CgLaunch **launch, int *nlaunch) {
  Device d;
  device_begin(&d, p->arena, p, o);
  device_schedule(&d, 0, "", NULL);
  if (launch) {
    *launch = d.launch;
    *nlaunch = d.nlaunch;
  }
  return device_source(&d);
}
