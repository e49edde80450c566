/* Programs in which words have been exchanged for others of the language: most mean nothing any
   more, many almost do. Nothing may crash; messages stay inside of the text; what is accepted
   passes the verifier and prints. The same inputs on every run, for two seconds at most. */
#include "frontend/builtins.h"
#include "frontend/sema.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "tests/support/random_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static const char program[] =
    "dim N , M , D , H = 2 , C = 4 ; const k = 3 ; const rate = 0.5 ; const double = 2 * rate ;\n"
    "data a { file = \"a.npz\" ; x : f32 [ N , D ] in box ( 0 , 1 ) ; y : i32 [ N ] in range ( 0 , "
    "C ) ; }\n"
    "data b { file = \"b.npz\" ; x : f32 [ M , D ] ; y : i32 [ M ] in range ( 0 , C ) ; }\n"
    "data c2 { file = \"ca.npz\" ; x : f32 [ N , D ] ; y : i32 [ N ] in range ( 0 , C ) ; batch = "
    "k ; "
    "shuffle = true ; partial = drop ; rows = N ; split = parts ( tr = 0.6 , va = 0.4 , by = y , "
    "seed = 7 ) ; }\n"
    "fn nll ( z : f32 [ .. ] , t : f32 [ .. ] ) -> f32 = mean ( softplus ( z ) - t * z ) ;\n"
    "fn affine ( x : f32 [ .. , I ] , W : f32 [ I , O ] , o : f32 [ O ] ) -> f32 [ .. , O ] = x @ "
    "W + o ;\n"
    "module deep [ I , L = 2 , O = I ] ( x : f32 [ .. , I ] ) -> f32 [ .. , O ] {\n"
    "  var in1 = linear [ I , O ] ; var bn = batchnorm [ O ] ; var blk [ L ] = mlp [ O , 2 * O , O "
    "] "
    "; param g : f32 [ O ] = ones ; state e : f32 [ O ] = 0 next rate * e + g ;\n"
    "  let h = in1 ( x ) ; for i in 0 .. L { if i > 0 and not ( i == k ) { h = blk [ i ] ( h ) ; } "
    "else { let q = h + e ; h = tanh ( q ) ; } let n [ i ] = h ; }\n"
    "  return bn ( n [ L - 1 ] , mode = train ) * ( if training ( ) then g else e ) ;\n}\n"
    "level fit {\n"
    "  var net = deep [ D , O = C ] ; var two [ 2 ] : f32 [ C ] = 1 ; state t : f32 = 0 next t + s "
    "; freeze = net . blk [ 0 ] ;\n"
    "  let v = sum ( i in 0 .. 2 : norm2 ( two [ i ] ) ) + norm2 ( net . in1 ) + sum ( net ( a . x "
    ") ) + t ;\n"
    "  var W : f32 [ D , C ] = he_normal ; var c : f32 [ C ] in box ( -1 , 1 ) = 0 ; var s : f32 = "
    "rate ;\n"
    "  let z = affine ( a . x , W , c ) ; let top = max ( z , axis = 1 , keepdims = true ) ;\n"
    "  let part = reshape ( a . x , N , H , -1 ) ; let rows = concat ( a . x , b . x ) [ k , 0 .. "
    "D ] ;\n"
    "  let pick = W [ .. , a . y ] . T ; let soft = segment_softmax ( z , a . y , C ) ;\n"
    "  let conv = conv1d ( dropout ( a . x , 0.2 ) , reshape ( W , 1 , D , C ) , stride = H , "
    "padding = k ) ;\n"
    "  let seen = attention ( z , rope ( z ) , squeeze ( window ( z , 0 , 1 ) , 1 ) , causal = "
    "true ) ;\n"
    "  let pool = max_pool ( straight_through ( expand_dims ( z , 2 ) , rate ) , H , padding = 1 ) "
    ";\n"
    "  minimize mean ( xent ( z , a . y ) ) + exp ( tune . rho ) * norm2 ( W ) + nll ( c , c ) / "
    "k\n"
    "    + sum ( where ( z > 0 , z ^ 2 , -z ) ) + dot ( rows , rows ) + s ^ 2 * mean ( pick - a . "
    "x )\n"
    "    + v + mean ( stack ( soft , z - top ) [ 0 ] ) + std ( part ) + sum ( gumbel_softmax ( c , "
    "tau "
    "= rate ) ) + mean ( conv ) + s * mean ( a . x [ index ( c2 . tr ) ] - c2 . tr . x ) / batch ( "
    "c2 . "
    "tr ) + mean ( seen ) + mean ( pool ) ;\n"
    "  optimizer = sgd ( lr = 0.5 , momentum = 0.9 ) ; steps = 200 ;\n"
    "}\n"
    "level tune {\n"
    "  var rho : f32 in box ( -12 , 6 ) = -2 ; var net = deep [ I = D , L = 1 , O = C ] ; init = "
    "copy ( net . in1 . "
    "W , fit . W ) ; argmin fit via cg ( iters = 30 , damping = 1e-4 ) "
    ";\n"
    "  maximize - mean ( xent ( affine ( b . x , fit . W , fit . c ) , b . y ) ) ;\n"
    "  optimizer = adam ( lr = 0.05 ) ; steps = k ;\n"
    "  metric far on c2 = sqrt ( mean ( ( c2 . x @ fit . W ) ^ 2 ) ) + max ( c2 . x ) ; output "
    "rows on c2 . va = c2 . va . x @ fit . W ;\n"
    "  metric acc = mean ( argmax ( b . x @ fit . W ) == b . y and not ( fit . s > 0 ) ) ;\n"
    "}\n"
    "run main of tune { seed = 0 ; report = every ( 10 , csv ) ; precision = f32 ; }\n";

