/* Random programs: the reference evaluator, statement by statement, against the whole schedule as
   generated C, with any of the optional passes on and off (simplify, dead_code, hoist, fuse,
   reuse). Seeds are fixed; arguments FIRST COUNT [VARIANT] choose others. Where the environment has
   MLO_CUDA_PATH, as CUDA on the emulated stack instead; where `reuse` fills dead memory with NaN,
   each kernel is launched by itself, else one block does what is small. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "codegen/text.h"
#include "ir/kernel.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "runtime/mlo.h"
#include "tests/support/draw.h"
#include "tests/support/emulated.h"
#include "tests/support/interp.h"
#include "tests/support/native.h"

/* What generated code calls has to be in this executable. */
typedef void (*Symbol)(void);
static const volatile Symbol needed[] = {(Symbol)mlo_gemm_f32,  (Symbol)mlo_gemm_f64,
                                         (Symbol)mlo_solve_f32, (Symbol)mlo_solve_f64,
                                         (Symbol)mlo_poison,    (Symbol)mlo_statements};

/* What makes a program's variant. */
enum { FUSE = 1, REUSE = 2, THREADS = 4, SIMPLIFY = 8, DEAD_CODE = 16, HOIST = 32, VARIANTS = 64 };

typedef struct One {
  Build b, reference; /* the same program twice: passes change the one, the other is interpreted */
  Interp *want;
  uint64_t seed;
  int variant, hoisted;
} One;

/* Reports need a run of the runtime: their bodies stand alone here. */
static void reports_to_repeats(Stmt *s) {
  for (; s; s = s->next) {
    if (s->kind == STMT_REPORT) s->kind = STMT_REPEAT, s->count = 1;
    reports_to_repeats(s->body);
  }
}

static Build draw(uint64_t seed) {
  return draw_program(seed, 3, 16, seed % 5 == 0 ? 90 : seed % 3 ? 5 : 17);
}

static void verify(const One *o, const char *after, const char *wrong) {
  if (!wrong) return;
  printf("seed %d, variant %d, after %s: %s\n", (int)o->seed, o->variant, after, wrong);
  exit(1);
}

static void run_passes(One *o) {
  Program *p = o->b.p;
  if (o->variant & SIMPLIFY) pass_simplify(p);
  if (o->variant & DEAD_CODE) pass_dead_code(p);
  verify(o, "simplify and dead_code", ir_verify(p));
  int nfunc = p->nfunc;
  if (o->variant & HOIST) pass_hoist(p);
  o->hoisted = p->nfunc - nfunc;
  if (o->variant & HOIST && o->variant & DEAD_CODE) pass_dead_code(p);
  verify(o, "hoist", ir_verify(p));
  pass_kernels(p);
  if (o->variant & FUSE) pass_fuse(p);
  p->facts |= F_FUSED;
  pass_plan_memory(p);
  if (o->variant & REUSE) pass_reuse(p);
  p->facts |= F_PLANNED;
  verify(o, "plan_memory", kernel_verify(p));
}

/* Threads everywhere that the plan left room for. */
static void add_threads(Program *p) {
  for (int i = 0; i < p->nfunc; i++)
    for (int k = 0; k < p->func[i]->nkernel; k++) {
      Kernel *x = p->func[i]->kernel[k];
      bool free = x->order == ORDER_ROWS || kernel_keeps_first(x);
      x->parallel = x->parallel || (x->kind == KERNEL_LOOP && free);
      if (!x->chunk) x->chunk = 3;
    }
}

static CgOptions options_of(const One *o) {
  return (CgOptions){
      .library = arena_printf(o->b.arena, "s%d_%d_", (int)o->seed, o->variant),
      .poison = o->variant & REUSE,
      .cuda = getenv("MLO_CUDA_PATH") != NULL,
      .only_cuda = getenv("MLO_CUDA_PATH") != NULL,
      .no_source = true,
  };
}

