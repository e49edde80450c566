/* Graphs: nodes with what must run before them. An instantiated graph is a list of work in one
 * order that the nodes allow: the first, last or any node that may run next, by the order of the
 * options, so that a missing dependency shows. */

#include "tests/emulator/emu.h"

#include <stdlib.h>
#include <string.h>

struct CUgraphExec_st {
  Work *work;
  int n;
};

CUgraph graph_new(void) { return calloc(1, sizeof(struct CUgraph_st)); }

void graph_free(CUgraph g) {
  if (g) conditions_forget(g);
  for (int i = 0; g && i < g->n; i++) {
    work_clear(&g->node[i]->work);
    graph_free(g->node[i]->child);
    graph_free(g->node[i]->body);
    free(g->node[i]->before);
    free(g->node[i]);
  }
  if (g) free(g->node);
  free(g);
}

CUgraphNode graph_add(CUgraph g, Work *w, const CUgraphNode *before, size_t n) {
  CUgraphNode node = calloc(1, sizeof *node);
  node->work = *w;
  node->before = malloc((n + 1) * sizeof *before);
  if (n) memcpy(node->before, before, n * sizeof *before);
  node->nbefore = (int)n;
  node->place = g->n;
  g->node = realloc(g->node, (size_t)(g->n + 1) * sizeof node);
  return g->node[g->n++] = node;
}

/* The node may be of another graph, or none any more. */
bool graph_has(CUgraph g, CUgraphNode node) {
  for (int i = 0; i < g->n; i++)
    if (g->node[i] == node) return true;
  return false;
}

/* Graphs with loops can be neither copied nor be nodes. */
static bool has_loop(CUgraph g) {
  bool found = false;
  for (int i = 0; i < g->n && !found; i++)
    found = g->node[i]->body || (g->node[i]->child && has_loop(g->node[i]->child));
  return found;
}

static CUgraph graph_copy(CUgraph g) {
  CUgraph c = graph_new();
  for (int i = 0; i < g->n; i++) {
    Work w = work_copy(&g->node[i]->work);
    CUgraphNode node = graph_add(c, &w, g->node[i]->before, (size_t)g->node[i]->nbefore);
    if (g->node[i]->child) node->child = graph_copy(g->node[i]->child);
  }
  for (int i = 0; i < c->n; i++)
    for (int k = 0; k < c->node[i]->nbefore; k++)
      c->node[i]->before[k] = c->node[c->node[i]->before[k]->place];
  return c;
}

/* The node that runs next, of those whose dependencies are done; -1: none. */
static int choose(CUgraph g, const bool *done) {
  int chosen = -1, candidates = 0;
  for (int i = 0; i < g->n; i++) {
    bool ready = !done[i];
    for (int k = 0; k < g->node[i]->nbefore && ready; k++)
      ready = done[g->node[i]->before[k]->place];
    if (!ready) continue;
    candidates++;
    if (chosen < 0 || emu.option.order == ORDER_REVERSE ||
        (emu.option.order == ORDER_RANDOM && run_draw() % (unsigned)candidates == 0))
      chosen = i;
    if (emu.option.order == ORDER_FORWARD) break;
  }
  return chosen;
}

static bool append(CUgraphExec e, CUgraph g, CUgraphExec whole);

/* A loop as part of an instance: its body is a list of its own. */
static bool append_loop(CUgraphExec e, CUgraphNode node, CUgraphExec whole) {
  Work *w = &e->work[e->n - 1];
  w->exec = calloc(1, sizeof *w->exec);
  return condition_instantiate(w->handle, whole) && append(w->exec, node->body, whole);
}

/* Appends the graph's work in an order that it allows; false: it has a cycle, or a loop that is in
 * another instance. whole: what is instantiated. */
static bool append(CUgraphExec e, CUgraph g, CUgraphExec whole) {
  bool *done = calloc((size_t)g->n + 1, sizeof *done), ok = true;
  for (int i = 0; i < g->n && ok; i++) {
    int k = choose(g, done);
    if (!(ok = k >= 0)) break;
    done[k] = true;
    if (g->node[k]->child) {
      ok = append(e, g->node[k]->child, whole);
      continue;
    }
    e->work = realloc(e->work, (size_t)(e->n + 1) * sizeof *e->work);
    e->work[e->n++] = work_copy(&g->node[k]->work);
    if (g->node[k]->body) ok = append_loop(e, g->node[k], whole);
  }
  free(done);
  return ok;
}

CUresult graph_run(CUgraphExec exec) {
  CUresult error = CUDA_SUCCESS;
  for (int i = 0; i < exec->n && !error; i++) error = work_run(&exec->work[i], true);
  return error;
}

static void exec_free(CUgraphExec e) {
  for (int i = 0; i < e->n; i++) {
    if (e->work[i].kind == WORK_LOOP) exec_free(e->work[i].exec);
    work_clear(&e->work[i]);
  }
  conditions_release(e);
  free(e->work);
  free(e);
}

