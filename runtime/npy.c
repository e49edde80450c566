/* The .npy format: the header's dictionary of element type, order and shape becomes an RtNpy, raw
   elements of either byte order become int64 or double. A header may come from anywhere: every
   length is bounded before it is used. */

#include "runtime/npy.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 1 << 16 };

bool rt_read(const RtStream *s, void *buffer, uint64_t n, RtErr *e) {
  uint64_t got = 0;
  while (got < n) {
    int64_t k = s->read(s->handle, (char *)buffer + got, n - got);
    if (k < 0)
      return rt_fail(e, RT_DATA, "%s: cannot be read (damaged or truncated file)", s->label);
    if (k == 0)
      return rt_fail(e, RT_DATA, "%s: the file is truncated: expected %llu bytes more, found %llu",
                     s->label, (unsigned long long)n, (unsigned long long)got);
    got += (uint64_t)k;
  }
  return true;
}

size_t rt_dtype_size(MloDType t) {
  static const size_t size[] = {1, 4, 4, 8};
  return size[t];
}

size_t rt_array_bytes(MloDType dtype, int rank, const int64_t *dim) {
  size_t n = rt_dtype_size(dtype);
  for (int i = 0; i < rank; i++) n *= (size_t)dim[i];
  return n;
}

const char *rt_dtype_name(MloDType t) {
  static const char *const name[] = {"bool", "i32", "f32", "f64"};
  return name[t];
}

MloDType rt_npy_dtype(const RtNpy *a) {
  if (a->kind == 'b') return MLO_BOOL;
  if (a->kind == 'f') return a->size == 8 ? MLO_F64 : MLO_F32;
  return MLO_I32;
}

/* A cursor over the header's dictionary, a Python literal. */
typedef struct Cursor {
  const char *at;
} Cursor;

static void blanks(Cursor *c) {
  while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n') c->at++;
}

static bool take(Cursor *c, char expected) {
  blanks(c);
  if (*c->at != expected) return false;
  c->at++;
  return true;
}

static bool take_word(Cursor *c, const char *word) {
  blanks(c);
  size_t n = strlen(word);
  if (strncmp(c->at, word, n) != 0) return false;
  c->at += n;
  return true;
}

static bool take_string(Cursor *c, char *out, size_t size) {
  blanks(c);
  char quote = *c->at;
  if (quote != '\'' && quote != '"') return false;
  size_t n = 0;
  for (c->at++; *c->at && *c->at != quote; c->at++) {
    if (n + 1 >= size) return false;
    out[n++] = *c->at;
  }
  out[n] = 0;
  return take(c, quote);
}

static bool take_dim(Cursor *c, int64_t *out) {
  int64_t v = 0;
  blanks(c);
  if (!isdigit((unsigned char)*c->at)) return false;
  for (; isdigit((unsigned char)*c->at); c->at++)
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->at - '0', &v))
      return false;
  if (*c->at == 'L') c->at++; /* as Python 2 wrote long integers */
  *out = v;
  return true;
}

static bool parse_shape(Cursor *c, RtNpy *a, const char *label, RtErr *e) {
  if (!take(c, '(')) return false;
  a->rank = 0;
  while (!take(c, ')')) {
    int64_t d;
    if (!take_dim(c, &d)) return false;
    if (a->rank == MLO_MAX_RANK)
      return rt_fail(e, RT_DATA, "%s: more than %d dimensions", label, MLO_MAX_RANK);
    a->dim[a->rank++] = d;
    if (!take(c, ',')) {
      if (!take(c, ')')) return false;
      break;
    }
  }
  return true;
}

static bool parse_descr(const char *d, RtNpy *a) {
  const char *t = strchr("<>|=", *d) && *d ? d + 1 : d;
  char *end;
  a->big = *d == '>';
  a->kind = *t == '?' ? 'b' : *t;
  if (*t == 0 || !isdigit((unsigned char)t[1])) return false;
  a->size = (int)strtol(t + 1, &end, 10);
  if (*end) return false;
  switch (a->kind) {
  case 'b': return a->size == 1;
  case 'i':
  case 'u': return a->size == 1 || a->size == 2 || a->size == 4 || a->size == 8;
  case 'f': return a->size == 2 || a->size == 4 || a->size == 8;
  default: return false;
  }
}

/* How much of the text, at most n bytes, is plain letters: what a message shows of it. */
static int printable(const char *text, int n) {
  int k = 0;
  while (k < n && text[k] >= ' ' && text[k] <= '~') k++;
  return k;
}

/* The dictionary's three keys, in any order, each once. */
static bool parse_dict(const char *text, RtNpy *a, const char *label, RtErr *e) {
  Cursor c = {text};
  unsigned seen = 0;
  char key[32];
  bool ok = take(&c, '{');
  while (ok && !take(&c, '}')) {
    unsigned bit = 0;
    ok = take_string(&c, key, sizeof key) && take(&c, ':');
    if (!ok) break;
    if (strcmp(key, "descr") == 0) {
      bit = 1;
      ok = take_string(&c, a->descr, sizeof a->descr);
      if (!ok)
        return rt_fail(e, RT_DATA, "%s: records and long type names are not supported", label);
    } else if (strcmp(key, "fortran_order") == 0) {
      bit = 2;
      a->fortran = take_word(&c, "True");
      ok = a->fortran || take_word(&c, "False");
    } else if (strcmp(key, "shape") == 0) {
      bit = 4;
      ok = parse_shape(&c, a, label, e);
    } else {
      ok = false;
    }
    ok = ok && !(seen & bit);
    seen |= bit;
    if (ok && !take(&c, ',')) {
      ok = take(&c, '}');
      break;
    }
  }
  blanks(&c);
  if (!ok || seen != 7 || *c.at)
    return rt_fail(e, RT_DATA,
                   "%s: malformed .npy header: expected the keys descr, fortran_order "
                   "and shape, found `%.*s`",
                   label, printable(text, 80), text);
  return true;
}

