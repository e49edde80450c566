/* Philox against the known answers that its authors publish; the moments of what is made of it;
   normal numbers against committed bits and against long double. */

#include "test_files.h"

#include "runtime/mlo_random.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static void test_known_answers(void **state) {
  (void)state;
  /* Counter and key all zeros, all ones, and digits of pi. */
  static const struct {
    uint32_t seed, stream;
    uint64_t step, element;
    uint32_t out[4];
  } c[] = {
      {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {0xffffffff,
       0xffffffff,
       UINT64_MAX,
       UINT64_MAX,
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0xa4093822,
       0x299f31d0,
       0x0370734413198a2e,
       0x85a308d3243f6a88,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (int i = 0; i < 3; i++) {
    MloWords w = mlo_philox(c[i].seed, c[i].stream, c[i].step, c[i].element);
    const uint32_t got[4] = {w.w0, w.w1, w.w2, w.w3};
    assert_memory_equal(got, c[i].out, sizeof got);
  }
}

static void test_like_random123(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 1000; i++) {
    philox4x32_ctr_t c = {{i * 77777, i, i * 1234567, i + 3}};
    philox4x32_key_t k = {{i * 31337, i ^ 99}};
    philox4x32_ctr_t r = philox4x32(c, k);
    MloWords w = mlo_philox(k.v[0], k.v[1], (uint64_t)c.v[3] << 32 | c.v[2],
                            (uint64_t)c.v[1] << 32 | c.v[0]);
    assert_true(r.v[0] == w.w0 && r.v[1] == w.w1 && r.v[2] == w.w2 && r.v[3] == w.w3);
  }
}

static void test_open_interval(void **state) {
  (void)state;
  assert_true(mlo_unit(0, 0) > 0 && mlo_unit(UINT32_MAX, UINT32_MAX) < 1);
  assert_true(((float)(UINT32_MAX >> 9) + 0.5f) * 0x1p-23f < 1);
  for (uint64_t i = 0; i < 100000; i++) {
    float u = mlo_uniformf(3, 1, 4, i);
    double v = mlo_uniform(3, 1, 4, i);
    assert_true(u > 0 && u < 1 && v > 0 && v < 1);
    assert_true(fabs(u - v) <= 0x1p-23); /* both precisions draw the same number */
    assert_true(fabs((double)mlo_normalf(3, 1, 4, i) - mlo_normal(3, 1, 4, i)) < 1e-2);
  }
}

static void test_moments(void **state) {
  (void)state;
  enum { N = 1000000 };
  double m1 = 0, m2 = 0, m4 = 0, u1 = 0, u2 = 0, lag = 0, last = 0;
  for (uint64_t i = 0; i < N; i++) {
    double z = mlo_normalf(42, 7, 0, i), u = mlo_uniformf(42, 8, 0, i) - 0.5;
    m1 += z;
    m2 += z * z;
    m4 += z * z * z * z;
    u1 += u;
    u2 += u * u;
    lag += z * last;
    last = z;
  }
  /* Five standard errors: 5 sqrt(variance / N). */
  assert_true(fabs(m1 / N) < 0.005 && fabs(m2 / N - 1) < 0.0071 && fabs(m4 / N - 3) < 0.05);
  assert_true(fabs(u1 / N) < 0.0015 && fabs(u2 / N - 1 / 12.0) < 0.0004 && fabs(lag / N) < 0.005);
}

/* ---- normal numbers */

/* |x - exact| in units in the last place of exact, of `digits` bits. */
static double units(long double x, long double exact, int digits) {
  int e;
  frexpl(exact, &e);
  return (double)(fabsl(x - exact) / ldexpl(1, e - digits));
}

/* Bits, and the exact values of sqrt(-2 log u) cos(2 pi v) at the u and v of either precision,
   computed with 50 digits by mpmath and a Philox of its own. */
static void test_known_normals(void **state) {
  (void)state;
  static const struct {
    uint32_t seed, stream;
    uint64_t step, element;
    float x;
    double z;
    long double exact_x, exact_z;
  } c[] = {
      {0, 0, 0, 0, -0x1.f1bcfcp-4f, -0x1.f1bcd549837c3p-4, -0.1215181256225726079339837L,
       -0.1215179759530818129097559L},
      {1, 0, 0, 1, -0x1.c327dep-1f, -0x1.c327de4fc7eeap-1, -0.8811635687207363028834205L,
       -0.8811635467900178154513306L},
      {42, 7, 3, 1000, -0x1.30ee84p+0f, -0x1.30ee84416b234p+0, -1.191139495343528824838259L,
       -1.191139474841418330540453L},
      {0xffffffff, 12, 77, 123456789, -0x1.b5454p-2f, -0x1.b54541e92e314p-2,
       -0.427021971425515632271803L, -0.4270220087596936318306431L},
      {2024, 3, 0x100000000, 0x200000005, -0x1.aea056p-1f, -0x1.aea0595f0da97p-1,
       -0.8410670012419132766183019L, -0.8410671165973606863086318L},
      {7, 1, 0, 65535, 0x1.f3671ep-3f, 0x1.f3670e837da46p-3, 0.2438490179217525941485734L,
       0.2438489087941936561460731L},
  };
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    float x = mlo_normalf(c[i].seed, c[i].stream, c[i].step, c[i].element);
    double z = mlo_normal(c[i].seed, c[i].stream, c[i].step, c[i].element);
    if (x != c[i].x || z != c[i].z) fail_msg("normal %d: %a and %a", (int)i, (double)x, z);
    assert_true(units(x, c[i].exact_x, 24) < 3.5 && units(z, c[i].exact_z, 53) < 3.5);
  }
}

