/* Reference form of what is random (runtime/mlo_random.h): uniform and normal numbers, shuffled
   places. Written apart from the runtime, in plain loops, and with the same bits: where the runtime
   rounds, so does this, and what it multiplies and adds in one step is `fused` here. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <Random123/philox.h>

#include "ir/op.h"
#include "ir/op_bulk.h"

static double unit64(uint32_t hi, uint32_t lo) {
  return ((double)(((uint64_t)hi << 32 | lo) >> 12) + 0.5) * 0x1p-52;
}

/* ---- normal numbers: sqrt(-2 log u) cos(2 pi v) */

enum { MAX_TERMS = 9 };

/* Polynomials of one precision, coefficients of the highest power first, and the two parts of ln 2.
   P of f32 is that of log(1 + f) = f + f^2 P(f); of f64 that of log(1 + f) = f - s (f - z P(z)) at
   s = f / (2 + f), z = s^2. With z = r^2, the sine of pi r / 2 is first r + r sine(z), its cosine
   cosine(z). */
typedef struct Precision {
  bool single;
  int nlog, nsine, ncosine;
  double root_half, ln2, ln2_low, first; /* first: pi / 2 */
  double log[MAX_TERMS], sine[MAX_TERMS], cosine[MAX_TERMS];
} Precision;

/* clang-format off */
static const Precision f32 = {
    .single = true, .nlog = 9, .nsine = 4, .ncosine = 5,
    .root_half = 0x1.6a09e6p-1, .ln2 = 0x1.62e430p-1, .ln2_low = -0x1.05c610p-29,
    .first = 0x1.921fb6p+0,
    .log = {-0x1.2d3636p-4, 0x1.025beap-3, -0x1.0e6826p-3, 0x1.236438p-3, -0x1.546790p-3,
            0x1.999860p-3, -0x1.00023cp-2, 0x1.555564p-2, -0.5},
    .sine = {-0x1.2dbd92p-8, 0x1.465fc4p-4, -0x1.4abbbep-1, -0x1.777a5cp-25},
    .cosine = {0x1.d684a8p-11, -0x1.55b7cep-6, 0x1.03c1b8p-2, -0x1.3bd3ccp+0, 1}};
static const Precision f64 = {
    .single = false, .nlog = 7, .nsine = 7, .ncosine = 8,
    .root_half = 0x1.6a09e667f3bcdp-1, .ln2 = 0x1.62e42fefa39efp-1,
    .ln2_low = 0x1.abc9e3b39803fp-56, .first = 0x1.921fb54442d18p+0,
    .log = {0x1.2f0b96857276dp-3, 0x1.39a108cae2047p-3, 0x1.746646d7fcebcp-3,
            0x1.c71c51dbbbd75p-3, 0x1.2492494235b74p-2, 0x1.999999997f77cp-2,
            0x1.5555555555594p-1},
    .sine = {0x1.e3fdffa9ff67bp-25, -0x1.e30094fc65f49p-19, 0x1.507830080307cp-13,
             -0x1.32d2cce31f6d6p-8, 0x1.466bc67758c68p-4, -0x1.4abbce625be46p-1,
             0x1.1a62633145c07p-54},
    .cosine = {-0x1.b15c7caf9f5eep-28, 0x1.f9c87823cd57ep-22, -0x1.a6d1e6f94b3efp-16,
               0x1.e1f5067b5447ap-11, -0x1.55d3c7e3c301bp-6, 0x1.03c1f081b5a66p-2,
               -0x1.3bd3cc9be45dep+0, 1}};
/* clang-format on */

/* x z + y and x z, rounded once. */
static double fused(const Precision *p, double x, double z, double y) {
  return p->single ? (double)fmaf((float)x, (float)z, (float)y) : fma(x, z, y);
}
static double product(const Precision *p, double x, double z) {
  return p->single ? (double)(float)(x * z) : x * z;
}

static double polynomial(const Precision *p, const double *c, int n, double x) {
  double y = c[0];
  for (int i = 1; i < n; i++) y = fused(p, y, x, c[i]);
  return y;
}

