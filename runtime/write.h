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

/* An entry of an archive: an array of elements that stand at `data`, or, with rank < 0, `bytes` of
   plain text under its name. */
typedef struct RtEntry {
  const char *name;
  MloDType dtype;
  int rank;
  int64_t dim[MLO_MAX_RANK];
  const void *data;
  uint64_t bytes;
} RtEntry;

/* An array of the arena as an entry. */
void rt_entry_of(const MloArray *a, const unsigned char *arena, RtEntry *out);

/* The same of arrays anywhere; with `sync` it is on the disk when the call returns. */
bool rt_write_entries(const char *path, const RtEntry *entry, int n, bool sync, RtErr *e);

/* Bytes that rt_write_npz will need at most. */
uint64_t rt_npz_bytes(const MloArray *array, int n);

#endif
