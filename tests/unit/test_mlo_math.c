/* Accuracy of the elementary functions against long double, over all exponents and signs, in units
   of the last place; special values; integer division. */

#include "test_files.h"

#include "runtime/cpu.h"
#include "runtime/mlo_math.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

static uint64_t next(uint64_t *s) {
  *s += 0x9e3779b97f4a7c15;
  uint64_t z = (*s ^ *s >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/* Error of a in units of the last of `digits` places; tiny: smallest normal. Results below it may
   be flushed to zero and count as right when they are within it. */
static double ulps(long double a, long double exact, int digits, long double tiny,
                   long double huge) {
  int e;
  if (isnan(a) || isnan(exact)) return isnan(a) && isnan(exact) ? 0 : 1e30;
  if (fabsl(exact) > huge) return isinf(a) && (a > 0) == (exact > 0) ? 0 : 1e30;
  if (isinf(a)) return 1e30;
  if (fabsl(exact) < tiny && fabsl(a) <= tiny) return 0;
  frexpl(exact, &e);
  return (double)(fabsl(a - exact) / ldexpl(1, e - digits));
}

static double ulps32(float a, long double exact) {
  return ulps(a, exact, 24, FLT_MIN, (long double)FLT_MAX * (1 + 0x1p-25L));
}

static double ulps64(double a, long double exact) {
  return ulps(a, exact, 53, DBL_MIN, (long double)DBL_MAX * (1 + 0x1p-54L));
}

static long double sigmoidl(long double x) { return 1 / (1 + expl(-x)); }
static long double softplusl(long double x) {
  return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x));
}

typedef struct Case32 {
  const char *name;
  float (*f)(float);
  long double (*exact)(long double);
  float limit; /* |x| up to here */
  double bound;
} Case32;

typedef struct Case64 {
  const char *name;
  double (*f)(double);
  long double (*exact)(long double);
  double bound;
} Case64;

static void test_f32(void **state) {
  (void)state;
  static const Case32 c[] = {
      {"exp", mlo_expf, expl, INFINITY, 1.5},
      {"expm1", mlo_expm1f, expm1l, INFINITY, 2},
      {"log", mlo_logf, logl, INFINITY, 1.5},
      {"log1p", mlo_log1pf, log1pl, INFINITY, 2},
      {"tanh", mlo_tanhf, tanhl, INFINITY, 3},
      {"sigmoid", mlo_sigmoidf, sigmoidl, INFINITY, 2.5},
      {"erf", mlo_erff, erfl, INFINITY, 3},
      {"softplus", mlo_softplusf, softplusl, INFINITY, 2.5},
      {"sin", mlo_sinf, sinl, 1e9f, 2},
      {"cos", mlo_cosf, cosl, 1e9f, 2},
  };
  for (size_t k = 0; k < sizeof c / sizeof *c; k++)
    for (uint64_t i = 0; i < 1ull << 32; i += 9973) {
      float x = mlo_bits_f32((uint32_t)i);
      if (fabsf(x) > c[k].limit) continue;
      double u = ulps32(c[k].f(x), c[k].exact((long double)x));
      if (u > c[k].bound) fail_msg("%s(%a): %g ulp", c[k].name, (double)x, u);
    }
}

static void test_f64(void **state) {
  (void)state;
  static const Case64 c[] = {
      {"exp", mlo_exp, expl, 1.5},
      {"expm1", mlo_expm1, expm1l, 2.5},
      {"log", mlo_log, logl, 1.5},
      {"log1p", mlo_log1p, log1pl, 2},
      {"tanh", mlo_tanh, tanhl, 3},
      {"sigmoid", mlo_sigmoid, sigmoidl, 2.5},
      {"softplus", mlo_softplus, softplusl, 2.5},
      {"sin", mlo_sin, sinl, 1},
      {"cos", mlo_cos, cosl, 1},
      {"erf", mlo_erf, erfl, 1.5},
  };
  for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
    uint64_t s = 1;
    for (int i = 0; i < 200000; i++) {
      double x = i & 1 ? mlo_bits_f64(next(&s))
                       : ldexp((double)(int64_t)next(&s), -63 - 20 + (int)(next(&s) % 32));
      if ((k == 7 || k == 8) && fabs(x) > 1e6) continue; /* long double's own reduction ends */
      double u = ulps64(c[k].f(x), c[k].exact((long double)x));
      if (u > c[k].bound) fail_msg("%s(%a): %g ulp", c[k].name, x, u);
    }
  }
}

