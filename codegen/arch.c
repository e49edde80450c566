/* Architectures of CUDA devices, and how many blocks a multiprocessor holds.

   Limits: CUDA C++ Programming Guide 13.0, "Compute Capabilities", table of technical
   specifications; cuda_occupancy.h of the toolkit. All have 65536 registers a multiprocessor, in
   four parts, given to warps in units of 256. Rates: NVIDIA's data sheets and white papers, at
   boost clocks: T4, A100 80GB SXM, A10, L40S, H100 SXM, HGX B200 (an eighth of it), RTX 5090. */
#include "codegen/arch.h"

#include <stddef.h>
#include <string.h>

enum { KB = 1024, WARP = 32, PARTS = 4, PART_REGISTERS = 16384, REGISTER_UNIT = 256 };
enum { MOST_THREADS = 1024, MOST_REGISTERS = 255, MOST_SHARED = 48 * KB }; /* of a block */

/* name, threads, blocks, shared, reserved, shared_unit, device, processors, bandwidth, f32, f64,
 * bf16, tf32 */
static const Arch archs[] = {
    {"sm_75", 1024, 16, 64 * KB, 0, 256, "T4", 40, 320e9, 8.1e12, 0.253e12, 8.1e12, 8.1e12},
    {"sm_80", 2048, 32, 164 * KB, KB, 128, "A100 SXM", 108, 2039e9, 19.5e12, 9.7e12, 312e12,
     156e12},
    {"sm_86", 1536, 16, 100 * KB, KB, 128, "A10", 72, 600e9, 31.2e12, 0.488e12, 125e12, 62.5e12},
    {"sm_89", 1536, 24, 100 * KB, KB, 128, "L40S", 142, 864e9, 91.6e12, 1.43e12, 362e12, 183e12},
    {"sm_90", 2048, 32, 228 * KB, KB, 128, "H100 SXM", 132, 3350e9, 67e12, 34e12, 989e12, 495e12},
    {"sm_100", 2048, 32, 228 * KB, KB, 128, "B200", 148, 7700e9, 75e12, 37e12, 2250e12, 1125e12},
    {"sm_120", 1536, 24, 100 * KB, KB, 128, "RTX 5090", 170, 1792e9, 104.8e12, 1.64e12, 209.5e12,
     104.8e12},
};
enum { NARCH = sizeof archs / sizeof *archs };

const Arch *arch_at(int i) { return i >= 0 && i < NARCH ? &archs[i] : NULL; }

const Arch *arch_find(const char *name) {
  for (int i = 0; i < NARCH; i++)
    if (!strcmp(archs[i].name, name)) return &archs[i];
  return NULL;
}

const char *limit_name(Limit l) {
  static const char *const names[NLIMIT] = {[LIMIT_THREADS] = "threads",
                                            [LIMIT_BLOCKS] = "blocks",
                                            [LIMIT_REGISTERS] = "registers",
                                            [LIMIT_SHARED] = "shared memory"};
  return names[l];
}

static int64_t round_up(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }

/* A block whose warps were spread over all parts must fit as well. */
static int64_t by_registers(int64_t warps, int64_t registers) {
  int64_t warp = round_up(registers * WARP, REGISTER_UNIT);
  if (registers > MOST_REGISTERS || warp * round_up(warps, PARTS) > PARTS * PART_REGISTERS)
    return 0;
  return warp ? PART_REGISTERS / warp * PARTS / warps : INT32_MAX;
}

static int64_t by_shared(const Arch *a, int64_t shared) {
  int64_t block = round_up(shared + a->reserved, a->shared_unit);
  if (shared > MOST_SHARED) return 0;
  return block ? a->shared / block : INT32_MAX;
}

Occupancy occupancy(const Arch *a, int threads, int64_t registers, int64_t shared) {
  int64_t warps = threads > 0 ? (threads + WARP - 1) / WARP : 1;
  int64_t most[NLIMIT] = {[LIMIT_THREADS] = threads > MOST_THREADS ? 0 : a->threads / WARP / warps,
                          [LIMIT_BLOCKS] = a->blocks,
                          [LIMIT_REGISTERS] = by_registers(warps, registers),
                          [LIMIT_SHARED] = by_shared(a, shared)};
  Limit least = 0;
  for (Limit l = 1; l < NLIMIT; l++)
    if (most[l] < most[least]) least = l;
  int blocks = (int)most[least];
  return (Occupancy){blocks, (double)(blocks * warps) * WARP / a->threads, least};
}
