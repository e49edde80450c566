/* Messages of the runtime. Nothing here prints or exits: functions that can fail take an RtErr,
   fill it and return false, and mlo_main turns the first one into a line on stderr and an exit
   code. */

#include "runtime/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool rt_fail(RtErr *e, int code, const char *format, ...) {
  if (e->code) return false;
  e->code = code;
  va_list args;
  va_start(args, format);
  vsnprintf(e->text, sizeof e->text, format, args);
  va_end(args);
  return false;
}

enum { NAME_MAX_LEN = 64 };

/* Levenshtein distance; long names count as far away. */
static int distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  int row[NAME_MAX_LEN + 1];
  if (n > NAME_MAX_LEN || m > NAME_MAX_LEN) return NAME_MAX_LEN;
  for (size_t j = 0; j <= m; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int best = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[m];
}

const char *rt_nearest(const char *name, const char *const *candidate, int n) {
  const char *best = NULL;
  int least = (int)strlen(name) / 3 + 2;
  for (int i = 0; i < n; i++) {
    int d = distance(name, candidate[i]);
    const char *last = strrchr(candidate[i], '.'); /* "lr" is meant as "tune.optimizer.lr" */
    if (last && strcmp(last + 1, name) == 0) d = 0;
    if (d < least) {
      least = d;
      best = candidate[i];
    }
  }
  return best;
}

void rt_shape_text(char *text, size_t size, int rank, const long long *dim) {
  size_t at = (size_t)snprintf(text, size, "[");
  for (int i = 0; i < rank && at < size; i++)
    at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "", dim[i]);
  if (at < size) snprintf(text + at, size - at, "]");
}
