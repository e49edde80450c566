/* Kernels as static C functions: chooses the printer of the kernel's kind, writes the parameter
   list from what the body used, shares functions whose text is equal, and prints the calls. Each
   kernel is printed twice: a dry run with one loop an axis tells which neighbouring axes are only
   used together, so that the second run makes one loop of them. */
#include "codegen/kernel_c.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "codegen/spans.h"
#include "codegen/unit_c.h"
#include "ir/op.h"
#include "ir/provider.h"

static void print_body(Emit *e, const bool *merge) {
  const Kernel *k = e->kernel;
  if (e->nnest) {
    cg_loop_nest(e);
    return;
  }
  switch (k->kind) {
  case KERNEL_LOOP:
    if (k->order == ORDER_COLUMNS)
      cg_loop_columns(e, merge);
    else
      cg_loop_rows(e, merge);
    break;
  case KERNEL_GEMM:
    if (provider_info(k->provider)->call)
      cg_gemm_call(e);
    else
      cg_gemm_loops(e);
    break;
  case KERNEL_SCATTER: cg_scatter(e); break;
  case KERNEL_CALL: cg_call(e); break;
  case NKERNELKIND: break;
  }
}

void unit_begin(Unit *u, Emit *e, const Target *t, const Func *f, const Kernel *k) {
  emit_begin(e, u->arena, t, u->program, f, k, &u->tables);
  for (int a = 0; a < k->rank; a++) {
    e->axis[a] = aff_const(0);
    e->axis_var[a] = -1;
    if (k->dim[a] != 1) e->naxis++;
  }
}

bool unit_unaliased(const Emit *e, int i) {
  for (int j = 0; j < e->nparam; j++) {
    if (j == i || !(e->param[i].store || e->param[j].store)) continue;
    const Storage *a = e->param[i].s, *b = e->param[j].s;
    if (cg_overlap(a, b) || emit_byte(a) == emit_byte(b)) return false; /* equal: one is empty */
  }
  return true;
}

int unit_alignment(const Param *p) {
  int64_t at = emit_byte(p->s);
  if (p->row) at |= type_bytes(p->s->type) / (p->s->type.dim[0] ? p->s->type.dim[0] : 1);
  int align = 64;
  while (at % align) align /= 2;
  return align;
}

static const char *signature_and_body(Emit *e) {
  Text t = {.arena = e->arena};
  text_add(&t, "(");
  for (int i = 0; i < e->nparam; i++) {
    const Param *p = &e->param[i];
    text_addf(&t, "%s%s%s *%s%sp%d", i ? ", " : "", p->store ? "" : "const ",
              e->target->element[p->s->type.dtype],
              unit_unaliased(e, i) ? e->target->restricted : "", unit_unaliased(e, i) ? " " : "",
              i);
  }
  text_add(&t, e->nparam ? ") {\n" : "void) {\n");
  for (int i = 0; i < e->nparam; i++) {
    int align = unit_alignment(&e->param[i]);
    if (align >= 16) text_addf(&t, "p%d = __builtin_assume_aligned(p%d, %d);\n", i, i, align);
  }
  text_add(&t, e->scope[0].body.s);
  text_add(&t, "}\n");
  return text_indent(e->arena, t.s);
}

/* Where the kernel of this text is or would be: its number plus 1. */
static int *slot_of(Unit *u, const char *text) {
  int mask = u->nslot - 1, i = (int)(XXH3_64bits(text, strlen(text)) & (uint64_t)mask);
  while (u->slot[i] && strcmp(u->kernel[u->slot[i] - 1].text, text)) i = (i + 1) & mask;
  return &u->slot[i];
}

static void grow_slots(Unit *u) {
  u->nslot = u->nslot ? 2 * u->nslot : 64;
  u->slot = arena_array(u->arena, int, u->nslot);
  for (int i = 0; i < u->nkernel; i++) *slot_of(u, u->kernel[i].text) = i + 1;
}

CKernel *unit_share(Unit *u, const char *text) {
  if (2 * u->nkernel >= u->nslot) grow_slots(u);
  int *slot = slot_of(u, text);
  if (*slot) return &u->kernel[*slot - 1];
  const char *prefix = u->options->library ? u->options->library : "";
  CKernel k = {.text = text,
               .name = arena_printf(u->arena, "%sk%d", prefix, u->nkernel),
               .comment = {.arena = u->arena}};
  VEC_PUSH(u->arena, u->kernel, u->nkernel, u->kernel_cap, k);
  *slot = u->nkernel;
  return &u->kernel[u->nkernel - 1];
}

static void print_call(Unit *u, const Emit *e, const char *name) {
  Text *t = &u->functions;
  text_addf(t, "%s(", name);
  for (int i = 0; i < e->nparam; i++) {
    const Param *p = &e->param[i];
    Type type = p->s->type;
    text_addf(t, "%sAT(%s%s, %lld)", i ? ", " : "", p->store ? "" : "const ",
              e->target->element[type.dtype], (long long)emit_byte(p->s));
    if (p->row)
      text_addf(t, " + *AT(int32_t, %lld) * (int64_t)%lld", (long long)emit_byte(p->row),
                (long long)(type.dim[0] ? type_count(type) / type.dim[0] : 0));
  }
  text_add(t, ");\n");
}

/* Splits the loops until no index needs a division; 0: that cannot be had. Each dry run tells what
   the next one's loops should be. */
static int plan_nest(Unit *u, const Func *f, const Kernel *k, Nest *nest) {
  int n = cg_nest_start(k, nest), left = n;
  for (bool more = n > 0; more;) {
    Emit dry;
    unit_begin(u, &dry, &cg_target_c, f, k);
    dry.analyse = true;
    memcpy(dry.nest, nest, sizeof dry.nest);
    dry.nnest = n;
    cg_loop_nest(&dry);
    left = dry.nquotient;
    more = cg_nest_refine(&dry, nest, &n);
    emit_end(&dry);
  }
  return left ? 0 : n;
}

void unit_kernel(Unit *u, const Func *f, const Kernel *k) {
  Emit dry, e;
  bool merge[MAX_RANK] = {false};
  Nest nest[CG_NEST];
  unit_begin(u, &dry, &cg_target_c, f, k);
  dry.analyse = true;
  print_body(&dry, merge);
  emit_end(&dry);
  for (int a = 0; a + 1 < dry.naxis; a++) merge[a] = !dry.apart[a];
  int nnest = dry.nquotient ? plan_nest(u, f, k, nest) : 0;
  unit_begin(u, &e, &cg_target_c, f, k);
  if (nnest) memcpy(e.nest, nest, sizeof e.nest);
  e.nnest = nnest;
  print_body(&e, merge);
  emit_end(&e);
  u->random = u->random || e.random;
  u->vectors = u->vectors || e.vectors;
  CKernel *c = unit_share(u, signature_and_body(&e));
  text_addf(&c->comment, "/* %s (%s)%s: %lld flop, %lld bytes */\n", k->name, cg_role_name(f->role),
            cg_source_lines(u->arena, &u->lines, k), (long long)k->flops, (long long)k->bytes);
  print_call(u, &e, c->name);
}