/* What is special: the largest u, 1 in f32, and quarters of a turn give 0 without a sign; the
   smallest u the largest numbers. */
static void test_ends(void **state) {
  (void)state;
  const float x[] = {mlo_box_mullerf(1, 0.75f), mlo_box_mullerf(1, 0.5f),
                     mlo_box_mullerf(0.5f, 0.25f), mlo_box_mullerf(0.5f, 0.75f)};
  const double z[] = {mlo_box_muller(1, 0.75), mlo_box_muller(1, 0.5), mlo_box_muller(0.5, 0.25),
                      mlo_box_muller(0.5, 0.75)};
  for (int i = 0; i < 4; i++)
    assert_true(x[i] == 0 && !signbit(x[i]) && z[i] == 0 && !signbit(z[i]));
  assert_true(mlo_box_mullerf(0x1p-33f, 1) == 0x1.b0e08ep+2f);
  assert_true(mlo_box_muller(0x1p-53, 0.5) == -0x1.124b2800eda48p+3);
  assert_true(mlo_unit32(UINT32_MAX) == 1 && mlo_unit32(0) == 0x1p-33f);
}

/* cos(2 pi v), the turns reduced exactly. */
static long double cosine_of_turn(long double v) {
  static const long double quarter = 1.570796326794896619231321691639751442L;
  long double k = rintl(4 * v), r = quarter * (4 * v - k);
  switch ((int)k % 4) {
  case 0: return cosl(r);
  case 1: return -sinl(r);
  case 2: return -cosl(r);
  default: return sinl(r);
  }
}

static long double root(long double u) { return sqrtl(-2 * logl(u)); }

/* Relative error; of 0, that it is 0. */
static double relative(long double x, long double exact) {
  return exact == 0 ? x != 0 : (double)fabsl((x - exact) / exact);
}

