/* One run of a compiled program: options, data into the arena, the schedule, what it leaves behind.
   The generated code calls back once a step (mlo_due, mlo_report, mlo_tick). */

#define _GNU_SOURCE
#include "runtime/run.h"

#include "runtime/blas.h"
#include "runtime/cpu.h"
#include "runtime/data.h"
#include "runtime/spin.h"
#include "runtime/split.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

double rt_metric_value(const MloRun *run, int i) {
  const MloMetric *m = &run->program->metric[i];
  const unsigned char *at = run->arena + m->offset;
  switch (m->dtype) {
  case MLO_BOOL: return *at;
  case MLO_I32: return *(const int32_t *)(const void *)at;
  case MLO_F32: return *(const float *)(const void *)at;
  case MLO_F64: break;
  }
  return *(const double *)(const void *)at;
}

bool rt_rows_add(MloRun *run, int64_t step) {
  RtRows *r = &run->rows;
  size_t width = (size_t)run->program->nmetric;
  if (r->n == r->room) {
    size_t room = r->room * 2 + 64;
    int64_t *s = realloc(r->step, room * sizeof *s);
    if (s) r->step = s;
    double *v = realloc(r->value, (room * width + 1) * sizeof *v);
    if (v) r->value = v;
    if (!s || !v) return rt_fail(&run->err, RT_DATA, "out of memory for the metrics");
    r->room = room;
  }
  r->step[r->n] = step;
  for (size_t i = 0; i < width; i++) {
    bool due = !run->program->metric[i].costly || mlo_eval_due(run, step);
    double v = due ? rt_metric_value(run, (int)i) : (double)NAN;
    r->value[r->n * width + i] = isnan(v) ? (double)NAN : v; /* NaN has no sign here */
  }
  r->n++;
  return true;
}

bool rt_evaluated(const MloRun *run, int i, double value, int64_t step) {
  return !isnan(value) || !run->program->metric[i].costly || mlo_eval_due(run, step);
}

const double *rt_result(const MloRun *run, int64_t *step) {
  const RtRows *r = &run->rows;
  const double *best = rt_best_row(run);
  if (r->n == 0) return NULL;
  *step = best ? run->best.step : r->step[r->n - 1];
  return best ? best : r->value + (r->n - 1) * (size_t)run->program->nmetric;
}

bool rt_stopping(const MloRun *run) {
  return atomic_load_explicit(&run->signals.stop, memory_order_relaxed) != 0;
}

static int stop_status(MloRun *run, int64_t step) {
  rt_fail(&run->err, RT_INTERRUPTED, "interrupted at step %lld of %lld", (long long)step,
          (long long)run->option.steps);
  return RT_INTERRUPTED;
}

/* The step whose report is the last one. */
static int64_t last_step(const MloRun *run) {
  return run->stopped ? run->stopped : run->option.steps;
}

bool mlo_due(MloRun *run, int64_t step) {
  int64_t every = run->program->report_every, eval = run->program->eval_every;
  run->step = step;
  return step == 0 || step == last_step(run) || (every > 0 && step % every == 0) ||
         (eval > 0 && step % eval == 0);
}

bool mlo_eval_due(const MloRun *run, int64_t step) {
  int64_t every = run->program->eval_every;
  return step == 0 || step == last_step(run) || every <= 0 || step % every == 0;
}

/* Names the level and the step, and what may help: steps between two reports are not looked at. */
static int diverged(MloRun *run, int i, int64_t step) {
  const MloMetric *m = &run->program->metric[i];
  const RtRows *r = &run->rows;
  double v = rt_metric_value(run, i);
  char level[160] = "", before[100] = "", saved[100] = "";
  if (m->level) snprintf(level, sizeof level, "level `%.120s`, ", m->level);
  if (r->n > 1)
    snprintf(before, sizeof before, "; the report of step %lld was finite",
             (long long)r->step[r->n - 2]);
  bool sure = r->n > 1 && run->saved > r->step[r->n - 2] && run->good >= 0;
  if (run->saved >= 0)
    snprintf(saved, sizeof saved, "; the last %scheckpoint is of step %lld", sure ? "good " : "",
             (long long)(sure ? run->good : run->saved));
  rt_fail(&run->err, RT_DIVERGED, "diverged: %sstep %lld: metric `%s` is %s%s%s", level,
          (long long)step, m->name,
          isnan(v) ? "NaN"
          : v > 0  ? "+inf"
                   : "-inf",
          before, saved);
  return RT_DIVERGED;
}

