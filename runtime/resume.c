/* Reads checkpoints: which file --resume means, whether all of it is intact and belongs to this
   program, seed and settings, and, when the schedule enters the top level's loop, its arrays into
   the arena. Everything is checked before anything of the run directory is touched. Files are not
   believed: shapes are compared before bytes are read, and entries are read to their end, where the
   archive's checksum is compared. */

#include "runtime/checkpoint.h"

#include "runtime/npz.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { ABOUT_BYTES = 1 << 20, CHUNK = 1 << 14, SHOWN = 6 };

/* What differs between the checkpoint and the program, as one line of text. */
typedef struct Differences {
  char text[900];
  size_t length;
  int n;
} Differences;

__attribute__((format(printf, 2, 3))) static void differ(Differences *d, const char *format, ...) {
  va_list args;
  if (d->n++ >= SHOWN) return;
  size_t room = sizeof d->text - d->length;
  int k = snprintf(d->text + d->length, room, "%s", d->n > 1 ? "; " : "");
  if (k < 0 || (size_t)k >= room) return;
  d->length += (size_t)k;
  room -= (size_t)k;
  va_start(args, format);
  k = vsnprintf(d->text + d->length, room, format, args);
  va_end(args);
  if (k > 0) d->length += (size_t)k < room ? (size_t)k : room - 1;
}

static json_t *read_about(const RtArchive *a, RtErr *e) {
  char *text = malloc(ABOUT_BYTES);
  zip_file_t *f = text ? zip_fopen(a->zip, CHECKPOINT_ABOUT, 0) : NULL;
  zip_int64_t n = f ? zip_fread(f, text, ABOUT_BYTES) : -1;
  char rest;
  bool whole = n > 0 && n < ABOUT_BYTES && zip_fread(f, &rest, 1) == 0;
  json_t *o = whole ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
  if (f) zip_fclose(f);
  free(text);
  if (!o || json_integer_value(json_object_get(o, "step")) < 0) {
    json_decref(o);
    rt_fail(e, RT_DATA, "%s: damaged, or no checkpoint", a->path);
    return NULL;
  }
  return o;
}

static int find(const RtArchive *a, const char *name) {
  for (int i = 0; i < a->n; i++)
    if (!strcmp(a->name[i], name)) return i;
  return -1;
}

/* Reads all bytes of an array to dest (NULL: nowhere) and one more, so that the archive compares
   its checksum. */
static bool read_bytes(const RtStream *s, int64_t n, unsigned char *dest, RtErr *e) {
  unsigned char chunk[CHUNK];
  while (n > 0) {
    uint64_t k = n < CHUNK ? (uint64_t)n : CHUNK;
    if (!rt_read(s, dest ? dest : chunk, k, e)) return false;
    if (dest) dest += k;
    n -= (int64_t)k;
  }
  return s->read(s->handle, chunk, 1) == 0 || rt_fail(e, RT_DATA, "%s: damaged", s->label);
}

/* The array `name` of exactly that type and shape; dim[0] < 0 takes any and returns it. Where it is
   another one, d says so and nothing is read. dest NULL: checked alone. */
static bool read_array(const RtArchive *a, const MloArray *want, int64_t *first,
                       unsigned char *dest, Differences *d, RtErr *e) {
  char label[400];
  RtArrayFile f;
  RtNpy h;
  int at = find(a, want->name);
  if (at < 0) return differ(d, "it has no array `%s`", want->name), true;
  snprintf(label, sizeof label, "%.250s: array `%.100s`", a->path, want->name);
  if (!rt_array_open(a, at, label, &f, e)) return false;
  bool ok = rt_array_header(&f, &h, e), same = ok && h.rank == want->rank && !h.big && !h.fortran;
  same = same && rt_npy_dtype(&h) == want->dtype && (size_t)h.size == rt_dtype_size(want->dtype);
  for (int i = 0; same && i < h.rank; i++)
    same = h.dim[i] == want->dim[i] || (i == 0 && want->dim[0] < 0);
  if (ok && !same) differ(d, "`%s` has another type or shape", want->name);
  if (same && first) *first = h.dim[0];
  if (same && (!first || dest)) ok = read_bytes(&f.stream, h.count * h.size, dest, e);
  rt_array_close(&f);
  return ok;
}

