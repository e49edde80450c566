#ifndef MLOC_IR_DIAG_H
#define MLOC_IR_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ir/arena.h"

/* Half-open byte range of the source text; lo == hi == 0 where there is none. */
typedef struct Span {
  uint32_t lo, hi;
} Span;

typedef enum Severity { SEV_ERROR, SEV_WARNING } Severity;

typedef struct DiagNote {
  enum { NOTE_LABEL, NOTE_HELP, NOTE_NOTE, NOTE_PATH } kind;
  Span span; /* NOTE_LABEL only: a second place on the same or another line */
  const char *text;
  struct DiagNote *next;
} DiagNote;

typedef struct Diag {
  Severity severity;
  const char *code; /* "E0203" */
  Span span;
  const char *text, *label; /* label: text beside the caret, may be NULL */
  DiagNote *note;
} Diag;

typedef struct Diags {
  Arena *arena;
  const char *file, *source; /* for printing; source may be NULL */
  Diag **diag;
  int ndiag, cap, nerror;
} Diags;

Diags *diags_new(Arena *a, const char *file, const char *source);

/* Adds an error (a warning) and returns it, so that notes can be attached. */
Diag *diag_error(Diags *d, Span span, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
Diag *diag_warning(Diags *d, Span span, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_label(Diags *d, Diag *g, Span span, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_help(Diags *d, Diag *g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_note(Diags *d, Diag *g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_path(Diags *d, Diag *g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Prints all, sorted by position: as text with source line, carets and notes, or as a JSON array
   [{severity, code, message, file, line, column, end_line, end_column, notes: [...]}]. */
void diags_print(const Diags *d, FILE *out, bool color);
void diags_print_json(const Diags *d, FILE *out);
/* 1-based line and column of a byte offset. */
void diag_position(const char *source, uint32_t offset, int *line, int *column);

/* A bug in the compiler: says so, with the pass and the node, and aborts (exit code 70 comes from
   the command line's handler of SIGABRT). */
_Noreturn void compiler_bug(const char *where, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
