#ifndef MLOC_FRONTEND_AST_H
#define MLOC_FRONTEND_AST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ir/arena.h"
#include "ir/diag.h"

/* The program as written. Lists are linked by `next`, in source order. All nodes live in one arena,
   and all names are interned by nobody: compare them with strcmp. */

typedef enum AstExprKind {
  EX_ERROR,  /* stands where an error has been reported: say nothing more about it */
  EX_INT,    /* integer (text: as written) */
  EX_FLOAT,  /* number (text: as written) */
  EX_STRING, /* text: the value, escapes resolved */
  EX_BOOL,   /* integer: 0 or 1 */
  EX_NAME,   /* text */
  EX_FIELD,  /* a . text; `at` is the span of the name after the dot */
  EX_CALL,   /* a(arg, ...): arguments with name == NULL are positional */
  EX_INDEX,  /* a[arg, ...]: indexing, and `mlp[D, 256, C]` */
  EX_RANGE, /* a .. b, either may be NULL; in index lists, dimensions, `for` and level families only
             */
  EX_UNARY, /* op a */
  EX_BINARY, /* a op b; `at` is the span of the operator */
  EX_IF,     /* if a then b else c */
  EX_EACH,   /* text in a : b, the sole argument of a call: mean(t in tasks: e) */
  NAST_EXPR
} AstExprKind;

typedef enum AstOp {
  AST_NEG,
  AST_NOT,
  AST_OR,
  AST_AND,
  AST_EQ,
  AST_NE,
  AST_LT,
  AST_LE,
  AST_GT,
  AST_GE,
  AST_ADD,
  AST_SUB,
  AST_MUL,
  AST_DIV /* true division */,
  AST_MATMUL,
  AST_INTDIV,
  AST_MOD,
  AST_POW,
  NAST_OP
} AstOp;

typedef struct AstExpr AstExpr;

typedef struct AstArg { /* of a call, an index list, a list of dimensions */
  const char *name;     /* NULL: positional */
  Span name_span;
  AstExpr *value;
  struct AstArg *next;
} AstArg;

struct AstExpr {
  AstExprKind kind;
  AstOp op;
  bool paren; /* written in parentheses */
  int depth;  /* height of the tree: at most AST_MAX_DEPTH, so that recursion over it is safe */
  Span span;  /* of the whole, parentheses included */
  Span at;    /* of the operator or the field's name; else == span */
  int64_t integer;
  double number; /* EX_INT, EX_FLOAT */
  const char *text;
  AstExpr *a, *b, *c;
  AstArg *arg;
};

enum { AST_MAX_DEPTH = 1000, AST_MAX_NAME = 100, AST_MAX_SOURCE = 1 << 26 };

/* f32, f32[], f32[N, D], f32[.., I]: a dimension is an expression; `..` is an EX_RANGE without
 * bounds. */
typedef struct AstType {
  Span span, name_span;
  const char *name; /* element type, any name: `f32` */
  bool brackets;    /* [ ] written */
  AstArg *dim;
} AstType;

typedef struct AstParam { /* of a fn or module: name : type */
  const char *name;
  Span name_span;
  AstType *type;
  struct AstParam *next;
} AstParam;

/* Declarations and statements share one struct. Fields that a kind does not list are NULL. */
typedef enum AstItemKind {
  /* declarations */
  AST_DIM,    /* body: AST_DIM_NAME, ... */
  AST_CONST,  /* name = value */
  AST_DATA,   /* name { body } */
  AST_FN,     /* name(param) -> type = value */
  AST_MODULE, /* name[index](param) -> type { body }; index: EX_NAMEs */
  AST_LEVEL,  /* name { body }, or name[binder in domain] { body } */
  AST_RUN,    /* name of on [after lower] { body } */
  /* statements */
  AST_DIM_NAME, /* name [= value] */
  AST_FIELD,    /* name : type [in constraint]          (data) */
  AST_SETTING,  /* name = value                         (everywhere; in a `for`, a rebinding) */
  AST_VAR,      /* name[index] : type [in constraint] = value; all but the name optional */
  AST_PARAM,    /* the same                             (module) */
  AST_LET,      /* name[index] [: type] = value */
  AST_STATE,    /* name : type = value next update */
  AST_MINIMIZE, /* value */
  AST_MAXIMIZE, /* value */
  AST_ARGMIN,   /* lower via method */
  AST_METRIC,   /* name [on on] = value */
  AST_OUTPUT,   /* name [on on] = value */
  AST_RETURN,   /* value                                (module) */
  AST_FOR,      /* binder in domain { body } */
  AST_IF,       /* value { body } [else { orelse }] */
  NAST_ITEM
} AstItemKind;

typedef struct AstItem AstItem;
struct AstItem {
  AstItemKind kind;
  int depth; /* of nested blocks below */
  Span span; /* of the whole, `;` or `}` included */
  const char *name;
  Span name_span; /* of the name; of the keyword where there is no name */
  AstArg *index;
  AstParam *param;
  AstType *type;
  AstExpr *constraint, *value, *update, *on, *lower, *method, *domain;
  const char *binder;
  Span binder_span, open_span; /* open_span: the `{` of body */
  Span else_span;              /* the `{` of orelse, or its `if`; {0, 0} where there is no `else` */
  AstItem *body, *orelse;
  AstItem *next;
};

typedef struct AstComment { /* for the formatter: `// ...` without the line break */
  Span span;
} AstComment;

typedef struct Ast {
  const char *source;
  size_t size;
  AstItem *item;
  AstComment *comment; /* by position */
  int ncomment, comment_cap;
} Ast;

/* Parses a program. `source` (n bytes, and a NUL after them) must live as long as the result and
   must be what d->source shows. Never NULL: after errors (in d, codes E00xx) the result holds what
   could be read, and statements stand only where they belong. */
Ast *ast_parse(Arena *a, Diags *d, const char *source, size_t n);

/* As text, one node a line: `mloc emit --stage=ast`. */
void ast_print(const Ast *ast, FILE *out);
/* The program in its canonical format; comments are kept. `ast` must be free of errors. */
char *ast_format(Arena *a, const Ast *ast);
/* Same program: all but spans and comments agree. */
bool ast_equal(const Ast *x, const Ast *y);

/* "+", "div", ... as written; binding strength, higher is tighter; what messages call an item:
 * "`var`". */
const char *ast_op_text(AstOp op);
int ast_op_prec(AstOp op);
bool ast_op_is_comparison(AstOp op);
const char *ast_item_word(AstItemKind kind); /* "var", "metric", "" for a setting */

#endif
