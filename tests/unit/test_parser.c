/* The parser: precedence and the shape of trees by their printed form, spans, error codes, and
   input that means harm. */
#include "frontend/ast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct Parsed {
  Arena *arena;
  Diags *diags;
  Ast *ast;
} Parsed;

static Parsed parse_n(const char *text, size_t n) {
  Parsed p = {.arena = arena_new()};
  p.diags = diags_new(p.arena, "text", text);
  p.ast = ast_parse(p.arena, p.diags, text, n);
  return p;
}

static Parsed parse(const char *text) { return parse_n(text, strlen(text)); }

/* "a + b * c" as (+ a (* b c)). */
static void lisp(const AstExpr *e, FILE *out);

static void lisp_args(const AstArg *a, FILE *out) {
  for (; a; a = a->next) {
    fputc(' ', out);
    if (a->name) fprintf(out, "%s=", a->name);
    lisp(a->value, out);
  }
}

static void lisp(const AstExpr *e, FILE *out) {
  static const char *const word[NAST_EXPR] = {
      [EX_CALL] = "call", [EX_INDEX] = "index", [EX_RANGE] = "..", [EX_IF] = "if"};
  if (!e) {
    fputc('_', out);
    return;
  }
  if (e->kind == EX_BOOL)
    fputs(e->integer ? "true" : "false", out);
  else if (e->kind == EX_STRING)
    fprintf(out, "\"%s\"", e->text);
  else if (e->kind == EX_INT || e->kind == EX_FLOAT || e->kind == EX_NAME)
    fputs(e->text, out);
  else {
    const char *head = word[e->kind];
    if (e->kind == EX_BINARY || e->kind == EX_UNARY) head = ast_op_text(e->op);
    if (e->kind == EX_FIELD) head = e->text;
    fprintf(out, "(%s%s ", e->kind == EX_FIELD ? "." : "", head);
    lisp(e->a, out);
    if (e->kind == EX_BINARY || e->kind == EX_RANGE || e->kind == EX_IF) {
      fputc(' ', out);
      lisp(e->b, out);
    }
    if (e->c) {
      fputc(' ', out);
      lisp(e->c, out);
    }
    lisp_args(e->arg, out);
    fputc(')', out);
  }
}

static void expect_expr(const char *expr, const char *tree) {
  char text[400], *got = NULL;
  size_t n;
  snprintf(text, sizeof text, "const v = %s;", expr);
  Parsed p = parse(text);
  if (p.diags->nerror) diags_print(p.diags, stderr, false);
  assert_int_equal(p.diags->nerror, 0);
  FILE *f = open_memstream(&got, &n);
  lisp(p.ast->item->value, f);
  fclose(f);
  assert_string_equal(got, tree);
  free(got);
  arena_free(p.arena);
}

static void precedence(void **state) {
  (void)state;
  expect_expr("-x^2", "(- (^ x 2))");
  expect_expr("2^-x^y", "(^ 2 (- (^ x y)))");
  expect_expr("a^b^c", "(^ a (^ b c))");
  expect_expr("a - b - c", "(- (- a b) c)");
  expect_expr("a + b * c @ d / e", "(+ a (/ (@ (* b c) d) e))");
  expect_expr("-a * b", "(* (- a) b)");
  expect_expr("a div b mod c", "(mod (div a b) c)");
  expect_expr("not a == b and c or d", "(or (and (not (== a b)) c) d)");
  expect_expr("a + 1 < b * 2", "(< (+ a 1) (* b 2))");
  expect_expr("(a < b) == (c < d)", "(== (< a b) (< c d))");
  expect_expr("if a then b else if c then d else e + 1", "(if a b (if c d (+ e 1)))");
  expect_expr("a.b.c(1, k = 2)[0, ..]", "(index (call (.c (.b a)) 1 k=2) 0 (.. _ _))");
  expect_expr("x[0..L, 1.., ..2, a + 1 .. b]",
              "(index x (.. 0 L) (.. 1 _) (.. _ 2) (.. (+ a 1) b))");
  expect_expr("next + on.of(after)", "(+ next (call (.of on) after))");
  expect_expr("true and \"a\\n\\\"\" == 1e-3", "(and true (== \"a\n\"\" 1e-3))");
}

