#ifndef MLOC_IR_TEXT_NAMES_H
#define MLOC_IR_TEXT_NAMES_H

#include "ir/kernel.h"

/* Words of the textual IR, shared by printer and parser. Each list ends with NULL and follows its
 * enum. */
extern const char *const text_storage_kind[];
extern const char *const text_role[];
extern const char *const text_fact[]; /* bit i of Program.facts */
extern const char *const text_kernel_kind[];
extern const char *const text_anchor_class[];
extern const char *const text_check[];

/* What the integers of an op's attribute are called. */
const char *text_attr_name(Op op);

#endif
