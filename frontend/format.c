/* The tree back to text, in the one canonical format: two spaces a block, one statement a line,
   spaces around all binary operators but `^`, at most one blank line where the author left some.
   Comments come from the list beside the tree: those on lines of their own stay above what they
   precede, those at the end of a line stay there. Lines of more than 100 columns are broken where
   they nest least. */
#include "frontend/ast.h"

#include <string.h>

enum { WIDTH = 100, INDENT = 2, CONTINUED = 4, SHORT = 30, NEST = 10, LAST = 1000 };

typedef struct Break { /* a space that may become a line break */
  int at, depth;
} Break;

typedef struct Format {
  Arena *arena;
  const Ast *ast;
  char *out;
  int n, cap;
  char *line; /* the statement being written */
  int nline, line_cap;
  Break *brk;
  int nbrk, brk_cap;
  int depth;         /* of brackets, while writing an expression */
  int comment;       /* the first comment not yet written */
  uint32_t last_end; /* of the source: what has been written so far */
  bool fresh;        /* nothing stands yet in this block: no blank line */
} Format;

static void put(Format *f, const char *s) {
  for (; *s; s++) VEC_PUSH(f->arena, f->out, f->n, f->cap, *s);
}

static void put_n(Format *f, const char *s, int n) {
  for (int i = 0; i < n; i++) VEC_PUSH(f->arena, f->out, f->n, f->cap, s[i]);
}

static void spaces(Format *f, int n) {
  while (n-- > 0) put(f, " ");
}

static void say(Format *f, const char *s) {
  for (; *s; s++) VEC_PUSH(f->arena, f->line, f->nline, f->line_cap, *s);
}

static void soft_space(Format *f) {
  Break b = {f->nline, f->depth};
  VEC_PUSH(f->arena, f->brk, f->nbrk, f->brk_cap, b);
  say(f, " ");
}

/* The break to take for a line that starts at `from` and has `room` columns; -1: none. The least
   nested one, the last of those, but not so early that the line is nearly empty. */
static int choose(const Format *f, int from, int room) {
  int best = -1;
  for (int i = 0; i < f->nbrk; i++) {
    const Break *b = &f->brk[i];
    if (b->at <= from) continue;
    if (b->at - from > room) return best >= 0 ? best : i;
    bool early = best >= 0 && f->brk[best].at - from < SHORT;
    if (best < 0 || early || b->depth <= f->brk[best].depth) best = i;
  }
  return best;
}

/* Writes the collected line at this indentation, without the line break. */
static void flush(Format *f, int indent) {
  int from = 0, margin = indent;
  while (f->nline - from > WIDTH - margin) {
    int b = choose(f, from, WIDTH - margin);
    if (b < 0) break;
    spaces(f, margin);
    put_n(f, f->line + from, f->brk[b].at - from);
    put(f, "\n");
    from = f->brk[b].at + 1;
    margin = indent + CONTINUED;
  }
  spaces(f, margin);
  put_n(f, f->line + from, f->nline - from);
  f->nline = f->nbrk = 0;
}

/* ---- expressions ---- */

static void expr(Format *f, const AstExpr *e);

static void string(Format *f, const char *s) {
  say(f, "\"");
  for (; *s; s++) {
    char raw[2] = {*s, 0};
    if (*s == '\n')
      say(f, "\\n");
    else if (*s == '\t')
      say(f, "\\t");
    else if (*s == '"')
      say(f, "\\\"");
    else if (*s == '\\')
      say(f, "\\\\");
    else
      say(f, raw);
  }
  say(f, "\"");
}

static void args(Format *f, const char *open, const AstArg *a, const char *close) {
  say(f, open);
  f->depth += NEST;
  for (; a; a = a->next) {
    if (a->name) {
      say(f, a->name);
      say(f, " = ");
    }
    expr(f, a->value);
    if (a->next) {
      say(f, ",");
      soft_space(f);
    }
  }
  f->depth -= NEST;
  say(f, close);
}

static void binary(Format *f, const AstExpr *e) {
  expr(f, e->a);
  if (e->op == AST_POW) {
    say(f, "^");
  } else {
    int up = ast_op_prec(e->op);
    f->depth += up;
    soft_space(f);
    f->depth -= up;
    say(f, ast_op_text(e->op));
    say(f, " ");
  }
  expr(f, e->b);
}

static void range(Format *f, const AstExpr *e) {
  if (e->a) expr(f, e->a);
  say(f, "..");
  if (e->b) expr(f, e->b);
}

static void conditional(Format *f, const AstExpr *e) {
  say(f, "if ");
  expr(f, e->a);
  soft_space(f);
  say(f, "then ");
  expr(f, e->b);
  soft_space(f);
  say(f, "else ");
  expr(f, e->c);
}

