#ifndef MLOC_RUNTIME_MLO_TEAM_H
#define MLOC_RUNTIME_MLO_TEAM_H

/* What the threads of a CUDA block do together: reductions and the solution of linear systems.

   A team is `team` neighbouring threads, a power of two up to 32, or the whole block of MLO_BLOCK.
   All threads of a block call a function together, and all get its result; sums are made in an
   order that depends on `team` alone. `mem` is shared memory, MLO_TEAM_MEM doubles, which nobody may
   write again before the next barrier. */

enum { MLO_TEAM_MEM = 16 };

#define MLO_TEAM(name, type, combine)                                                              \
  MLO_INLINE type name(type v, int team, double *mem) {                                            \
    MLO_UNROLL for (int d = 16; d > 0; d /= 2) {                                                   \
      if (d < team) {                                                                              \
        const type w = __shfl_xor_sync(MLO_WARP, v, d);                                            \
        v = combine(v, w);                                                                         \
      }                                                                                            \
    }                                                                                              \
    if (team <= 32) return v;                                                                      \
    type *part = (type *)mem;                                                                      \
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;                                         \
    __syncthreads();                                                                               \
    v = part[0];                                                                                   \
    MLO_UNROLL for (int i = 1; i < MLO_BLOCK / 32; i++) v = combine(v, part[i]);                   \
    return v;                                                                                      \
  }

#define MLO_PLUS(x, z) ((x) + (z))
#define MLO_PLUS_I32(x, z) ((int32_t)((uint32_t)(x) + (uint32_t)(z)))
MLO_TEAM(mlo_team_sum_f32, float, MLO_PLUS)
MLO_TEAM(mlo_team_sum_f64, double, MLO_PLUS)
MLO_TEAM(mlo_team_sum_i32, int32_t, MLO_PLUS_I32)
MLO_TEAM(mlo_team_max_f32, float, mlo_maxf)
MLO_TEAM(mlo_team_max_f64, double, mlo_max)
MLO_TEAM(mlo_team_max_i32, int32_t, MLO_MAX_I32)

/* The greatest value so far and where it stands: the first of equal ones. Element 0 wins if it is
   NaN, other NaNs never do, as on the CPU. Begins with the least value at INT32_MAX. */
#define MLO_ARGMAX(type, suffix, least, most)                                                      \
  MLO_INLINE void mlo_argmax_##suffix(type *best, int32_t *at, type v, int32_t i) {                \
    if (v != v) v = i == 0 ? most : least;                                                         \
    if (v > *best || (v == *best && i < *at)) {                                                    \
      *best = v;                                                                                   \
      *at = i;                                                                                     \
    }                                                                                              \
  }                                                                                                \
  MLO_INLINE void mlo_team_argmax_##suffix(type *best, int32_t *at, int team, double *mem) {       \
    MLO_UNROLL for (int d = 16; d > 0; d /= 2) {                                                   \
      if (d < team) {                                                                              \
        const type v = __shfl_xor_sync(MLO_WARP, *best, d);                                        \
        const int32_t i = __shfl_xor_sync(MLO_WARP, *at, d);                                       \
        mlo_argmax_##suffix(best, at, v, i);                                                       \
      }                                                                                            \
    }                                                                                              \
    if (team <= 32) return;                                                                        \
    type *value = (type *)mem;                                                                     \
    int32_t *index = (int32_t *)(mem + MLO_BLOCK / 32);                                            \
    if (threadIdx.x % 32 == 0) {                                                                   \
      value[threadIdx.x / 32] = *best;                                                             \
      index[threadIdx.x / 32] = *at;                                                               \
    }                                                                                              \
    __syncthreads();                                                                               \
    MLO_UNROLL for (int i = 0; i < MLO_BLOCK / 32; i++)                                            \
      mlo_argmax_##suffix(best, at, value[i], index[i]);                                           \
  }
MLO_ARGMAX(float, f32, (-INFINITY), INFINITY)
MLO_ARGMAX(double, f64, (-(double)INFINITY), (double)INFINITY)
MLO_ARGMAX(int32_t, i32, (-INT32_MAX - 1), INT32_MAX)