static void numbers(void **state) {
  (void)state;
  Parsed p = parse("const a = 9223372036854775807; const b = 0.25; const c = 12e2;");
  assert_int_equal(p.diags->nerror, 0);
  const AstItem *i = p.ast->item;
  assert_true(i->value->kind == EX_INT && i->value->integer == INT64_MAX);
  assert_true(i->next->value->kind == EX_FLOAT && i->next->value->number == 0.25);
  assert_true(i->next->next->value->kind == EX_FLOAT && i->next->next->value->number == 1200);
  arena_free(p.arena);
}

static void expect_span(const char *text, Span s, const char *want) {
  assert_int_equal(s.hi - s.lo, strlen(want));
  assert_memory_equal(text + s.lo, want, strlen(want));
}

static void spans(void **state) {
  (void)state;
  const char *text = "// c\nlevel fit {\n  minimize (x @ w).y + f(k = 1);\n}\n";
  Parsed p = parse(text);
  const AstItem *level = p.ast->item, *s = level->body;
  expect_span(text, level->span, "level fit {\n  minimize (x @ w).y + f(k = 1);\n}");
  expect_span(text, level->name_span, "fit");
  expect_span(text, level->open_span, "{");
  expect_span(text, s->span, "minimize (x @ w).y + f(k = 1);");
  expect_span(text, s->name_span, "minimize");
  expect_span(text, s->value->span, "(x @ w).y + f(k = 1)");
  expect_span(text, s->value->at, "+");
  expect_span(text, s->value->a->at, "y");
  expect_span(text, s->value->a->a->span, "(x @ w)");
  expect_span(text, s->value->a->a->at, "@");
  expect_span(text, s->value->b->arg->name_span, "k");
  expect_span(text, p.ast->comment[0].span, "// c");
  arena_free(p.arena);
}

static void whole_language(void **state) {
  (void)state;
  Parsed p = parse(
      "dim N, M, C = 10;\n"
      "data d { file = \"a.npz\"; x : f32[N, 3] in box(0, 1); batch = 128; shuffle = true; }\n"
      "module m[I, O](x : f32[.., I]) -> f32[.., O] {\n"
      "  param W : f32[I, O] = he_normal;\n  var block[L] = layer[O];\n"
      "  for i in 0..L { h = block[i](h); }\n  let node[2] = 1;\n  return h;\n}\n"
      "level learner[k in 0..K] {\n  if k > 0 { argmin learner[k-1] via cg(iters = 3); } else { s "
      "= 1; }\n"
      "  freeze = enc; init = copy(a, b); restart = fresh; stop = 3;\n"
      "  state e : f32[C] = 0 next 0.9 * e;\n  metric acc on d = mean(x);\n  output p on d = x;\n"
      "  maximize mean(t in tasks: mse(adapt[t].net(t.xq), t.yq));\n}\n"
      "level adapt[t in tasks] { }\n"
      "run b of learner after a { seed = 0; }\n");
  if (p.diags->nerror) diags_print(p.diags, stderr, false);
  assert_int_equal(p.diags->nerror, 0);
  const AstItem *run = p.ast->item;
  while (run->next) run = run->next;
  assert_string_equal(run->on->text, "learner");
  assert_string_equal(run->lower->text, "a");
  assert_string_equal(run->body->name, "seed");
  arena_free(p.arena);
}

/* The codes of all errors, in order. */
static void expect_codes(const char *text, const char *codes) {
  Parsed p = parse(text);
  char got[2000] = "";
  for (int i = 0; i < p.diags->ndiag; i++) {
    strcat(got, i ? " " : "");
    strcat(got, p.diags->diag[i]->code);
  }
  if (strcmp(got, codes)) diags_print(p.diags, stderr, false);
  assert_string_equal(got, codes);
  arena_free(p.arena);
}

