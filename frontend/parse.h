#ifndef MLOC_FRONTEND_PARSE_H
#define MLOC_FRONTEND_PARSE_H

#include "frontend/ast.h"

/* What lexer, parser and the constructors of the tree share; of no interest outside the parser. */
typedef struct Parse {
  Arena *arena;
  Diags *diags;
  Ast *ast;
  void *scanner;
  uint32_t offset; /* of the next character */
  int token;       /* the last token that the parser was given, and where the last two were */
  Span last, previous;
  bool first; /* the current token is the first on its line */
  int close;  /* closing braces owed to the parser before `held` */
  int held;   /* a token read ahead, -1: none */
  Span held_span;
  int replay; /* 2: a missing `;` is to be given to the parser, 1: then the last token once more */
  int replayed;
  void *value; /* of the last token */
  Span *open;  /* brackets that are open, by position */
  int nopen, open_cap, nbrace;
  int nsyntax, nunexpected;
  uint32_t unexpected; /* where the last syntax error was found */
  bool stop, too_deep, quiet;
} Parse;

typedef struct ArgList {
  AstArg *first, *last;
} ArgList;
typedef struct ParamList {
  AstParam *first, *last;
} ParamList;
typedef struct ItemList {
  AstItem *first, *last;
} ItemList;

typedef struct AstBlock {
  Span open, span;
  AstItem *first;
} AstBlock;

typedef struct AstDomain { /* binder in domain */
  const char *name;
  Span span;
  AstExpr *domain;
} AstDomain;

/* More than this many syntax errors are not worth reading. */
enum { PARSE_MAX_ERRORS = 50 };

Diag *parse_error(Parse *p, Span span, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

AstExpr *ast_number(Parse *p, Span s, const char *text, bool is_float);
AstExpr *ast_string(Parse *p, Span s, const char *text, size_t n);
AstExpr *ast_bool(Parse *p, Span s, bool value);
AstExpr *ast_name(Parse *p, Span s, const char *name);
AstExpr *ast_field(Parse *p, Span s, AstExpr *of, const char *name, Span name_span);
AstExpr *ast_call(Parse *p, Span s, AstExpr *callee, ArgList args);
AstExpr *ast_index(Parse *p, Span s, AstExpr *of, ArgList args);
AstExpr *ast_unary(Parse *p, Span s, AstOp op, AstExpr *a);
AstExpr *ast_binary(Parse *p, Span s, AstOp op, Span at, AstExpr *a, AstExpr *b);
AstExpr *ast_compare(Parse *p, Span s, AstOp op, Span at, AstExpr *a, AstExpr *b);
AstExpr *ast_range(Parse *p, Span s, AstExpr *lo, AstExpr *hi);
AstExpr *ast_if(Parse *p, Span s, AstExpr *cond, AstExpr *yes, AstExpr *no);
AstExpr *ast_each(Parse *p, Span s, const char *binder, Span binder_span, AstExpr *in,
                  AstExpr *body);
AstExpr *ast_paren(AstExpr *e, Span s);

AstType *ast_type(Parse *p, Span s, const char *name, Span name_span, bool brackets, ArgList dims);
ArgList ast_arg(Parse *p, ArgList list, const char *name, Span name_span, AstExpr *value);
ParamList ast_param(Parse *p, ParamList list, const char *name, Span name_span, AstType *type);
ItemList ast_append(ItemList list, AstItem *item);

/* An item of this kind; its other fields are set by the caller. */
AstItem *ast_item(Parse *p, AstItemKind kind, Span s, const char *name, Span name_span);
AstItem *ast_with_value(AstItem *i, AstExpr *value);
AstItem *ast_declared(AstItem *i, ArgList index, AstType *type, AstExpr *constraint,
                      AstExpr *value);
AstItem *ast_with_block(Parse *p, AstItem *i, AstBlock b);
AstItem *ast_with_else(Parse *p, AstItem *i, AstItem *orelse, Span open);
AstItem *ast_with_domain(AstItem *i, AstDomain d);

/* Reports and removes statements that do not belong into the block of declaration `i`. */
AstItem *ast_place(Parse *p, AstItem *i);
/* `module m[I, H, K = 3]`: reports what is neither a name nor one with a default. */
void ast_names_only(Parse *p, const AstArg *arg);

#endif