API CUresult cuGraphCreate(CUgraph *graph, unsigned flags) {
  BEGIN();
  if (!graph || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *graph = graph_new();
  return CUDA_SUCCESS;
}

API CUresult cuGraphDestroy(CUgraph graph) {
  BEGIN();
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  graph_free(graph);
  return CUDA_SUCCESS;
}

API CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                         unsigned long long flags) {
  BEGIN();
  (void)flags;
  if (!exec || !graph) return CUDA_ERROR_INVALID_VALUE;
  *exec = calloc(1, sizeof **exec);
  if (append(*exec, graph, *exec)) return CUDA_SUCCESS;
  exec_free(*exec);
  *exec = NULL;
  return CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuGraphExecDestroy(CUgraphExec exec) {
  BEGIN();
  if (!exec) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = stream_finish(NULL);
  exec_free(exec);
  return error;
}

API CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  BEGIN();
  (void)stream;
  return exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  BEGIN();
  if (!exec) return CUDA_ERROR_INVALID_VALUE;
  CUstream s = stream_of(stream);
  Work w = {.kind = WORK_GRAPH, .exec = exec};
  if (s->capture == CU_STREAM_CAPTURE_STATUS_NONE) return stream_submit(stream, &w);
  CUresult error = CUDA_SUCCESS;
  for (int i = 0; i < exec->n && !error; i++) {
    if (exec->work[i].kind == WORK_LOOP) return CUDA_ERROR_NOT_SUPPORTED;
    w = work_copy(&exec->work[i]);
    error = capture_add(s, &w);
  }
  return error;
}

API CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *node, size_t *n) {
  BEGIN();
  if (!graph || !n) return CUDA_ERROR_INVALID_VALUE;
  if (node) {
    size_t fits = *n < (size_t)graph->n ? *n : (size_t)graph->n;
    for (size_t i = 0; i < *n; i++) node[i] = i < fits ? graph->node[i] : NULL;
    *n = fits;
  } else {
    *n = (size_t)graph->n;
  }
  return CUDA_SUCCESS;
}

/* Adds w, which must stand behind nodes of the same graph. */
static CUresult add(CUgraphNode *node, CUgraph g, const CUgraphNode *before, size_t n, Work *w) {
  bool ok = node && g && (before || n == 0);
  for (size_t i = 0; ok && i < n; i++) ok = graph_has(g, before[i]);
  if (!ok) return work_clear(w), CUDA_ERROR_INVALID_VALUE;
  *node = graph_add(g, w, before, n);
  return CUDA_SUCCESS;
}

API CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                 size_t n) {
  BEGIN();
  return add(node, graph, before, n, &(Work){.kind = WORK_EMPTY});
}

API CUresult cuGraphAddChildGraphNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                      size_t n, CUgraph child) {
  BEGIN();
  if (child && has_loop(child)) return CUDA_ERROR_NOT_SUPPORTED;
  if (!child || child == graph) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = add(node, graph, before, n, &(Work){.kind = WORK_EMPTY});
  if (!error) (*node)->child = graph_copy(child);
  return error;
}

API CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                     size_t n, const CUDA_KERNEL_NODE_PARAMS_v2 *params) {
  BEGIN();
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  Work w;
  CUresult error = kernel_work(params, &w);
  return error ? error : add(node, graph, before, n, &w);
}

API CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                  size_t n, const CUDA_MEMSET_NODE_PARAMS *params,
                                  CUcontext context) {
  BEGIN();
  (void)context;
  if (!params || (params->elementSize != 1 && params->elementSize != 2 && params->elementSize != 4))
    return CUDA_ERROR_INVALID_VALUE;
  Work w = {.kind = WORK_FILL,
            .to = (char *)(uintptr_t)params->dst,
            .value = params->value,
            .element = params->elementSize,
            .n = params->width * params->elementSize};
  if (params->height != 1 || w.n == 0 || params->dst % w.element != 0 || !region_of(w.to, w.n))
    return CUDA_ERROR_INVALID_VALUE;
  return add(node, graph, before, n, &w);
}

API CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from,
                                       const CUgraphNode *to, const CUgraphEdgeData *edge,
                                       size_t n) {
  BEGIN();
  (void)edge;
  if (!graph || ((!from || !to) && n > 0)) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < n; i++)
    if (!graph_has(graph, from[i]) || !graph_has(graph, to[i])) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < n; i++) {
    CUgraphNode node = to[i];
    node->before = realloc(node->before, (size_t)(node->nbefore + 1) * sizeof *node->before);
    node->before[node->nbefore++] = from[i];
  }
  return CUDA_SUCCESS;
}

#ifndef EMU_REAL_HEADERS
API CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                    size_t n) {
  return cuGraphAddDependencies_v2(graph, from, to, NULL, n);
}
#endif