static double radius(const Precision *p, double u) {
  int e;
  double m = frexp(u, &e), l;
  if (m < p->root_half) m *= 2, e--;
  double f = m - 1;
  if (p->single) {
    l = fused(p, product(p, f, f), polynomial(p, p->log, p->nlog, f), f);
  } else {
    double s = f / (2 + f), z = s * s;
    l = fused(p, -s, fused(p, -z, polynomial(p, p->log, p->nlog, z), f), f);
  }
  l = -2 * fused(p, e, p->ln2, fused(p, e, p->ln2_low, l));
  return p->single ? (double)sqrtf((float)l) : sqrt(l);
}

static double cosine_of_turn(const Precision *p, double v) {
  double k = rint(4 * v), r = 4 * v - k, z = product(p, r, r);
  double s = product(p, r, polynomial(p, p->sine, p->nsine, z));
  s = fused(p, r, p->first, s);
  double c = polynomial(p, p->cosine, p->ncosine, z);
  switch ((int)k % 4) {
  case 0: return c;
  case 1: return -s;
  case 2: return -c;
  default: return s;
  }
}

static double normal(const Precision *p, double u, double v) {
  return fused(p, radius(p, u), cosine_of_turn(p, v), 0);
}

static double unit32(uint32_t w) { return (double)(((float)w + 0.5f) * 0x1p-32f); }

static double draw(const philox4x32_ctr_t *w, bool single, bool is_normal) {
  const uint32_t *v = w->v;
  if (!is_normal) return single ? ((v[0] >> 9) + 0.5) * 0x1p-23 : unit64(v[0], v[1]);
  return single ? normal(&f32, unit32(v[0]), unit32(v[2]))
                : normal(&f64, unit64(v[0], v[1]), unit64(v[2], v[3]));
}

/* Element e of a draw is a function of Philox4x32-10 (Salmon et al. 2011) with key (seed, stream)
   and counter (e low, e high, step low, step high): uniform in (0, 1), or normal by Box and Muller.
 */
void eval_random(const Node *n, double *const *in, double *out) {
  philox4x32_key_t key = {{(uint32_t)(int32_t)in[0][0], (uint32_t)n->attr.i[1]}};
  uint64_t step = (uint64_t)(int64_t)in[1][0];
  for (int64_t e = 0; e < type_count(n->type); e++) {
    philox4x32_ctr_t c = {
        {(uint32_t)e, (uint32_t)((uint64_t)e >> 32), (uint32_t)step, (uint32_t)(step >> 32)}};
    philox4x32_ctr_t w = philox4x32(c, key);
    out[e] = draw(&w, n->type.dtype == DT_F32, n->attr.i[0] == RANDOM_NORMAL);
  }
}

/* Reference form of mlo_shuffle (runtime/mlo_random.h): a Feistel network of 8 rounds on the bits
   of the next power of two, halves of n / 2 and the rest of the bits, walked until it falls below n
   (Black and Rogaway 2002). */
static uint32_t feistel(uint32_t x, int bits, const uint32_t *key) {
  int half[2] = {bits / 2, bits - bits / 2};
  uint32_t part[2] = {(uint32_t)((uint64_t)x >> half[1]),
                      x & (uint32_t)(((uint64_t)1 << half[1]) - 1)};
  for (int round = 0; round < 8; round++) {
    int to = round & 1;
    uint32_t h = (part[1 - to] + 1) * 0x9e3779b1u ^ key[round];
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    part[to] ^= (h >> 15 ^ h) & (uint32_t)(((uint64_t)1 << half[to]) - 1);
  }
  return part[0] << half[1] | part[1];
}

void eval_shuffle(const Node *n, double *const *in, double *out) {
  uint32_t key[8], epoch = (uint32_t)(int32_t)in[1][0], rows = (uint32_t)n->attr.i[0];
  philox4x32_key_t k = {{(uint32_t)(int32_t)in[0][0], (uint32_t)n->attr.i[1]}};
  for (uint32_t half = 0; half < 2; half++) {
    philox4x32_ctr_t c = {{half, 0, epoch, 0}};
    philox4x32_ctr_t w = philox4x32(c, k);
    memcpy(key + 4 * half, w.v, sizeof w.v);
  }
  int bits = 0;
  while ((uint64_t)1 << bits < rows) bits++;
  for (int64_t e = 0; e < type_count(n->type); e++) {
    uint32_t x = (uint32_t)(int32_t)in[2][e];
    bool inside = x < rows;
    while (inside && (x = feistel(x, bits, key)) >= rows) continue;
    out[e] = (double)(int32_t)x;
  }
}
