#ifndef MLOC_IR_TEXT_LEX_H
#define MLOC_IR_TEXT_LEX_H

#include "ir/diag.h"

/* Tokens of the textual IR. Names are plain or quoted words; numbers keep their text, since only
   the place where they stand says whether they are integers. */
typedef enum TextKind { TEXT_END, TEXT_NAME, TEXT_NUMBER, TEXT_SIGN } TextKind;

typedef struct TextToken {
  TextKind kind;
  bool quoted;
  const char *text; /* name unquoted; number or sign as written */
  Span span;
} TextToken;

/* All tokens up to one TEXT_END; NULL after an error (E0601), which is in d. */
TextToken *text_lex(Arena *a, Diags *d, const char *text);

#endif
