/* Loops as conditional nodes of graphs on the emulated driver: what they do, and what breaks their
 * rules. Each scene runs in a process of its own. */

#include "tests/emulator/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(call) NEED((call) == CUDA_SUCCESS)

static const char SOURCE[] =
    "#ifdef __cplusplus\n#define C extern \"C\"\n#else\n#define C extern\n#endif\n"
    "C __device__ void cudaGraphSetConditional(unsigned long long handle, unsigned value);\n"
    "C __global__ void set(unsigned long long handle, int *left) {\n"
    "  cudaGraphSetConditional(handle, *left > 0);\n}\n"
    "C __global__ void take(int *left, int *sum) {\n  *left -= 1;\n  *sum += 1;\n}\n"
    "C __global__ void begin(int *left) { *left = 3; }\n";

typedef struct Scenery {
  Driver d;
  CUcontext context;
  CUstream outer, inner;
  CUfunction set, take, begin;
  CUdeviceptr left, sum;
} Scenery;

static void open_scenery(Scenery *s) {
  const int32_t numbers[2] = {0, 0};
  driver_open(&s->d);
  OK(s->d.cuDevicePrimaryCtxRetain(&s->context, 0));
  OK(s->d.cuStreamCreate(&s->outer, CU_STREAM_NON_BLOCKING));
  OK(s->d.cuStreamCreate(&s->inner, CU_STREAM_NON_BLOCKING));
  CUmodule m = driver_compile(&s->d, SOURCE, "loops");
  s->set = driver_function(&s->d, m, "set");
  s->take = driver_function(&s->d, m, "take");
  s->begin = driver_function(&s->d, m, "begin");
  s->left = driver_buffer(&s->d, numbers, 4);
  s->sum = driver_buffer(&s->d, numbers, 4);
}

static void launch(const Scenery *s, CUfunction f, unsigned threads, void *first, void *second,
                   CUstream stream) {
  void *argument[] = {first, second};
  OK(s->d.cuLaunchKernel(f, 1, 1, 1, threads, 1, 1, 0, stream, argument, NULL));
}

static CUgraphNodeParams params(const Scenery *s, CUgraphConditionalHandle handle) {
  CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
  p.conditional.handle = handle;
  p.conditional.type = CU_GRAPH_COND_TYPE_WHILE;
  p.conditional.size = 1;
  p.conditional.ctx = s->context;
  return p;
}

