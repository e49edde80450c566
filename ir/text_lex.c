/* Scanner of the textual IR: text to an array of tokens. */
#include "ir/text_lex.h"

#include <ctype.h>
#include <string.h>

static bool is_word(int c) { return isalnum(c) || c == '_' || c == '.'; }

static int hex(int c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads a quoted name behind its opening quote; returns its length in the text, or -1. */
static long quoted(Arena *a, const char *s, const char **out) {
  char *name = NULL;
  int n = 0, cap = 0;
  const char *p = s;
  for (; *p && *p != '"' && *p != '\n'; p++) {
    char c = *p;
    if (c == '\\' && (p[1] == '"' || p[1] == '\\')) {
      c = *++p;
    } else if (c == '\\' && p[1] == 'x' && hex(p[2]) >= 0 && hex(p[3]) >= 0 &&
               hex(p[2]) + hex(p[3]) > 0) {
      c = (char)(hex(p[2]) * 16 + hex(p[3]));
      p += 3;
    } else if (c == '\\') {
      return -1;
    }
    VEC_PUSH(a, name, n, cap, c);
  }
  if (*p != '"') return -1;
  VEC_PUSH(a, name, n, cap, '\0');
  *out = name;
  return p - s + 1;
}

/* Length of a number at s, 0 if there is none: sign, digits, point, exponent. */
static size_t number(const char *s) {
  size_t i = *s == '-';
  if (!strncmp(s + i, "inf", 3) || !strncmp(s + i, "nan", 3))
    return is_word((unsigned char)s[i + 3]) ? 0 : i + 3;
  if (!isdigit((unsigned char)s[i])) return 0;
  while (isdigit((unsigned char)s[i]) || s[i] == '.') i++;
  if (s[i] == 'e') {
    i += 1 + (s[i + 1] == '-' || s[i + 1] == '+');
    while (isdigit((unsigned char)s[i])) i++;
  }
  return i;
}

TextToken *text_lex(Arena *a, Diags *d, const char *text) {
  TextToken *list = NULL;
  int n = 0, cap = 0;
  for (const char *s = text;;) {
    while (isspace((unsigned char)*s)) s++;
    if (s[0] == '/' && s[1] == '/') {
      s += strcspn(s, "\n");
      continue;
    }
    TextToken t = {.span = {(uint32_t)(s - text), (uint32_t)(s - text)}};
    long len = 1;
    if (!*s) {
      t.text = "end of text";
      VEC_PUSH(a, list, n, cap, t);
      return list;
    }
    if (*s == '"') {
      t.kind = TEXT_NAME;
      t.quoted = true;
      len = quoted(a, s + 1, &t.text) + 1;
    } else if (number(s)) {
      t.kind = TEXT_NUMBER;
      len = (long)number(s);
      t.text = arena_strndup(a, s, (size_t)len);
    } else if (isalpha((unsigned char)*s) || *s == '_') {
      t.kind = TEXT_NAME;
      while (is_word((unsigned char)s[len])) len++;
      t.text = arena_strndup(a, s, (size_t)len);
    } else if (strchr("{}[](),;:=@%", *s)) {
      t.kind = TEXT_SIGN;
      t.text = arena_strndup(a, s, 1);
    } else {
      len = 0;
    }
    t.span.hi = t.span.lo + (uint32_t)(len > 0 ? len : 1);
    if (len <= 0) {
      diag_error(d, t.span, "E0601", *s == '"' ? "name without end" : "unexpected character");
      return NULL;
    }
    VEC_PUSH(a, list, n, cap, t);
    s += len;
  }
}
