/* The run directory: metrics.csv, run.json and final.npz. It is tried out before the first step, so
   that hours of work do not end in "permission denied". */

#define _GNU_SOURCE
#include "runtime/blas.h"
#include "runtime/cpu.h"
#include "runtime/run.h"
#include "runtime/write.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

char *rt_join(const char *folder, const char *file) {
  size_t n = strlen(folder) + strlen(file) + 2;
  char *path = malloc(n);
  if (path) snprintf(path, n, "%s/%s", folder, file);
  return path;
}

bool rt_write_in(const char *folder, const char *file, const char *text, size_t n, RtErr *e) {
  char *path = rt_join(folder, file);
  bool ok = path ? rt_write_file(path, text, n, e) : rt_fail(e, RT_DATA, "out of memory");
  free(path);
  return ok;
}

/* mkdir -p; an existing folder is fine. */
static bool make_folders(const char *path, RtErr *e) {
  char *part = strdup(path);
  bool ok = part || rt_fail(e, RT_USAGE, "out of memory");
  for (char *p = part ? part + 1 : NULL; ok; p++) {
    char c = *p;
    if (c && c != '/') continue;
    *p = 0;
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
      ok = rt_fail(e, RT_USAGE, "--out %s: the folder `%s` cannot be made: %s", path, part,
                   strerror(errno));
    *p = c;
    if (!c) break;
  }
  free(part);
  return ok;
}

