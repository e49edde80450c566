/* Mathematics that NVRTC knows without a header: C's, and the fast variants, which are exact here.
 * Stands behind kernel.h. */
#define EMU_MATH1(name)                                                                            \
  double name(double);                                                                             \
  float name##f(float);
#define EMU_MATH2(name)                                                                            \
  double name(double, double);                                                                     \
  float name##f(float, float);
EMU_MATH1(sqrt)
EMU_MATH1(cbrt)
EMU_MATH1(exp) EMU_MATH1(exp2) EMU_MATH1(expm1) EMU_MATH1(exp10) EMU_MATH1(log) EMU_MATH1(log2)
    EMU_MATH1(log10) EMU_MATH1(log1p) EMU_MATH1(logb) EMU_MATH1(sin) EMU_MATH1(cos) EMU_MATH1(tan)
        EMU_MATH1(asin) EMU_MATH1(acos) EMU_MATH1(atan) EMU_MATH1(sinh) EMU_MATH1(cosh)
            EMU_MATH1(tanh) EMU_MATH1(asinh) EMU_MATH1(acosh) EMU_MATH1(atanh) EMU_MATH1(erf)
                EMU_MATH1(erfc) EMU_MATH1(tgamma) EMU_MATH1(lgamma) EMU_MATH1(floor) EMU_MATH1(ceil)
                    EMU_MATH1(trunc) EMU_MATH1(rint) EMU_MATH1(round) EMU_MATH1(nearbyint)
                        EMU_MATH1(fabs) EMU_MATH2(pow) EMU_MATH2(fmod) EMU_MATH2(remainder)
                            EMU_MATH2(atan2) EMU_MATH2(hypot) EMU_MATH2(fmin) EMU_MATH2(fmax)
                                EMU_MATH2(fdim) EMU_MATH2(copysign)
                                    EMU_MATH2(nextafter) double fma(double, double, double);
float fmaf(float, float, float);
double ldexp(double, int);
float ldexpf(float, int);
double frexp(double, int *);
float frexpf(float, int *);
double scalbn(double, int);
float scalbnf(float, int);
int ilogb(double);
int ilogbf(float);
double modf(double, double *);
float modff(float, float *);
long lrint(double);
long lrintf(float);
long lround(double);
long lroundf(float);
long long llrint(double);
long long llrintf(float);
int abs(int);
long labs(long);
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x) __builtin_signbit(x)
#define __expf expf
#define __logf logf
#define __powf powf
#define __sinf sinf
#define __cosf cosf
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1 / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
/* Never contracted into a fused operation, as on a device. */
static inline float __fadd_rn(float a, float b) {
  volatile float r = a + b;
  return r;
}
static inline float __fmul_rn(float a, float b) {
  volatile float r = a * b;
  return r;
}
static inline double __dadd_rn(double a, double b) {
  volatile double r = a + b;
  return r;
}
static inline double __dmul_rn(double a, double b) {
  volatile double r = a * b;
  return r;
}
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
