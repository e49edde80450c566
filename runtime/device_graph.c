/* Runs statements on a CUDA device. What the steps of the top level do is captured into graphs, so
   that a step is one launch: inner loops are unrolled, their counters are memset nodes. Where that
   would be more than NODES nodes, a graph holds as much of it as fits and is launched as often as
   it takes. Loops with a condition are nodes of their own where that can be (device_loop.c).
   Nothing here waits for the device. */

#include "runtime/device_cuda.h"

#include "runtime/run.h"

#include <stdlib.h>

enum { NODES = 10000 };

CuAddress cuda_address(const Cuda *c, int64_t arg) {
  CuAddress copy = cuda_ahead_place(c, arg);
  if (copy) return copy;
  return arg >= 0 ? cuda_place(c, arg) : c->scratch + (CuAddress)(-1 - arg);
}

/* ---- launches */

/* A kernel that failed makes all later calls fail with its error, the first one by chance. */
static bool launched(RtDevice *d, int result, const char *kernel, const char *func) {
  bool before =
      result >= CU_FAILED_FIRST && result <= CU_FAILED_LAST && result != CU_OUT_OF_RESOURCES;
  if (before)
    return rt_cuda_ok(&d->cuda->api, result, d->err,
                      "%s failed at step %lld, in kernel `%s` of `%s` or before it", d->name,
                      (long long)d->run->step, kernel, func);
  return rt_cuda_ok(&d->cuda->api, result, d->err, "kernel `%s` of `%s` cannot be launched", kernel,
                    func);
}

static bool launch_kernel(RtDevice *d, const MloFunc *f, const MloLaunch *l) {
  Cuda *c = d->cuda;
  if (l->grid == 0) return true; /* of an empty array */
  for (int i = 0; i < l->narg; i++) {
    c->value[i] = cuda_address(c, c->code->arg[l->arg + i]);
    c->parameter[i] = &c->value[i];
  }
  int result = c->api.launch(c->kernel[l->kernel], (unsigned)l->grid, 1, 1, (unsigned)l->block, 1,
                             1, 0, c->stream, c->parameter, NULL);
  return launched(d, result, c->code->kernel[l->kernel], f->name);
}

/* cuBLAS has columns where we have rows: it computes C' = op(B)' op(A)'. */
static bool launch_gemm(RtDevice *d, const MloFunc *f, const MloLaunch *l) {
  static const int compute[] = {BLAS_COMPUTE_32F, BLAS_COMPUTE_32F_FAST_16BF,
                                BLAS_COMPUTE_32F_FAST_TF32};
  Cuda *c = d->cuda;
  const int64_t *arg = c->code->arg + l->arg;
  bool wide = l->dtype == MLO_F64;
  float alpha = (float)l->alpha, beta = (float)l->beta;
  const void *al = wide ? (const void *)&l->alpha : &alpha,
             *be = wide ? (const void *)&l->beta : &beta;
  const void *a = (const void *)(uintptr_t)cuda_address(c, arg[0]),
             *b = (const void *)(uintptr_t)cuda_address(c, arg[1]);
  void *to = (void *)(uintptr_t)cuda_address(c, arg[2]);
  int m = (int)l->m, n = (int)l->n, k = (int)l->k, type = wide ? BLAS_R_64F : BLAS_R_32F,
      how = wide ? BLAS_COMPUTE_64F : compute[l->precision], ta = l->ta ? BLAS_T : BLAS_N,
      tb = l->tb ? BLAS_T : BLAS_N;
  int lda = l->ta ? m : k, ldb = l->tb ? k : n, status;
  if (m == 0 || n == 0 || l->batch == 0) return true;
  if (lda < 1) lda = 1;
  if (ldb < 1) ldb = 1;
  if (l->batch == 1)
    status = c->blas.gemm(c->blas.handle, tb, ta, n, m, k, al, b, type, ldb, a, type, lda, be, to,
                          type, n, how, BLAS_ALGORITHM);
  else
    status = c->blas.gemm_batched(c->blas.handle, tb, ta, n, m, k, al, b, type, ldb, l->stride_b, a,
                                  type, lda, l->stride_a, be, to, type, n, l->stride_c,
                                  (int)l->batch, how, BLAS_ALGORITHM);
  return status == 0 ||
         rt_fail(d->err, RT_DEVICE, "a product %d x %d x %d of `%s` cannot be launched: %s", m, k,
                 n, f->name, c->blas.error(status));
}

static bool launch_copy(RtDevice *d, const MloFunc *f, const MloLaunch *l) {
  Cuda *c = d->cuda;
  const int64_t *arg = c->code->arg + l->arg;
  if (l->bytes == 0) return true;
  return rt_cuda_ok(
      &c->api,
      c->api.within(cuda_address(c, arg[0]), cuda_address(c, arg[1]), (size_t)l->bytes, c->stream),
      d->err, "a copy of `%s` cannot be launched", f->name);
}

