/* Source bytes to syntax tree: checks that the file is text, feeds the lexer's tokens to the
   parser, notices blocks that are never closed, and words the syntax errors. */
#include "frontend/parse.h"
#include "parser.tab.h"
#include "lexer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void set_last(Parse *p, int token, Span s) {
  p->previous = p->last;
  p->token = token;
  p->last = s;
}

/* Keeps the list of open brackets: what the last token did to it. */
static void track(Parse *p) {
  int t = p->token;
  const char *source = p->ast->source;
  p->token = 0;
  if (t == '(' || t == '[' || t == '{') VEC_PUSH(p->arena, p->open, p->nopen, p->open_cap, p->last);
  if (t == '{') p->nbrace++;
  if (t == ';' || t == '}')
    while (p->nopen && source[p->open[p->nopen - 1].lo] != '{') p->nopen--;
  if (t == '}' && p->nopen) {
    p->nopen--;
    p->nbrace--;
  }
  if ((t == ')' || t == ']') && p->nopen && source[p->open[p->nopen - 1].lo] != '{') p->nopen--;
}

static bool starts_declaration(int t) { return t >= DIM && t <= RUN; }

/* The word for declarations can stand in no block: the block before it was not closed. */
static void unclosed(Parse *p, int t, Span s) {
  while (p->nopen && p->ast->source[p->open[p->nopen - 1].lo] != '{') p->nopen--;
  Diag *g = parse_error(p, p->open[p->nopen - 1], "E0007", "this block is not closed");
  if (t == 0)
    diag_help(p->diags, g, "a `}` is missing before the end of the file");
  else
    diag_label(p->diags, g, s, "a `}` is missing before this");
  p->close = p->nbrace;
  p->held = t;
  p->held_span = s;
  p->quiet = true;
  p->nbrace = p->nopen = 0;
}

int parse_token(Parse *p, AST_YYSTYPE *value, AST_YYLTYPE *span) {
  track(p);
  if (p->replay == 2) {
    p->replay = 1;
    *span = (Span){p->previous.hi, p->previous.hi};
    return ';';
  }
  if (p->replay == 1) {
    p->replay = 0;
    *value = *(AST_YYSTYPE *)p->value;
    *span = p->last;
    return p->replayed;
  }
  if (p->stop) {
    *span = (Span){p->offset, p->offset};
    return 0;
  }
  if (p->close == 0 && p->held < 0) {
    p->first = p->offset == 0;
    int t = ast_lex(value, span, p->scanner);
    if (t == 0) *span = (Span){p->offset, p->offset};
    bool open = p->nbrace > 0 && (t == 0 || (starts_declaration(t) && p->first));
    if (!open) {
      set_last(p, t, *span);
      *(AST_YYSTYPE *)p->value = *value;
      return t;
    }
    unclosed(p, t, *span);
  }
  if (p->close > 0) {
    p->close--;
    *span = (Span){p->held_span.lo, p->held_span.lo};
    return '}';
  }
  int t = p->held;
  *span = p->held_span;
  p->held = -1;
  p->quiet = false;
  set_last(p, t, *span);
  return t;
}

static bool has(const char *const *expected, int n, const char *token) {
  for (int i = 0; i < n; i++)
    if (!strcmp(expected[i], token)) return true;
  return false;
}

static bool one_of(const char *token, const char *const *list) {
  for (; *list; list++)
    if (!strcmp(token, *list)) return true;
  return false;
}

typedef struct Words { /* "a, b or c" */
  const char *word[64];
  int n;
} Words;

static void word(Words *w, const char *text) {
  if (w->n < 64) w->word[w->n++] = text;
}

static const char *join(Parse *p, const Words *w) {
  const char *s = "";
  for (int i = 0; i < w->n; i++)
    s = arena_printf(p->arena, "%s%s%s", s,
                     i == 0          ? ""
                     : i == w->n - 1 ? " or "
                                     : ", ",
                     w->word[i]);
  return s;
}

