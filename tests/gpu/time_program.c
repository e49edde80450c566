/* A generated program on the CUDA device that the runtime has opened for it. After its schedule has
   run, prints
       step <tab> seconds <tab> kernels <tab> products <tab> other nodes
   of a step of the top level, which is one graph, reports left out, and where GPU_TIME is
   `launches` launch <tab> kernel <tab> seconds <tab> blocks <tab> threads of each of its launches
   by itself. GPU_SLICE: seconds that a measurement takes at least. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device.h"
#include "runtime/run.h"
#include "tests/bench/bench.h"
#include "tests/gpu/timing.h"

const MloProgram *bench_program(void);

/* Statements of the schedule that are asked for as a piece. */
typedef struct Piece {
  RtDevice *d;
  int first, end;
  int64_t advance;
} Piece;

static bool ask(void *ctx) {
  Piece *p = ctx;
  return p->d->type->run(p->d, p->first, p->end, p->advance, true);
}

static bool wait(void *ctx) { return ((Piece *)ctx)->d->type->wait(((Piece *)ctx)->d); }

static double seconds_of(RtDevice *d, int first, int end, int64_t advance) {
  const char *slice = getenv("GPU_SLICE");
  Piece p = {d, first, end, advance};
  return gpu_round(&(Work){ask, wait, &p}, slice ? atof(slice) : 0.02);
}

/* Nodes of a graph. */
typedef struct Nodes {
  int64_t kernel, product, other;
} Nodes;

static Nodes nodes_of(const RtDevice *d, int first, int end);

static Nodes nodes_at(const RtDevice *d, int at) {
  const MloStmt *s = &d->stmt[at];
  const MloDevice *code = d->run->program->cuda;
  Nodes n = {0};
  if (s->kind == MLO_CALL)
    for (int i = d->func[s->func].first, end = i + d->func[s->func].n; i < end; i++) {
      MloLaunchKind kind = code->launch[i].kind;
      n.kernel += kind == MLO_KERNEL && code->launch[i].grid > 0;
      n.product += kind == MLO_GEMM;
      n.other += kind == MLO_COPY || kind == MLO_FILL;
    }
  if (s->kind == MLO_REPEAT || s->kind == MLO_WHILE) {
    Nodes body = nodes_of(d, at + 1, s->next);
    int64_t rounds = rt_rounds(s, d->arena), counts = s->counter_at != MLO_NOWHERE;
    n = (Nodes){rounds * body.kernel, rounds * body.product,
                rounds * (body.other + counts) + counts};
  }
  return n;
}

static Nodes nodes_of(const RtDevice *d, int first, int end) {
  Nodes sum = {0};
  for (int i = first; i < end; i = d->stmt[i].next) {
    Nodes n = nodes_at(d, i);
    sum = (Nodes){sum.kernel + n.kernel, sum.product + n.product, sum.other + n.other};
  }
  return sum;
}

static bool time_step(RtDevice *d, int nstmt) {
  int top = 0;
  while (top < nstmt && !d->stmt[top].top) top++;
  if (top == nstmt) {
    fputs("time_program: the program takes no steps\n", stderr);
    return false;
  }
  const MloStmt *s = &d->stmt[top];
  Nodes n = nodes_of(d, top + 1, s->next);
  double seconds = seconds_of(d, top + 1, s->next, s->counter_at);
  n.kernel += s->counter_at != MLO_NOWHERE; /* which advances the counter */
  printf("step\t%.9g\t%lld\t%lld\t%lld\n", seconds, (long long)n.kernel, (long long)n.product,
         (long long)n.other);
  return seconds > 0;
}

static bool time_launches(RtDevice *d, int nstmt) {
  const MloDevice *code = d->run->program->cuda;
  for (int i = 0; i < code->nlaunch; i++) {
    const MloLaunch *l = &code->launch[i];
    double seconds = seconds_of(d, nstmt + i, nstmt + i + 1, MLO_NOWHERE);
    if (seconds < 0) return false;
    printf("launch\t%s\t%.9g\t%d\t%d\n", d->func[d->stmt[nstmt + i].func].name, seconds, l->grid,
           l->block);
  }
  return true;
}

static int measure(MloRun *run, unsigned char *arena) {
  RtDevice *d = &run->device;
  const char *what = getenv("GPU_TIME");
  if (!d->cuda) {
    fputs("time_program: not on a CUDA device\n", stderr);
    return RT_DEVICE;
  }
  d->nstmt = bench_program()->cuda->nstmt;
  int status = mlo_schedule(run, arena);
  if (status) return status;
  bool good = time_step(d, d->nstmt) &&
              (!what || strcmp(what, "launches") != 0 || time_launches(d, d->nstmt));
  return good ? 0 : RT_DEVICE;
}

/* The program, and behind its device's schedule a call of each launch by itself. */
int main(int argc, char **argv) {
  static const char *const kinds[] = {"", "product", "copy", "fill"};
  MloProgram p = *bench_program();
  MloDevice code = *p.cuda;
  MloFunc *func = malloc(sizeof *func * (size_t)(p.nfunc + code.nlaunch));
  MloStmt *stmt = malloc(sizeof *stmt * (size_t)(code.nstmt + code.nlaunch));
  if (!func || !stmt) return EXIT_FAILURE;
  memcpy(func, p.func, sizeof *func * (size_t)p.nfunc);
  memcpy(stmt, code.stmt, sizeof *stmt * (size_t)code.nstmt);
  for (int i = 0; i < code.nlaunch; i++) {
    const MloLaunch *l = &code.launch[i];
    const char *name = l->kind == MLO_KERNEL ? code.kernel[l->kernel] : kinds[l->kind];
    func[p.nfunc + i] = (MloFunc){name, NULL, i, 1};
    stmt[code.nstmt + i] = (MloStmt){MLO_CALL, code.nstmt + i + 1, p.nfunc + i, -1,         false,
                                     0,        MLO_NOWHERE,        MLO_NOWHERE, MLO_NOWHERE};
  }
  code.stmt = stmt;
  code.nstmt += code.nlaunch;
  p.func = func;
  p.nfunc += code.nlaunch;
  p.cuda = &code;
  int status = bench_main(argc, argv, &p, measure);
  free(func);
  free(stmt);
  return status;
}