static void each(Format *f, const AstExpr *e) {
  say(f, e->text);
  say(f, " in ");
  expr(f, e->a);
  say(f, ":");
  soft_space(f);
  expr(f, e->b);
}

static void bare(Format *f, const AstExpr *e) {
  switch (e->kind) {
  case EX_INT:
  case EX_FLOAT:
  case EX_NAME: say(f, e->text); break;
  case EX_STRING: string(f, e->text); break;
  case EX_BOOL: say(f, e->integer ? "true" : "false"); break;
  case EX_FIELD:
    expr(f, e->a);
    say(f, ".");
    say(f, e->text);
    break;
  case EX_CALL:
    expr(f, e->a);
    args(f, "(", e->arg, ")");
    break;
  case EX_INDEX:
    expr(f, e->a);
    args(f, "[", e->arg, "]");
    break;
  case EX_RANGE: range(f, e); break;
  case EX_UNARY:
    say(f, e->op == AST_NOT ? "not " : "-");
    expr(f, e->a);
    break;
  case EX_BINARY: binary(f, e); break;
  case EX_IF: conditional(f, e); break;
  case EX_EACH: each(f, e); break;
  case EX_ERROR:
  case NAST_EXPR: compiler_bug("format", "a tree with errors was to be formatted");
  }
}

static void expr(Format *f, const AstExpr *e) {
  if (e->paren) say(f, "(");
  f->depth += e->paren ? NEST : 0;
  bare(f, e);
  f->depth -= e->paren ? NEST : 0;
  if (e->paren) say(f, ")");
}

static void type(Format *f, const AstType *t) {
  say(f, t->name);
  if (t->brackets) args(f, "[", t->dim, "]");
}

/* ---- comments and blank lines ---- */

static int newlines(const Format *f, uint32_t lo, uint32_t hi) {
  int n = 0;
  for (uint32_t i = lo; i < hi; i++) n += f->ast->source[i] == '\n';
  return n;
}

/* A blank line where the source has one before `lo`. */
static void blank(Format *f, uint32_t lo) {
  if (!f->fresh && newlines(f, f->last_end, lo) > 1) put(f, "\n");
  f->fresh = false;
}

static void comment_text(Format *f, Span s) {
  int n = (int)(s.hi - s.lo);
  const char *text = f->ast->source + s.lo;
  while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\f')) n--;
  put_n(f, text, n);
}

/* All comments before `limit`, each on its own line; those before `from` may have a blank line
 * above. */
static void comments(Format *f, uint32_t from, uint32_t limit, int indent) {
  for (; f->comment < f->ast->ncomment && f->ast->comment[f->comment].span.lo < limit;
       f->comment++) {
    Span s = f->ast->comment[f->comment].span;
    if (s.lo < from) {
      blank(f, s.lo);
      f->last_end = s.hi;
    }
    f->fresh = false;
    spaces(f, indent);
    comment_text(f, s);
    put(f, "\n");
  }
}

/* The comment that follows on the same line, if it does before `limit`; then the line break. */
static void end_line(Format *f, uint32_t end, uint32_t limit) {
  f->last_end = end;
  if (f->comment < f->ast->ncomment) {
    Span s = f->ast->comment[f->comment].span;
    if (s.lo >= end && s.lo < limit && newlines(f, end, s.lo) == 0) {
      put(f, "  ");
      comment_text(f, s);
      f->last_end = s.hi;
      f->comment++;
    }
  }
  put(f, "\n");
}

/* ---- declarations and statements ---- */

static void params(Format *f, const AstParam *p) {
  say(f, "(");
  f->depth += NEST;
  for (; p; p = p->next) {
    say(f, p->name);
    say(f, " : ");
    type(f, p->type);
    if (!p->next) break;
    say(f, ",");
    soft_space(f);
  }
  f->depth -= NEST;
  say(f, ")");
}

static void word(Format *f, const char *keyword, const char *name) {
  say(f, keyword);
  if (keyword[0] && name) say(f, " ");
  if (name) say(f, name);
}

/* What follows a sign; a line may break after the sign, at this depth. */
static void value_at(Format *f, const char *sign, const AstExpr *e, int depth) {
  if (!e) return;
  if (sign[0] == '=')
    say(f, " =");
  else
    say(f, sign);
  f->depth += depth;
  soft_space(f);
  f->depth -= depth;
  f->depth++;
  expr(f, e);
  f->depth--;
}

/* The same where that is the last place to break a line. */
static void value(Format *f, const char *sign, const AstExpr *e) {
  value_at(f, sign, e, LAST);
}

static void binder(Format *f, const AstItem *i) {
  say(f, i->binder);
  say(f, " in ");
  expr(f, i->domain);
}

