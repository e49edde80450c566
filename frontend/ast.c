/* Constructors of the syntax tree, called by the parser's actions: one node from its parts. They
   watch the depth of the tree, so that everything that walks it later may recurse. */
#include "frontend/parse.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *text;
  int prec;
} ops[NAST_OP] = {
    [AST_NEG] = {"-", 7},      [AST_NOT] = {"not", 3}, [AST_OR] = {"or", 1},
    [AST_AND] = {"and", 2},    [AST_EQ] = {"==", 4},   [AST_NE] = {"!=", 4},
    [AST_LT] = {"<", 4},       [AST_LE] = {"<=", 4},   [AST_GT] = {">", 4},
    [AST_GE] = {">=", 4},      [AST_ADD] = {"+", 5},   [AST_SUB] = {"-", 5},
    [AST_MUL] = {"*", 6},      [AST_DIV] = {"/", 6},   [AST_MATMUL] = {"@", 6},
    [AST_INTDIV] = {"div", 6}, [AST_MOD] = {"mod", 6}, [AST_POW] = {"^", 8},
};

const char *ast_op_text(AstOp op) { return ops[op].text; }
int ast_op_prec(AstOp op) { return ops[op].prec; }
bool ast_op_is_comparison(AstOp op) { return op >= AST_EQ && op <= AST_GE; }

const char *ast_item_word(AstItemKind kind) {
  static const char *const word[NAST_ITEM] = {
      [AST_DIM] = "dim",
      [AST_CONST] = "const",
      [AST_DATA] = "data",
      [AST_FN] = "fn",
      [AST_MODULE] = "module",
      [AST_LEVEL] = "level",
      [AST_RUN] = "run",
      [AST_DIM_NAME] = "",
      [AST_FIELD] = "",
      [AST_SETTING] = "",
      [AST_VAR] = "var",
      [AST_PARAM] = "param",
      [AST_LET] = "let",
      [AST_STATE] = "state",
      [AST_MINIMIZE] = "minimize",
      [AST_MAXIMIZE] = "maximize",
      [AST_ARGMIN] = "argmin",
      [AST_METRIC] = "metric",
      [AST_OUTPUT] = "output",
      [AST_RETURN] = "return",
      [AST_FOR] = "for",
      [AST_IF] = "if",
  };
  return word[kind];
}

Diag *parse_error(Parse *p, Span span, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  Diag *g = diag_error(p->diags, span, code, "%s", arena_vprintf(p->arena, fmt, ap));
  va_end(ap);
  if (code[4] >= '2' && code[4] <= '4') { /* of the lexer: a syntax error here would be its echo */
    p->unexpected = span.lo;
    p->nunexpected++;
  }
  if (++p->nsyntax >= PARSE_MAX_ERRORS && !p->stop) {
    p->stop = true;
    diag_note(p->diags, g, "too many errors: the rest of the file was not read");
  }
  return g;
}

static void too_deep(Parse *p, Span s) {
  if (p->too_deep) return;
  p->too_deep = true;
  Diag *g = parse_error(p, s, "E0009", "nested more than %d deep", AST_MAX_DEPTH);
  diag_help(p->diags, g,
            "name parts of it by `let`; a sum of many terms, which nests one deeper with "
            "each, may be a sum over an axis: `sum(x)`");
}

static int height(const AstExpr *e) { return e ? e->depth : 0; }

/* A node over up to three operands; one that would be too deep becomes an error leaf. */
static AstExpr *expr(Parse *p, AstExprKind kind, Span s, AstExpr *a, AstExpr *b, AstExpr *c,
                     AstArg *arg) {
  int depth = height(a);
  if (height(b) > depth) depth = height(b);
  if (height(c) > depth) depth = height(c);
  for (const AstArg *i = arg; i; i = i->next)
    if (height(i->value) > depth) depth = height(i->value);
  AstExpr *e = arena_new_of(p->arena, AstExpr);
  e->kind = kind;
  e->span = e->at = s;
  e->depth = depth + 1;
  if (e->depth > AST_MAX_DEPTH) {
    too_deep(p, s);
    e->kind = EX_ERROR;
    e->depth = 1;
    return e;
  }
  e->a = a;
  e->b = b;
  e->c = c;
  e->arg = arg;
  return e;
}

