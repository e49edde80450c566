/* Text that was a program once: mutated programs go through parser, formatter and messages. Nothing
   may crash, and what is accepted must survive formatting. The same inputs on every run, for two
   seconds at most. */
#include "frontend/ast.h"
#include "tests/support/random_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t below(uint64_t *state, size_t n) { return n ? (random_next(state) >> 20) % n : 0; }

/* One change: a byte, a token of the language, a piece removed, doubled or moved. */
static size_t mutate(char *s, size_t n, size_t cap, uint64_t *state) {
  static const char *const token[] = {
      ";",      "{",        "}",   "(",     ")",     "[",    "]",  "..", "=",  "==",   "->",
      "level ", "data ",    "if ", "else ", "for ",  "in ",  "\"", "//", "1.", "0x1",  "^",
      "-",      "\xc3\xa4", "\n",  "\t",    "next ", "via ", "@",  ",",  ":",  "1e999"};
  size_t at = below(state, n + 1), k = 1 + below(state, 12);
  switch (below(state, 5)) {
  case 0:
    if (at < n) s[at] = (char)below(state, 256);
    return n;
  case 1: {
    const char *t = token[below(state, sizeof token / sizeof *token)];
    size_t len = strlen(t);
    if (n + len > cap) return n;
    memmove(s + at + len, s + at, n - at);
    memcpy(s + at, t, len);
    return n + len;
  }
  case 2:
    if (at + k > n) return n;
    memmove(s + at, s + at + k, n - at - k);
    return n - k;
  case 3:
    if (at + k > n || n + k > cap) return n;
    memmove(s + at + k, s + at, n - at);
    return n + k;
  default: return at; /* the rest is cut off */
  }
}

static void one(const char *text, size_t n, FILE *sink) {
  Arena *a = arena_new();
  Diags *d = diags_new(a, "fuzz", text);
  Ast *ast = ast_parse(a, d, text, n);
  diags_print(d, sink, true);
  diags_print_json(d, sink);
  ast_print(ast, sink);
  for (int i = 0; i < d->ndiag; i++) assert_true(d->diag[i]->span.hi <= n + 2);
  if (d->nerror == 0) {
    char *once = ast_format(a, ast);
    Diags *e = diags_new(a, "formatted", once);
    Ast *again = ast_parse(a, e, once, strlen(once));
    assert_int_equal(e->nerror, 0);
    assert_true(ast_equal(ast, again));
    assert_string_equal(once, ast_format(a, again));
  }
  arena_free(a);
}

static void mutations(void **state) {
  (void)state;
  double end = now() + 2;
  uint64_t r = 12345;
  FILE *sink = fopen("/dev/null", "w");
  assert_non_null(sink);
  for (uint64_t seed = 1; seed < 4000 && now() < end; seed++) {
    Arena *a = arena_new();
    const char *program = random_text(a, seed);
    size_t n = strlen(program), cap = n + 400;
    char *s = malloc(cap + 1);
    assert_non_null(s);
    memcpy(s, program, n);
    for (int i = 0; i < 12; i++) {
      n = mutate(s, n, cap, &r);
      s[n] = 0;
      one(s, n, sink);
    }
    free(s);
    arena_free(a);
  }
  fclose(sink);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
