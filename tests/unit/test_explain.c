/* Every page of `mloc explain` tells the truth: its first program has that error and no other, its
   second has none. The pages are complete and in order. */
#include "frontend/ast.h"
#include "frontend/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void order(void **state) {
  (void)state;
  const Explanation *e, *before = NULL;
  for (int i = 0; (e = explain_at(i)); i++, before = e) {
    assert_true(e->title && e->text && e->wrong && e->right);
    assert_true(e->text[strlen(e->text) - 1] == '\n');
    assert_ptr_equal(explain_find(e->code), e);
    if (before) assert_true(strcmp(before->code, e->code) < 0);
  }
  assert_null(explain_find("E9999"));
}

static void check(const char *text, const char *code) {
  Arena *a = arena_new();
  Diags *d = diags_new(a, "page", text);
  ast_parse(a, d, text, strlen(text));
  if (d->nerror != (code ? 1 : 0)) diags_print(d, stderr, false);
  assert_int_equal(d->nerror, code ? 1 : 0);
  if (code) assert_string_equal(d->diag[0]->code, code);
  arena_free(a);
}

static void syntax_pages(void **state) {
  (void)state;
  const Explanation *e;
  for (int i = 0; (e = explain_at(i)); i++) {
    bool syntax = !strncmp(e->code, "E00", 3);
    check(e->wrong, syntax ? e->code : NULL);
    check(e->right, NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(order), cmocka_unit_test(syntax_pages)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