static SemaProbe probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                       SemaArray **array, int *n, const char **error) {
  (void)want, (void)nwant, (void)error;
  int64_t rows = strstr(path, "a") ? 7 : 5;
  SemaArray a[] = {{.name = "x", .rank = 2, .dim = {rows, 6}},
                   {.name = "y", .integral = true, .rank = 1, .dim = {rows}}};
  *array = arena_dup(ctx, a, sizeof a);
  *n = 2;
  return SEMA_PROBE_OK;
}

typedef struct Words {
  const char **word;
  int n, cap;
} Words;

static size_t below(uint64_t *state, size_t n) { return (random_next(state) >> 20) % n; }

static Words split(Arena *a) {
  Words w = {0};
  for (const char *p = program; *p;) {
    size_t n = strcspn(p, " \n");
    if (n) VEC_PUSH(a, w.word, w.n, w.cap, arena_strndup(a, p, n));
    p += n + (p[n] != 0);
  }
  return w;
}

/* A word of the program, or a built-in; or the place is left empty. */
static const char *draw(const Words *w, uint64_t *state) {
  static const char *const extra[] = {"0",    "1",    "2",   "-1",       "99999999999", "1e300",
                                      "1e-9", "4e18", "16",  "f64",      "..",          "zeros",
                                      "ones", "bool", "i32", "keepdims", "iota ( N )"};
  switch (below(state, 8)) {
  case 0: return builtin_at((int)below(state, (size_t)builtin_count()))->name;
  case 1: return "";
  case 2: return extra[below(state, sizeof extra / sizeof *extra)];
  default: return w->word[below(state, (size_t)w->n)];
  }
}

/* Exchanges a name for a name, a number for a number, or anything for anything. */
static void exchange(const Words *w, uint64_t *state) {
  int at = (int)below(state, (size_t)w->n);
  bool kind = below(state, 4) != 0;
  for (int i = 0; i < 50; i++) {
    const char *new = draw(w, state);
    if (kind && !isalnum((unsigned char)new[0]) != !isalnum((unsigned char)w->word[at][0]))
      continue;
    if (kind && !isdigit((unsigned char)new[0]) != !isdigit((unsigned char)w->word[at][0]))
      continue;
    w->word[at] = new;
    return;
  }
}

static char *join(Arena *a, const Words *w) {
  size_t n = 1, at = 0;
  for (int i = 0; i < w->n; i++) n += strlen(w->word[i]) + 1;
  char *text = arena_alloc(a, n);
  for (int i = 0; i < w->n; i++) at += (size_t)sprintf(text + at, "%s ", w->word[i]);
  return text;
}

static bool one(Arena *a, const char *text, bool check_only, FILE *sink) {
  Diags *d = diags_new(a, "fuzz", text);
  Ast *ast = ast_parse(a, d, text, strlen(text));
  SemaOptions o = {.check_only = check_only, .pedantic = true, .probe = probe, .probe_ctx = a};
  if (check_only) o.probe = NULL;
  Program *p = d->nerror ? NULL : sema_program(a, d, ast, &o);
  diags_print(d, sink, false);
  for (int i = 0; i < d->ndiag; i++) assert_true(d->diag[i]->span.hi <= strlen(text) + 2);
  assert_true(d->nerror || p || check_only);
  if (!p) return false;
  assert_int_equal(d->nerror, 0);
  const char *wrong = ir_verify(p);
  if (wrong) fail_msg("%s\n%s", wrong, text);
  fputs(ir_print(p), sink);
  return true;
}

static void words(void **state) {
  (void)state;
  clock_t end = clock() + 2 * CLOCKS_PER_SEC;
  uint64_t r = 2024;
  int accepted = 0;
  FILE *sink = fopen("/dev/null", "w");
  assert_non_null(sink);
  for (int i = 0; i < 3000 && clock() < end; i++) {
    Arena *a = arena_new();
    Words w = split(a);
    size_t n = i ? 1 + below(&r, 3) : 0;
    for (size_t k = 0; k < n; k++) exchange(&w, &r);
    accepted += one(a, join(a, &w), i % 4 == 3, sink);
    if (i == 0) assert_int_equal(accepted, 1);
    arena_free(a);
  }
  fclose(sink);
  assert_true(accepted > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(words)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