int mlo_report(MloRun *run, int64_t step) {
  const MloProgram *p = run->program;
  RtErr trouble = {
      0}; /* a disk that is full now may have room at the end, when all is written again */
  run->step = step;
  if (!rt_rows_add(run, step)) return run->err.code;
  rt_progress_row(run);
  if (run->option.out && p->report_csv && rt_now() - run->logged > 1) rt_dir_metrics(run, &trouble);
  for (int i = 0; i < p->nmetric; i++)
    if ((!p->metric[i].costly || mlo_eval_due(run, step)) && !isfinite(rt_metric_value(run, i)))
      return diverged(run, i, step);
  return rt_best_report(run, step) ? 0 : run->err.code;
}

int mlo_load(MloRun *run) {
  int64_t step;
  if (!rt_load_apply(run)) return run->err.code;
  /* What is computed once, before the loop, must see the checkpoint's variables, too. */
  if (run->resume_path && !rt_checkpoint_load(run, &step, &run->err)) return run->err.code;
  return 0;
}

int mlo_resume(MloRun *run, int64_t *first) {
  if (!run->resume_path) return 0;
  if (!rt_checkpoint_load(run, first, &run->err)) return run->err.code;
  run->step = run->saved = *first;
  if (!run->option.quiet)
    fprintf(stderr, "%s: resumed at step %lld from %s\n", run->program->name, (long long)*first,
            run->resume_path);
  return 0;
}

int mlo_tick(MloRun *run, int64_t done) {
  int64_t every = run->program->checkpoint_every;
  bool stop = rt_stopping(run);
  run->step = done;
  rt_progress_tick(run);
  if (run->option.out && (stop || (every > 0 && done % every == 0))) rt_checkpoint_write(run, done);
  return stop ? stop_status(run, done) : 0;
}

void mlo_stopped(MloRun *run, int64_t done) {
  if (!run->option.quiet)
    fprintf(stderr, "%s: stopped after step %lld of %lld\n", run->program->name, (long long)done,
            (long long)run->option.steps);
  run->stopped = done;
}

void mlo_drawn(MloRun *run, int level, int32_t next) {
  rt_prefetch_post(&run->prefetch, level, (uint32_t)run->option.seed, next);
}

void mlo_poison(void *p, size_t n) { memset(p, 0xff, n); }

static void write_scalar(unsigned char *at, MloDType t, double v) {
  switch (t) {
  case MLO_BOOL: *at = v != 0; break;
  case MLO_I32: *(int32_t *)(void *)at = (int32_t)v; break;
  case MLO_F32: *(float *)(void *)at = (float)v; break;
  case MLO_F64: *(double *)(void *)at = v; break;
  }
}

/* Zeroed pages straight from the system, large ones where the arena is large. */
static bool make_arena(MloRun *run, RtErr *e) {
  size_t n = run->program->arena_bytes ? run->program->arena_bytes : 1;
  void *a = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (a == MAP_FAILED)
    return rt_fail(e, RT_DEVICE, "the program needs %zu bytes of memory: %s", n, strerror(errno));
  if (n >= (size_t)8 << 20) madvise(a, n, MADV_HUGEPAGE);
  run->arena = a;
  return true;
}

static bool load_source(MloRun *run, int i, RtErr *e) {
  const MloProgram *p = run->program;
  const MloSource *s = &p->data[i];
  const char *given = run->option.data[i], *file = given ? given : s->file;
  bool in_dir = !given && file[0] != '/' && p->dir && *p->dir;
  size_t n = strlen(file) + (p->dir ? strlen(p->dir) : 0) + 2;
  char *path = malloc(n), hint[600];
  if (!path) return rt_fail(e, RT_DATA, "out of memory");
  snprintf(path, n, "%s%s%s", in_dir ? p->dir : "", in_dir ? "/" : "", file);
  snprintf(hint, sizeof hint,
           "\n  sizes are fixed when a program is compiled; rebuild with: mloc "
           "build %.200s --data %.60s=%.200s",
           p->source, s->name, path);
  RtErr trouble = {0};
  double begin = rt_now();
  bool ok = rt_load(s, path, hint, run->arena, &trouble);
  if (!ok) rt_fail(e, RT_DATA, "data error: %s", trouble.text);
  if (ok && run->option.verbose)
    fprintf(stderr, "%s: %s: %d arrays in %.0f ms\n", s->name, path, s->nfield,
            1e3 * (rt_now() - begin));
  free(path);
  return ok;
}

static bool fill_arena(MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  for (int i = 0; i < p->nsource; i++)
    if (!load_source(run, i, e) || !rt_split(&p->data[i], run->arena, e)) return false;
  rt_write_options(run);
  return true;
}

