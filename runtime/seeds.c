/* --seeds: the program runs once for each seed, in one process: the data are loaded once and sent
   to the device once, which stays open with its kernels and graphs. A seed's files are in
   DIR/seed-K; DIR/summary.json and summary.csv say how each ended and are written anew after every
   seed, so that what is done is kept. With --resume auto, finished seeds are read back. */

#include "runtime/run.h"

#include "runtime/gaps.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a seed ended, and the metrics of its last report. */
typedef struct Seed {
  int64_t seed, step;
  int status;
  double *value;
} Seed;

typedef struct Seeds {
  MloRun *run;
  char *out; /* --out, or NULL */
  Seed *seed;
  int n;         /* that have ended */
  double *value; /* of all */
} Seeds;

static const char *word(int status) {
  return status == RT_OK            ? "ok"
         : status == RT_INTERRUPTED ? "interrupted"
         : status == RT_DIVERGED    ? "diverged"
                                    : "failed";
}

/* Zeroes all of the host's arena but the data. */
static bool clear(MloRun *run, RtErr *e) {
  int n;
  RtGap *gap = rt_gaps(run->program, &n, e);
  if (!gap) return false;
  for (int i = 0; i < n; i++) memset(run->arena + gap[i].at, 0, gap[i].n);
  free(gap);
  return true;
}

/* The folder of the seed becomes the run's. */
static bool enter(Seeds *s, int64_t seed, RtErr *e) {
  MloRun *run = s->run;
  char name[40];
  run->option.seed = seed;
  if (!s->out) return true;
  free(run->option.out);
  snprintf(name, sizeof name, "seed-%lld", (long long)seed);
  run->option.out = rt_join(s->out, name);
  return run->option.out || rt_fail(e, RT_USAGE, "out of memory");
}

static bool reset(MloRun *run, RtErr *e) {
  free(run->resume_path);
  run->resume_path = NULL;
  run->rows.n = 0;
  run->step = 0;
  run->saved = run->good = -1;
  run->best.have = false;
  run->err = (RtErr){0};
  run->checkpoint_failed = run->checkpoint_adopted = false;
  if (!clear(run, e)) return false;
  rt_write_options(run);
  return true;
}

/* A finished run of an earlier process. */
static bool take_finished(Seeds *s, Seed *seed, bool *found, RtErr *e) {
  RtFinished f = {.value = seed->value};
  *found = false;
  if (!s->run->option.resume) return true;
  if (!rt_dir_finished(s->run, &f, found, e)) return false;
  seed->status = f.status;
  seed->step = f.step;
  if (*found && !s->run->option.quiet)
    fprintf(stderr, "%s: seed %lld: %s before\n", s->run->program->name, (long long)seed->seed,
            word(f.status));
  return true;
}

/* Runs one; false where nothing can follow (e says why). */
static bool run_seed(Seeds *s, Seed *seed, RtErr *e) {
  MloRun *run = s->run;
  bool found;
  if (!enter(s, seed->seed, e) || !reset(run, e) || !take_finished(s, seed, &found, e))
    return false;
  if (found) return true;
  if (!rt_checkpoint_find(run, e) || !rt_load_given(run, e)) return false;
  if (!run->option.quiet && run->option.progress != PROGRESS_JSON)
    fprintf(stderr, "seed %lld\n", (long long)seed->seed);
  seed->status = rt_once(run, e);
  const double *v = rt_result(run, &seed->step);
  for (int i = 0; i < run->program->nmetric; i++) seed->value[i] = v ? v[i] : (double)NAN;
  if (run->err.code) rt_say(run, &run->err);
  run->err = (RtErr){0};
  return e->code == 0;
}

/* ---- what is said of all */

/* Mean and sample standard deviation of a metric over the seeds that ended well; returns over how
   many. One seed has no deviation: NaN. */
static int statistics(const Seeds *s, int metric, double *mean, double *std) {
  double sum = 0, square = 0;
  int n = 0;
  for (int i = 0; i < s->n; i++) {
    if (s->seed[i].status != RT_OK || !isfinite(s->seed[i].value[metric])) continue;
    sum += s->seed[i].value[metric];
    n++;
  }
  *mean = n ? sum / n : (double)NAN;
  for (int i = 0; i < s->n; i++) {
    if (s->seed[i].status != RT_OK || !isfinite(s->seed[i].value[metric])) continue;
    double d = s->seed[i].value[metric] - *mean;
    square += d * d;
  }
  *std = n > 1 ? sqrt(square / (n - 1)) : (double)NAN;
  return n;
}

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static char *summary_json(const Seeds *s) {
  const MloProgram *p = s->run->program;
  json_t *list = json_array(), *metrics = json_object();
  for (int i = 0; i < s->n; i++) {
    const Seed *seed = &s->seed[i];
    json_t *last = json_object();
    for (int k = 0; k < p->nmetric; k++)
      json_object_set_new(last, p->metric[k].name, number(seed->value[k]));
    json_array_append_new(list, json_pack("{s:I, s:s, s:I, s:o}", "seed", (json_int_t)seed->seed,
                                          "status", word(seed->status), "step",
                                          (json_int_t)seed->step, "metrics", last));
  }
  for (int k = 0; k < p->nmetric; k++) {
    double mean, std;
    int n = statistics(s, k, &mean, &std);
    json_object_set_new(
        metrics, p->metric[k].name,
        json_pack("{s:o, s:o, s:i}", "mean", number(mean), "std", number(std), "seeds", n));
  }
  json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:o}", "program", p->name, "run", p->run, "hash",
                        p->hash, "metrics", metrics, "seeds", list);
  char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
  json_decref(o);
  return text;
}