static void errors(void **state) {
  (void)state;
  expect_codes("const a = 1; const b = ; const c = 3", "E0005");
  expect_codes("const a = 1\nconst b = 2\nconst c = 3;", "E0006 E0006");
  expect_codes("level a { steps = ; }\nlevel b { steps = 1 2;\n var = 3;\n }\nlevel { }\n",
               "E0005 E0005 E0005 E0005");
  expect_codes("level a {\n x = (1;\n y = 2;\n z = [;\n}\n", "E0005 E0005");
  expect_codes("level a {\n  x = 1;\nlevel b {\n  y = 1;\n}\n", "E0007");
  expect_codes("level a {\n  x = 1\nlevel b {\n  y = 1;\n}\n", "E0007");
  expect_codes("level a { x = 1; } }\nconst b = 2;", "E0005");
  expect_codes("const a = 0 < b < c <= d;", "E0008");
  expect_codes("const a = 1..2;", "E0005");
  expect_codes("const a = 1. + 2;", "E0003");
  expect_codes("const a = \"abc;\nconst b = 1;", "E0004");
  expect_codes("const a = 1; // \xc3\xa4\nconst \xc3\xa4 = 1;", "E0002");
  expect_codes("const a = \"\xc3\";", "E0001");
  expect_codes("level f { w : f32[3] = 1; return 3; minimize w; }", "E0010 E0010");
  expect_codes("fn f(x) -> f32 = x;\nfn g(x : f32) = x;\nfn h(x : f32) -> f32 { return x; }",
               "E0005 E0005 E0005");
}

static char *repeat(const char *head, const char *s, int n, const char *tail) {
  size_t k = strlen(s), at = strlen(head);
  char *text = malloc(at + k * (size_t)n + strlen(tail) + 1);
  assert_non_null(text);
  memcpy(text, head, at);
  for (int i = 0; i < n; i++, at += k) memcpy(text + at, s, k);
  strcpy(text + at, tail);
  return text;
}

/* Whatever is repeated without end is an error, not a crash. */
static void endless(void **state) {
  (void)state;
  static const char *const parts[][3] = {
      {"const a = ", "(", ";"},
      {"const a = ", "1+", "1;"},
      {"const a = ", "-", "1;"},
      {"const a = ", "f(", ";"},
      {"const a = ", "x[", ";"},
      {"const a = ", "not ", "x;"},
      {"const a = ", "2^", "1;"},
      {"const a = x", ".y", ";"},
      {"", "level a { if x {", ""},
      {"level a ", "{", ""},
      {"level a {", "if x { ", ""},
      {"const a = ", "1<", "1;"},
      {"", "}", ""},
      {"", ";", ""},
      {"const a = \"", "x", ""},
      {"const ", "x", "= 1;"},
      {"const a = ", "9", ";"},
      {"const a = ", "if x then ", ";"},
      {"level a { if x { }", "else if x { }", "}"},
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *text = repeat(parts[i][0], parts[i][1], 100000, parts[i][2]);
    Parsed p = parse(text);
    assert_true(p.diags->nerror > 0 && p.diags->ndiag <= 60);
    arena_free(p.arena);
    free(text);
  }
}

static void bytes(void **state) {
  (void)state;
  Parsed p = parse_n("const a\0 = 1;", 13);
  assert_int_equal(p.diags->nerror, 1);
  arena_free(p.arena);
  p = parse("\xef\xbb\xbf"
            "const a = 1;\r\n");
  assert_int_equal(p.diags->nerror, 0);
  arena_free(p.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(precedence), cmocka_unit_test(numbers),
                                     cmocka_unit_test(spans),      cmocka_unit_test(whole_language),
                                     cmocka_unit_test(errors),     cmocka_unit_test(endless),
                                     cmocka_unit_test(bytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
