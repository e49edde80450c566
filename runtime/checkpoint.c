/* Writes checkpoints: the program's state after a step of the top level, the rows of metrics so far
   and what program, seed and settings they belong to become DIR/checkpoints/STEP.npz. A file
   appears whole, by rename, and older ones go only when it is on the disk. A checkpoint that cannot
   be written, or that would hold a value that is not finite, is left out and named once: the run
   is worth more than its insurance. */

#include "runtime/checkpoint.h"

#include "runtime/npy.h"
#include "runtime/write.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int ascending(const void *a, const void *b) {
  long long x = *(const long long *)a, y = *(const long long *)b;
  return x < y ? -1 : x > y;
}

char *rt_checkpoint_path(const char *out, long long step) {
  size_t n = strlen(out) + sizeof CHECKPOINT_FOLDER + 40;
  char *path = malloc(n);
  if (path) snprintf(path, n, "%s/" CHECKPOINT_FOLDER "/%0*lld.npz", out, CHECKPOINT_DIGITS, step);
  return path;
}

static void remove_stray(const char *out, const char *name) {
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/" CHECKPOINT_FOLDER "/%s", out, name);
  if (n > 0 && (size_t)n < sizeof path) unlink(path);
}

int rt_checkpoint_list(const char *out, bool stray, long long **step) {
  size_t length = strlen(out) + sizeof CHECKPOINT_FOLDER + 2;
  char *folder = malloc(length);
  int n = 0, room = 0;
  *step = NULL;
  if (!folder) return -1;
  snprintf(folder, length, "%s/" CHECKPOINT_FOLDER, out);
  DIR *d = opendir(folder);
  free(folder);
  if (!d) return -1;
  for (struct dirent *f; (f = readdir(d));) {
    size_t digits = strspn(f->d_name, "0123456789");
    if (digits != CHECKPOINT_DIGITS || strncmp(f->d_name + digits, ".npz", 4) != 0) continue;
    if (f->d_name[digits + 4]) {
      if (stray && f->d_name[digits + 4] == '.') remove_stray(out, f->d_name);
      continue;
    }
    if (n == room) {
      room = room * 2 + 16;
      long long *more = realloc(*step, (size_t)room * sizeof **step);
      if (!more) break;
      *step = more;
    }
    (*step)[n++] = strtoll(f->d_name, NULL, 10);
  }
  closedir(d);
  if (n) qsort(*step, (size_t)n, sizeof **step, ascending);
  return n;
}

static bool all_finite(const RtEntry *a) {
  uint64_t n = a->bytes / rt_dtype_size(a->dtype);
  const float *f = a->data;
  const double *d = a->data;
  for (uint64_t i = 0; a->dtype == MLO_F32 && i < n; i++)
    if (!isfinite(f[i])) return false;
  for (uint64_t i = 0; a->dtype == MLO_F64 && i < n; i++)
    if (!isfinite(d[i])) return false;
  return true;
}

static char *about(const MloRun *run, int64_t done) {
  const MloProgram *p = run->program;
  json_t *settings = json_object();
  for (int i = 0; i < p->nsetting; i++)
    json_object_set_new(settings, p->setting[i].name, json_real(run->option.setting[i]));
  json_t *o =
      json_pack("{s:i, s:s, s:s, s:I, s:I, s:o, s:I}", "format", CHECKPOINT_FORMAT, "run", p->run,
                "hash", p->hash, "step", (json_int_t)done, "seed", (json_int_t)run->option.seed,
                "settings", settings, "data_crc32", (json_int_t)run->inputs.data);
  if (o && run->best.have)
    json_object_set_new(
        o, "best",
        json_pack("{s:I, s:f}", "step", (json_int_t)run->best.step, "value", run->best.value));
  if (o && run->option.load) {
    json_object_set_new(o, "load", json_string(run->option.load)); /* absent if not UTF-8 */
    json_object_set_new(o, "load_crc32", json_integer((json_int_t)run->inputs.load));
  }
  char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
  json_decref(o);
  return text;
}

/* The rows of metrics and what it is all about; steps: room for the rows'. */
static void entries_of_run(const MloRun *run, double *steps, const char *text, RtEntry *entry) {
  int64_t rows = (int64_t)run->rows.n, width = run->program->nmetric;
  for (int64_t i = 0; i < rows; i++) steps[i] = (double)run->rows.step[i];
  entry[0] = (RtEntry){CHECKPOINT_STEPS, MLO_F64, 1, {rows}, steps, (uint64_t)rows * 8};
  entry[1] = (RtEntry){.name = CHECKPOINT_METRICS,
                       .dtype = MLO_F64,
                       .rank = 2,
                       .dim = {rows, width},
                       .data = run->rows.value,
                       .bytes = (uint64_t)(rows * width) * sizeof(double)};
  entry[2] = (RtEntry){CHECKPOINT_ABOUT, MLO_BOOL, -1, {0}, text, strlen(text)};
}

