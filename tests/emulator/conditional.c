/* Conditional nodes of graphs that are loops: handles, nodes, and what a kernel sets. A handle
 * belongs to one graph and one node; only kernels of the graph that runs may set it, one thread a
 * launch. */

#include "tests/emulator/emu.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 10000000 }; /* a loop with more of them never ends */

struct Condition {
  CUgraph graph;    /* that its node must be in; NULL: that graph is gone */
  CUgraphExec exec; /* of which it is a part */
  unsigned value, initial;
  bool assigned; /* gets the initial value at each launch of the graph */
  bool used;
  unsigned long launch; /* the number of the last one that set it */
};

static Condition *condition(unsigned long long handle) {
  return handle > 0 && handle <= (unsigned long long)emu.nconditions ? emu.condition[handle - 1]
                                                                     : NULL;
}

static unsigned long launches(void) { return emu.counts.kernels + emu.counts.graph_kernels; }

void condition_set(unsigned long long handle, unsigned value) {
  Condition *c = condition(handle);
  if (!c || !c->exec || c->exec != emu.running)
    run_fail(CUDA_ERROR_LAUNCH_FAILED, NULL,
             "cudaGraphSetConditional: handle %llu is of no graph that runs", handle);
  if (c->launch == launches())
    run_fail(CUDA_ERROR_LAUNCH_FAILED, NULL,
             "cudaGraphSetConditional: handle %llu is set twice in one launch", handle);
  c->launch = launches();
  c->value = value;
}

void conditions_forget(CUgraph graph) {
  for (int i = 0; i < emu.nconditions; i++)
    if (emu.condition[i]->graph == graph) emu.condition[i]->graph = NULL;
}

void conditions_assign(CUgraphExec exec) {
  for (int i = 0; i < emu.nconditions; i++) {
    Condition *c = emu.condition[i];
    if (c->exec == exec && c->assigned) c->value = c->initial;
  }
}

/* A graph with conditional nodes has one instance at a time. */
bool condition_instantiate(unsigned long long handle, CUgraphExec exec) {
  Condition *c = condition(handle);
  if (c->exec) return false;
  c->exec = exec;
  return true;
}

void conditions_release(CUgraphExec exec) {
  for (int i = 0; i < emu.nconditions; i++)
    if (emu.condition[i]->exec == exec) emu.condition[i]->exec = NULL;
}

CUresult condition_run(const Work *w) {
  CUresult error = CUDA_SUCCESS;
  const Condition *c = condition(w->handle);
  for (int i = 0; c->value && !error; i++) {
    if (i == ROUNDS) {
      fprintf(stderr, "emulator: a loop in a graph does not end\n");
      return CUDA_ERROR_LAUNCH_FAILED;
    }
    emu.counts.loop_rounds++;
    error = graph_run(w->exec);
  }
  return error;
}

API CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *handle, CUgraph graph,
                                            CUcontext context, unsigned initial, unsigned flags) {
  BEGIN();
  CUcontext current = NULL;
  cuCtxGetCurrent(&current);
  if (!handle || !graph || context != current || flags > CU_GRAPH_COND_ASSIGN_DEFAULT)
    return CUDA_ERROR_INVALID_VALUE;
  Condition *c = calloc(1, sizeof *c);
  *c = (Condition){
      .graph = graph, .value = initial, .initial = initial, .assigned = flags, .launch = ~0ul};
  emu.condition = realloc(emu.condition, (size_t)(emu.nconditions + 1) * sizeof(Condition *));
  emu.condition[emu.nconditions++] = c;
  *handle = (CUgraphConditionalHandle)emu.nconditions;
  return CUDA_SUCCESS;
}

#ifndef EMU_REAL_HEADERS
static bool is_empty(const long long *words, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (words[i]) return false;
  return true;
}

/* Of the kinds of nodes there are loops alone. */
API CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before, size_t n,
                            CUgraphNodeParams *p) {
  BEGIN();
  CUcontext current = NULL;
  cuCtxGetCurrent(&current);
  if (!emu.option.conditional) return CUDA_ERROR_NOT_SUPPORTED;
  if (!node || !graph || !p || (n > 0 && !before)) return CUDA_ERROR_INVALID_VALUE;
  if (p->type != CU_GRAPH_NODE_TYPE_CONDITIONAL) return CUDA_ERROR_NOT_SUPPORTED;
  Condition *c = condition(p->conditional.handle);
  if (p->reserved0[0] || p->reserved0[1] || p->reserved0[2] || p->reserved2 ||
      !is_empty(p->reserved1 + sizeof p->conditional / sizeof(long long),
                (sizeof p->reserved1 - sizeof p->conditional) / sizeof(long long)))
    return CUDA_ERROR_INVALID_VALUE;
  if (!c || c->graph != graph || c->used || p->conditional.type != CU_GRAPH_COND_TYPE_WHILE ||
      p->conditional.size != 1 || p->conditional.ctx != current)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < n; i++)
    if (!graph_has(graph, before[i])) return CUDA_ERROR_INVALID_VALUE;
  Work w = {.kind = WORK_LOOP, .handle = p->conditional.handle};
  *node = graph_add(graph, &w, before, n);
  c->used = true;
  (*node)->body = graph_new();
  p->conditional.phGraph_out = &(*node)->body;
  return CUDA_SUCCESS;
}
#endif