/* Committed values, computed with 40 digits. */
static void test_values(void **state) {
  (void)state;
  assert_true(ulps32(mlo_expf(1), 2.718281828459045235360287471352662498L) < 1);
  assert_true(ulps64(mlo_exp(-1.5), 0.2231301601484298289332804707640125213L) < 1);
  assert_true(ulps64(mlo_log(10), 2.302585092994045684017991454684364208L) < 1);
  assert_true(ulps64(mlo_tanh(0.5), 0.4621171572600097585023184836436725487L) < 2);
  assert_true(ulps64(mlo_softplus(0), 0.6931471805599453094172321214581765681L) < 2);
  assert_true(ulps64(mlo_sigmoid(2), 0.8807970779778824440597291413023967953L) < 2);
  assert_true(ulps32(mlo_erff(0.75f), 0.7111556336535151315989378345914107774L) < 2);
  assert_true(ulps32(mlo_sinf(2), 0.9092974268256816953960198659117448427L) < 2);
}

static void test_special(void **state) {
  (void)state;
  assert_true(mlo_expf(INFINITY) == INFINITY && mlo_expf(-INFINITY) == 0 && isnan(mlo_expf(NAN)));
  assert_true(mlo_exp(INFINITY) == INFINITY && mlo_exp(-INFINITY) == 0 && isnan(mlo_exp(NAN)));
  assert_true(mlo_expm1f(-INFINITY) == -1 && mlo_expm1(-INFINITY) == -1);
  assert_true(mlo_logf(0) == -INFINITY && isnan(mlo_logf(-1)) && mlo_logf(INFINITY) == INFINITY);
  assert_true(mlo_log(0) == -INFINITY && isnan(mlo_log(-1)) && isnan(mlo_log(NAN)));
  assert_true(mlo_log1pf(-1) == -INFINITY && isnan(mlo_log1pf(-2)) && mlo_log1p(-1) == -INFINITY);
  assert_true(mlo_tanhf(INFINITY) == 1 && mlo_tanh(-INFINITY) == -1 && isnan(mlo_tanhf(NAN)));
  assert_true(mlo_sigmoidf(INFINITY) == 1 && mlo_sigmoidf(-INFINITY) == 0 &&
              isnan(mlo_sigmoid(NAN)));
  assert_true(mlo_softplusf(INFINITY) == INFINITY && mlo_softplus(-INFINITY) == 0);
  assert_true(isnan(mlo_softplusf(NAN)) && isnan(mlo_softplus(NAN)) && isnan(mlo_erff(NAN)));
  assert_true(mlo_erff(INFINITY) == 1 && mlo_erff(-INFINITY) == -1 && signbit(mlo_tanhf(-0.0f)));
  assert_true(isnan(mlo_sinf(INFINITY)) && isnan(mlo_cosf(NAN)) && isnan(mlo_sinf(2e9f)));
  assert_true(isnan(mlo_maxf(NAN, 1)) && isnan(mlo_maxf(1, NAN)) && mlo_maxf(1, 2) == 2);
  assert_true(isnan(mlo_min(NAN, 1)) && isnan(mlo_min(1, NAN)) && mlo_min(1, 2) == 1);
  assert_true(mlo_signf(-3) == -1 && mlo_sign(0) == 0 && mlo_sign(5) == 1);
}

static bool same(float a, float b) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return a == b && signbit(a) == signbit(b);
}

static void test_pow(void **state) {
  (void)state;
  static const float v[] = {0,    -0.0f, 1,      -1,     2,    -2,       3,         -3, .5f,
                            -.5f, 1e30f, -1e30f, 1e-30f, 3e9f, INFINITY, -INFINITY, NAN};
  enum { N = sizeof v / sizeof *v };
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      float a = mlo_powf(v[i], v[j]), b = powf(v[i], v[j]);
      if (!same(a, b) && !(isfinite(b) && ulps32(a, b) <= 1.5))
        fail_msg("pow(%g, %g) = %g, not %g", (double)v[i], (double)v[j], (double)a, (double)b);
    }
  uint64_t s = 5;
  for (int i = 0; i < 200000; i++) {
    float x = mlo_bits_f32((uint32_t)next(&s)), y = ldexpf((float)(int32_t)next(&s), -28);
    double u = ulps32(mlo_powf(x, y), powl(x, y));
    if (u > 1.5) fail_msg("pow(%a, %a): %g ulp", (double)x, (double)y, u);
  }
}

static void test_division(void **state) {
  (void)state;
  static const int c[][4] = {{7, 3, 2, 1},    {-7, 3, -3, 2}, {7, -3, -3, -2},
                             {-7, -3, 2, -1}, {6, 3, 2, 0},   {-6, 3, -2, 0},
                             {0, 5, 0, 0},    {5, 0, 0, 0},   {5, -1, -5, 0}};
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    assert_int_equal(mlo_idiv_i32(c[i][0], c[i][1]), c[i][2]);
    assert_int_equal(mlo_mod_i32(c[i][0], c[i][1]), c[i][3]);
    if (c[i][1] == 0) continue;
    assert_true(mlo_idivf((float)c[i][0], (float)c[i][1]) == (float)c[i][2]);
    assert_true(mlo_mod(c[i][0], c[i][1]) == c[i][3]);
    assert_true(mlo_modf((float)c[i][0], (float)c[i][1]) == (float)c[i][3]);
  }
  assert_int_equal(mlo_idiv_i32(INT32_MIN, -1), INT32_MIN);
  const double x[] = {2.9, -2.9, 5e10, -5e10, 2147483647.5, -2147483648.5, (double)NAN};
  const int32_t want[] = {2, -2, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, 0};
  for (int i = 0; i < 7; i++) {
    assert_int_equal(mlo_i32(x[i]), want[i]);
    assert_int_equal(mlo_i32f((float)x[i]), want[i]);
  }
  assert_int_equal(mlo_mod_i32(INT32_MIN, -1), 0);
}

