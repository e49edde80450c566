/* Growing strings and the small conversions of text that every printer of this room needs. */
#include "codegen/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void reserve(Text *t, size_t more) {
  if ((size_t)t->cap >= (size_t)t->n + more + 1) return;
  size_t cap = t->cap ? (size_t)t->cap : 256;
  while (cap < (size_t)t->n + more + 1) cap *= 2;
  char *s = arena_alloc(t->arena, cap);
  if (t->n) memcpy(s, t->s, (size_t)t->n);
  t->s = s;
  t->cap = (int)cap;
}

void text_add(Text *t, const char *s) {
  size_t n = strlen(s);
  reserve(t, n);
  memcpy(t->s + t->n, s, n + 1);
  t->n += (int)n;
}

void text_addf(Text *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  reserve(t, (size_t)n);
  vsnprintf(t->s + t->n, (size_t)n + 1, fmt, again);
  va_end(again);
  t->n += n;
}

char *text_quote(Arena *a, const char *s) {
  Text t = {.arena = a};
  text_add(&t, "\"");
  for (; s && *s; s++) {
    if (*s == '"' || *s == '\\')
      text_addf(&t, "\\%c", *s);
    else if ((unsigned char)*s < ' ' || *s == '?')
      text_addf(&t, "\\%03o", (unsigned char)*s);
    else
      text_addf(&t, "%c", *s);
  }
  text_add(&t, "\"");
  return t.s;
}

char *text_identifier(Arena *a, const char *s) {
  char *r = arena_strdup(a, s);
  for (char *p = r; *p; p++)
    if (!isalnum((unsigned char)*p)) *p = '_';
  return r;
}

/* Net depth of braces in a line, and whether it starts by closing one. */
static int brace_balance(const char *line, size_t n) {
  int depth = 0;
  for (size_t i = 0; i < n; i++) depth += (line[i] == '{') - (line[i] == '}');
  return depth;
}

char *text_indent(Arena *a, const char *s) {
  Text t = {.arena = a};
  int depth = 0;
  text_add(&t, "");
  while (*s) {
    size_t n = strcspn(s, "\n");
    const char *line = s;
    while (n && *line == ' ') line++, n--;
    int own = n && *line == '}' ? depth - 1 : depth;
    if (n && *line == '#') own = 0;
    if (n) text_addf(&t, "%*s%.*s", 2 * (own > 0 ? own : 0), "", (int)n, line);
    text_add(&t, "\n");
    if (!(n && *line == '#')) depth += brace_balance(line, n);
    s = line + n;
    if (*s == '\n') s++;
  }
  return t.s;
}