/* A token as the user writes it: `;`, `then`. */
static const char *quoted(Parse *p, const char *token) {
  if (token[0] == '\'') return arena_printf(p->arena, "`%.*s`", (int)strlen(token) - 2, token + 1);
  return arena_printf(p->arena, "`%s`", token);
}

/* The tokens that would fit, with those of one meaning put together. */
static const char *describe_expected(Parse *p, const char *const *expected, int n) {
  static const char *const names[] = {"NAME", "param", "state", "metric", "output",
                                      "next", "on",    "of",    "after",  NULL};
  static const char *const values[] = {"INT", "FLOAT", "STRING", "true", "false",
                                       "'('", "'-'",   "not",    "if",   NULL};
  static const char *const operators[] = {"'+'", "'-'", "'*'", "'/'", "'@'", "'^'", "div",
                                          "mod", "==",  "!=",  "'<'", "<=",  "'>'", ">=",
                                          "and", "or",  "'.'", "'('", "'['", NULL};
  static const char *const starts[] = {"var",    "let", "minimize", "maximize", "argmin",
                                       "return", "for", "if",       NULL};
  static const char *const declarations[] = {"dim",    "const", "data", "fn",
                                             "module", "level", "run",  NULL};
  bool value = has(expected, n, "INT"), statement = has(expected, n, "minimize");
  bool declaration = has(expected, n, "module"), operator= has(expected, n, "'*'");
  bool name = has(expected, n, "NAME") && !value && !statement;
  Words w = {0};
  if (declaration) word(&w, "a declaration");
  if (statement) word(&w, "a statement");
  if (value) word(&w, "an expression");
  if (name) word(&w, "a name");
  for (int i = 0; i < n; i++) {
    const char *t = expected[i];
    if (one_of(t, names) && (name || value || statement)) continue;
    if (value && one_of(t, values)) continue;
    if (operator&& one_of(t, operators)) continue;
    if (statement && one_of(t, starts)) continue;
    if (declaration && one_of(t, declarations)) continue;
    word(&w, !strcmp(t, "END") ? "the end of the file" : quoted(p, t));
  }
  if (declaration) w.n = 1; /* the end of the file goes without saying */
  if (operator&& w.n<4) word(&w, "an operator");
  return join(p, &w);
}

static const char *describe_got(Parse *p, Span s, const char *got) {
  int n = (int)(s.hi - s.lo);
  const char *text = p->ast->source + s.lo;
  if (!strcmp(got, "END")) return "end of file";
  if (!strcmp(got, "STRING")) return "string";
  if (!strcmp(got, "INT") || !strcmp(got, "FLOAT"))
    return n > 40 ? "number" : arena_printf(p->arena, "number `%.*s`", n, text);
  if (!strcmp(got, "NAME"))
    return arena_printf(p->arena, "`%.*s%s`", n > 40 ? 40 : n, text, n > 40 ? "..." : "");
  return quoted(p, got);
}

static bool line_between(const Parse *p, uint32_t lo, uint32_t hi) {
  return lo < hi && memchr(p->ast->source + lo, '\n', hi - lo);
}