static bool launch_fill(RtDevice *d, const MloFunc *f, const MloLaunch *l) {
  Cuda *c = d->cuda;
  if (l->bytes == 0) return true;
  CuAddress at = cuda_address(c, c->code->arg[l->arg]);
  return rt_cuda_ok(&c->api, c->api.fill(at, 0xff, (size_t)l->bytes, c->stream), d->err,
                    "a fill of `%s` cannot be launched", f->name);
}

bool cuda_call(RtDevice *d, const MloFunc *f) {
  static bool (*const launch[])(RtDevice *, const MloFunc *, const MloLaunch *) = {
      launch_kernel, launch_gemm, launch_copy, launch_fill};
  for (int i = f->first; i < f->first + f->n; i++) {
    const MloLaunch *l = &d->cuda->code->launch[i];
    if (!launch[l->kind](d, f, l)) return false;
  }
  return true;
}

static bool set(RtDevice *d, int64_t at, int64_t value) {
  Cuda *c = d->cuda;
  if (at == MLO_NOWHERE) return true;
  int result = c->api.fill_words(cuda_place(c, at), (unsigned)value, 1, c->stream);
  return rt_cuda_ok(&c->api, result, d->err, "a counter cannot be set");
}

static bool advance_counter(RtDevice *d, int64_t at) {
  Cuda *c = d->cuda;
  if (at == MLO_NOWHERE) return true;
  CuAddress address = cuda_place(c, at);
  void *parameter[] = {&address};
  int result = c->api.launch(c->advance, 1, 1, 1, 1, 1, 1, 0, c->stream, parameter, NULL);
  return launched(d, result, "mlo_advance", "the schedule");
}

/* A WHILE has all of its rounds where it is no node: kernels look at the condition themselves. */
bool cuda_statements(RtDevice *d, int first, int end) {
  for (int at = first; at < end; at = d->stmt[at].next) {
    const MloStmt *s = &d->stmt[at];
    if (s->kind == MLO_CALL && !cuda_draw(d, s)) return false;
    if (s->kind != MLO_REPEAT && s->kind != MLO_WHILE) continue;
    int64_t n = rt_rounds(s, d->arena);
    bool node = d->cuda->loops.capturing && cuda_is_loop(d, s);
    if (node && !cuda_capture_loop(d, at)) return false;
    for (int64_t i = 0; i < n && !node; i++)
      if (!set(d, s->counter_at, i) || !cuda_statements(d, at + 1, s->next)) return false;
    if (!set(d, s->counter_at, n)) return false;
  }
  return true;
}

/* ---- pieces */

/* Nodes of one statement, NODES + 1 where there are more. A loop that is a node has its body once,
   two checks and itself. */
static int64_t nodes(const RtDevice *d, int at) {
  const MloStmt *s = &d->stmt[at];
  int64_t body = s->counter_at != MLO_NOWHERE, n = 0;
  if (s->kind == MLO_CALL) n = d->func[s->func].n + cuda_ahead_nodes(d, s);
  if (s->kind == MLO_REPEAT || s->kind == MLO_WHILE) {
    for (int i = at + 1; i < s->next && body <= NODES; i = d->stmt[i].next) body += nodes(d, i);
    n = rt_rounds(s, d->arena);
    if (cuda_is_loop(d, s)) {
      n = 1;
      body += 3;
    }
    n = body && n > NODES / body ? NODES + 1 : n * body + (s->counter_at != MLO_NOWHERE);
  }
  return n > NODES ? NODES + 1 : n;
}

static bool rounds_of(RtDevice *d, const CudaPiece *p) {
  for (int64_t i = 0; i < p->rounds; i++)
    if (!advance_counter(d, p->advance) || !cuda_statements(d, p->first, p->end)) return false;
  return cuda_end_ahead(d);
}

static bool capture(RtDevice *d, CudaPiece *p) {
  Cuda *c = d->cuda;
  CuGraph graph = NULL;
  if (!rt_cuda_ok(&c->api, c->api.begin_capture(c->stream, CU_CAPTURE_THREAD_LOCAL), d->err,
                  "a step cannot be captured"))
    return false;
  c->loops.capturing = c->loops.on;
  bool ok = rounds_of(d, p);
  c->loops.capturing = false;
  int result = c->api.end_capture(c->stream, &graph); /* in any case: it ends what began */
  ok = ok && rt_cuda_ok(&c->api, result, d->err, "a step cannot be captured");
  ok = ok && rt_cuda_ok(&c->api, c->api.instantiate(&p->graph, graph, 0), d->err,
                        "a step's graph cannot be made");
  if (!ok) cuda_forget_ahead(c);
  if (ok && c->loops.on) p->origin = graph;
  if (graph && !p->origin) c->api.graph_free(graph);
  return ok;
}