/* Values are compared, not names; a run that goes on need not be given --load again. */
static void compare_inputs(const MloRun *run, const json_t *o, Differences *d) {
  const json_t *data = json_object_get(o, "data_crc32"), *began = json_object_get(o, "load_crc32");
  const char *load = json_string_value(json_object_get(o, "load")), *now = run->option.load;
  if (json_integer_value(data) != (json_int_t)run->inputs.data)
    differ(d, "its data had other values than this run's");
  if (!now || (began && json_integer_value(began) == (json_int_t)run->inputs.load)) return;
  if (!load) load = began ? "another file" : "initial values"; /* its name was not UTF-8 */
  if (!strcmp(load, now))
    differ(d, "it began from %.100s, which has other values now", now);
  else
    differ(d, "it began from %.100s, this run begins from %.100s", load, now);
}

static void compare(const MloRun *run, const json_t *o, Differences *d) {
  const MloProgram *p = run->program;
  const char *hash = json_string_value(json_object_get(o, "hash"));
  const json_t *settings = json_object_get(o, "settings");
  json_int_t seed = json_integer_value(json_object_get(o, "seed")),
             step = json_integer_value(json_object_get(o, "step"));
  if (!hash || strcmp(hash, p->hash) != 0)
    differ(d, "its program is %.40s, this one %.40s", hash ? hash : "unknown", p->hash);
  if (seed != run->option.seed)
    differ(d, "seed was %lld and is %lld", (long long)seed, (long long)run->option.seed);
  if (step > run->option.steps)
    differ(d, "it is of step %lld, beyond the %lld steps of this run", (long long)step,
           (long long)run->option.steps);
  compare_inputs(run, o, d);
  for (int i = 0; i < p->nsetting; i++) {
    const json_t *v = json_object_get(settings, p->setting[i].name);
    if (p->top_steps && !strcmp(p->top_steps, p->setting[i].name)) continue;
    if (!v)
      differ(d, "it has no setting `%s`", p->setting[i].name);
    else if (json_number_value(v) != run->option.setting[i])
      differ(d, "setting `%s` was %.9g and is %.9g", p->setting[i].name, json_number_value(v),
             run->option.setting[i]);
  }
}

/* Rows of metrics, in two reads: how many there are, then all. */
static bool read_rows(MloRun *run, const RtArchive *a, Differences *d, RtErr *e) {
  int64_t n = -1, width = run->program->nmetric;
  MloArray steps = {.name = CHECKPOINT_STEPS, .dtype = MLO_F64, .rank = 1, .dim = {-1}};
  if (!read_array(a, &steps, &n, NULL, d, e)) return false;
  if (n < 0) return true;
  MloArray values = {.name = CHECKPOINT_METRICS, .dtype = MLO_F64, .rank = 2, .dim = {n, width}};
  double *at = malloc(((size_t)n + 1) * sizeof *at);
  RtRows r = {.step = malloc(((size_t)n + 1) * sizeof(int64_t)),
              .value = malloc(((size_t)(n * width) + 1) * sizeof(double)),
              .n = (size_t)n,
              .room = (size_t)n};
  bool ok = (at && r.step && r.value) || rt_fail(e, RT_DATA, "%s: out of memory", a->path);
  steps.dim[0] = n;
  ok = ok && read_array(a, &steps, NULL, (unsigned char *)at, d, e) &&
       read_array(a, &values, NULL, (unsigned char *)r.value, d, e);
  for (int64_t i = 0; ok && i < n; i++) r.step[i] = (int64_t)at[i];
  free(at);
  free(run->rows.step);
  free(run->rows.value);
  run->rows = r;
  if (!ok) run->rows.n = 0;
  return ok;
}