/* source: where the text of CUDA kernels goes. */
static One prepare(uint64_t seed, int variant, Text *text, Text *source) {
  One o = {.b = draw(seed), .reference = draw(seed), .seed = seed, .variant = variant};
  o.want = interp_new(o.reference.p);
  interp_run(o.want, o.reference.p->schedule);
  run_passes(&o);
  if (variant & THREADS) add_threads(o.b.p);
  reports_to_repeats(o.b.p->schedule);
  CgOptions options = options_of(&o);
  text_add(text, cg_c(o.b.p, &options));
  if (options.cuda) text_add(source, cg_cuda(o.b.p, &options, NULL, NULL));
  return o;
}

/* Reductions may be summed in another order, functions may differ in the last bits, and both may be
 * amplified. */
static bool close_to(double got, double want) {
  if (isnan(got) || isnan(want)) return isnan(got) && isnan(want);
  return got == want || fabs(got - want) <= 1e-9 * (1 + fabs(want));
}

/* source: of CUDA kernels, or NULL. */
static bool run(const One *o, const Native *native, const char *source, unsigned char *arena) {
  const char *prefix = options_of(o).library;
  if (source)
    return emulated_run(native_find(native, arena_printf(o->b.arena, "%sprogram", prefix)), source,
                        arena);
  int (*schedule)(MloRun *, unsigned char *);
  *(void **)&schedule = native_find(native, arena_printf(o->b.arena, "%sschedule", prefix));
  return schedule(NULL, arena) == 0;
}

static int check(const One *o, const Native *native, const char *source) {
  Program *p = o->b.p;
  unsigned char *arena = native_arena(p);
  int wrong = !run(o, native, source, arena);
  if (wrong) printf("seed %d, variant %d fails\n", (int)o->seed, o->variant);
  for (int i = 0; i < p->nstorage && !wrong; i++) {
    const Storage *s = p->storage[i];
    if (!storage_permanent(s) || s->kind == ST_COUNTER) continue;
    int64_t n = type_count(s->type);
    double *got = arena_array(o->b.arena, double, (int)n), *want = interp_at(o->want, s->name);
    native_read(arena, s, got);
    for (int64_t k = 0; k < n && !wrong; k++)
      if (!close_to(got[k], want[k])) {
        printf("seed %d, variant %d: %s[%d] is %.17g, not %.17g\n", (int)o->seed, o->variant,
               s->name, (int)k, got[k], want[k]);
        wrong = 1;
      }
  }
  free(arena);
  return wrong;
}

enum { BATCH = 16 };

int main(int argc, char **argv) {
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  int count = argc > 2 ? atoi(argv[2]) : 48, wrong = 0, hoisted = 0;
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (!needed[i]) return 1;
  for (int at = 0; at < count; at += BATCH) {
    Arena *a = arena_new();
    Text text = {.arena = a}, source = {.arena = a};
    One one[BATCH];
    int n = count - at < BATCH ? count - at : BATCH;
    for (int i = 0; i < n; i++) {
      uint64_t seed = first + (uint64_t)(at + i);
      /* 37 is prime to 64: neighbours differ in several passes, and all combinations occur. */
      int variant = argc > 3 ? atoi(argv[3]) : (int)(seed * 37 % VARIANTS);
      one[i] = prepare(seed, variant, &text, &source);
      hoisted += one[i].hoisted > 0;
    }
    Native *native = native_load(text.s, source.s ? "-O0" : "-O2");
    for (int i = 0; i < n; i++) wrong += check(&one[i], native, source.s);
    native_free(native);
    for (int i = 0; i < n; i++) {
      interp_free(one[i].want);
      build_free(&one[i].b);
      build_free(&one[i].reference);
    }
    arena_free(a);
  }
  printf("%d of %d programs differ (%d have hoisted functions)\n", wrong, count, hoisted);
  return wrong != 0;
}