static CudaPiece *find(Cuda *c, int first, int end, int64_t rounds, int64_t advance) {
  for (int i = c->head[first]; i >= 0; i = c->piece[i].next) {
    CudaPiece *p = &c->piece[i];
    if (p->end == end && p->rounds == rounds && p->advance == advance) return p;
  }
  return NULL;
}

/* Captures with loops as nodes. False where that fails: then it does the rounds one by one. */
static bool capture_loops(RtDevice *d, CudaPiece *p, bool *ok) {
  RtErr why = {0}, *own = d->err;
  d->err = &why;
  bool captured = capture(d, p);
  d->err = own;
  if (captured) return true;
  cuda_give_up_loops(d, &why);
  *ok = rounds_of(d, p);
  return false;
}

static bool again(RtDevice *d, CudaPiece *p) {
  Cuda *c = d->cuda;
  bool ok = true;
  if (!p->graph && c->loops.on && !capture_loops(d, p, &ok)) return ok;
  if (!p->graph && !capture(d, p)) return false;
  return rt_cuda_ok(&c->api, c->api.launch_graph(p->graph, c->stream), d->err,
                    "a step's graph cannot be launched");
}

static bool piece(RtDevice *d, int first, int end, int64_t rounds, int64_t advance) {
  Cuda *c = d->cuda;
  CudaPiece *p = find(c, first, end, rounds, advance);
  if (p) return again(d, p);
  if (c->npiece == c->room) {
    int room = 2 * c->room + 8;
    CudaPiece *more = realloc(c->piece, (size_t)room * sizeof *more);
    if (!more) return rt_fail(d->err, RT_DEVICE, "out of memory");
    c->piece = more;
    c->room = room;
  }
  c->piece[c->npiece] = (CudaPiece){first, end, rounds, advance, NULL, NULL, c->head[first]};
  c->head[first] = c->npiece++;
  return rounds_of(d, &c->piece[c->npiece - 1]);
}

static bool pieces(RtDevice *d, int first, int end, int64_t advance);

/* A loop that does not fit a graph: as many rounds as fit, again and again. The device counts. */
static bool long_loop(RtDevice *d, int at) {
  const MloStmt *s = &d->stmt[at];
  int64_t n = rt_rounds(s, d->arena), body = s->counter_at != MLO_NOWHERE;
  for (int i = at + 1; i < s->next && body <= NODES; i = d->stmt[i].next) body += nodes(d, i);
  int64_t fit = body ? NODES / body : n;
  if (!set(d, s->counter_at, -1)) return false;
  for (int64_t i = 0; fit > 0 && i < n / fit; i++)
    if (!piece(d, at + 1, s->next, fit, s->counter_at)) return false;
  if (fit > 0 && n % fit && !piece(d, at + 1, s->next, n % fit, s->counter_at)) return false;
  for (int64_t i = 0; fit == 0 && i < n; i++)
    if (!pieces(d, at + 1, s->next, s->counter_at)) return false;
  return set(d, s->counter_at, n);
}

static bool pieces(RtDevice *d, int first, int end, int64_t advance) {
  while (first < end || advance != MLO_NOWHERE) {
    int to = first;
    int64_t n = advance != MLO_NOWHERE;
    for (; to < end; to = d->stmt[to].next) {
      int64_t more = nodes(d, to);
      if (n + more > NODES) break;
      n += more;
    }
    if (n > 0 && !piece(d, first, to, 1, advance)) return false;
    advance = MLO_NOWHERE;
    first = to;
    if (first == end || n > 0) continue;
    if (d->stmt[first].kind == MLO_CALL ? !cuda_statements(d, first, d->stmt[first].next)
                                        : !long_loop(d, first))
      return false;
    first = d->stmt[first].next;
  }
  return true;
}

static void drop_pieces(Cuda *c) {
  for (int i = 0; i < c->npiece; i++) {
    CudaPiece *p = &c->piece[i];
    if (p->graph) c->api.graph_exec_free(p->graph);
    if (p->origin) c->api.graph_free(p->origin);
    c->head[p->first] = -1;
  }
  c->npiece = 0;
}

bool cuda_run(RtDevice *d, int first, int end, int64_t advance, bool often) {
  if (!cuda_begin_ahead(d)) return false;
  if (d->cuda->loops.stale) drop_pieces(d->cuda);
  d->cuda->loops.stale = false;
  CudaPiece *p = often ? find(d->cuda, first, end, 1, advance) : NULL;
  if (p) return again(d, p);
  return often ? pieces(d, first, end, advance)
               : advance_counter(d, advance) && cuda_statements(d, first, end) && cuda_end_ahead(d);
}

void cuda_free_pieces(Cuda *c) {
  drop_pieces(c);
  free(c->piece);
  free(c->head);
  c->piece = NULL;
  c->head = NULL;
  c->room = 0;
}
