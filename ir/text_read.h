#ifndef MLOC_IR_TEXT_READ_H
#define MLOC_IR_TEXT_READ_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "ir/program.h"
#include "ir/text_lex.h"

/* What the parser of the textual IR is made of: its state, its errors, single words and numbers,
   and references to what has a name. */
typedef struct Parser {
  Arena *arena;
  Diags *diags;
  Program *p;
  TextToken *at;
  System **system;
  int nsystem, system_cap;
  Node **node; /* of the function at hand, by printed number */
  int nnode, node_cap, depth;
  jmp_buf bail;
} Parser;

/* ---- errors and tokens */

_Noreturn static inline void fail(Parser *q, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

_Noreturn static inline void fail(Parser *q, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(q->arena, fmt, ap);
  va_end(ap);
  diag_error(q->diags, q->at->span, code, "%s", text);
  longjmp(q->bail, 1);
}

static inline bool is_sign(const Parser *q, const char *s) {
  return q->at->kind == TEXT_SIGN && !strcmp(q->at->text, s);
}

static inline bool accept(Parser *q, const char *s) {
  if (!is_sign(q, s)) return false;
  q->at++;
  return true;
}

static inline void expect(Parser *q, const char *s) {
  if (!accept(q, s)) fail(q, "E0601", "expected `%s`, found `%s`", s, q->at->text);
}

static inline bool accept_word(Parser *q, const char *s) {
  if (q->at->kind != TEXT_NAME || q->at->quoted || strcmp(q->at->text, s)) return false;
  q->at++;
  return true;
}

static inline void expect_word(Parser *q, const char *s) {
  if (!accept_word(q, s)) fail(q, "E0601", "expected `%s`, found `%s`", s, q->at->text);
}

static inline const char *name(Parser *q) {
  if (q->at->kind != TEXT_NAME) fail(q, "E0601", "expected a name, found `%s`", q->at->text);
  return (q->at++)->text;
}

static inline double real(Parser *q) {
  if (q->at->kind != TEXT_NUMBER) fail(q, "E0601", "expected a number, found `%s`", q->at->text);
  char *end;
  double x = strtod(q->at->text, &end);
  if (*end) fail(q, "E0601", "`%s` is no number", q->at->text);
  q->at++;
  return isnan(x) ? (double)NAN : x;
}

static inline int64_t integer(Parser *q, int64_t lo, int64_t hi) {
  if (q->at->kind != TEXT_NUMBER) fail(q, "E0601", "expected an integer, found `%s`", q->at->text);
  char *end;
  errno = 0;
  long long x = strtoll(q->at->text, &end, 10);
  if (*end || errno) fail(q, "E0601", "`%s` is no integer", q->at->text);
  if (x < lo || x > hi) fail(q, "E0605", "%lld is out of range", x);
  q->at++;
  return x;
}

static inline int64_t any_integer(Parser *q) { return integer(q, INT64_MIN, INT64_MAX); }

static inline int word_of(Parser *q, const char *const *list, const char *what) {
  for (int i = 0; list[i]; i++)
    if (accept_word(q, list[i])) return i;
  fail(q, "E0601", "expected %s, found `%s`", what, q->at->text);
}

static inline Type type(Parser *q) {
  Type t = {0};
  int64_t count = 1;
  if (q->at->kind != TEXT_NAME || !dtype_parse(q->at->text, &t.dtype))
    fail(q, "E0601", "expected an element type, found `%s`", q->at->text);
  q->at++;
  expect(q, "[");
  while (!is_sign(q, "]")) {
    if (t.rank == MAX_RANK) fail(q, "E0605", "more than %d axes", MAX_RANK);
    int64_t n = integer(q, 0, (int64_t)1 << 40);
    if (n > 0 && count > ((int64_t)1 << 40) / n)
      fail(q, "E0605", "tensor of more than 2^40 elements");
    count *= n > 0 ? n : 1;
    t.dim[t.rank++] = n;
    if (!accept(q, ",")) break;
  }
  expect(q, "]");
  return t;
}

/* ---- references */

static inline Storage *storage(Parser *q) {
  Storage *s = program_find(q->p, q->at->text);
  if (q->at->kind != TEXT_NAME || !s) fail(q, "E0602", "unknown storage `%s`", q->at->text);
  q->at++;
  return s;
}

static inline Func *func(Parser *q) {
  expect(q, "@");
  Func *f = program_find_func(q->p, q->at->text);
  if (q->at->kind != TEXT_NAME || !f) fail(q, "E0602", "unknown function `%s`", q->at->text);
  q->at++;
  return f;
}

static inline Level *level(Parser *q) {
  Level *l = program_find_level(q->p, q->at->text);
  if (q->at->kind != TEXT_NAME || !l) fail(q, "E0602", "unknown level `%s`", q->at->text);
  q->at++;
  return l;
}

static inline System *find_system(const Parser *q, const char *s) {
  for (int i = 0; i < q->nsystem; i++)
    if (!strcmp(q->system[i]->name, s)) return q->system[i];
  return NULL;
}

static inline System *system_(Parser *q) {
  System *s = find_system(q, q->at->text);
  if (q->at->kind != TEXT_NAME || !s) fail(q, "E0602", "unknown system `%s`", q->at->text);
  q->at++;
  return s;
}

static inline Node *node(Parser *q) {
  expect(q, "%");
  int64_t i = integer(q, 0, INT32_MAX);
  if (i >= q->nnode) {
    q->at--;
    fail(q, "E0602", "unknown node %%%lld", (long long)i);
  }
  return q->node[i];
}

#endif