/* left = 3; while (left > 0) left--, sum++; as a graph. The handle is set by so many threads. */
static CUgraph loop(const Scenery *s, CUgraphConditionalHandle *handle, unsigned threads) {
  CUgraph g, graph;
  CUgraphNode node;
  const CUgraphNode *before;
  CUstreamCaptureStatus status;
  size_t n;
  OK(s->d.cuStreamBeginCapture_v2(s->outer, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  launch(s, s->begin, 1, (void *)&s->left, NULL, s->outer);
  OK(s->d.cuStreamGetCaptureInfo_v2(s->outer, &status, NULL, &g, NULL, NULL));
  NEED(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
  OK(s->d.cuGraphConditionalHandleCreate(handle, g, s->context, 1, CU_GRAPH_COND_ASSIGN_DEFAULT));
  OK(s->d.cuStreamGetCaptureInfo_v2(s->outer, &status, NULL, &g, &before, &n));
  NEED(n == 1);
  CUgraphNodeParams p = params(s, *handle);
  OK(s->d.cuGraphAddNode(&node, g, before, n, &p));
  OK(s->d.cuStreamUpdateCaptureDependencies(s->outer, &node, 1,
                                            CU_STREAM_SET_CAPTURE_DEPENDENCIES));
  CUgraph body = p.conditional.phGraph_out[0];
  OK(s->d.cuStreamBeginCaptureToGraph(s->inner, body, NULL, NULL, 0,
                                      CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  launch(s, s->take, 1, (void *)&s->left, (void *)&s->sum, s->inner);
  launch(s, s->set, threads, handle, (void *)&s->left, s->inner);
  OK(s->d.cuStreamEndCapture(s->inner, &graph));
  NEED(graph == body);
  OK(s->d.cuStreamEndCapture(s->outer, &graph));
  NEED(graph == g);
  return g;
}

static int number(const Scenery *s, CUdeviceptr at) {
  int32_t x;
  OK(s->d.cuMemcpyDtoH_v2(&x, at, sizeof x));
  return x;
}

/* The default value lets the first round begin at each launch. */
static void loops_body(const void *data) {
  Scenery s;
  CUgraphConditionalHandle handle;
  CUgraphExec exec;
  EmuCounts n;
  (void)data;
  open_scenery(&s);
  CUgraph g = loop(&s, &handle, 1);
  OK(s.d.cuGraphInstantiateWithFlags(&exec, g, 0));
  for (int i = 1; i <= 2; i++) {
    OK(s.d.cuGraphLaunch(exec, s.outer));
    OK(s.d.cuStreamSynchronize(s.outer));
    NEED(number(&s, s.sum) == 3 * i && number(&s, s.left) == 0);
  }
  s.d.emu_counts(&n);
  NEED(n.loop_rounds == 6);
  OK(s.d.cuGraphExecDestroy(exec));
  OK(s.d.cuGraphDestroy(g));
}

/* One instance at a time, no copies; a handle is of its graph and one node. */
static void rules_body(const void *data) {
  Scenery s;
  CUgraphConditionalHandle handle, other;
  CUgraphExec exec, again;
  CUgraph graph;
  CUgraphNode node;
  (void)data;
  open_scenery(&s);
  CUgraph g = loop(&s, &handle, 1);
  CUgraphNodeParams p = params(&s, handle);
  NEED(s.d.cuGraphAddNode(&node, g, NULL, 0, &p) == CUDA_ERROR_INVALID_VALUE); /* used already */
  OK(s.d.cuGraphInstantiateWithFlags(&exec, g, 0));
  NEED(s.d.cuGraphInstantiateWithFlags(&again, g, 0) == CUDA_ERROR_INVALID_VALUE);
  OK(s.d.cuGraphExecDestroy(exec));
  OK(s.d.cuGraphInstantiateWithFlags(&again, g, 0));
  OK(s.d.cuGraphCreate(&graph, 0));
  NEED(s.d.cuGraphAddChildGraphNode(&node, graph, NULL, 0, g) == CUDA_ERROR_NOT_SUPPORTED);
  OK(s.d.cuGraphConditionalHandleCreate(&other, g, s.context, 0, 0));
  p = params(&s, other);
  NEED(s.d.cuGraphAddNode(&node, graph, NULL, 0, &p) ==
       CUDA_ERROR_INVALID_VALUE); /* not its graph */
  p.conditional.ctx = NULL;
  NEED(s.d.cuGraphAddNode(&node, g, NULL, 0, &p) == CUDA_ERROR_INVALID_VALUE);
  p = params(&s, other);
  p.reserved2 = 1;
  NEED(s.d.cuGraphAddNode(&node, g, NULL, 0, &p) == CUDA_ERROR_INVALID_VALUE);
  NEED(s.d.cuGraphConditionalHandleCreate(&other, g, NULL, 0, 0) == CUDA_ERROR_INVALID_VALUE);
}

/* Outside of its graph, and by two threads of one launch: the launch fails. */
static void outside_body(const void *data) {
  Scenery s;
  CUgraphConditionalHandle handle;
  CUgraphExec exec;
  (void)data;
  open_scenery(&s);
  CUgraph g = loop(&s, &handle, 1);
  OK(s.d.cuGraphInstantiateWithFlags(&exec, g, 0));
  void *argument[] = {&handle, &s.left};
  s.d.cuLaunchKernel(s.set, 1, 1, 1, 1, 1, 1, 0, s.outer, argument, NULL);
  NEED(s.d.cuStreamSynchronize(s.outer) == CUDA_ERROR_LAUNCH_FAILED);
}

static void twice_body(const void *data) {
  Scenery s;
  CUgraphConditionalHandle handle;
  CUgraphExec exec;
  (void)data;
  open_scenery(&s);
  CUgraph g = loop(&s, &handle, 2);
  OK(s.d.cuGraphInstantiateWithFlags(&exec, g, 0));
  s.d.cuGraphLaunch(exec, s.outer);
  NEED(s.d.cuStreamSynchronize(s.outer) == CUDA_ERROR_LAUNCH_FAILED);
}

static void none_body(const void *data) {
  Scenery s;
  CUgraphConditionalHandle handle;
  CUgraph g;
  CUgraphNode node;
  (void)data;
  open_scenery(&s);
  OK(s.d.cuGraphCreate(&g, 0));
  OK(s.d.cuGraphConditionalHandleCreate(&handle, g, s.context, 0, 0));
  CUgraphNodeParams p = params(&s, handle);
  NEED(s.d.cuGraphAddNode(&node, g, NULL, 0, &p) == CUDA_ERROR_NOT_SUPPORTED);
}

static void expect(void (*body)(const void *), const char *variable, const char *value,
                   const char *said) {
  char text[8192];
  Scene s = {.variable = {{variable, value}}, .body = body};
  if (!variable) s.variable[0][0] = "MLO_EMU_STATS", s.variable[0][1] = "0";
  int code = scene_run(&s, text, sizeof text);
  if (code || !strstr(text, said)) fail_msg("exit code %d: %s", code, text);
}

static void test_loops(void **state) {
  (void)state;
  expect(loops_body, NULL, NULL, "");
  expect(loops_body, "MLO_EMU_LAZY", "1", "");
  expect(loops_body, "MLO_EMU_ORDER", "reverse", "");
  expect(loops_body, "MLO_EMU_CHECK", "1", "");
}

static void test_rules(void **state) {
  (void)state;
  expect(rules_body, NULL, NULL, "");
  expect(outside_body, NULL, NULL,
         "set: block 0, thread 0: cudaGraphSetConditional: handle 1 is of "
         "no graph that runs");
  expect(twice_body, NULL, NULL, "handle 1 is set twice in one launch");
  expect(none_body, "MLO_EMU_CONDITIONAL", "0", "");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_loops), cmocka_unit_test(test_rules)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