bool rt_npy_count(RtNpy *a, const char *label, RtErr *e) {
  int64_t bytes = a->size;
  bool over = false, empty = false;
  for (int i = 0; i < a->rank; i++) empty |= a->dim[i] == 0;
  for (int i = 0; i < a->rank; i++) over |= __builtin_mul_overflow(bytes, a->dim[i], &bytes);
  if (over && !empty) return rt_fail(e, RT_DATA, "%s: the shape's size overflows", label);
  a->count = empty ? 0 : bytes / a->size;
  return true;
}

bool rt_npy_read_header(const RtStream *s, RtNpy *a, RtErr *e) {
  unsigned char start[8], length[4] = {0};
  *a = (RtNpy){0};
  if (!rt_read(s, start, sizeof start, e)) return false;
  if (memcmp(start, "\x93NUMPY", 6) != 0)
    return rt_fail(e, RT_DATA,
                   "%s: not a .npy array: expected the bytes \\x93NUMPY at its start, "
                   "found \\x%02x%02x%02x%02x",
                   s->label, start[0], start[1], start[2], start[3]);
  if (start[6] < 1 || start[6] > 3)
    return rt_fail(e, RT_DATA, "%s: expected .npy format version 1, 2 or 3, found %d", s->label,
                   start[6]);
  int width = start[6] == 1 ? 2 : 4;
  if (!rt_read(s, length, (uint64_t)width, e)) return false;
  uint32_t n = (uint32_t)length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 |
               (uint32_t)length[3] << 24;
  if (n > MAX_HEADER)
    return rt_fail(e, RT_DATA, "%s: expected a header of at most %d bytes, found %u", s->label,
                   MAX_HEADER, n);
  char *text = malloc((size_t)n + 1);
  if (!text) return rt_fail(e, RT_DATA, "%s: out of memory", s->label);
  bool ok = rt_read(s, text, n, e);
  if (ok) {
    text[n] = 0;
    ok = parse_dict(text, a, s->label, e);
  }
  free(text);
  if (!ok) return false;
  a->header_bytes = 8 + width + (int64_t)n;
  if (!parse_descr(a->descr, a))
    return rt_fail(e, RT_DATA, "%s: expected elements of type bool, int, uint or float, found `%s`",
                   s->label, a->descr);
  return rt_npy_count(a, s->label, e);
}

size_t rt_npy_write_header(char *text, MloDType dtype, int rank, const int64_t *dim) {
  static const char *const descr[] = {"|b1", "<i4", "<f4", "<f8"};
  size_t at = 10;
  at += (size_t)sprintf(text + at, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                        descr[dtype]);
  for (int i = 0; i < rank; i++)
    at += (size_t)sprintf(text + at, "%s%lld", i ? ", " : "", (long long)dim[i]);
  at += (size_t)sprintf(text + at, "%s), }", rank == 1 ? "," : "");
  size_t whole = (at + 1 + 63) / 64 * 64;
  memset(text + at, ' ', whole - at);
  text[whole - 1] = '\n';
  memcpy(text, "\x93NUMPY\x01\x00", 8);
  text[8] = (char)((whole - 10) & 255);
  text[9] = (char)((whole - 10) >> 8);
  return whole;
}

static uint64_t word(const unsigned char *p, int size, bool big) {
  uint64_t v = 0;
  for (int i = 0; i < size; i++) v |= (uint64_t)p[big ? size - 1 - i : i] << (8 * i);
  return v;
}

/* IEEE binary16. */
static double half(uint16_t h) {
  int exponent = h >> 10 & 31, fraction = h & 1023;
  double v = exponent == 31  ? (fraction ? NAN : INFINITY)
             : exponent == 0 ? ldexp(fraction, -24)
                             : ldexp(1024 + fraction, exponent - 25);
  return h >> 15 ? -v : v;
}

static double float_of(uint64_t w, int size) {
  if (size == 2) return half((uint16_t)w);
  double d;
  float f;
  uint32_t low = (uint32_t)w;
  memcpy(&d, &w, sizeof d);
  memcpy(&f, &low, sizeof f);
  return size == 4 ? (double)f : d;
}

bool rt_npy_decode(const RtNpy *a, const unsigned char *raw, int64_t n, RtNumbers out,
                   int64_t *bad) {
  int shift = 64 - 8 * a->size;
  for (int64_t k = 0; k < n; k++, raw += a->size) {
    uint64_t w;
    if (a->size == 8 && !a->big)
      memcpy(&w, raw, 8); /* this machine is little-endian */
    else
      w = word(raw, a->size, a->big);
    if (a->kind == 'f') {
      out.f[k] = float_of(w, a->size);
    } else if (a->kind == 'i') {
      out.i[k] = (int64_t)(w << shift) >> shift;
    } else {
      if (w > INT64_MAX) {
        *bad = k;
        return false;
      }
      out.i[k] = (int64_t)w;
    }
  }
  return true;
}
