/* The formatter: its output is the same program, and formatting it again changes nothing; examples
   and random programs. Comments survive. */
#include "frontend/ast.h"
#include "tests/support/random_text.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static Ast *parse(Arena *a, const char *text) {
  Diags *d = diags_new(a, "text", text);
  Ast *ast = ast_parse(a, d, text, strlen(text));
  if (d->nerror) {
    fprintf(stderr, "%s\n", text);
    diags_print(d, stderr, false);
    fail();
  }
  return ast;
}

static void check_text(const char *text) {
  Arena *a = arena_new();
  Ast *before = parse(a, text);
  char *once = ast_format(a, before);
  Ast *after = parse(a, once);
  char *twice = ast_format(a, after);
  if (!ast_equal(before, after) || strcmp(once, twice) || before->ncomment != after->ncomment) {
    fprintf(stderr, "---- source\n%s\n---- once\n%s\n---- twice\n%s\n", text, once, twice);
    fail();
  }
  arena_free(a);
}

static void format_random(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 1000; seed++) {
    Arena *a = arena_new();
    check_text(random_text(a, seed));
    arena_free(a);
  }
}

static void format_file(const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
  fclose(f);
  check_text(text);
  free(text);
}

static void format_examples(void **state) {
  (void)state;
  glob_t g;
  int code = glob("examples/*/*.mlo", 0, NULL, &g);
  assert_true(code == 0 || code == GLOB_NOMATCH);
  for (size_t i = 0; code == 0 && i < g.gl_pathc; i++) format_file(g.gl_pathv[i]);
  if (code == 0) globfree(&g);
}

static void expect(const char *text, const char *formatted) {
  Arena *a = arena_new();
  assert_string_equal(ast_format(a, parse(a, text)), formatted);
  check_text(text);
  arena_free(a);
}

static void format_looks(void **state) {
  (void)state;
  expect("", "");
  expect("// only this", "// only this\n");
  expect("dim N,M=2*N;const a=-x^2;", "dim N, M = 2 * N;\nconst a = -x^2;\n");
  expect("const a = ((b + 1)) * 2;", "const a = (b + 1) * 2;\n");
  expect("run r of t{}", "run r of t { }\n");
  expect("\n\n\nconst a = 1;\n\n\n\nconst b = 2; // tail\nconst c = 3;",
         "const a = 1;\n\nconst b = 2;  // tail\nconst c = 3;\n");
  expect("data d { file=\"a\\\"b\";x:f32[N,D]in box(0,1); }",
         "data d {\n  file = \"a\\\"b\";\n  x : f32[N, D] in box(0, 1);\n}\n");
  expect("level a { // open\n\n\n  steps = 1;\n\n  // last\n}",
         "level a {  // open\n  steps = 1;\n\n  // last\n}\n");
  expect(
      "level a { if b{c=1;}else if d{e=2;}else{f=3;} for i in 0..N{h=i;} }",
      "level a {\n  if b {\n    c = 1;\n  } else if d {\n    e = 2;\n  } else {\n    f = 3;\n  }\n"
      "  for i in 0..N {\n    h = i;\n  }\n}\n");
}

/* A line that is too long breaks where it nests least. */
static void format_long(void **state) {
  (void)state;
  expect("const a = first_long_name_of_a_value(one, two, three) + "
         "second_long_name_of_a_value(one, two, three) + third(one, two, three);",
         "const a = first_long_name_of_a_value(one, two, three) + "
         "second_long_name_of_a_value(one, two, three)\n    + third(one, two, three);\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(format_looks), cmocka_unit_test(format_long),
                                     cmocka_unit_test(format_examples),
                                     cmocka_unit_test(format_random)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
