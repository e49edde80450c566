/* A planned program as one C file: prelude, kernels, functions that call them at planned offsets,
   and the executable's schedule and tables. */
#include <string.h>

#include "codegen/unit_c.h"
#include "ir/kernel.h"
#include "ir/provider.h"

char *cg_func_name(Arena *a, const CgOptions *o, const Func *f) {
  Text t = {.arena = a};
  text_addf(&t, "%sfn_", o->library ? o->library : "");
  for (const char *s = f->name; *s; s++) text_addf(&t, *s == '.' ? "__" : "%c", *s);
  return text_identifier(a, t.s);
}

void unit_poison(Unit *u, const Func *f, int at) {
  const Kernel *k = f->kernel[at];
  for (int i = 0; i < k->ndead; i++)
    text_addf(&u->functions, "mlo_poison(arena + %lld, %lld);\n", (long long)emit_byte(k->dead[i]),
              (long long)type_bytes(k->dead[i]->type));
}

static void function(Unit *u, const Func *f) {
  const char *linkage = u->options->library ? "" : "static ",
             *name = cg_func_name(u->arena, u->options, f);
  if (u->options->library) text_addf(&u->functions, "void %s(unsigned char *);\n", name);
  text_addf(&u->functions, "%svoid %s(unsigned char *arena) {\n(void)arena;\n", linkage, name);
  for (int i = 0; i < f->nkernel; i++) {
    unit_kernel(u, f, f->kernel[i]);
    if (u->options->poison) unit_poison(u, f, i);
  }
  text_add(&u->functions, "}\n\n");
  VEC_PUSH(u->arena, u->func, u->nfunc, u->func_cap, f);
}

/* Functions that the schedule never calls would be unused: they are not printed. */
static void mark_called(const Program *p, const Stmt *s, bool *called) {
  for (; s; s = s->next) {
    if (s->kind == STMT_CALL)
      for (int i = 0; i < p->nfunc; i++) called[i] = called[i] || p->func[i] == s->func;
    mark_called(p, s->body, called);
  }
}

static void prelude(Unit *u, Text *t) {
  text_addf(t, "/* Made by mloc %s from %s; do not edit. */\n",
            u->options->version ? u->options->version : "",
            u->options->source ? u->options->source : u->program->name);
  /* Sums of short rows end with loops over the lanes of a vector: they cost more than the rows. */
  text_add(t,
           "#ifndef __clang__\n#pragma GCC optimize(\"peel-loops\")\n#endif\n"
           "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include <string.h>\n\n"
           "#include \"runtime/mlo.h\"\n#include \"runtime/mlo_math.h\"\n");
  if (u->random) text_add(t, "#include \"runtime/mlo_random.h\"\n");
  if (u->vectors) text_add(t, "#include \"runtime/mlo_vector.h\"\n");
  text_add(t, "\n#ifdef __clang__\n"
              "#pragma clang diagnostic ignored \"-Wpass-failed\"\n"
              "#pragma clang diagnostic ignored \"-Wunused-function\"\n#endif\n\n"
              "#define AT(type, offset) ((type *)(arena + (offset)))\n"
              "#define MLO_MAX_I32(x, z) ((x) > (z) ? (x) : (z))\n"
              "#define MLO_MIN_I32(x, z) ((x) < (z) ? (x) : (z))\n\n");
}

char *cg_c(Program *p, const CgOptions *o) {
  Unit u = {.arena = p->arena, .program = p, .options = o, .functions = {.arena = p->arena}};
  u.lines = cg_find_lines(p->arena, p->diags ? p->diags->source : NULL);
  bool *called = arena_array(p->arena, bool, p->nfunc);
  text_add(&u.functions, "");
  mark_called(p, p->schedule, called);
  for (int i = 0; i < p->nfunc; i++)
    if (!o->only_cuda && (called[i] || o->library)) function(&u, p->func[i]);
  Text t = {.arena = p->arena};
  prelude(&u, &t);
  for (int i = 0; i < u.nkernel; i++)
    text_addf(&t, "%sstatic void %s%s\n", u.kernel[i].comment.s, u.kernel[i].name,
              u.kernel[i].text);
  text_add(&t, text_indent(p->arena, u.functions.s));
  unit_main(&u, &t);
  return t.s;
}

bool cg_needs_blas(const Program *p) {
  for (int i = 0; i < p->nfunc; i++)
    for (int k = 0; k < p->func[i]->nkernel; k++) {
      const Kernel *x = p->func[i]->kernel[k];
      if (x->kind == KERNEL_CALL || (x->kind == KERNEL_GEMM && provider_info(x->provider)->library))
        return true;
    }
  return false;
}
