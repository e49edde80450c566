#ifndef MLOC_RUNTIME_ERROR_H
#define MLOC_RUNTIME_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes of an executable. */
enum { RT_OK = 0, RT_USAGE = 2, RT_DATA = 3, RT_DIVERGED = 4, RT_DEVICE = 5, RT_INTERRUPTED = 75 };

/* What went wrong, to be filled once by whoever sees it first; `code` is the exit code. */
typedef struct RtErr {
  int code;
  char text[1400];
} RtErr;

/* Writes the formatted message unless one is there already; returns false, so that callers write
   `return rt_fail(e, RT_DATA, ...)`. */
__attribute__((format(printf, 3, 4))) bool rt_fail(RtErr *e, int code, const char *format, ...);

/* The candidate nearest to `name` by edit distance, or NULL where none is close enough to be meant.
 */
const char *rt_nearest(const char *name, const char *const *candidate, int n);

/* "[3, 4]" into text. */
void rt_shape_text(char *text, size_t size, int rank, const long long *dim);

#endif