AstExpr *ast_number(Parse *p, Span s, const char *text, bool is_float) {
  AstExpr *e = expr(p, is_float ? EX_FLOAT : EX_INT, s, NULL, NULL, NULL, NULL);
  e->text = text;
  errno = 0;
  e->number = strtod(text, NULL);
  if (isinf(e->number)) {
    parse_error(p, s, "E0003", "this number is too large for any type");
    e->number = 0;
  }
  if (!is_float) {
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno == ERANGE) parse_error(p, s, "E0003", "this integer does not fit into 64 bits");
    e->integer = errno == ERANGE ? 0 : v;
  }
  return e;
}

static const char *unescape(Parse *p, Span s, const char *text, size_t n) {
  char *out = arena_alloc(p->arena, n + 1);
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    if (c == '\\' && i + 1 < n) {
      c = text[++i];
      if (c == 'n')
        c = '\n';
      else if (c == 't')
        c = '\t';
      else if (c != '"' && c != '\\') {
        uint32_t at = s.lo + (uint32_t)i;
        Diag *g = parse_error(p, (Span){at, at + 2}, "E0004", "unknown escape in a string");
        diag_help(p->diags, g, "the escapes are \\\\, \\\", \\n and \\t");
      }
    }
    out[k++] = c;
  }
  return out;
}

/* text: between the quotes. */
AstExpr *ast_string(Parse *p, Span s, const char *text, size_t n) {
  AstExpr *e = expr(p, EX_STRING, s, NULL, NULL, NULL, NULL);
  e->text = unescape(p, s, text, n);
  return e;
}

AstExpr *ast_bool(Parse *p, Span s, bool value) {
  AstExpr *e = expr(p, EX_BOOL, s, NULL, NULL, NULL, NULL);
  e->integer = value;
  return e;
}

AstExpr *ast_name(Parse *p, Span s, const char *name) {
  AstExpr *e = expr(p, EX_NAME, s, NULL, NULL, NULL, NULL);
  e->text = name;
  return e;
}

AstExpr *ast_field(Parse *p, Span s, AstExpr *of, const char *name, Span name_span) {
  if ((of->kind == EX_INT || of->kind == EX_FLOAT) && !of->paren)
    parse_error(p, name_span, "E0003", "a number has no fields");
  AstExpr *e = expr(p, EX_FIELD, s, of, NULL, NULL, NULL);
  e->text = name;
  e->at = name_span;
  return e;
}

AstExpr *ast_call(Parse *p, Span s, AstExpr *callee, ArgList args) {
  return expr(p, EX_CALL, s, callee, NULL, NULL, args.first);
}

AstExpr *ast_index(Parse *p, Span s, AstExpr *of, ArgList args) {
  return expr(p, EX_INDEX, s, of, NULL, NULL, args.first);
}

AstExpr *ast_unary(Parse *p, Span s, AstOp op, AstExpr *a) {
  AstExpr *e = expr(p, EX_UNARY, s, a, NULL, NULL, NULL);
  e->op = op;
  return e;
}

AstExpr *ast_binary(Parse *p, Span s, AstOp op, Span at, AstExpr *a, AstExpr *b) {
  AstExpr *e = expr(p, EX_BINARY, s, a, b, NULL, NULL);
  e->op = op;
  e->at = at;
  return e;
}

AstExpr *ast_compare(Parse *p, Span s, AstOp op, Span at, AstExpr *a, AstExpr *b) {
  bool chained = a->kind == EX_BINARY && ast_op_is_comparison(a->op) && !a->paren;
  if (chained) {
    Diag *g = parse_error(p, at, "E0008", "comparisons do not chain");
    diag_label(p->diags, g, a->at, "first comparison");
    diag_help(p->diags, g, "write `a < b and b < c`");
  }
  AstExpr *e = ast_binary(p, s, op, at, a, b);
  if (chained) e->kind = EX_ERROR;
  return e;
}