static void dims(Format *f, const AstItem *i) {
  say(f, "dim ");
  for (const AstItem *d = i->body; d; d = d->next) {
    say(f, d->name);
    if (d->value) {
      say(f, " = ");
      expr(f, d->value);
    }
    if (!d->next) break;
    say(f, ",");
    soft_space(f);
  }
}

/* Everything of an item up to its `;` or `{`. */
static void head(Format *f, const AstItem *i) {
  if (i->kind == AST_DIM) {
    dims(f, i);
    return;
  }
  word(f, ast_item_word(i->kind), i->name);
  if (i->kind == AST_LEVEL && i->binder) say(f, "[");
  if (i->kind == AST_FOR) say(f, " ");
  if (i->binder) binder(f, i);
  if (i->kind == AST_LEVEL && i->binder) say(f, "]");
  if (i->index) args(f, "[", i->index, "]");
  bool callable = i->kind == AST_FN || i->kind == AST_MODULE;
  if (callable) params(f, i->param);
  if (i->type) {
    say(f, callable ? " -> " : " : ");
    f->depth += LAST; /* sizes stay together */
    type(f, i->type);
    f->depth -= LAST;
  }
  value(f, " in", i->constraint);
  if (i->kind == AST_ARGMIN) value(f, "", i->lower);
  value(f, " via", i->method);
  value(f, i->kind == AST_RUN ? " of" : " on", i->on);
  if (i->kind == AST_RUN) value(f, " after", i->lower);
  bool plain = i->kind == AST_MINIMIZE || i->kind == AST_MAXIMIZE || i->kind == AST_RETURN ||
               i->kind == AST_IF;
  value_at(f, plain ? "" : "=", i->value, i->kind == AST_FN ? 0 : LAST);
  value(f, " next", i->update);
}

static void items(Format *f, const AstItem *i, uint32_t limit, int indent);
static void item(Format *f, const AstItem *i, uint32_t limit, int indent);

static bool has_block(AstItemKind k) {
  return k == AST_DATA || k == AST_MODULE || k == AST_LEVEL || k == AST_RUN || k == AST_FOR ||
         k == AST_IF;
}

static bool comment_before(const Format *f, uint32_t limit) {
  return f->comment < f->ast->ncomment && f->ast->comment[f->comment].span.lo < limit;
}

/* The statements of a block whose `}` is at `close`, after a `{` that is written already. */
static void body(Format *f, const AstItem *list, uint32_t open, uint32_t close, int indent) {
  end_line(f, open, list ? list->span.lo : close);
  f->fresh = true;
  items(f, list, close, indent + INDENT);
  comments(f, close, close, indent + INDENT);
  spaces(f, indent);
  put(f, "}");
}

/* `if` with all its `else if`s. An empty `else` stays only for the comments in it. */
static void branches(Format *f, const AstItem *i, int indent) {
  for (;;) {
    bool other = i->else_span.hi > 0;
    put(f, " {");
    body(f, i->body, i->open_span.hi, other ? i->else_span.lo : i->span.hi - 1, indent);
    if (!i->orelse && !(other && comment_before(f, i->span.hi))) return;
    put(f, " else");
    if (!i->orelse || i->orelse->kind != AST_IF || i->orelse->next) break;
    i = i->orelse;
    say(f, " ");
    head(f, i);
    flush(f, 0);
  }
  put(f, " {");
  body(f, i->orelse, i->else_span.hi, i->span.hi - 1, indent);
}

static void item(Format *f, const AstItem *i, uint32_t limit, int indent) {
  bool block = has_block(i->kind);
  uint32_t inner = block ? i->open_span.lo : i->span.hi;
  comments(f, i->span.lo, i->span.lo, indent);
  blank(f, i->span.lo);
  comments(f, i->span.lo, inner, indent);
  head(f, i);
  if (!block) say(f, ";");
  flush(f, indent);
  if (block && i->kind == AST_IF) {
    branches(f, i, indent);
  } else if (block && (i->body || comment_before(f, i->span.hi))) {
    put(f, " {");
    body(f, i->body, i->open_span.hi, i->span.hi - 1, indent);
  } else if (block) {
    put(f, " { }");
  }
  end_line(f, i->span.hi, i->next ? i->next->span.lo : limit);
}

static void items(Format *f, const AstItem *i, uint32_t limit, int indent) {
  for (; i; i = i->next) item(f, i, limit, indent);
}

char *ast_format(Arena *a, const Ast *ast) {
  Format f = {.arena = a, .ast = ast, .fresh = true};
  uint32_t end = (uint32_t)ast->size;
  items(&f, ast->item, end, 0);
  comments(&f, end, end, 0);
  put_n(&f, "", 1);
  return f.out;
}