static uint64_t next(uint64_t *s) {
  *s += 0x9e3779b97f4a7c15;
  uint64_t z = (*s ^ *s >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/* A fraction near 0, near 1, near a multiple of 1/8, or anywhere. */
static double fraction(uint64_t *s) {
  uint64_t w = next(s), shift = 1 + next(s) % 51, kind = next(s) % 4;
  if (kind == 1) w >>= shift;
  if (kind == 2) w = ~(w >> shift);
  if (kind == 3) w = (w << 61) + ((w >> 63 ? w : ~w + 1) >> 3 >> shift);
  return mlo_unit((uint32_t)(w >> 32), (uint32_t)w);
}

/* The bounds of mlo_normal.h. */
static void test_accuracy(void **state) {
  (void)state;
  for (uint32_t i = 0x2f000000; i <= 0x3f800000; i += 101) { /* 2^-33 to 1 */
    float u = mlo_bits_f32(i);
    assert_true(relative(mlo_radiusf(u), root(u)) < 1.7 * 0x1p-24);
    assert_true(relative(mlo_cos_turnf(u), cosine_of_turn(u)) < 1.3 * 0x1p-24);
  }
  uint64_t s = 1;
  for (int i = 0; i < 1000000; i++) {
    double u = fraction(&s);
    assert_true(relative(mlo_radius(u), root(u)) < 1.7 * 0x1p-53);
    assert_true(relative(mlo_cos_turn(u), cosine_of_turn(u)) < 1.3 * 0x1p-53);
  }
  for (uint64_t i = 0; i < 500000; i++) {
    MloWords w = mlo_philox(9, 8, 7, i);
    long double x = root(mlo_unit32(w.w0)) * cosine_of_turn(mlo_unit32(w.w2));
    long double z = root(mlo_unit(w.w0, w.w1)) * cosine_of_turn(mlo_unit(w.w2, w.w3));
    assert_true(units(mlo_normalf(9, 8, 7, i), x, 24) < 3.5);
    assert_true(units(mlo_normal(9, 8, 7, i), z, 53) < 3.5);
  }
}

static void test_independence(void **state) {
  (void)state;
  double a = mlo_uniform(1, 2, 3, 4);
  assert_true(a == mlo_uniform(1, 2, 3, 4));
  assert_true(a != mlo_uniform(2, 2, 3, 4) && a != mlo_uniform(1, 3, 3, 4));
  assert_true(a != mlo_uniform(1, 2, 4, 4) && a != mlo_uniform(1, 2, 3, 5));
}

static bool is_permutation(uint32_t seed, uint32_t stream, uint32_t epoch, uint32_t n) {
  uint8_t *seen = calloc(n, 1);
  assert_non_null(seen);
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) {
    int32_t x = mlo_shuffle(seed, stream, epoch, n, (int32_t)i);
    ok = ok && x >= 0 && (uint32_t)x < n && !seen[x];
    if (ok) seen[x] = 1;
  }
  free(seen);
  return ok;
}

static void test_shuffle_permutes(void **state) {
  (void)state;
  for (uint32_t n = 1; n < 300; n++)
    for (uint32_t epoch = 0; epoch < 5; epoch++) assert_true(is_permutation(n, 3, epoch, n));
  for (uint32_t k = 9; k < 18; k++)
    for (uint32_t n = (1u << k) - 1; n <= (1u << k) + 1; n++)
      assert_true(is_permutation(1, 2, 3, n));
  assert_int_equal(mlo_shuffle(1, 2, 3, 10, 10), 10);
  assert_int_equal(mlo_shuffle(1, 2, 3, 10, -1), -1);
  int32_t last = mlo_shuffle(1, 2, 3, INT32_MAX, INT32_MAX - 1);
  assert_true(last >= 0 && last < INT32_MAX);
}

/* How many of 1000 rows keep their place from one shuffle to another: about one. */
static int fixed(uint32_t seed, uint32_t stream, uint32_t epoch) {
  int n = 0;
  for (int32_t i = 0; i < 1000; i++)
    n += mlo_shuffle(7, 1, 0, 1000, i) == mlo_shuffle(seed, stream, epoch, 1000, i);
  return n;
}

static void test_shuffle_differs(void **state) {
  (void)state;
  assert_int_equal(fixed(7, 1, 0), 1000);
  assert_true(fixed(8, 1, 0) < 10 && fixed(7, 2, 0) < 10 && fixed(7, 1, 1) < 10);
}

/* Where a row goes and where its neighbour goes are spread evenly: chi squared over 10 x 10 cells
   with 99 degrees of freedom has mean 99 and standard deviation 14; and every order of three rows
   comes up about equally often. */
static void test_shuffle_is_even(void **state) {
  (void)state;
  enum { N = 1000, EPOCHS = 200 };
  int cell[100] = {0}, order[27] = {0};
  for (uint32_t e = 0; e < EPOCHS; e++)
    for (int32_t i = 0; i + 1 < N; i += 2) {
      int32_t a = mlo_shuffle(5, 9, e, N, i), b = mlo_shuffle(5, 9, e, N, i + 1);
      cell[a / 100 * 10 + b / 100]++;
    }
  double expected = EPOCHS * N / 200.0, chi = 0;
  for (int i = 0; i < 100; i++) chi += (cell[i] - expected) * (cell[i] - expected) / expected;
  assert_true(chi > 30 && chi < 190);
  for (uint32_t e = 0; e < 6000; e++)
    order[mlo_shuffle(5, 9, e, 3, 0) * 9 + mlo_shuffle(5, 9, e, 3, 1) * 3 +
          mlo_shuffle(5, 9, e, 3, 2)]++;
  int found = 0;
  for (int i = 0; i < 27; i++) {
    if (!order[i]) continue;
    found++;
    assert_true(order[i] > 800 && order[i] < 1200);
  }
  assert_int_equal(found, 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers),   cmocka_unit_test(test_like_random123),
      cmocka_unit_test(test_open_interval),   cmocka_unit_test(test_moments),
      cmocka_unit_test(test_independence),    cmocka_unit_test(test_shuffle_permutes),
      cmocka_unit_test(test_shuffle_differs), cmocka_unit_test(test_shuffle_is_even),
      cmocka_unit_test(test_known_normals),   cmocka_unit_test(test_ends),
      cmocka_unit_test(test_accuracy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
