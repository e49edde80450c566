#ifndef MLOC_IR_TEXT_H
#define MLOC_IR_TEXT_H

#include "ir/program.h"

/* The textual IR: print(parse(print(p))) = print(p) after any pass. Everything that a pass reads is
 * printed. */
char *ir_print(const Program *p); /* in p's arena */
/* Parses what ir_print prints; NULL after errors, which are in d (codes E06xx). */
Program *ir_parse(Arena *a, Diags *d, const char *name, const char *text);
/* One graph or function, for tests and messages. */
char *ir_print_func(const Program *p, const Func *f);

#endif
