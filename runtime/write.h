#ifndef MLOC_RUNTIME_WRITE_H
#define MLOC_RUNTIME_WRITE_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* Files appear whole: they are written under another name in the same folder and renamed. On
   failure the old file stays and no temporary one is left. */
bool rt_write_file(const char *path, const char *text, size_t n, RtErr *e);

/* Arrays of the arena as a .npz archive, stored without compression, the same bytes for the same
 * arrays. */
bool rt_write_npz(const char *path, const MloArray *array, int n, const unsigned char *arena,
                  RtErr *e);

/* Bytes that rt_write_npz will need at most. */
uint64_t rt_npz_bytes(const MloArray *array, int n);

#endif
