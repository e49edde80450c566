/* What this machine's processor can do, by CPUID, and the floating-point mode of the threads. A
   feature counts only where the operating system also saves its registers. */

#include "runtime/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>

enum { EAX, EBX, ECX, EDX };
enum { SAVE_NONE = 0, SAVE_AVX = 0x6, SAVE_AVX512 = 0xe6 }; /* bits of XCR0 */

typedef struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  int reg, bit, save;
  int level; /* of x86-64-v<level>, 0: of none */
} Feature;

static const Feature features[] = {
    {"cx16", 1, 0, ECX, 13, SAVE_NONE, 2},
    {"lahf_lm", 0x80000001, 0, ECX, 0, SAVE_NONE, 2},
    {"popcnt", 1, 0, ECX, 23, SAVE_NONE, 2},
    {"sse3", 1, 0, ECX, 0, SAVE_NONE, 2},
    {"ssse3", 1, 0, ECX, 9, SAVE_NONE, 2},
    {"sse4.1", 1, 0, ECX, 19, SAVE_NONE, 2},
    {"sse4.2", 1, 0, ECX, 20, SAVE_NONE, 2},
    {"avx", 1, 0, ECX, 28, SAVE_AVX, 3},
    {"avx2", 7, 0, EBX, 5, SAVE_AVX, 3},
    {"bmi", 7, 0, EBX, 3, SAVE_NONE, 3},
    {"bmi2", 7, 0, EBX, 8, SAVE_NONE, 3},
    {"f16c", 1, 0, ECX, 29, SAVE_AVX, 3},
    {"fma", 1, 0, ECX, 12, SAVE_AVX, 3},
    {"lzcnt", 0x80000001, 0, ECX, 5, SAVE_NONE, 3},
    {"movbe", 1, 0, ECX, 22, SAVE_NONE, 3},
    {"avx512f", 7, 0, EBX, 16, SAVE_AVX512, 4},
    {"avx512bw", 7, 0, EBX, 30, SAVE_AVX512, 4},
    {"avx512cd", 7, 0, EBX, 28, SAVE_AVX512, 4},
    {"avx512dq", 7, 0, EBX, 17, SAVE_AVX512, 4},
    {"avx512vl", 7, 0, EBX, 31, SAVE_AVX512, 4},
    {"avx512ifma", 7, 0, EBX, 21, SAVE_AVX512, 0},
    {"avx512vbmi", 7, 0, ECX, 1, SAVE_AVX512, 0},
    {"avx512vbmi2", 7, 0, ECX, 6, SAVE_AVX512, 0},
    {"avx512vnni", 7, 0, ECX, 11, SAVE_AVX512, 0},
    {"avx512bitalg", 7, 0, ECX, 12, SAVE_AVX512, 0},
    {"avx512vpopcntdq", 7, 0, ECX, 14, SAVE_AVX512, 0},
    {"avx512vp2intersect", 7, 0, EDX, 8, SAVE_AVX512, 0},
    {"avx512bf16", 7, 1, EAX, 5, SAVE_AVX512, 0},
    {"avxvnni", 7, 1, EAX, 4, SAVE_AVX, 0},
    {"gfni", 7, 0, ECX, 8, SAVE_NONE, 0},
    {"vaes", 7, 0, ECX, 9, SAVE_AVX, 0},
    {"vpclmulqdq", 7, 0, ECX, 10, SAVE_AVX, 0},
    {"adx", 7, 0, EBX, 19, SAVE_NONE, 0},
    {"sha", 7, 0, EBX, 29, SAVE_NONE, 0},
    {"sse4a", 0x80000001, 0, ECX, 6, SAVE_NONE, 0},
    {"fma4", 0x80000001, 0, ECX, 16, SAVE_AVX, 0},
    {"xop", 0x80000001, 0, ECX, 11, SAVE_AVX, 0},
    {"tbm", 0x80000001, 0, ECX, 21, SAVE_NONE, 0},
};
enum { NFEATURE = sizeof features / sizeof *features };

static int saved_registers(void) {
  uint32_t r[4] = {0}, low, high;
  if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[ECX] >> 27 & 1)) return 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (int)low;
}

static bool has(const Feature *f, int saved) {
  uint32_t r[4] = {0};
  if (!__get_cpuid_count(f->leaf, f->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX])) return false;
  return (r[f->reg] >> f->bit & 1) && (saved & f->save) == f->save;
}

size_t mlo_cpu_flags(char *text, size_t size) {
  int saved = saved_registers();
  size_t n = 0;
  text[0] = 0;
  for (int i = 0; i < NFEATURE && n < size; i++)
    if (has(&features[i], saved))
      n += (size_t)snprintf(text + n, size - n, "%s%s", n ? "," : "", features[i].name);
  return n;
}

static bool listed(const char *flags, const char *name) {
  size_t n = strlen(name);
  for (const char *p = flags; (p = strstr(p, name)); p += n)
    if ((p == flags || p[-1] == ',') && (p[n] == ',' || p[n] == 0)) return true;
  return false;
}

bool rt_cpu_has(const char *arch, char *missing, size_t size) {
  const char *flags = strchr(arch, ':');
  int level = 0, saved = saved_registers();
  if (strncmp(arch, "x86-64-v", 8) == 0) level = arch[8] - '0';
  size_t n = 0;
  missing[0] = 0;
  for (int i = 0; i < NFEATURE && n < size; i++) {
    const Feature *f = &features[i];
    bool wanted = (f->level && f->level <= level) || (flags && listed(flags + 1, f->name));
    if (wanted && !has(f, saved))
      n += (size_t)snprintf(missing + n, size - n, "%s%s", n ? ", " : "", f->name);
  }
  return n == 0;
}

void rt_cpu_name(char *text, size_t size) {
  uint32_t r[12] = {0};
  char name[49] = "x86-64";
  if (__get_cpuid(0x80000004, &r[8], &r[9], &r[10], &r[11])) {
    __get_cpuid(0x80000002, &r[0], &r[1], &r[2], &r[3]);
    __get_cpuid(0x80000003, &r[4], &r[5], &r[6], &r[7]);
    memcpy(name, r, 48);
    name[48] = 0;
  }
  const char *p = name + strspn(name, " ");
  snprintf(text, size, "%s", p);
  for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) text[n - 1] = 0;
}

uint32_t rt_float_mode(void) { return _mm_getcsr(); }
void rt_set_float_mode(uint32_t mode) { _mm_setcsr(mode); }
enum { FLUSH = 0x8040 }; /* FTZ and DAZ */

#else

size_t mlo_cpu_flags(char *text, size_t size) {
  if (size) text[0] = 0;
  return 0;
}

bool rt_cpu_has(const char *arch, char *missing, size_t size) {
  (void)arch;
  if (size) missing[0] = 0;
  return true;
}

void rt_cpu_name(char *text, size_t size) { snprintf(text, size, "unknown"); }
uint32_t rt_float_mode(void) { return 0; }
void rt_set_float_mode(uint32_t mode) { (void)mode; }
enum { FLUSH = 0 };

#endif

int rt_threads_start(int nthread) {
  if (nthread > 0) omp_set_num_threads(nthread);
#pragma omp parallel
  rt_set_float_mode(rt_float_mode() | FLUSH);
  return omp_get_max_threads();
}
