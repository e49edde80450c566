/* Sizes as polynomials over named dimensions, represented by one random evaluation in the field of
   integers modulo the Mersenne prime 2^61 - 1: sums, products and quotients are field operations,
   and equality of keys is polynomial identity testing. The point is fixed (a hash of each name), so
   that a program means the same every time. Integer values, once known, ride along. */
#include "frontend/dims.h"

#include <string.h>

static const uint64_t prime = ((uint64_t)1 << 61) - 1;

static uint64_t reduce(uint64_t x) {
  x = (x & prime) + (x >> 61);
  return x >= prime ? x - prime : x;
}

/* The product of two residues by 32-bit halves: 2^64 is 8 and 2^61 is 1 modulo the prime. */
static uint64_t field_mul(uint64_t x, uint64_t y) {
  uint64_t xl = x & 0xffffffff, xh = x >> 32, yl = y & 0xffffffff, yh = y >> 32;
  uint64_t low = xl * yl, mid = xl * yh + xh * yl, high = xh * yh;
  uint64_t carry = mid << 32;
  uint64_t sum = low + carry;
  high += (mid >> 32) + (sum < low);
  return reduce(reduce(sum) + reduce(high << 3));
}

static uint64_t field_add(uint64_t x, uint64_t y) { return reduce(x + y); }
static uint64_t field_sub(uint64_t x, uint64_t y) { return reduce(x + prime - y); }

static uint64_t field_inverse(uint64_t x) {
  uint64_t r = 1;
  for (uint64_t e = prime - 2; e; e >>= 1) {
    if (e & 1) r = field_mul(r, x);
    x = field_mul(x, x);
  }
  return r;
}

/* A residue that looks random: the finalizer of splitmix64. */
static uint64_t scatter(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return reduce(x ^ (x >> 31));
}

static uint64_t hash_text(const char *s) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
  return scatter(h);
}

SDim dim_int(Arena *a, int64_t value) {
  const char *text = arena_printf(a, "%lld", (long long)value);
  return (SDim){.key = reduce((uint64_t)value), .value = value, .text = text};
}

SDim dim_named(const char *name, int64_t value) {
  return (SDim){.key = hash_text(name), .value = value, .text = name};
}

SDim dim_fresh(const char *text, uint64_t number) {
  uint64_t key = scatter(scatter(number) ^ hash_text(text));
  return (SDim){.key = key, .value = DIM_UNKNOWN, .text = text};
}

SDim dim_chunk(SDim batch, int64_t size, int64_t whole) {
  batch.value = size;
  batch.chunk = true;
  batch.ragged = 0;
  batch.whole = whole;
  return batch;
}

int64_t dim_whole(SDim x) { return x.chunk ? x.whole : x.value; }

static SDim all_rows(SDim x) {
  x.value = dim_whole(x);
  return x;
}

bool dim_eq(SDim x, SDim y) { return x.key == y.key; }

bool dim_is_int(SDim x) { return x.value >= 0 && x.key == reduce((uint64_t)x.value); }

bool dim_is(SDim x, int64_t n) { return dim_is_int(x) && x.value == n; }

bool dim_le(SDim x, SDim y) { return field_sub(y.key, x.key) < ((uint64_t)1 << 40); }

/* An operand's text, in parentheses where it is a sum or, on the right, anything composed. */
static const char *operand(Arena *a, const char *text, bool tight) {
  bool composed = strpbrk(text, tight ? " */" : " ") != NULL;
  return composed ? arena_printf(a, "(%s)", text) : text;
}

/* Beyond this everything is too large, and longer texts help nobody. */
static const int64_t most = (int64_t)1 << 61;
enum { LONGEST_TEXT = 80 };

/* The values of x op y, by which of the operands' values it is asked. */
typedef int64_t ValueOf(SDim x, SDim y);

static SDim compose(Arena *a, uint64_t key, ValueOf *value, const char *fmt_op, SDim x, SDim y) {
  SDim r = {key, value(x, y), NULL, x.chunk || y.chunk, 0, x.ragged ? x.ragged : y.ragged};
  if (r.chunk) r.whole = value(all_rows(x), all_rows(y));
  if (dim_is_int(r)) return dim_int(a, r.value);
  bool sum = fmt_op[0] == '+' || fmt_op[0] == '-';
  if (sum)
    r.text = arena_printf(a, "%s %s %s", x.text, fmt_op, operand(a, y.text, fmt_op[0] == '-'));
  else
    r.text = arena_printf(a, "%s%s%s", operand(a, x.text, false), fmt_op,
                          operand(a, y.text, fmt_op[0] != '*'));
  if (strlen(r.text) > LONGEST_TEXT) r.text = "(..)";
  return r;
}

static bool known(SDim x, SDim y) { return x.value >= 0 && y.value >= 0; }

static int64_t product(SDim x, SDim y) {
  int64_t r;
  if (!known(x, y)) return DIM_UNKNOWN;
  return __builtin_mul_overflow(x.value, y.value, &r) || r > most ? most : r;
}

static int64_t sum(SDim x, SDim y) {
  if (!known(x, y)) return DIM_UNKNOWN;
  return x.value > most - y.value ? most : x.value + y.value;
}

static int64_t difference(SDim x, SDim y) {
  return known(x, y) && x.value >= y.value ? x.value - y.value : DIM_UNKNOWN;
}

static int64_t quotient(SDim x, SDim y) {
  return known(x, y) && y.value ? x.value / y.value : DIM_UNKNOWN;
}

static int64_t rest(SDim x, SDim y) {
  return known(x, y) && y.value ? x.value % y.value : DIM_UNKNOWN;
}

SDim dim_add(Arena *a, SDim x, SDim y) {
  if (dim_is(x, 0)) return y;
  if (dim_is(y, 0)) return x;
  return compose(a, field_add(x.key, y.key), sum, "+", x, y);
}

SDim dim_sub(Arena *a, SDim x, SDim y) {
  if (dim_is(y, 0)) return x;
  if (dim_eq(x, y)) return dim_int(a, 0);
  return compose(a, field_sub(x.key, y.key), difference, "-", x, y);
}

SDim dim_mul(Arena *a, SDim x, SDim y) {
  if (dim_is(x, 1)) return y;
  if (dim_is(y, 1)) return x;
  return compose(a, field_mul(x.key, y.key), product, "*", x, y);
}

SDim dim_div(Arena *a, SDim x, SDim y, bool *exact) {
  *exact = !known(x, y) || (y.value != 0 && x.value % y.value == 0);
  if (dim_is(y, 1) || !*exact) return x;
  if (dim_eq(x, y)) return dim_int(a, 1);
  return compose(a, field_mul(x.key, field_inverse(y.key)), quotient, "/", x, y);
}

static SDim opaque(Arena *a, SDim x, SDim y, const char *op, uint64_t salt, ValueOf *value) {
  if (dim_is_int(x) && dim_is_int(y)) return dim_int(a, value(x, y));
  uint64_t key = scatter(field_mul(x.key, salt) ^ scatter(y.key + salt));
  return compose(a, key, value, op, x, y);
}

SDim dim_intdiv(Arena *a, SDim x, SDim y) {
  return dim_is(y, 1) ? x : opaque(a, x, y, " div ", 3, quotient);
}

SDim dim_mod(Arena *a, SDim x, SDim y) { return opaque(a, x, y, " mod ", 5, rest); }