AstExpr *ast_range(Parse *p, Span s, AstExpr *lo, AstExpr *hi) {
  return expr(p, EX_RANGE, s, lo, hi, NULL, NULL);
}

AstExpr *ast_if(Parse *p, Span s, AstExpr *cond, AstExpr *yes, AstExpr *no) {
  return expr(p, EX_IF, s, cond, yes, no, NULL);
}

AstExpr *ast_each(Parse *p, Span s, const char *binder, Span binder_span, AstExpr *in,
                  AstExpr *body) {
  AstExpr *e = expr(p, EX_EACH, s, in, body, NULL, NULL);
  e->text = binder;
  e->at = binder_span;
  return e;
}

AstExpr *ast_paren(AstExpr *e, Span s) {
  e->paren = true;
  e->span = s;
  return e;
}

AstType *ast_type(Parse *p, Span s, const char *name, Span name_span, bool brackets, ArgList dims) {
  AstType *t = arena_new_of(p->arena, AstType);
  t->span = s;
  t->name = name;
  t->name_span = name_span;
  t->brackets = brackets;
  t->dim = dims.first;
  return t;
}

ArgList ast_arg(Parse *p, ArgList list, const char *name, Span name_span, AstExpr *value) {
  AstArg *a = arena_new_of(p->arena, AstArg);
  a->name = name;
  a->name_span = name_span;
  a->value = value;
  if (list.last)
    list.last->next = a;
  else
    list.first = a;
  list.last = a;
  return list;
}

ParamList ast_param(Parse *p, ParamList list, const char *name, Span name_span, AstType *type) {
  AstParam *a = arena_new_of(p->arena, AstParam);
  a->name = name;
  a->name_span = name_span;
  a->type = type;
  if (list.last)
    list.last->next = a;
  else
    list.first = a;
  list.last = a;
  return list;
}

ItemList ast_append(ItemList list, AstItem *item) {
  if (!item) return list;
  if (list.last)
    list.last->next = item;
  else
    list.first = item;
  list.last = item;
  return list;
}

AstItem *ast_item(Parse *p, AstItemKind kind, Span s, const char *name, Span name_span) {
  AstItem *i = arena_new_of(p->arena, AstItem);
  i->kind = kind;
  i->span = s;
  i->name = name;
  i->name_span = name_span;
  return i;
}

AstItem *ast_with_value(AstItem *i, AstExpr *value) {
  i->value = value;
  return i;
}

AstItem *ast_declared(AstItem *i, ArgList index, AstType *type, AstExpr *constraint,
                      AstExpr *value) {
  i->index = index.first;
  i->type = type;
  i->constraint = constraint;
  i->value = value;
  return i;
}

static void set_depth(Parse *p, AstItem *i, AstItem *body) {
  for (const AstItem *b = body; b; b = b->next)
    if (b->depth + 1 > i->depth) i->depth = b->depth + 1;
  if (i->depth <= AST_MAX_DEPTH) return;
  too_deep(p, i->span);
  i->body = i->orelse = NULL;
  i->depth = 0;
}

AstItem *ast_with_block(Parse *p, AstItem *i, AstBlock b) {
  i->body = b.first;
  i->open_span = b.open;
  set_depth(p, i, b.first);
  return i;
}

AstItem *ast_with_else(Parse *p, AstItem *i, AstItem *orelse, Span open) {
  i->orelse = orelse;
  i->else_span = open;
  set_depth(p, i, orelse);
  return i;
}

AstItem *ast_with_domain(AstItem *i, AstDomain d) {
  i->binder = d.name;
  i->binder_span = d.span;
  i->domain = d.domain;
  return i;
}

void ast_names_only(Parse *p, const AstArg *arg) {
  for (; arg; arg = arg->next)
    if (!arg->name && arg->value->kind != EX_NAME)
      parse_error(p, arg->value->span, "E0005", "expected the name of a size");
}
