/* How diagnostics look, character by character. */
#include "ir/diag.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static Span find(const char *source, const char *what) {
  const char *at = strstr(source, what);
  assert_non_null(at);
  uint32_t lo = (uint32_t)(at - source);
  return (Span){lo, lo + (uint32_t)strlen(what)};
}

static void expect(const Diags *d, bool json, const char *text) {
  char *got = NULL;
  size_t n;
  FILE *f = open_memstream(&got, &n);
  if (json)
    diags_print_json(d, f);
  else
    diags_print(d, f, false);
  fclose(f);
  assert_string_equal(got, text);
  free(got);
}

static void labels_on_the_line(void **state) {
  (void)state;
  Arena *a = arena_new();
  const char *source = "\n\n\n\n\n\n\n\n  return relu(x @ W2 + b1) @ W2 + b2;\n";
  Diags *d = diags_new(a, "mwn.mlo", source);
  Span at = find(source, "@");
  Diag *g = diag_error(d, at, "E0203", "inner dimensions of `@` differ: `%s` and `%s`", "I", "H");
  diag_label(d, g, find(source, "x"), "%s", "");
  diag_label(d, g, find(source, "W2"), "f32[H, O]");
  diag_help(d, g, "`W1 : f32[I, H]` fits here");
  assert_int_equal(d->nerror, 1);
  expect(d, false,
         "error[E0203]: inner dimensions of `@` differ: `I` and `H`\n"
         "  --> mwn.mlo:9:17\n"
         "   |\n"
         " 9 |   return relu(x @ W2 + b1) @ W2 + b2;\n"
         "   |               - ^ -- f32[H, O]\n"
         "   = help: `W1 : f32[I, H]` fits here\n");
  arena_free(a);
}

static void order_tabs_and_characters(void **state) {
  (void)state;
  Arena *a = arena_new();
  const char *source = "a\n\tb \xc3\xa4 \xe6\x97\xa5 c\x1b\n";
  Diags *d = diags_new(a, "f", source);
  Diag *g = diag_warning(d, find(source, "c"), "E0002", "second");
  g->label = "here";
  diag_label(d, g, find(source, "b"), "left");
  diag_label(d, g, (Span){0, 1}, "above");
  diag_error(d, (Span){0, 1}, "E0001", "first");
  assert_int_equal(d->nerror, 1);
  expect(d, false,
         "error[E0001]: first\n"
         "  --> f:1:1\n"
         "   |\n"
         " 1 | a\n"
         "   | ^\n"
         "\n"
         "warning[E0002]: second\n"
         "  --> f:2:8\n"
         "   |\n"
         " 1 | a\n"
         "   | - above\n"
         " 2 |     b \xc3\xa4 \xe6\x97\xa5 c?\n"
         "   |     -      ^ here\n"
         "   |     left\n");
  arena_free(a);
}

static void without_place(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a, "f", NULL);
  Diag *g = diag_error(d, (Span){3, 4}, "E0301", "no path");
  diag_path(d, g, "select -> finetune -x-> pretrain");
  diag_note(d, g, "zero");
  expect(d, false,
         "error[E0301]: no path\n  --> f\n   = path: select -> finetune -x-> pretrain\n   = note: "
         "zero\n");
  arena_free(a);
}

static void places_at_the_edges(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a, "f", "ab");
  diag_error(d, (Span){2, 2}, "E0006", "end");
  diag_error(d, (Span){900, 901}, "E0006", "nowhere");
  expect(d, false,
         "error[E0006]: end\n  --> f:1:3\n   |\n 1 | ab\n   |   ^\n\nerror[E0006]: nowhere\n  --> "
         "f\n");
  arena_free(a);
}

static void json(void **state) {
  (void)state;
  Arena *a = arena_new();
  const char *source = "x\ny \"z\n";
  Diags *d = diags_new(a, "f\\g", source);
  expect(d, true, "[]\n");
  Diag *g = diag_error(d, find(source, "\"z"), "E0002", "a \"quote\" \xff\n");
  diag_label(d, g, (Span){0, 1}, "x");
  expect(d, true,
         "[\n  {\"severity\": \"error\", \"code\": \"E0002\", \"message\": \"a \\\"quote\\\" "
         "\\ufffd\\u000a\", "
         "\"file\": \"f\\\\g\", \"line\": 2, \"column\": 3, \"end_line\": 2, \"end_column\": 5, "
         "\"notes\": [{\"kind\": \"label\", \"message\": \"x\", \"line\": 1, \"column\": 1, "
         "\"end_line\": 1, \"end_column\": 2}]}\n]\n");
  arena_free(a);
}

/* A line of a million characters is shown around the place, not whole. */
static void long_line(void **state) {
  (void)state;
  Arena *a = arena_new();
  char *source = malloc(1000001), *got = NULL;
  size_t n;
  assert_non_null(source);
  memset(source, 'x', 1000000);
  source[1000000] = 0;
  Diags *d = diags_new(a, "f", source);
  diag_error(d, (Span){500000, 900000}, "E0002", "long");
  FILE *f = open_memstream(&got, &n);
  diags_print(d, f, true);
  fclose(f);
  assert_true(n < 1000);
  free(got);
  free(source);
  arena_free(a);
}

static void bug(void **state) {
  (void)state;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    fclose(stderr);
    signal(SIGABRT, SIG_DFL);
    compiler_bug("pass", "node %d", 3);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(labels_on_the_line),
                                     cmocka_unit_test(order_tabs_and_characters),
                                     cmocka_unit_test(without_place),
                                     cmocka_unit_test(places_at_the_edges),
                                     cmocka_unit_test(json),
                                     cmocka_unit_test(long_line),
                                     cmocka_unit_test(bug)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
