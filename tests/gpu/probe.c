/* What the CUDA device at hand is, and what it can do at best: `probe BYTES SLICE` prints lines of
   a name, a tabulator and a value. copy: GB/s of a copy of that many bytes within the device's
   memory, bytes read and bytes written; node: microseconds that a kernel which does nothing takes
   in a graph of a thousand, one after another; launch: microseconds of launching a graph of one.
   SLICE: seconds that a measurement takes at least. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/cuda_api.h"
#include "runtime/nvrtc.h"
#include "tests/gpu/timing.h"

enum { NODES = 1000 };

typedef struct Probe {
  RtCuda api;
  RtErr e;
  int device;
  char arch[16];
  CuStream stream;
  CuFunction empty;
  CuAddress memory; /* of the copy: twice `bytes` */
  size_t bytes;
  CuGraphExec graph;
} Probe;

static bool ok(Probe *p, int result, const char *what) {
  return rt_cuda_ok(&p->api, result, &p->e, "%s", what);
}

static bool open_device(Probe *p) {
  RtCuda *c = &p->api;
  CuContext context;
  char name[128];
  int driver = 0, major = 0, minor = 0;
  size_t left = 0, total = 0;
  bool good = rt_cuda_api(c, &p->e) && ok(p, c->device(&p->device, 0), "the device") &&
              ok(p, c->device_name(name, sizeof name, p->device), "its name") &&
              ok(p, c->attribute(&major, CU_MAJOR, p->device), "its architecture") &&
              ok(p, c->attribute(&minor, CU_MINOR, p->device), "its architecture") &&
              ok(p, c->version(&driver), "the driver's version") &&
              ok(p, c->retain(&context, p->device), "a context") &&
              ok(p, c->set_context(context), "a context") &&
              ok(p, c->memory(&left, &total), "its memory") &&
              ok(p, c->stream(&p->stream, CU_STREAM_NON_BLOCKING), "a stream");
  if (!good) return false;
  snprintf(p->arch, sizeof p->arch, "sm_%d%d", major, minor);
  printf("device\t%s\narch\t%s\nmemory\t%.1f GB, %.1f GB free\n", name, p->arch,
         1e-9 * (double)total, 1e-9 * (double)left);
  printf("driver\t%d.%d\n", driver / 1000, driver / 10 % 100);
  return true;
}

static bool wait(void *ctx) {
  Probe *p = ctx;
  return ok(p, p->api.wait(p->stream), "the device");
}

/* ---- copies */

static bool ask_copy(void *ctx) {
  Probe *p = ctx;
  return ok(p, p->api.within(p->memory + p->bytes, p->memory, p->bytes, p->stream), "a copy");
}

static bool copy(Probe *p, double slice) {
  if (!ok(p, p->api.allocate(&p->memory, 2 * p->bytes), "memory for copies") ||
      !ok(p, p->api.fill(p->memory, 1, 2 * p->bytes, p->stream), "a fill"))
    return false;
  double seconds = gpu_round(&(Work){ask_copy, wait, p}, slice);
  if (seconds > 0) printf("copy\t%.1f\n", 2e-9 * (double)p->bytes / seconds);
  return ok(p, p->api.free(p->memory), "memory") && seconds > 0;
}

/* ---- empty kernels */

static bool compile(Probe *p) {
  static const char source[] = "#ifdef __cplusplus\nextern \"C\"\n#endif\n"
                               "__global__ void empty(int *p) { (void)p; }\n";
  RtImage image = {0};
  CuModule module;
  RtNvrtc *n = rt_nvrtc_open(&p->e);
  if (!n) return false;
  int version = rt_nvrtc_version(n);
  printf("nvrtc\t%d.%d\n", version / 1000, version / 10 % 100);
  bool good = rt_nvrtc_compile(n, source, "probe.cu", p->arch, &image, &p->e) &&
              ok(p, p->api.load(&module, image.byte), "a kernel") &&
              ok(p, p->api.function(&p->empty, module, "empty"), "a kernel");
  rt_image_free(&image);
  rt_nvrtc_close(n);
  return good;
}

static bool make_graph(Probe *p, int nodes) {
  RtCuda *c = &p->api;
  CuGraph graph;
  CuAddress nothing = 0;
  void *parameter[] = {&nothing};
  if (!ok(p, c->begin_capture(p->stream, CU_CAPTURE_THREAD_LOCAL), "a graph")) return false;
  for (int i = 0; i < nodes; i++)
    if (!ok(p, c->launch(p->empty, 1, 1, 1, 32, 1, 1, 0, p->stream, parameter, NULL), "a kernel"))
      return false;
  return ok(p, c->end_capture(p->stream, &graph), "a graph") &&
         ok(p, c->instantiate(&p->graph, graph, 0), "a graph") &&
         ok(p, c->graph_free(graph), "a graph");
}

static bool ask_graph(void *ctx) {
  Probe *p = ctx;
  return ok(p, p->api.launch_graph(p->graph, p->stream), "a graph");
}

static bool graph(Probe *p, const char *name, int nodes, double slice) {
  if (!make_graph(p, nodes)) return false;
  double seconds = gpu_round(&(Work){ask_graph, wait, p}, slice);
  if (seconds > 0) printf("%s\t%.3f\n", name, 1e6 * seconds / nodes);
  return ok(p, p->api.graph_exec_free(p->graph), "a graph") && seconds > 0;
}

int main(int argc, char **argv) {
  Probe p = {0};
  if (argc != 3) {
    fputs("usage: probe BYTES SLICE\n", stderr);
    return 2;
  }
  double slice = atof(argv[2]);
  p.bytes = (size_t)atoll(argv[1]);
  bool good = open_device(&p) && copy(&p, slice) && compile(&p) &&
              graph(&p, "node", NODES, slice) && graph(&p, "launch", 1, slice);
  if (!good) fprintf(stderr, "probe: %s\n", p.e.text);
  if (p.stream) p.api.stream_free(p.stream);
  rt_cuda_api_close(&p.api);
  return good ? 0 : 1;
}
