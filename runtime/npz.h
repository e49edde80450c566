#ifndef MLOC_RUNTIME_NPZ_H
#define MLOC_RUNTIME_NPZ_H

#include "runtime/npy.h"

/* A .npz archive, or a .npy or IDX file seen as an archive of one array without a name. */
typedef struct RtArchive {
  const char *path;
  void *zip;   /* NULL for .npy and IDX */
  int n;       /* arrays */
  char **name; /* without ".npy"; names are unique */
  int64_t *entry;
} RtArchive;

bool rt_archive_open(RtArchive *a, const char *path, RtErr *e);
void rt_archive_close(RtArchive *a);

/* An array being read. label is kept, not copied. `bytes` is what the archive says that the array
   has in all, header included; of a gzip file, which does not say it, what it has at most. */
typedef enum RtPacking { RT_PLAIN, RT_ZIPPED, RT_GZIP } RtPacking;

typedef struct RtArrayFile {
  RtStream stream;
  int64_t bytes;
  void *file;
  RtPacking packing;
  bool idx;
} RtArrayFile;

bool rt_array_open(const RtArchive *a, int i, const char *label, RtArrayFile *out, RtErr *e);
void rt_array_close(RtArrayFile *f);

/* The header, and that its shape agrees with the number of bytes there are. */
bool rt_array_header(const RtArrayFile *f, RtNpy *out, RtErr *e);

#endif
