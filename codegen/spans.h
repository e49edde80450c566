#ifndef MLOC_CODEGEN_SPANS_H
#define MLOC_CODEGEN_SPANS_H

#include "ir/kernel.h"

/* Where each line of a source starts. */
typedef struct Lines {
  uint32_t *start;
  int n, cap; /* 0: no source */
} Lines;

Lines cg_find_lines(Arena *a, const char *source); /* source: may be NULL */
/* Source lines of a kernel's anchors, sorted and distinct. */
int cg_lines(Arena *a, const Lines *source, const Kernel *k, int **line);
/* ", lines 4, 7-9"; empty where there is no source. */
const char *cg_source_lines(Arena *a, const Lines *source, const Kernel *k);
const char *cg_role_name(Role r);
const char *cg_storage_kind_name(StorageKind k);

#endif
