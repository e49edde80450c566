/* The command line becomes an RtOptions: popt splits it, every name and value is checked against
 * the program. */

#include "runtime/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OPT_SET = 1,
  OPT_DATA,
  OPT_SEED,
  OPT_SEEDS,
  OPT_STEPS,
  OPT_OUT,
  OPT_RESUME,
  OPT_LOAD,
  OPT_QUIET,
  OPT_VERBOSE,
  OPT_PROGRESS,
  OPT_THREADS,
  OPT_DEVICE,
  OPT_LICENSES,
  OPT_VERSION,
  OPT_HELP
};

static const struct poptOption table[] = {
    {"set", 0, POPT_ARG_STRING, NULL, OPT_SET, NULL, NULL},
    {"data", 0, POPT_ARG_STRING, NULL, OPT_DATA, NULL, NULL},
    {"seed", 0, POPT_ARG_STRING, NULL, OPT_SEED, NULL, NULL},
    {"seeds", 0, POPT_ARG_STRING, NULL, OPT_SEEDS, NULL, NULL},
    {"steps", 0, POPT_ARG_STRING, NULL, OPT_STEPS, NULL, NULL},
    {"out", 0, POPT_ARG_STRING, NULL, OPT_OUT, NULL, NULL},
    {"resume", 0, POPT_ARG_STRING, NULL, OPT_RESUME, NULL, NULL},
    {"load", 0, POPT_ARG_STRING, NULL, OPT_LOAD, NULL, NULL},
    {"quiet", 'q', POPT_ARG_NONE, NULL, OPT_QUIET, NULL, NULL},
    {"verbose", 'v', POPT_ARG_NONE, NULL, OPT_VERBOSE, NULL, NULL},
    {"progress", 0, POPT_ARG_STRING, NULL, OPT_PROGRESS, NULL, NULL},
    {"threads", 0, POPT_ARG_STRING, NULL, OPT_THREADS, NULL, NULL},
    {"device", 0, POPT_ARG_STRING, NULL, OPT_DEVICE, NULL, NULL},
    {"licenses", 0, POPT_ARG_NONE, NULL, OPT_LICENSES, NULL, NULL},
    {"version", 0, POPT_ARG_NONE, NULL, OPT_VERSION, NULL, NULL},
    {"help", 'h', POPT_ARG_NONE, NULL, OPT_HELP, NULL, NULL},
    {0},
};

static bool parse_integer(const char *option, const char *text, int64_t lo, int64_t hi,
                          int64_t *out, RtErr *e) {
  char *end;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  if (*text == 0 || *end || errno || v < lo || v > hi)
    return rt_fail(e, RT_USAGE, "--%s: expected an integer from %lld to %lld, found `%.60s`",
                   option, (long long)lo, (long long)hi, text);
  *out = v;
  return true;
}

static bool check_setting(const MloSetting *s, const char *text, double v, RtErr *e) {
  if (!isfinite(v))
    return rt_fail(e, RT_USAGE, "--set %s: expected a finite number, found `%.60s`", s->name, text);
  if (s->dtype == MLO_I32 && (v != rint(v) || v < INT32_MIN || v > INT32_MAX))
    return rt_fail(e, RT_USAGE, "--set %s: expected an integer, found `%.60s`", s->name, text);
  if (s->dtype == MLO_BOOL && v != 0 && v != 1)
    return rt_fail(e, RT_USAGE, "--set %s: expected true or false, found `%.60s`", s->name, text);
  if (s->dtype == MLO_F32 && !isfinite((float)v))
    return rt_fail(e, RT_USAGE, "--set %s: %.60s is beyond the range of f32", s->name, text);
  if (v >= s->lo && v <= s->hi) return true;
  if (isinf(s->hi))
    return rt_fail(e, RT_USAGE, "--set %s: expected a value of at least %.9g, found %.60s", s->name,
                   s->lo, text);
  if (isinf(s->lo))
    return rt_fail(e, RT_USAGE, "--set %s: expected a value of at most %.9g, found %.60s", s->name,
                   s->hi, text);
  return rt_fail(e, RT_USAGE, "--set %s: expected a value from %.9g to %.9g, found %.60s", s->name,
                 s->lo, s->hi, text);
}

