/* Every page of `mloc explain` tells the truth: its first program has that error and no other, its
   second has none. The pages are complete and in order. */
#include "frontend/ast.h"
#include "frontend/explain.h"
#include "frontend/sema.h"
#include "passes/pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void order(void **state) {
  (void)state;
  const Explanation *e, *before = NULL;
  for (int i = 0; (e = explain_at(i)); i++, before = e) {
    assert_true(e->title && e->text && !e->wrong == !e->right);
    assert_true(e->text[strlen(e->text) - 1] == '\n');
    assert_ptr_equal(explain_find(e->code), e);
    if (before) assert_true(strcmp(before->code, e->code) < 0);
  }
  assert_null(explain_find("E9999"));
}

/* Pages may leave out what does not matter to them: a level to run. */
static const char ending[] =
    "\nlevel page_level {\n  var page_v : f32[2] = 0;\n  minimize sum(page_v^2);\n"
    "  optimizer = sgd(lr = 0.1);\n  steps = 1;\n}\nrun main of page_level { seed = 0; }\n";

/* Exactly one error, of this code (NULL: none at all). Data files are absent. */
static bool check(const char *page, const char *program, const char *code) {
  Arena *a = arena_new();
  bool whole = strstr(program, "run ") || (code && !strncmp(code, "E00", 3));
  const char *text = arena_printf(a, "%s%s", program, whole ? "" : ending);
  Diags *d = diags_new(a, page, text);
  Ast *ast = ast_parse(a, d, text, strlen(text));
  SemaOptions o = {.program = "page", .dir = "", .check_only = true};
  if (d->nerror == 0) {
    Program *p = sema_program(a, d, ast, &o);
    PassOptions levels = {.passes = "none", .stop_after = "differentiate"};
    if (p && d->nerror == 0) pass_run(p, &levels);
  }
  bool good = d->nerror == (code ? 1 : 0) && (!code || !strcmp(d->diag[0]->code, code));
  if (!good) {
    fprintf(stderr, "page %s: expected %s\n%s\n", page, code ? code : "no error", text);
    diags_print(d, stderr, false);
  }
  arena_free(a);
  return good;
}

static void pages(void **state) {
  (void)state;
  const Explanation *e;
  int wrong = 0;
  for (int i = 0; (e = explain_at(i)); i++) {
    if (!e->wrong) continue;
    wrong += !check(e->code, e->wrong, e->code);
    wrong += !check(e->code, e->right, NULL);
  }
  assert_int_equal(wrong, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(order), cmocka_unit_test(pages)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