void rt_write_options(MloRun *run) {
  const MloProgram *p = run->program;
  for (int i = 0; i < p->nsetting; i++)
    write_scalar(run->arena + p->setting[i].offset, p->setting[i].dtype, run->option.setting[i]);
  write_scalar(run->arena + p->seed_offset, MLO_I32, (double)run->option.seed);
  write_scalar(run->arena + p->top_steps_offset, MLO_I32, (double)run->option.steps);
}

static bool check_program(const MloProgram *p, RtErr *e) {
  char missing[400];
  if (p->abi != MLO_ABI)
    return rt_fail(e, RT_DEVICE, "built for version %u of the runtime, linked with %d", p->abi,
                   MLO_ABI);
  if (!rt_cpu_has(p->arch, missing, sizeof missing))
    return rt_fail(e, RT_DEVICE,
                   "built for %.40s, but this CPU lacks %s; rebuild with: mloc build "
                   "%s --march=x86-64",
                   p->arch, missing, p->source);
  return true;
}

static void print_cell(const double *row, int i) {
  if (row && !isnan(row[i]))
    printf("  %14.8g", row[i]);
  else
    printf("  %14s", "-");
}

static void print_table(const MloRun *run, double seconds) {
  const MloProgram *p = run->program;
  const RtRows *r = &run->rows;
  int width = 6;
  const double *best = rt_best_row(run),
               *last = r->value + (r->n ? r->n - 1 : 0) * (size_t)p->nmetric;
  for (int i = 0; i < p->nmetric; i++)
    if ((int)strlen(p->metric[i].name) > width) width = (int)strlen(p->metric[i].name);
  if (p->nmetric && r->n)
    printf("%-*s  %14s  %14s%s\n", width, "metric", "first", "last",
           best ? "            best" : "");
  for (int i = 0; r->n && i < p->nmetric; i++) {
    printf("%-*s", width, p->metric[i].name);
    print_cell(r->value, i);
    print_cell(last, i);
    if (best) print_cell(best, i);
    printf("\n");
  }
  if (best)
    printf("best `%s` at step %lld: its variables are kept\n", p->best, (long long)run->best.step);
  if (!run->option.quiet)
    printf("%lld of %lld steps in %.2f s\n", (long long)run->step, (long long)run->option.steps,
           seconds);
}

static int say(const MloProgram *p, const RtErr *e) {
  fflush(stdout);
  fprintf(stderr, "%s: %s\n", p->name, e->text);
  return e->code;
}

int rt_say(const MloRun *run, const RtErr *e) {
  RtErr of_seed = {0};
  if (run->option.seeds)
    rt_fail(&of_seed, e->code, "seed %lld: %s", (long long)run->option.seed, e->text);
  return say(run->program, run->option.seeds ? &of_seed : e);
}

/* Arrays that the run directory will have, from the device. */
static bool fetch_results(MloRun *run, int status, RtErr *e) {
  bool kept = run->option.out && (status == RT_OK || status == RT_INTERRUPTED);
  if (!kept || rt_best_row(run)) return true;
  run->device.err = e;
  bool ok = rt_fetch(&run->device, run->program->array, run->program->narray);
  run->device.err = &run->err;
  return ok;
}