static bool unknown_name(const char *what, const char *name, const char *const *known, int n,
                         RtErr *e) {
  const char *near = rt_nearest(name, known, n);
  return rt_fail(e, RT_USAGE, "no %s `%.60s`%s%s%s", what, name, near ? "; did you mean `" : "",
                 near ? near : "", near ? "`?" : " (--help lists them)");
}

/* Splits "name=value" at the first '='. */
static char *split(const char *option, char *text, RtErr *e) {
  char *value = strchr(text, '=');
  if (!value || value == text) {
    rt_fail(e, RT_USAGE, "--%s: expected NAME=VALUE, found `%.60s`", option, text);
    return NULL;
  }
  *value = 0;
  return value + 1;
}

static bool parse_setting(const MloProgram *p, char *text, RtOptions *o, RtErr *e) {
  char *value = split("set", text, e), *end;
  if (!value) return false;
  const char **known = malloc(sizeof *known * ((size_t)p->nsetting + 1));
  if (!known) return rt_fail(e, RT_USAGE, "out of memory");
  int found = -1;
  for (int i = 0; i < p->nsetting; i++) {
    known[i] = p->setting[i].name;
    if (strcmp(known[i], text) == 0) found = i;
  }
  if (found < 0) unknown_name("setting", text, known, p->nsetting, e);
  free(known);
  if (found < 0) return false;
  const MloSetting *s = &p->setting[found];
  double v = strtod(value, &end);
  if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
    v = *value == 't';
    end = value + strlen(value);
  }
  if (*value == 0 || *end)
    return rt_fail(e, RT_USAGE, "--set %s: expected a number, found `%.60s`", s->name, value);
  o->setting[found] = v;
  return check_setting(s, value, v, e);
}

static bool parse_data(const MloProgram *p, char *text, RtOptions *o, RtErr *e) {
  char *file = split("data", text, e);
  if (!file) return false;
  for (int i = 0; i < p->nsource; i++)
    if (strcmp(p->data[i].name, text) == 0) {
      free(o->data[i]);
      o->data[i] = strdup(file);
      return o->data[i] || rt_fail(e, RT_USAGE, "out of memory");
    }
  const char **known = malloc(sizeof *known * ((size_t)p->nsource + 1));
  if (!known) return rt_fail(e, RT_USAGE, "out of memory");
  for (int i = 0; i < p->nsource; i++) known[i] = p->data[i].name;
  unknown_name("data source", text, known, p->nsource, e);
  free(known);
  return false;
}

static bool parse_progress(const char *text, RtOptions *o, RtErr *e) {
  static const char *const names[] = {"auto", "bar", "plain", "json", "none"};
  for (int i = 0; i < 5; i++)
    if (strcmp(text, names[i]) == 0) {
      o->progress = (RtProgressKind)i;
      return true;
    }
  return rt_fail(e, RT_USAGE, "--progress: expected bar, plain, json or none, found `%.60s`", text);
}

static bool parse_device(const char *text, RtOptions *o, RtErr *e) {
  static const char *const names[] = {"auto", "cpu", "cuda"};
  for (int i = 0; i < 3; i++)
    if (strcmp(text, names[i]) == 0) {
      o->device = (RtDeviceKind)i;
      return true;
    }
  return rt_fail(e, RT_USAGE, "--device: expected cpu, cuda or auto, found `%.60s`", text);
}

static bool take_text(const char *option, const char *what, const char *text, char **out,
                      RtErr *e) {
  if (!*text) return rt_fail(e, RT_USAGE, "--%s: expected %s", option, what);
  free(*out);
  *out = strdup(text);
  return *out || rt_fail(e, RT_USAGE, "out of memory");
}

