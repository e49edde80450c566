/* CUDA C for a C11 compiler: what NVRTC knows without any header. Stands before the kernel's text,
 * behind core.h, and is compiled without an include path, as NVRTC has none. */

__attribute__((visibility("hidden"))) const EmuCore *emu_core;

#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#define __CUDA_ARCH__ EMU_ARCH

/* The two unknown attributes are found by the scanner (scan.c), which also numbers the sections. */
#define __global__ __attribute__((emu_kernel, noinline))
#define __launch_bounds__(n, ...) __attribute__((emu_bounds(n)))
#define __shared__ static __attribute__((used, section("emu_shared_0000")))
#define __device__
#define __host__
#define __constant__ const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))

#define threadIdx (emu_core->thread)
#define blockIdx (emu_core->block)
#define blockDim (emu_core->block_dim)
#define gridDim (emu_core->grid_dim)
#define warpSize 32

typedef __SIZE_TYPE__ size_t;
#define bool _Bool
#define true 1
#define false 0
#define NULL ((void *)0)

typedef struct __align__(8) float2 {
  float x, y;
}
float2;
typedef struct __align__(16) float4 {
  float x, y, z, w;
}
float4;
typedef struct __align__(16) double2 {
  double x, y;
}
double2;
typedef struct __align__(8) int2 {
  int x, y;
}
int2;
typedef struct __align__(16) int4 {
  int x, y, z, w;
}
int4;
typedef struct __align__(16) uint4 {
  unsigned x, y, z, w;
}
uint4;
static inline float2 make_float2(float x, float y) {
  float2 r = {x, y};
  return r;
}
static inline double2 make_double2(double x, double y) {
  double2 r = {x, y};
  return r;
}
static inline int2 make_int2(int x, int y) {
  int2 r = {x, y};
  return r;
}
static inline float4 make_float4(float x, float y, float z, float w) {
  float4 r = {x, y, z, w};
  return r;
}
static inline int4 make_int4(int x, int y, int z, int w) {
  int4 r = {x, y, z, w};
  return r;
}

/* Bits. */
#define EMU_CAST(name, To, From)                                                                   \
  static inline To name(From value) {                                                              \
    union {                                                                                        \
      From from;                                                                                   \
      To to;                                                                                       \
    } u;                                                                                           \
    u.from = value;                                                                                \
    return u.to;                                                                                   \
  }
EMU_CAST(__float_as_int, int, float)
EMU_CAST(__int_as_float, float, int)
EMU_CAST(__float_as_uint, unsigned, float)
EMU_CAST(__uint_as_float, float, unsigned)
EMU_CAST(__double_as_longlong, long long, double)
EMU_CAST(__longlong_as_double, double, long long)
EMU_CAST(emu_u64_of_f64, unsigned long long, double)
EMU_CAST(emu_f64_of_u64, double, unsigned long long)
static inline unsigned long long emu_u64_of_f32(float x) { return __float_as_uint(x); }
static inline float emu_f32_of_u64(unsigned long long u) { return __uint_as_float((unsigned)u); }
static inline unsigned long long emu_u64_of_i64(long long x) { return (unsigned long long)x; }
static inline int emu_i32_of_u64(unsigned long long u) { return (int)u; }
static inline unsigned emu_u32_of_u64(unsigned long long u) { return (unsigned)u; }
static inline long long emu_i64_of_u64(unsigned long long u) { return (long long)u; }
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return (unsigned)(((unsigned long long)a * b) >> 32);
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }

/* Threads of a block and of a warp. */
#define EMU_SITE                                                                                   \
  ({                                                                                               \
    static const EmuSite emu_site_ = {__FILE__, __LINE__};                                         \
    &emu_site_;                                                                                    \
  })
static inline unsigned long long emu_warp(EmuWarpOp op, unsigned mask, unsigned long long value,
                                          unsigned source, const EmuSite *site) {
  EmuWarpCall call = {op, mask, value, source};
  return emu_core->warp(call, site);
}
static inline unsigned emu_down(unsigned d) {
  return emu_core->lane + d < 32 ? emu_core->lane + d : emu_core->lane;
}
static inline unsigned emu_up(unsigned d) {
  return emu_core->lane >= d ? emu_core->lane - d : emu_core->lane;
}
#define EMU_BITS(v)                                                                                \
  _Generic((v), float : emu_u64_of_f32, double : emu_u64_of_f64, default : emu_u64_of_i64)(v)
#define EMU_UNBITS(v)                                                                              \
  _Generic((v), float                                                                              \
           : emu_f32_of_u64, double                                                                \
           : emu_f64_of_u64, int                                                                   \
           : emu_i32_of_u64, unsigned                                                              \
           : emu_u32_of_u64, default                                                               \
           : emu_i64_of_u64)
#define EMU_SHFL(mask, v, lane)                                                                    \
  EMU_UNBITS(v)(emu_warp(EMU_SHUFFLE, mask, EMU_BITS(v), lane, EMU_SITE))
#define __shfl_sync(mask, v, l) EMU_SHFL(mask, v, (unsigned)(l)&31)
#define __shfl_xor_sync(mask, v, d) EMU_SHFL(mask, v, emu_core->lane ^ (unsigned)(d))
#define __shfl_down_sync(mask, v, d) EMU_SHFL(mask, v, emu_down(d))
#define __shfl_up_sync(mask, v, d) EMU_SHFL(mask, v, emu_up(d))
#define __ballot_sync(mask, c) ((unsigned)emu_warp(EMU_BALLOT, mask, (c) != 0, 0, EMU_SITE))
#define __any_sync(mask, c) ((int)emu_warp(EMU_ANY, mask, (c) != 0, 0, EMU_SITE))
#define __all_sync(mask, c) ((int)emu_warp(EMU_ALL, mask, (c) != 0, 0, EMU_SITE))
#define EMU_MASK(unused, mask, ...) mask
#define __syncwarp(...)                                                                            \
  ((void)emu_warp(EMU_SYNCWARP, EMU_MASK(0, ##__VA_ARGS__, 0xffffffffu), 0, 0, EMU_SITE))
#define __syncthreads() emu_core->barrier(EMU_SITE)
#define __threadfence() emu_core->fence(EMU_SITE)
#define __threadfence_block() ((void)0)
#define atomicAdd(at, value) emu_core->atomic_add(at, value, EMU_SITE)
#define __ldg(at) (*(at))
#define __builtin_assume(c) ((void)0)