int rt_once(MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  time_t now = time(NULL);
  struct tm utc;
  strftime(run->started, sizeof run->started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  run->begin = run->logged = rt_now();
  run->stopped = 0;
  if (run->option.out && !rt_dir_begin(run, e)) return e->code;
  rt_progress_begin(run);
  int status = p->schedule(run, run->arena);
  if (!fetch_results(run, status, e)) status = e->code;
  rt_progress_end(run);
  double seconds = rt_now() - run->begin;
  if (run->option.out) rt_dir_end(run, status, e);
  bool table = !run->option.out || e->code || !run->option.quiet;
  if (table && !run->option.seeds) print_table(run, seconds);
  return status;
}

/* Threads, OpenBLAS and the thread that reads ahead are for the CPU. */
static int execute_on(MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  const RtDevice *d = &run->device;
  uint32_t mode = rt_float_mode();
  run->nthread = d->cuda ? 1 : rt_threads_start(run->option.nthread);
  if (!d->cuda && rt_blas_start) rt_blas_start();
  if (!d->cuda) rt_prefetch_begin(&run->prefetch, p, run->arena, run->nthread);
  if (run->option.verbose && d->cuda)
    fprintf(stderr, "%s: %s, %s, CUDA driver %d.%d, %.1f MB\n", p->name, d->name, d->arch,
            d->driver / 1000, d->driver / 10 % 100, 1e-6 * (double)p->arena_bytes);
  else if (run->option.verbose)
    fprintf(stderr, "%s: %d threads, %s, %.1f MB\n", p->name, run->nthread, p->arch,
            1e-6 * (double)p->arena_bytes);
  int status = run->option.seeds ? rt_seeds(run) : rt_once(run, e);
  long long ahead = atomic_load(&run->prefetch.rows);
  if (run->option.verbose && run->prefetch.running)
    fprintf(stderr, "%s: %lld rows were read ahead\n", p->name, ahead);
  rt_prefetch_end(&run->prefetch);
  rt_set_float_mode(mode);
  return status;
}

/* Signals and the device around one run, or one a seed. A driver's threads, too, must not get the
   signals. */
static int execute(MloRun *run, RtErr *e) {
  if (!rt_signals_begin(&run->signals)) {
    rt_fail(e, RT_DEVICE, "cannot start a thread");
    return e->code;
  }
  int status = rt_device_open(&run->device, run, e) ? execute_on(run, e) : e->code;
  if (run->device.type) run->device.type->close(&run->device);
  rt_signals_end(&run->signals);
  return status;
}

/* --resume auto where the folder holds this very run, finished: nothing is left to do. */
static bool finished(const MloRun *run) {
  const RtOptions *o = &run->option;
  RtErr ignored = {0};
  bool found = false;
  if (!o->resume || strcmp(o->resume, "auto") != 0 || o->seeds) return false;
  RtFinished f = {.value = malloc(sizeof(double) * ((size_t)run->program->nmetric + 1))};
  bool ok = f.value && rt_dir_finished(run, &f, &found, &ignored) && found && f.status == RT_OK;
  free(f.value);
  if (ok && !o->quiet) fprintf(stderr, "%s: %s: finished before\n", run->program->name, o->out);
  return ok;
}

/* All that the run reads, in memory and checked. */
static bool take_inputs(MloRun *run, RtErr *e) {
  bool ok = rt_load_begin(run, e) && make_arena(run, e) && fill_arena(run, e);
  if (ok && (run->option.out || run->option.resume)) rt_inputs_sum(run);
#ifdef __GLIBC__
  malloc_trim(0); /* the schedule needs nothing of what reading took */
#endif
  return ok;
}

/* Tries the run directory, and keeps others out of it. */
static bool take_folder(const MloRun *run, int *lock, RtErr *e) {
  const RtOptions *o = &run->option;
  return !o->out || (rt_dir_check(run->program, o, e) && rt_dir_lock(o->out, lock, e));
}

static int run_program(MloRun *run) {
  const MloProgram *p = run->program;
  RtErr e = {0};
  int status = 0, lock = -1;
  bool auto_resume = run->option.resume && !strcmp(run->option.resume, "auto");
  bool ready =
      check_program(p, &e) && (auto_resume || take_folder(run, &lock, &e)) && take_inputs(run, &e);
  bool over = ready && finished(run);
  ready = ready && !over && (!auto_resume || take_folder(run, &lock, &e)) &&
          rt_best_begin(run, &e) &&
          (run->option.seeds || (rt_checkpoint_find(run, &e) && rt_load_given(run, &e)));
  if (ready && p->checkpoint_every && !run->option.out && !run->option.quiet)
    fprintf(stderr, "%s: without --out there are no checkpoints\n", p->name);
  if (ready) status = execute(run, &e);
  if (run->err.code) status = say(p, &run->err);
  if (e.code) status = say(p, &e);
  if (lock >= 0) close(lock);
  if (run->arena) munmap(run->arena, p->arena_bytes ? p->arena_bytes : 1);
  rt_load_free(&run->load);
  rt_best_free(&run->best);
  free(run->resume_path);
  free(run->rows.step);
  free(run->rows.value);
  return status;
}

int mlo_main(int argc, char **argv, const MloProgram *p) {
  MloRun run = {.program = p, .saved = -1, .good = -1, .best = {.metric = -1}};
  RtErr e = {0};
  int status = 0;
  if (!rt_options_parse(argc, argv, p, &run.option, &e))
    status = say(p, &e);
  else if (run.option.action == ACTION_HELP)
    rt_print_help(p);
  else if (run.option.action == ACTION_LICENSES)
    rt_print_licenses();
  else if (run.option.action == ACTION_VERSION)
    printf("%s (mloc %s, program %s)\n", p->name, p->version, p->hash);
  else {
    if (p->process) rt_spin_less(argv, run.option.nthread);
    status = run_program(&run);
  }
  rt_options_free(p, &run.option);
  if (fflush(stdout) != 0 && status == 0) {
    perror(p->name);
    status = RT_DATA;
  }
  return status;
}
