/* Whether two trees are the same program: all but places, comments and redundant parentheses. */
#include "frontend/ast.h"

#include <string.h>

static bool same_text(const char *x, const char *y) { return x == y || (x && y && !strcmp(x, y)); }

static bool same_expr(const AstExpr *x, const AstExpr *y);

static bool same_args(const AstArg *x, const AstArg *y) {
  for (; x && y; x = x->next, y = y->next)
    if (!same_text(x->name, y->name) || !same_expr(x->value, y->value)) return false;
  return !x && !y;
}

static bool same_expr(const AstExpr *x, const AstExpr *y) {
  if (!x || !y) return x == y;
  return x->kind == y->kind && x->op == y->op && x->integer == y->integer &&
         x->number == y->number && same_text(x->text, y->text) && same_expr(x->a, y->a) &&
         same_expr(x->b, y->b) && same_expr(x->c, y->c) && same_args(x->arg, y->arg);
}

static bool same_type(const AstType *x, const AstType *y) {
  if (!x || !y) return x == y;
  return x->brackets == y->brackets && same_text(x->name, y->name) && same_args(x->dim, y->dim);
}

static bool same_params(const AstParam *x, const AstParam *y) {
  for (; x && y; x = x->next, y = y->next)
    if (!same_text(x->name, y->name) || !same_type(x->type, y->type)) return false;
  return !x && !y;
}

static bool same_items(const AstItem *x, const AstItem *y) {
  for (; x && y; x = x->next, y = y->next) {
    bool head = x->kind == y->kind && same_text(x->name, y->name) &&
                same_text(x->binder, y->binder) && same_args(x->index, y->index) &&
                same_params(x->param, y->param) && same_type(x->type, y->type);
    if (!head || !same_expr(x->constraint, y->constraint) || !same_expr(x->value, y->value) ||
        !same_expr(x->update, y->update) || !same_expr(x->on, y->on) ||
        !same_expr(x->lower, y->lower) || !same_expr(x->method, y->method) ||
        !same_expr(x->domain, y->domain))
      return false;
    if (!same_items(x->body, y->body) || !same_items(x->orelse, y->orelse)) return false;
  }
  return !x && !y;
}

bool ast_equal(const Ast *x, const Ast *y) { return same_items(x->item, y->item); }
