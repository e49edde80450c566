#ifndef MLOC_CODEGEN_TEXT_H
#define MLOC_CODEGEN_TEXT_H

#include "ir/arena.h"
#include "ir/type.h"

/* A growing string in an arena. */
typedef struct Text {
  Arena *arena;
  char *s;
  int n, cap;
} Text;

void text_add(Text *t, const char *s);
void text_addf(Text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s as a C string literal with quotes; NULL becomes `"" `'s empty literal. */
char *text_quote(Arena *a, const char *s);
/* Letters, digits and underscores only. */
char *text_identifier(Arena *a, const char *s);
/* Indents lines by their depth of braces, two columns each. */
char *text_indent(Arena *a, const char *s);

#endif
