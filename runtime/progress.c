/* How a run looks while it goes: a bar that is redrawn on a terminal, one plain line or one JSON
   object a report elsewhere. All of it on stderr, so that stdout holds results only. */

#include "runtime/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24, LINE = 1024 };

double rt_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void rt_progress_begin(MloRun *run) {
  RtProgressKind kind = run->option.progress;
  if (run->option.quiet) kind = PROGRESS_NONE;
  if (kind == PROGRESS_AUTO) kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_PLAIN;
  run->progress = (RtProgress){.kind = kind};
}

static double rate(const MloRun *run) {
  double t = rt_now() - run->begin;
  return t > 0 ? (double)run->step / t : 0;
}

/* "  tune.loss 0.3121  acc -" of the last row; details only for who asks to hear more. */
static size_t metrics_text(const MloRun *run, char *text, size_t size) {
  const MloProgram *p = run->program;
  size_t at = 0;
  text[0] = 0;
  if (run->rows.n == 0) return 0;
  const double *v = run->rows.value + (run->rows.n - 1) * (size_t)p->nmetric;
  for (int i = 0; i < p->nmetric && at < size; i++) {
    if (p->metric[i].detail && !run->option.verbose) continue;
    if (rt_evaluated(run, i, v[i], run->rows.step[run->rows.n - 1]))
      at += (size_t)snprintf(text + at, size - at, "  %s %.6g", p->metric[i].name, v[i]);
    else
      at += (size_t)snprintf(text + at, size - at, "  %s -", p->metric[i].name);
  }
  return at < size ? at : size - 1;
}

static void eta_text(const MloRun *run, char *text, size_t size) {
  double r = rate(run), left = r > 0 ? (double)(run->option.steps - run->step) / r : 0;
  long s = left < 1e8 ? lrint(left) : 0;
  text[0] = 0;
  if (r > 0 && s >= 3600)
    snprintf(text, size, "  ETA %ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else if (r > 0)
    snprintf(text, size, "  ETA %ld:%02ld", s / 60, s % 60);
}

static void draw_bar(MloRun *run) {
  char line[LINE], eta[40], bar[BAR + 1];
  int64_t steps = run->option.steps;
  int full = steps > 0 ? (int)(BAR * run->step / steps) : BAR;
  struct winsize w;
  for (int i = 0; i < BAR; i++) bar[i] = i < full ? '#' : '.';
  bar[BAR] = 0;
  eta_text(run, eta, sizeof eta);
  size_t n = 0;
  if (run->option.seeds)
    n = (size_t)snprintf(line, sizeof line, "seed %lld ", (long long)run->option.seed);
  n += (size_t)snprintf(line + n, sizeof line - n, "[%s] %lld/%lld  %.3g steps/s%s", bar,
                        (long long)run->step, (long long)steps, rate(run), eta);
  n += metrics_text(run, line + n, sizeof line - n);
  size_t width = 80;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) width = w.ws_col;
  if (n >= width) line[width - 1] = 0;
  fprintf(stderr, "\r%s\033[K", line);
  fflush(stderr);
  run->progress.drawn = true;
  run->progress.last = rt_now();
}

void rt_progress_tick(MloRun *run) {
  if (run->progress.kind == PROGRESS_BAR && rt_now() - run->progress.last > 0.1) draw_bar(run);
}

static void print_json(const MloRun *run) {
  const MloProgram *p = run->program;
  const double *v = run->rows.value + (run->rows.n - 1) * (size_t)p->nmetric;
  fprintf(stderr, "{");
  if (run->option.seeds) fprintf(stderr, "\"seed\": %lld, ", (long long)run->option.seed);
  fprintf(stderr, "\"step\": %lld, \"steps\": %lld, \"seconds\": %.3f", (long long)run->step,
          (long long)run->option.steps, rt_now() - run->begin);
  for (int i = 0; i < p->nmetric; i++) {
    if (isfinite(v[i]))
      fprintf(stderr, ", \"%s\": %.17g", p->metric[i].name, v[i]);
    else
      fprintf(stderr, ", \"%s\": null", p->metric[i].name);
  }
  fprintf(stderr, "}\n");
}

void rt_progress_row(MloRun *run) {
  char text[LINE];
  switch (run->progress.kind) {
  case PROGRESS_BAR:
    if (rt_now() - run->progress.last > 0.1 || run->step >= run->option.steps) draw_bar(run);
    break;
  case PROGRESS_PLAIN:
    metrics_text(run, text, sizeof text);
    fprintf(stderr, "step %lld/%lld%s\n", (long long)run->step, (long long)run->option.steps, text);
    break;
  case PROGRESS_JSON: print_json(run); break;
  case PROGRESS_NONE:
  case PROGRESS_AUTO: break;
  }
}

void rt_progress_end(MloRun *run) {
  if (run->progress.drawn) fprintf(stderr, "\n");
  run->progress.drawn = false;
}
