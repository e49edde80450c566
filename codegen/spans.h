#ifndef MLOC_CODEGEN_SPANS_H
#define MLOC_CODEGEN_SPANS_H

#include "ir/kernel.h"

/* Source lines of a kernel's anchors, sorted and distinct. */
int cg_lines(Arena *a, const char *source, const Kernel *k, int **line);
/* ", lines 4, 7-9" from the program's source; empty where there is none. */
const char *cg_source_lines(Arena *a, const Program *p, const Kernel *k);
const char *cg_role_name(Role r);
const char *cg_storage_kind_name(StorageKind k);

#endif