static char *summary_csv(const Seeds *s) {
  const MloProgram *p = s->run->program;
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  if (!f) return NULL;
  fprintf(f, "seed,status,step");
  for (int k = 0; k < p->nmetric; k++) fprintf(f, ",%s", p->metric[k].name);
  fprintf(f, "\n");
  for (int i = 0; i < s->n; i++) {
    const Seed *seed = &s->seed[i];
    fprintf(f, "%lld,%s,%lld", (long long)seed->seed, word(seed->status), (long long)seed->step);
    for (int k = 0; k < p->nmetric; k++)
      fprintf(f, isfinite(seed->value[k]) ? ",%.*g" : ",", p->metric[k].dtype == MLO_F64 ? 17 : 9,
              seed->value[k]);
    fprintf(f, "\n");
  }
  if (fclose(f) == 0) return text;
  free(text);
  return NULL;
}

static bool write_summary(const Seeds *s, RtErr *e) {
  if (!s->out) return true;
  char *json = summary_json(s), *csv = summary_csv(s);
  bool ok = (json && csv) || rt_fail(e, RT_DATA, "%s/summary.json: out of memory", s->out);
  ok = ok && rt_write_in(s->out, "summary.json", json, strlen(json), e) &&
       rt_write_in(s->out, "summary.csv", csv, strlen(csv), e);
  free(json);
  free(csv);
  return ok;
}

/* " 0.0012", or " -" where there is none. */
static void print_number(double v) {
  if (isfinite(v))
    printf("  %14.8g", v);
  else
    printf("  %14s", "-");
}

static void print_table(const Seeds *s, double seconds) {
  const MloProgram *p = s->run->program;
  int width = 6, good = 0;
  for (int k = 0; k < p->nmetric; k++)
    if ((int)strlen(p->metric[k].name) > width) width = (int)strlen(p->metric[k].name);
  for (int i = 0; i < s->n; i++) good += s->seed[i].status == RT_OK;
  printf("%-*s  %14s  %14s\n", width, "metric", "mean", "std");
  for (int k = 0; k < p->nmetric; k++) {
    double mean, std;
    statistics(s, k, &mean, &std);
    printf("%-*s", width, p->metric[k].name);
    print_number(mean);
    print_number(std);
    printf("\n");
  }
  printf("over %d of %lld seeds", good, (long long)s->run->option.seeds);
  if (!s->run->option.quiet) printf(" in %.2f s", seconds);
  printf("\n");
}

/* All folders are tried before the first seed runs. */
static bool check_folders(Seeds *s, int64_t first, RtErr *e) {
  for (int64_t i = 0; s->out && i < s->run->option.seeds; i++)
    if (!enter(s, first + i, e) || !rt_dir_check(s->run->program, &s->run->option, e)) return false;
  return true;
}

static bool begin(Seeds *s, RtErr *e) {
  size_t n = (size_t)s->run->option.seeds, width = (size_t)s->run->program->nmetric;
  s->out = s->run->option.out ? strdup(s->run->option.out) : NULL;
  s->seed = calloc(n, sizeof *s->seed);
  s->value = calloc(n * width + 1, sizeof *s->value);
  if (!s->seed || !s->value || (s->run->option.out && !s->out))
    return rt_fail(e, RT_USAGE, "out of memory");
  int64_t first = s->run->option.seed;
  for (size_t i = 0; i < n; i++)
    s->seed[i] = (Seed){.seed = first + (int64_t)i, .value = s->value + i * width};
  return check_folders(s, first, e);
}

int rt_seeds(MloRun *run) {
  Seeds s = {.run = run};
  RtErr e = {0};
  int worst = 0;
  double start = rt_now();
  bool ok = begin(&s, &e);
  while (ok && s.n < run->option.seeds && worst != RT_INTERRUPTED) {
    Seed *seed = &s.seed[s.n];
    if (rt_stopping(run)) {
      worst = RT_INTERRUPTED;
      break;
    }
    ok = run_seed(&s, seed, &e);
    if (!ok) break;
    s.n++;
    if (seed->status) worst = seed->status;
    ok = write_summary(&s, &e);
  }
  if (e.code) worst = rt_say(run, &e);
  if (s.n && (!s.out || e.code || !run->option.quiet)) print_table(&s, rt_now() - start);
  free(s.out);
  free(s.seed);
  free(s.value);
  return worst;
}
