#ifndef MLOC_RUNTIME_DATA_H
#define MLOC_RUNTIME_DATA_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* What a data file holds, found without reading the numbers (tables of text are read once for their
   rows). The compiler binds dims with it. Files: .npz, .npy, .csv, .csv.gz; IDX: .idx, -ubyte, and
   these with .gz. */
typedef struct MloProbeArray {
  const char *name; /* "" for the one array of a .npy or IDX file and columns without a header */
  MloDType dtype;   /* the element type that fits the stored one best */
  int rank;
  int64_t dim[MLO_MAX_RANK];
  const char *problem; /* why the array cannot be loaded, or NULL */
} MloProbeArray;

typedef struct MloProbe {
  int n; /* arrays; columns of a table */
  MloProbeArray *array;
  bool table;
  char error[1400]; /* set where mlo_probe returned false */
} MloProbe;

/* False, with out->error ("train.npz: ..."), where the file cannot be read. Free the result in both
 * cases. */
bool mlo_probe(const char *path, MloProbe *out);
void mlo_probe_free(MloProbe *p);

/* The array that a field of the given name and rank, one of nfield fields of its source, loads from
   this file: by name; the only array of a .npy or IDX file; columns of a table as csv.h says. False
   where there is none; problem is set where it is there but cannot be loaded. The rank found may
   differ from the one asked for. */
bool mlo_probe_field(const MloProbe *p, const char *name, int rank, int nfield, MloProbeArray *out);

/* Loads and checks all fields of a source from `path` into the arena, through buffers of bounded
   size. hint: appended where shapes differ, for what the user can do; may be "". */
bool rt_load(const MloSource *source, const char *path, const char *hint, unsigned char *arena,
             RtErr *e);

#endif