void parse_unexpected(Parse *p, Span s, const char *got, const char *const *expected, int n) {
  static const char *const soft[] = {"param", "state", "metric", "output", "next",
                                     "on",    "of",    "after",  NULL};
  if (p->quiet || p->stop) return;
  /* What follows an error on its line is more often caused by it than not. */
  bool again = p->nunexpected && !line_between(p, p->unexpected, s.lo);
  p->unexpected = s.lo;
  if (p->nunexpected++ && again) return;
  bool end = !strcmp(got, "END") || !strcmp(got, "'}'");
  if (has(expected, n, "';'") && (end || line_between(p, p->previous.hi, s.lo))) {
    parse_error(p, (Span){p->previous.hi, p->previous.hi}, "E0006", "expected `;`");
    p->unexpected = p->previous.hi;
    p->replayed = p->token;
    if (!end && strcmp(got, "'{'")) p->replay = 2;
    return;
  }
  Diag *g = parse_error(p, s, "E0005", "unexpected %s, expected %s", describe_got(p, s, got),
                        describe_expected(p, expected, n));
  bool operand = has(expected, n, "INT");
  if (operand && (!strcmp(got, "if") || !strcmp(got, "not")))
    diag_help(p->diags, g, "an operand that starts with `%s` stands in parentheses: `(%s ...)`",
              got, got);
  else if (islower((unsigned char)got[0]) && !one_of(got, soft) && has(expected, n, "NAME"))
    diag_help(p->diags, g, "`%s` is a reserved word: it cannot be a name", got);
  if (!strcmp(got, "'='") && has(expected, n, "=="))
    diag_help(p->diags, g, "write `==` to compare");
  if (!strcmp(got, "','") && has(expected, n, "END"))
    diag_help(p->diags, g, "one declaration has one name");
  if (p->nopen && (has(expected, n, "')'") || has(expected, n, "']'"))) {
    Span open = p->open[p->nopen - 1];
    if (p->ast->source[open.lo] != '{') diag_label(p->diags, g, open, "opened here");
  }
}

static bool valid_utf8(const unsigned char *s, size_t n, size_t *at) {
  for (size_t i = 0; i < n;) {
    *at = i;
    if (s[i] == 0) return false;
    int len = s[i] < 0x80 ? 1 : s[i] < 0xc2 ? 0 : s[i] < 0xe0 ? 2 : s[i] < 0xf0 ? 3 : 4;
    if (len == 0 || s[i] >= 0xf5 || i + (size_t)len > n) return false;
    for (int k = 1; k < len; k++)
      if ((s[i + (size_t)k] & 0xc0) != 0x80) return false;
    if (len == 3 && s[i] == 0xe0 && s[i + 1] < 0xa0) return false;
    if (len == 3 && s[i] == 0xed && s[i + 1] >= 0xa0) return false;
    if (len == 4 && s[i] == 0xf0 && s[i + 1] < 0x90) return false;
    if (len == 4 && s[i] == 0xf4 && s[i + 1] >= 0x90) return false;
    i += (size_t)len;
  }
  return true;
}

/* A program is text: UTF-8 without NUL, and not longer than offsets reach. */
static bool is_text(Parse *p) {
  const unsigned char *s = (const unsigned char *)p->ast->source;
  size_t at = 0;
  if (p->ast->size > AST_MAX_SOURCE) {
    parse_error(p, (Span){0, 0}, "E0001", "the file is larger than %d MiB", AST_MAX_SOURCE >> 20);
    return false;
  }
  if (valid_utf8(s, p->ast->size, &at)) return true;
  Diag *g = parse_error(p, (Span){(uint32_t)at, (uint32_t)at + 1}, "E0001",
                        s[at] ? "the file is not UTF-8 text: byte 0x%02x"
                              : "the file is not text: byte 0x%02x",
                        s[at]);
  diag_note(p->diags, g, "at byte %zu of the file", at);
  return false;
}

Ast *ast_parse(Arena *a, Diags *d, const char *source, size_t n) {
  Ast *ast = arena_new_of(a, Ast);
  ast->source = source;
  ast->size = n;
  Parse p = {.arena = a, .diags = d, .ast = ast, .held = -1};
  p.value = arena_new_of(a, AST_YYSTYPE);
  if (!is_text(&p)) return ast;
  size_t mark = n >= 3 && !memcmp(source, "\xef\xbb\xbf", 3) ? 3 : 0;
  p.offset = (uint32_t)mark;
  if (ast_lex_lex_init_extra(&p, &p.scanner)) compiler_bug("parse", "no memory for the lexer");
  ast_lex__scan_bytes(source + mark, (int)(n - mark), p.scanner);
  ast_yyparse(&p);
  ast_lex_lex_destroy(p.scanner);
  return ast;
}