bool rt_dir_check(const MloProgram *p, const RtOptions *o, RtErr *e) {
  struct stat st;
  struct statvfs fs;
  RtErr trouble = {0};
  if (stat(o->out, &st) == 0 && !S_ISDIR(st.st_mode))
    return rt_fail(e, RT_USAGE, "--out %s: expected a folder, found a file of that name", o->out);
  if (!make_folders(o->out, e)) return false;
  if (stat(o->out, &st) != 0 || !S_ISDIR(st.st_mode))
    return rt_fail(e, RT_USAGE, "--out %s: expected a folder", o->out);
  char *probe = rt_join(o->out, ".mlo-writable");
  if (!probe) return rt_fail(e, RT_USAGE, "out of memory");
  bool ok = rt_write_file(probe, "x", 1, &trouble);
  if (ok) unlink(probe);
  free(probe);
  if (!ok) return rt_fail(e, RT_USAGE, "--out %s: %s", o->out, trouble.text);
  uint64_t needed = rt_npz_bytes(p->array, p->narray) + (1 << 16);
  if (statvfs(o->out, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < needed)
    return rt_fail(e, RT_USAGE,
                   "--out %s: the disk is full: the results need %llu bytes, %llu are "
                   "free",
                   o->out, (unsigned long long)needed,
                   (unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize));
  return true;
}

bool rt_dir_lock(const char *out, int *lock, RtErr *e) {
  *lock = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return true;
  close(*lock);
  *lock = -1;
  return rt_fail(e, RT_USAGE, "--out %s: another run is at work there", out);
}

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* JSON is UTF-8; names of files need not be: bytes that are not become `?`. */
static json_t *words(const char *s) {
  json_t *j = json_string(s);
  char *copy = j ? NULL : strdup(s);
  if (!copy) return j;
  for (char *c = copy; *c; c++)
    if ((unsigned char)*c >= 0x80) *c = '?';
  j = json_string(copy);
  free(copy);
  return j;
}

static json_t *device(const MloRun *run) {
  char name[64];
  const RtDevice *d = &run->device;
  if (d->cuda)
    return json_pack("{s:s, s:s, s:s, s:i}", "kind", "cuda", "name", d->name, "arch", d->arch,
                     "driver", d->driver);
  rt_cpu_name(name, sizeof name);
  return json_pack("{s:s, s:s, s:s, s:i}", "kind", "cpu", "name", name, "arch", run->program->arch,
                   "threads", run->nthread);
}

static json_t *versions(const MloRun *run) {
  json_t *v = json_pack("{s:s, s:i, s:s, s:s, s:s}", "mloc", run->program->version, "abi",
                        (int)run->program->abi, "libzip", zip_libzip_version(), "zlib",
                        zlibVersion(), "jansson", JANSSON_VERSION);
  if (rt_blas_version) json_object_set_new(v, "openblas", json_string(rt_blas_version()));
  return v;
}

static json_t *settings(const MloRun *run) {
  const MloProgram *p = run->program;
  json_t *o = json_object();
  for (int i = 0; i < p->nsetting; i++) {
    double v = run->option.setting[i];
    json_t *value = p->setting[i].dtype == MLO_I32    ? json_integer((json_int_t)v)
                    : p->setting[i].dtype == MLO_BOOL ? json_boolean(v != 0)
                                                      : number(v);
    json_object_set_new(o, p->setting[i].name, value);
  }
  return o;
}

static json_t *sources(const MloRun *run) {
  const MloProgram *p = run->program;
  json_t *o = json_object();
  for (int i = 0; i < p->nsource; i++)
    json_object_set_new(o, p->data[i].name,
                        words(run->option.data[i] ? run->option.data[i] : p->data[i].file));
  return o;
}

static json_t *metrics(const MloRun *run, const double *v) {
  const MloProgram *p = run->program;
  json_t *o = json_object();
  for (int i = 0; v && i < p->nmetric; i++) json_object_set_new(o, p->metric[i].name, number(v[i]));
  return o;
}

static json_t *last_metrics(const MloRun *run) {
  size_t n = run->rows.n, width = (size_t)run->program->nmetric;
  return metrics(run, n ? run->rows.value + (n - 1) * width : NULL);
}

/* What final.npz holds, where it is not the last. */
static json_t *best(const MloRun *run) {
  return json_pack("{s:s, s:I, s:f, s:o}", "metric", run->program->best, "step",
                   (json_int_t)run->best.step, "value", run->best.value, "metrics",
                   metrics(run, rt_best_row(run)));
}

static bool write_json(const MloRun *run, const char *status, int code, RtErr *e) {
  const MloProgram *p = run->program;
  json_t *o = json_pack(
      "{s:o, s:s, s:o, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:f, s:s}", "program",
      words(p->name), "run", p->run, "source", words(p->source), "hash", p->hash, "precision",
      p->precision, "seed", (json_int_t)run->option.seed, "steps", (json_int_t)run->option.steps,
      "steps_done", (json_int_t)run->step, "device", device(run), "settings", settings(run), "data",
      sources(run), "metrics", last_metrics(run), "versions", versions(run), "started",
      run->started, "wall_time_s", rt_now() - run->begin, "status", status);
  if (o) json_object_set_new(o, "exit_status", code < 0 ? json_null() : json_integer(code));
  if (o && rt_best_row(run)) json_object_set_new(o, "best", best(run));
  if (o) json_object_set_new(o, "data_crc32", json_integer((json_int_t)run->inputs.data));
  if (o && run->option.load) {
    json_object_set_new(o, "load", words(run->option.load));
    json_object_set_new(o, "load_crc32", json_integer((json_int_t)run->inputs.load));
  }
  if (o && run->err.code) json_object_set_new(o, "message", words(run->err.text));
  char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
  bool ok = text || rt_fail(e, RT_DATA, "%s/run.json: out of memory", run->option.out);
  ok = ok && rt_write_in(run->option.out, "run.json", text, strlen(text), e);
  free(text);
  json_decref(o);
  return ok;
}

/* What differs between a run.json and this run, or NULL. */
static const char *difference(const MloRun *run, const json_t *o) {
  const struct {
    const char *name;
    json_t *now;
  } part[] = {{"hash", json_string(run->program->hash)},
              {"seed", json_integer((json_int_t)run->option.seed)},
              {"settings", settings(run)},
              {"data_crc32", json_integer((json_int_t)run->inputs.data)},
              {"load_crc32", run->option.load ? json_integer((json_int_t)run->inputs.load) : NULL}};
  const char *found = NULL;
  for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
    json_t *then = json_object_get(o, part[i].name);
    if (then || part[i].now)
      if (!then || !part[i].now || !json_equal(then, part[i].now)) found = part[i].name;
    json_decref(part[i].now);
  }
  return found;
}