/* The best report and its arrays: checked alone, or put into the block. */
static bool read_best(MloRun *run, const RtArchive *a, const json_t *o, bool take, Differences *d,
                      RtErr *e) {
  const MloProgram *p = run->program;
  const json_t *best = json_object_get(o, "best");
  bool ok = true;
  for (int i = 0; best && ok && run->best.metric >= 0 && i < p->narray; i++) {
    char name[CHECKPOINT_NAME];
    MloArray want = p->array[i];
    rt_checkpoint_best(want.name, name);
    want.name = name;
    unsigned char *at =
        run->best.block + ((const unsigned char *)run->best.entry[i].data - run->best.block);
    ok = read_array(a, &want, NULL, take ? at : NULL, d, e);
  }
  if (!ok || !take || !best || run->best.metric < 0) return ok;
  run->best.have = true;
  run->best.step = json_integer_value(json_object_get(best, "step"));
  run->best.value = json_number_value(json_object_get(best, "value"));
  return true;
}

/* Opens, reads every byte, compares. *other: intact, but of another program. */
static bool check_file(MloRun *run, const char *path, bool *other, RtErr *e) {
  const MloProgram *p = run->program;
  RtArchive a = {0};
  Differences d = {.length = 0};
  json_t *o = NULL;
  *other = false;
  bool ok = rt_archive_open(&a, path, e) && (a.zip || rt_fail(e, RT_DATA, "%s: no archive", path));
  ok = ok && (o = read_about(&a, e));
  if (ok && json_integer_value(json_object_get(o, "format")) != CHECKPOINT_FORMAT)
    differ(&d, "it has another format");
  if (ok) compare(run, o, &d);
  for (int i = 0; ok && i < p->nstate; i++) ok = read_array(&a, &p->state[i], NULL, NULL, &d, e);
  ok = ok && read_best(run, &a, o, false, &d, e) && read_rows(run, &a, &d, e);
  json_decref(o);
  rt_archive_close(&a);
  if (!ok || d.n == 0) return ok;
  *other = true;
  run->rows.n = 0;
  return rt_fail(e, RT_DATA, "%s: a checkpoint of another run: %s%s", path, d.text,
                 d.n > SHOWN ? "; and more" : "");
}

static bool find_last(MloRun *run, RtErr *e) {
  long long *step;
  int n = rt_checkpoint_list(run->option.out, true, &step);
  bool ok = true, other = false;
  for (int i = n - 1; ok && !run->resume_path && i >= 0; i--) {
    RtErr trouble = {0};
    char *path = rt_checkpoint_path(run->option.out, step[i]);
    if (path && check_file(run, path, &other, &trouble)) {
      run->resume_path = path;
      break;
    }
    if (!path || other)
      ok = rt_fail(e, RT_DATA, "%s", path ? trouble.text : "out of memory");
    else
      fprintf(stderr, "%s: warning: %s; the one before it is taken\n", run->program->name,
              trouble.text);
    free(path);
  }
  free(step);
  return ok;
}

bool rt_checkpoint_find(MloRun *run, RtErr *e) {
  bool other;
  if (!run->option.resume) return true;
  if (!strcmp(run->option.resume, "auto")) return find_last(run, e);
  if (!check_file(run, run->option.resume, &other, e)) return false;
  run->resume_path = strdup(run->option.resume);
  return run->resume_path || rt_fail(e, RT_DATA, "out of memory");
}

bool rt_checkpoint_load(MloRun *run, int64_t *step, RtErr *e) {
  const MloProgram *p = run->program;
  RtArchive a = {0};
  Differences d = {.length = 0};
  json_t *o = NULL;
  bool ok = rt_archive_open(&a, run->resume_path, e) && (o = read_about(&a, e));
  for (int i = 0; ok && i < p->nstate; i++)
    ok = read_array(&a, &p->state[i], NULL, run->arena + p->state[i].offset, &d, e);
  ok = ok && read_best(run, &a, o, true, &d, e);
  if (ok && d.n) ok = rt_fail(e, RT_DATA, "%s: changed meanwhile: %s", run->resume_path, d.text);
  if (ok) *step = json_integer_value(json_object_get(o, "step"));
  ok = ok && rt_put(&run->device, p->state, p->nstate);
  json_decref(o);
  rt_archive_close(&a);
  return ok;
}