/* State, the best arrays under names of their own, then the rows, then what it is all about. */
static bool write_it(MloRun *run, int64_t done, const char *path, RtErr *e) {
  const MloProgram *p = run->program;
  size_t n = (size_t)p->nstate, nbest = run->best.have ? (size_t)p->narray : 0;
  RtEntry *entry = malloc((n + nbest + 3) * sizeof *entry);
  char(*name)[CHECKPOINT_NAME] = malloc((nbest + 1) * sizeof *name);
  double *steps = malloc((run->rows.n + 1) * sizeof *steps);
  char *text = about(run, done);
  bool ok = (entry && name && steps && text) || rt_fail(e, RT_DATA, "%s: out of memory", path);
  if (ok && !rt_fetch(&run->device, p->state, p->nstate))
    ok = rt_fail(e, RT_DEVICE, "the device failed");
  for (size_t i = 0; ok && i < n; i++) {
    rt_entry_of(&p->state[i], run->arena, &entry[i]);
    if (!all_finite(&entry[i]))
      ok = rt_fail(e, RT_DIVERGED, "`%s` is not finite after step %lld", p->state[i].name,
                   (long long)done);
  }
  for (size_t i = 0; ok && i < nbest; i++) {
    entry[n + i] = run->best.entry[i];
    rt_checkpoint_best(p->array[i].name, name[i]);
    entry[n + i].name = name[i];
  }
  if (ok) entries_of_run(run, steps, text, entry + n + nbest);
  ok = ok && rt_write_entries(path, entry, (int)(n + nbest) + 3, true, e);
  free(entry);
  free(name);
  free(steps);
  free(text);
  return ok;
}

void rt_checkpoint_best(const char *array, char name[CHECKPOINT_NAME]) {
  snprintf(name, CHECKPOINT_NAME, "run/best/%.400s", array);
}

/* The first checkpoint of a run that began anew replaces those of another run; later ones push the
   oldest out, but for the newest that a report has followed: it is known to be good, and what
   comes after it may diverge. */
static void remove_older(MloRun *run, int64_t done) {
  const char *out = run->option.out;
  int64_t keep = run->program->checkpoint_keep;
  long long *step;
  int n = rt_checkpoint_list(out, true, &step), older = 0;
  bool anew = !run->checkpoint_adopted && !run->resume_path;
  int64_t seen = run->rows.n ? run->rows.step[run->rows.n - 1] : -1;
  run->good = -1;
  for (int i = 0; i < n; i++) {
    older += step[i] < done;
    if (!anew && step[i] <= seen && step[i] <= done && step[i] > run->good) run->good = step[i];
  }
  for (int i = 0; i < n; i++) {
    bool pushed = keep > 0 && step[i] < done && older >= keep;
    if (pushed) older--;
    if (step[i] == done || step[i] == run->good || !(pushed || anew || step[i] > done)) continue;
    char *path = rt_checkpoint_path(out, step[i]);
    if (path) unlink(path);
    free(path);
  }
  run->checkpoint_adopted = true;
  free(step);
}

bool rt_checkpoint_write(MloRun *run, int64_t done) {
  RtErr trouble = {0};
  size_t length = strlen(run->option.out) + sizeof CHECKPOINT_FOLDER + 2;
  char *folder = malloc(length), *path = rt_checkpoint_path(run->option.out, done);
  bool ok = (folder && path) || rt_fail(&trouble, RT_DATA, "out of memory");
  if (ok) snprintf(folder, length, "%s/" CHECKPOINT_FOLDER, run->option.out);
  if (ok && mkdir(folder, 0777) != 0 && errno != EEXIST)
    ok = rt_fail(&trouble, RT_DATA, "%s: cannot be made: %s", folder, strerror(errno));
  ok = ok && write_it(run, done, path, &trouble);
  if (ok) remove_older(run, done);
  if (ok) run->saved = done;
  free(folder);
  free(path);
  if (!ok && !run->checkpoint_failed)
    fprintf(stderr, "%s: warning: no checkpoint at step %lld: %s; the run goes on without\n",
            run->program->name, (long long)done, trouble.text);
  run->checkpoint_failed = !ok;
  return ok;
}
