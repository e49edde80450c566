/* The tree as indented text, one node a line: what the parser understood. */
#include "frontend/ast.h"

static void line(FILE *out, int indent, const char *label) {
  fprintf(out, "%*s", 2 * indent, "");
  if (label) fprintf(out, "%s: ", label);
}

static void print_string(FILE *out, const char *s) {
  fputc('"', out);
  for (; *s; s++) {
    if (*s == '\n')
      fputs("\\n", out);
    else if (*s == '\t')
      fputs("\\t", out);
    else if (*s == '"' || *s == '\\')
      fprintf(out, "\\%c", *s);
    else
      fputc(*s, out);
  }
  fputc('"', out);
}

static void print_expr(FILE *out, int indent, const char *label, const AstExpr *e);

static void print_args(FILE *out, int indent, const char *label, const AstArg *a) {
  for (; a; a = a->next) print_expr(out, indent, a->name ? a->name : label, a->value);
}

static void print_leaf(FILE *out, const AstExpr *e) {
  static const char *const word[NAST_EXPR] = {
      [EX_ERROR] = "error", [EX_INT] = "int",     [EX_FLOAT] = "float", [EX_STRING] = "string",
      [EX_BOOL] = "bool",   [EX_NAME] = "name",   [EX_FIELD] = "field", [EX_CALL] = "call",
      [EX_INDEX] = "index", [EX_RANGE] = "range", [EX_UNARY] = "unary", [EX_BINARY] = "binary",
      [EX_IF] = "if",       [EX_EACH] = "each"};
  fputs(word[e->kind], out);
  if (e->kind == EX_STRING) {
    fputc(' ', out);
    print_string(out, e->text);
  } else if (e->text) {
    fprintf(out, " %s", e->text);
  }
  if (e->kind == EX_BOOL) fputs(e->integer ? " true" : " false", out);
  if (e->kind == EX_UNARY || e->kind == EX_BINARY) fprintf(out, " %s", ast_op_text(e->op));
  fputc('\n', out);
}

static void print_expr(FILE *out, int indent, const char *label, const AstExpr *e) {
  if (!e) return;
  line(out, indent, label);
  print_leaf(out, e);
  bool bounds = e->kind == EX_RANGE;
  print_expr(out, indent + 1, bounds ? "from" : NULL, e->a);
  print_expr(out, indent + 1, bounds ? "to" : NULL, e->b);
  print_expr(out, indent + 1, NULL, e->c);
  print_args(out, indent + 1, NULL, e->arg);
}

static void print_type(FILE *out, int indent, const char *label, const AstType *t) {
  if (!t) return;
  line(out, indent, label);
  fprintf(out, "type %s%s\n", t->name, t->brackets && !t->dim ? "[]" : "");
  print_args(out, indent + 1, NULL, t->dim);
}

static void print_items(FILE *out, int indent, const AstItem *i) {
  static const char *const silent[NAST_ITEM] = {
      [AST_DIM_NAME] = "size", [AST_FIELD] = "field", [AST_SETTING] = "setting"};
  for (; i; i = i->next) {
    line(out, indent, NULL);
    fputs(silent[i->kind] ? silent[i->kind] : ast_item_word(i->kind), out);
    if (i->name) fprintf(out, " %s", i->name);
    if (i->binder) fprintf(out, " %s", i->binder);
    fputc('\n', out);
    print_expr(out, indent + 1, "in", i->domain);
    print_args(out, indent + 1, "index", i->index);
    for (const AstParam *p = i->param; p; p = p->next)
      print_type(out, indent + 1, p->name, p->type);
    print_type(out, indent + 1, NULL, i->type);
    print_expr(out, indent + 1, "constraint", i->constraint);
    print_expr(out, indent + 1, i->kind == AST_RUN ? "of" : "on", i->on);
    print_expr(out, indent + 1, i->kind == AST_RUN ? "after" : "lower", i->lower);
    print_expr(out, indent + 1, "method", i->method);
    print_expr(out, indent + 1, NULL, i->value);
    print_expr(out, indent + 1, "next", i->update);
    print_items(out, indent + 1, i->body);
    if (!i->orelse) continue;
    line(out, indent, NULL);
    fputs("else\n", out);
    print_items(out, indent + 1, i->orelse);
  }
}

void ast_print(const Ast *ast, FILE *out) { print_items(out, 0, ast->item); }
