#ifndef MLOC_TESTS_UNIT_SEMA_PROGRAM_H
#define MLOC_TESTS_UNIT_SEMA_PROGRAM_H

/* Programs for the tests of semantic analysis: a data prober without files, declarations and levels
   to build programs from, and their analysis. */
#include <string.h>

#include "frontend/sema.h"

/* Data files hold whatever arrays the test names: "x:40x3 y:i40". */
static SemaProbe probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                       SemaArray **array, int *n, const char **error) {
  static const char *const word[] = {"x", "y", "z"};
  (void)want, (void)nwant, (void)error;
  if (strstr(path, "absent")) return SEMA_PROBE_ABSENT;
  if (strstr(path, "broken")) {
    *error = "it is damaged";
    return SEMA_PROBE_BAD;
  }
  if (strstr(path, ".npy")) {
    static const SemaArray only = {.name = "", .rank = 1, .dim = {40}};
    *array = arena_dup(ctx, &only, sizeof only);
    *n = 1;
    return SEMA_PROBE_OK;
  }
  bool val = strstr(path, "val") != NULL;
  SemaArray a[3] = {{.rank = 2, .dim = {val ? 30 : 40, 3}},
                    {.integral = true, .rank = 1, .dim = {val ? 30 : 40}},
                    {.rank = 1, .dim = {val ? 30 : 40}}};
  for (int i = 0; i < 3; i++) a[i].name = word[i];
  if (strstr(path, "complex")) a[0] = (SemaArray){.name = "x", .problem = "found `<c8`"};
  *array = arena_dup(ctx, a, sizeof a);
  *n = 3;
  return SEMA_PROBE_OK;
}

static const char head[] =
    "dim N, M, D, C = 4; const scale = 0.5; const width = 2;"
    "data train { file = \"train.npz\"; x : f32[N, D]; y : i32[N] in range(0, C); z : f32[N]; }"
    "data mini { file = \"train.npz\"; x : f32[N, D]; z : f32[N]; batch = 8; shuffle = true; }"
    "data bits { file = \"train.npz\"; x : f32[N, D]; z : f32[N]; batch = width * 4; }"
    "data cut { file = \"train.npz\"; x : f32[N, D]; y : i32[N] in range(0, C); z : f32[N];"
    " batch = 7; shuffle = true; split = parts(a = 0.6, b = 0.25, by = y); }"
    "data val { file = \"val.npz\"; x : f32[M, D]; y : i32[M] in range(0, C); z : f32[M]; }"
    "fn nll(a : f32[..], b : f32[..]) -> f32 = mean(softplus(a) - a * b);"
    "module each[I](x : f32[I]) -> f32[I] { param g : f32[I] = 1; for i in 0..I { let z[i] = x[i]; "
    "} "
    "return g * stack(i in 0..I: z[i]); }"
    "fn affine(x : f32[.., I], W : f32[I, O], b : f32[O]) -> f32[.., O] = x @ W + b;\n";
static const char fit[] =
    "level fit { var w : f32[D] = zeros; optimizer = sgd(lr = 0.5); steps = 20;"
    " minimize nll(train.x @ w, train.z) + 0.5 * sum(exp(tune.rho) * w^2); }\n";
static const char tune[] =
    "level tune { var rho : f32[D] in box(-12, 6) = -2; argmin fit via cg(iters = 30); "
    "optimizer = adam(lr = 0.05); minimize nll(val.x @ fit.w, val.z); }\n";
static const char run[] = "run main of tune { seed = 3; report = every(10, csv); }\n";

typedef struct Result {
  Arena *arena;
  Diags *diags;
  Program *program;
} Result;

static Result compile(const char *text, SemaOptions o) {
  Result r = {.arena = arena_new()};
  o.program = "test";
  o.probe = probe;
  o.probe_ctx = r.arena;
  text = arena_strdup(r.arena, text);
  r.diags = diags_new(r.arena, "test.mlo", text);
  Ast *ast = ast_parse(r.arena, r.diags, text, strlen(text));
  if (!r.diags->nerror) r.program = sema_program(r.arena, r.diags, ast, &o);
  return r;
}

#endif