bool rt_dir_finished(const MloRun *run, RtFinished *out, bool *found, RtErr *e) {
  const MloProgram *p = run->program;
  char *path = rt_join(run->option.out, "run.json");
  json_t *o = path ? json_load_file(path, 0, NULL) : NULL;
  free(path);
  const json_t *code = json_object_get(o, "exit_status"), *best = json_object_get(o, "best"),
               *row = json_object_get(best ? best : o, "metrics");
  char *npz = rt_join(run->option.out, "final.npz");
  bool kept = npz && access(npz, R_OK) == 0;
  free(npz);
  bool over = json_is_integer(code) && (kept || json_integer_value(code) == RT_DIVERGED) &&
              (json_integer_value(code) == RT_OK || json_integer_value(code) == RT_DIVERGED);
  const char *other = over ? difference(run, o) : NULL;
  *found = over && !other &&
           json_integer_value(json_object_get(o, "steps")) == (json_int_t)run->option.steps;
  if (*found) {
    out->status = (int)json_integer_value(code);
    out->step =
        json_integer_value(best ? json_object_get(best, "step") : json_object_get(o, "steps_done"));
  }
  for (int i = 0; *found && i < p->nmetric; i++) {
    const json_t *v = json_object_get(row, p->metric[i].name);
    out->value[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
  }
  bool ok = !other ||
            rt_fail(e, RT_DATA, "%s: holds another run: its `%s` differs", run->option.out, other);
  json_decref(o);
  return ok;
}

bool rt_dir_begin(MloRun *run, RtErr *e) {
  static const char *const old[] = {"final.npz", "metrics.csv"};
  if (!write_json(run, "running", -1, e)) return false;
  for (int i = 0; i < 2; i++) {
    char *path = rt_join(run->option.out, old[i]);
    if (path) unlink(path);
    free(path);
  }
  return true;
}

bool rt_dir_metrics(MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  char *text = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&text, &n);
  if (!f) return rt_fail(e, RT_DATA, "%s/metrics.csv: out of memory", run->option.out);
  fprintf(f, "step");
  for (int i = 0; i < p->nmetric; i++) fprintf(f, ",%s", p->metric[i].name);
  fprintf(f, "\n");
  for (size_t r = 0; r < run->rows.n; r++) {
    fprintf(f, "%lld", (long long)run->rows.step[r]);
    for (int i = 0; i < p->nmetric; i++) {
      double v = run->rows.value[r * (size_t)p->nmetric + (size_t)i];
      if (rt_evaluated(run, i, v, run->rows.step[r]))
        fprintf(f, ",%.*g", p->metric[i].dtype == MLO_F64 ? 17 : 9, v);
      else
        fprintf(f, ",");
    }
    fprintf(f, "\n");
  }
  bool ok = fclose(f) == 0;
  ok = ok ? rt_write_in(run->option.out, "metrics.csv", text, n, e)
          : rt_fail(e, RT_DATA, "%s/metrics.csv: out of memory", run->option.out);
  free(text);
  run->logged = rt_now();
  return ok;
}

/* The arrays as they are, or as they were when best. */
static bool write_npz(const MloRun *run, const char *path, RtErr *e) {
  const MloProgram *p = run->program;
  if (rt_best_row(run)) return rt_write_entries(path, run->best.entry, p->narray, false, e);
  return rt_write_npz(path, p->array, p->narray, run->arena, e);
}

/* Where the run directory fails at the end (a disk that filled up meanwhile), the results go to the
   folder for temporary files, and the message says so. */
static bool write_arrays(const MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  const char *tmp = getenv("TMPDIR");
  char other[512];
  RtErr trouble = {0}, more = {0};
  char *path = rt_join(run->option.out, "final.npz");
  bool ok = path ? write_npz(run, path, &trouble) : rt_fail(&trouble, RT_DATA, "out of memory");
  free(path);
  if (ok) return true;
  snprintf(other, sizeof other, "%.300s/%.80s-%ld.final.npz", tmp ? tmp : "/tmp", p->name,
           (long)getpid());
  if (write_npz(run, other, &more))
    return rt_fail(e, RT_DATA, "%s; it was saved as %s", trouble.text, other);
  return rt_fail(e, RT_DATA, "%s", trouble.text);
}

bool rt_dir_end(MloRun *run, int status, RtErr *e) {
  const char *word = status == RT_OK            ? "ok"
                     : status == RT_INTERRUPTED ? "interrupted"
                     : status == RT_DIVERGED    ? "diverged"
                                                : "failed";
  bool keep = status == RT_OK || status == RT_INTERRUPTED;
  bool ok = !keep || write_arrays(run, e);
  if (!rt_dir_metrics(run, e)) ok = false;
  if (!write_json(run, ok ? word : "output failed", ok ? status : e->code, e)) ok = false;
  return ok;
}