static bool take_option(int code, char *text, const MloProgram *p, RtOptions *o, RtErr *e) {
  int64_t n;
  switch (code) {
  case OPT_SET: return parse_setting(p, text, o, e);
  case OPT_DATA: return parse_data(p, text, o, e);
  case OPT_SEED: return parse_integer("seed", text, 0, INT32_MAX, &o->seed, e);
  case OPT_SEEDS: return parse_integer("seeds", text, 1, 100000, &o->seeds, e);
  case OPT_STEPS: return parse_integer("steps", text, 0, INT32_MAX, &o->steps, e);
  case OPT_THREADS:
    if (!parse_integer("threads", text, 1, 4096, &n, e)) return false;
    o->nthread = (int)n;
    return true;
  case OPT_OUT: return take_text("out", "the name of a folder", text, &o->out, e);
  case OPT_RESUME: return take_text("resume", "auto or the name of a file", text, &o->resume, e);
  case OPT_LOAD: return take_text("load", "the name of a file", text, &o->load, e);
  case OPT_PROGRESS: return parse_progress(text, o, e);
  case OPT_DEVICE: return parse_device(text, o, e);
  case OPT_QUIET: o->quiet = true; return true;
  case OPT_VERBOSE: o->verbose = true; return true;
  case OPT_LICENSES: o->action = ACTION_LICENSES; return true;
  case OPT_VERSION: o->action = ACTION_VERSION; return true;
  default: o->action = ACTION_HELP; return true;
  }
}

static bool bad_option(poptContext c, int code, RtErr *e) {
  enum { NTABLE = sizeof table / sizeof *table - 1 };
  const char *known[NTABLE], *text = poptBadOption(c, 0);
  for (int i = 0; i < NTABLE; i++) known[i] = table[i].longName;
  if (code == POPT_ERROR_BADOPT && strncmp(text, "--", 2) == 0) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text + 2, "="), text + 2);
    const char *near = rt_nearest(name, known, NTABLE);
    return rt_fail(e, RT_USAGE, "no option `%.60s`%s%s%s", text, near ? "; did you mean `--" : "",
                   near ? near : "", near ? "`?" : " (--help lists them)");
  }
  return rt_fail(e, RT_USAGE, "%.60s: %s", text, poptStrerror(code));
}

static bool set_defaults(const MloProgram *p, RtOptions *o, RtErr *e) {
  *o = (RtOptions){.seed = p->seed, .steps = p->steps};
  o->setting = calloc((size_t)p->nsetting + 1, sizeof *o->setting);
  o->data = calloc((size_t)p->nsource + 1, sizeof *o->data);
  if (!o->setting || !o->data) return rt_fail(e, RT_USAGE, "out of memory");
  for (int i = 0; i < p->nsetting; i++) o->setting[i] = p->setting[i].value;
  return true;
}

bool rt_options_parse(int argc, char **argv, const MloProgram *p, RtOptions *o, RtErr *e) {
  if (!set_defaults(p, o, e)) return false;
  poptContext c = poptGetContext(NULL, argc, (const char **)argv, table, 0);
  int code;
  bool ok = true;
  while (ok && (code = poptGetNextOpt(c)) >= 0) {
    char *text = poptGetOptArg(c);
    ok = take_option(code, text, p, o, e);
    free(text);
  }
  if (ok && code < -1) ok = bad_option(c, code, e);
  if (ok && poptPeekArg(c))
    ok = rt_fail(e, RT_USAGE, "unexpected argument `%.60s` (--help lists the options)",
                 poptPeekArg(c));
  poptFreeContext(c);
  if (ok && o->resume && !strcmp(o->resume, "auto") && !o->out)
    ok = rt_fail(e, RT_USAGE, "--resume auto: expected --out, the folder of the run to go on with");
  if (ok && o->resume && o->load && strcmp(o->resume, "auto") != 0)
    ok = rt_fail(
        e, RT_USAGE,
        "--load and --resume FILE: both say where to begin; a checkpoint has all variables");
  if (ok && o->seeds && o->resume && strcmp(o->resume, "auto") != 0)
    ok = rt_fail(e, RT_USAGE, "--seeds and --resume FILE: a file is of one seed; expected auto");
  if (ok && o->seed + (o->seeds ? o->seeds - 1 : 0) > INT32_MAX)
    ok = rt_fail(e, RT_USAGE, "--seeds: the last seed would be beyond %d", INT32_MAX);
  return ok;
}

void rt_options_free(const MloProgram *p, RtOptions *o) {
  for (int i = 0; o->data && i < p->nsource; i++) free(o->data[i]);
  free(o->data);
  free(o->setting);
  free(o->out);
  free(o->resume);
  free(o->load);
  *o = (RtOptions){0};
}
