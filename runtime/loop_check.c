/* The kernel of loops in graphs. */

#include "runtime/loop_check.h"

/* Before the first round and behind each one: counts the rounds, and lets another begin while the
   condition holds and they are fewer than the most. */
const char rt_loop_check_source[] =
    "#ifdef __cplusplus\n"
    "#define MLO_C extern \"C\"\n"
    "#else\n"
    "#define MLO_C extern\n"
    "#endif\n"
    "MLO_C __device__ void cudaGraphSetConditional(unsigned long long handle, unsigned value);\n"
    "MLO_C __global__ void mlo_check(unsigned long long handle, const unsigned char *on,\n"
    "                                int *counter, int most, int first) {\n"
    "  int done = first ? 0 : *counter + 1;\n"
    "  *counter = done;\n"
    "  cudaGraphSetConditional(handle, done < most && *on != 0);\n"
    "}\n";

bool rt_loop_check(RtNvrtc *n, const char *arch, RtImage *out, RtErr *e) {
  return rt_nvrtc_compile(n, rt_loop_check_source, "mlo_check.cu", arch, out, e);
}