/* To `bits` explicit bits in doubles, where quotients by powers of two are exact and rint takes the
   even of two; below the smallest normal number the last bit stays where it is there. */
static float rounded(float x, int bits) {
  int e;
  if (isnan(x) || isinf(x)) return x;
  frexp(x, &e);
  double unit = ldexp(1, (e < FLT_MIN_EXP ? FLT_MIN_EXP : e) - 1 - bits);
  double y = rint((double)x / unit) * unit;
  return fabs(y) > (double)FLT_MAX ? copysignf(INFINITY, x) : (float)y;
}

static void check_rounding(uint32_t u) {
  float x = mlo_bits_f32(u), y[] = {mlo_bf16f(x), mlo_tf32f(x)};
  static const int bits[] = {7, 10};
  for (int i = 0; i < 2; i++) {
    uint32_t got = mlo_f32_bits(y[i]), want = mlo_f32_bits(rounded(x, bits[i]));
    bool fits = isnan(x) ? isnan(y[i]) && got >> 31 == u >> 31 : got == want;
    if (!fits || got << (9 + bits[i]))
      fail_msg("%08x to %d bits: %08x, not %08x", u, bits[i], got, want);
  }
}

/* Everywhere, and around all numbers that end in the half of a last bit or begin a new one. */
static void test_rounding(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 1ull << 32; i += 997) check_rounding((uint32_t)i);
  for (uint32_t i = 0; i < 1u << 20; i++)
    for (uint32_t d = 0; d < 3; d++) check_rounding((i << 12) + d - 1);
  static const struct {
    uint32_t x, bf16, tf32;
  } c[] = {
      {0x3f808000, 0x3f800000, 0x3f808000}, /* a tie, down */
      {0x3f818000, 0x3f820000, 0x3f818000}, /* a tie, up */
      {0x3f808001, 0x3f810000, 0x3f808000}, /* above a tie */
      {0xbf801000, 0xbf800000, 0xbf800000}, /* a tie of TF32, down */
      {0xbf803000, 0xbf800000, 0xbf804000}, /* a tie of TF32, up */
      {0x00018000, 0x00020000, 0x00018000}, /* denormal */
      {0x007fffff, 0x00800000, 0x00800000}, /* denormal to the smallest normal number */
      {0x80000001, 0x80000000, 0x80000000}, /* to -0 */
      {0x7f7f7fff, 0x7f7f0000, 0x7f7f8000}, /* the largest that stays finite in bf16 */
      {0x7f7f8000, 0x7f800000, 0x7f7f8000}, /* the first that does not */
      {0x7f7fffff, 0x7f800000, 0x7f800000}, {0xff800000, 0xff800000, 0xff800000},
      {0x7f800001, 0x7fc00000, 0x7fc00000}, /* NaN whose only bit is the last */
      {0xffc12345, 0xffc10000, 0xffc12000},
  };
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    float x = mlo_bits_f32(c[i].x);
    assert_int_equal(mlo_f32_bits(mlo_bf16f(x)), c[i].bf16);
    assert_int_equal(mlo_f32_bits(mlo_tf32f(x)), c[i].tf32);
  }
}

/* As runs do, whose threads take denormals for zero: vectors of them, too. */
static void test_rounding_keeps_denormals(void **state) {
  (void)state;
  float x[37], y[37];
  uint32_t mode = rt_float_mode();
  for (uint32_t i = 0; i < 37; i++) x[i] = mlo_bits_f32(i << 31 | i * 0x22223);
  rt_set_float_mode(mode | 0x8040);
#pragma omp simd
  for (int i = 0; i < 37; i++) y[i] = mlo_bf16f(x[i]);
  rt_set_float_mode(mode);
  for (int i = 0; i < 37; i++) assert_int_equal(mlo_f32_bits(y[i]), mlo_f32_bits(rounded(x[i], 7)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_f32),      cmocka_unit_test(test_f64),
      cmocka_unit_test(test_values),   cmocka_unit_test(test_special),
      cmocka_unit_test(test_pow),      cmocka_unit_test(test_division),
      cmocka_unit_test(test_rounding), cmocka_unit_test(test_rounding_keeps_denormals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