/* True in all threads of the block that is the last of `blocks` to call it with this ticket, which
   is then 0 again. What thread 0, or where `all` any thread, did before it is seen by the last block
   behind it. */
MLO_INLINE bool mlo_last_block(uint32_t *ticket, int32_t blocks, bool all, double *mem) {
  int32_t *last = (int32_t *)mem;
  __threadfence();
  if (all) __syncthreads();
  if (threadIdx.x == 0) {
    const uint32_t before = atomicAdd(ticket, 1u);
    *last = before == (uint32_t)blocks - 1;
    if (*last) *ticket = 0;
  }
  __syncthreads();
  __threadfence();
  return *last != 0;
}

/* x = M^-1 b by LU with partial pivoting, by one block; M is m or its transpose (tm), n x n; b and x
   are n x k, all row-major. a: n x n elements of work. NaN where M is singular. */
#define MLO_SOLVE(type, suffix, abs, nan)                                                          \
  MLO_INLINE void mlo_solve_block_##suffix(bool tm, int32_t n, int32_t k, const type *m,           \
                                           const type *b, type *x, type *a, double *mem) {         \
    const int32_t t = (int32_t)threadIdx.x;                                                        \
    bool regular = true;                                                                           \
    for (int32_t i = t; i < n * n; i += MLO_BLOCK) a[i] = tm ? m[i % n * n + i / n] : m[i];        \
    for (int32_t i = t; i < n * k; i += MLO_BLOCK) x[i] = b[i];                                    \
    __syncthreads();                                                                               \
    for (int32_t c = 0; c < n && regular; c++) {                                                   \
      type best = -1;                                                                              \
      int32_t at = INT32_MAX, w = n - c - 1 + k;                                                   \
      for (int32_t r = c + t; r < n; r += MLO_BLOCK) {                                             \
        const type v = abs(a[r * n + c]);                                                          \
        if (v > best) {                                                                            \
          best = v;                                                                                \
          at = r;                                                                                  \
        }                                                                                          \
      }                                                                                            \
      mlo_team_argmax_##suffix(&best, &at, MLO_BLOCK, mem + c % 2 * MLO_TEAM_MEM);                 \
      regular = best > 0;                                                                          \
      for (int32_t j = t; regular && at != c && j < n + k; j += MLO_BLOCK) {                       \
        type *p = j < n ? a + c * n + j : x + c * k + (j - n);                                     \
        type *q = j < n ? a + at * n + j : x + at * k + (j - n);                                   \
        const type v = *p;                                                                         \
        *p = *q;                                                                                   \
        *q = v;                                                                                    \
      }                                                                                            \
      __syncthreads();                                                                             \
      for (int32_t i = t; regular && i < (n - c - 1) * w; i += MLO_BLOCK) {                        \
        const int32_t r = c + 1 + i / w, j = c + 1 + i % w;                                        \
        const type l = a[r * n + c] / a[c * n + c];                                                \
        if (j < n)                                                                                 \
          a[r * n + j] -= l * a[c * n + j];                                                        \
        else                                                                                       \
          x[r * k + j - n] -= l * x[c * k + j - n];                                                \
      }                                                                                            \
      __syncthreads();                                                                             \
    }                                                                                              \
    for (int32_t c = n - 1; c > 0 && regular; c--) {                                               \
      for (int32_t i = t; i < c * k; i += MLO_BLOCK)                                               \
        x[i] -= a[i / k * n + c] * (x[c * k + i % k] / a[c * n + c]);                              \
      __syncthreads();                                                                             \
    }                                                                                              \
    for (int32_t i = t; i < n * k; i += MLO_BLOCK)                                                 \
      x[i] = regular ? x[i] / a[i / k * n + i / k] : nan;                                          \
  }
MLO_SOLVE(float, f32, fabsf, NAN)
MLO_SOLVE(double, f64, fabs, (double)NAN)

#endif
