/* The report of `mloc check-grad`: hypergradients by methods, by dense and by central differences,
   compared variable by variable, as a table or as JSON. */
#include "frontend/check_report.h"

#include <jansson.h>
#include <math.h>

enum { SHOWN = 6 };   /* values of a variable in the table */
#define UNSOLVED 1e-6 /* residual from which on the levels below count as not solved */

static const char *const array_names[NCHECKARRAY] = {[CHECK_RESIDUAL] = "residual",
                                                     [CHECK_METHOD] = "method",
                                                     [CHECK_DENSE] = "dense",
                                                     [CHECK_FD] = "fd",
                                                     [CHECK_INDEX] = "index"};

const char *check_array_name(int i) { return array_names[i]; }

/* How a gradient compares with the differences over one variable's samples. */
typedef struct Agreement {
  double cosine, error;
  int n;
} Agreement;

/* Below this the differences are rounding alone. */
#define NOTHING 1e-10

/* Samples of the variable [at, at + size): cosine = <g, d> / (|g| |d|), error = |g - d| / |d|. Two
 * zeros agree; what is not a number agrees with nothing. */
static Agreement compare(const CheckLevel *l, const double *g, int64_t at, int64_t size) {
  double gd = 0, gg = 0, dd = 0, ee = 0;
  Agreement a = {1, 0, 0};
  for (int i = 0; i < l->nfd; i++) {
    if (l->index[i] < at || l->index[i] >= at + size) continue;
    double x = g[l->index[i]], d = l->fd[i];
    gd += x * d;
    gg += x * x;
    dd += d * d;
    ee += (x - d) * (x - d);
    a.n++;
  }
  if (!(sqrt(gg) <= NOTHING && sqrt(dd) <= NOTHING)) {
    a.cosine = gd / sqrt(gg * dd);
    a.error = sqrt(ee / (dd > 0 ? dd : gg));
  }
  return a;
}

/* JSON knows no NaN: null says that a number is none. */
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *samples_json(const CheckLevel *l, const double *g, int64_t at, int64_t size) {
  json_t *list = json_array();
  for (int i = 0; i < l->nfd; i++)
    if (l->index[i] >= at && l->index[i] < at + size)
      json_array_append_new(list, number(g ? g[l->index[i]] : l->fd[i]));
  return list;
}

static json_t *all_json(const double *g, int64_t at, int64_t size) {
  json_t *list = json_array();
  for (int64_t i = 0; i < size; i++) json_array_append_new(list, number(g[at + i]));
  return list;
}

static json_t *agreement_json(Agreement a) {
  json_t *o = json_object();
  json_object_set_new(o, "cosine", number(a.cosine));
  json_object_set_new(o, "relative_error", number(a.error));
  return o;
}

static json_t *variable_json(const CheckLevel *l, int var, int64_t at, int64_t size) {
  json_t *o = json_object(), *index = json_array();
  for (int i = 0; i < l->nfd; i++)
    if (l->index[i] >= at && l->index[i] < at + size)
      json_array_append_new(index, json_integer(l->index[i] - at));
  json_object_set_new(o, "name", json_string(l->level->var[var]->name));
  json_object_set_new(o, "method", all_json(l->method, at, size));
  json_object_set_new(o, "dense", all_json(l->dense, at, size));
  json_object_set_new(o, "differences", samples_json(l, NULL, at, size));
  json_object_set_new(o, "sampled", index);
  json_object_set_new(o, "method_against_differences",
                      agreement_json(compare(l, l->method, at, size)));
  json_object_set_new(o, "dense_against_differences",
                      agreement_json(compare(l, l->dense, at, size)));
  return o;
}

static void report_json(const CheckLevel *level, int n, FILE *out) {
  json_t *root = json_object(), *levels = json_array();
  for (int i = 0; i < n; i++) {
    json_t *o = json_object(), *vars = json_array();
    json_object_set_new(o, "level", json_string(level[i].level->name));
    json_object_set_new(o, "residual", number(level[i].residual));
    int64_t at = 0;
    for (int k = 0; k < level[i].level->nvar; k++) {
      int64_t size = type_count(level[i].level->var[k]->type);
      json_array_append_new(vars, variable_json(&level[i], k, at, size));
      at += size;
    }
    json_object_set_new(o, "variables", vars);
    json_array_append_new(levels, o);
  }
  json_object_set_new(root, "levels", levels);
  json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  fputc('\n', out);
  json_decref(root);
}

static void print_methods(const Level *l, FILE *out) {
  for (int e = 0; e < l->nedge; e++)
    fprintf(out, "%s%s via %s", e ? ", " : "", l->edge[e].lower->name, l->edge[e].method->name);
}

/* Without the sign of a NaN, which differs between processors. */
static double plain(double x) { return isnan(x) ? fabs(x) : x; }

static void print_agreement(const char *name, Agreement a, FILE *out) {
  fprintf(out, "      %-8s cosine %.12f   relative error %.2e\n", name, plain(a.cosine),
          plain(a.error));
}

static void print_values(const CheckLevel *l, int64_t at, int64_t size, FILE *out) {
  int shown = 0, all = 0;
  for (int i = 0; i < l->nfd; i++) {
    if (l->index[i] < at || l->index[i] >= at + size) continue;
    if (all++ >= SHOWN) continue;
    fprintf(out, "      [%lld] %21.13e %21.13e %21.13e\n", (long long)(l->index[i] - at),
            plain(l->method[l->index[i]]), plain(l->dense[l->index[i]]), plain(l->fd[i]));
    shown++;
  }
  if (all > shown)
    fprintf(out, "      ... and %d more samples of %lld values\n", all - shown, (long long)size);
}

static void print_level(const CheckLevel *l, FILE *out) {
  fprintf(out, "level %s (", l->level->name);
  print_methods(l->level, out);
  fprintf(out, "), levels below solved to a residual of %.1e\n", l->residual);
  if (!(l->residual < UNSOLVED))
    fprintf(out,
            "  Newton's method did not solve the levels below from where their own steps led: the "
            "differences\n"
            "  mean nothing. More `steps`, or initial values nearer to a solution, may help.\n");
  int64_t at = 0;
  for (int k = 0; k < l->level->nvar; k++) {
    const Storage *v = l->level->var[k];
    int64_t size = type_count(v->type);
    Agreement m = compare(l, l->method, at, size), d = compare(l, l->dense, at, size);
    fprintf(out, "  %s, against central differences of the solved program:\n", v->name);
    print_agreement("methods", m, out);
    print_agreement("dense", d, out);
    fprintf(out, "      %-4s%21s %21s %21s\n", "", "methods", "dense", "differences");
    print_values(l, at, size, out);
    at += size;
  }
}

void check_report(const CheckLevel *level, int n, FILE *out, bool json) {
  if (json) {
    report_json(level, n, out);
    return;
  }
  for (int i = 0; i < n; i++) print_level(&level[i], out);
}

bool check_agrees(const CheckLevel *level, int n, double tolerance) {
  for (int i = 0; i < n; i++) {
    Agreement a = compare(&level[i], level[i].dense, 0, type_count(level[i].level->flat->type));
    if (!(a.error <= tolerance)) return false;
  }
  return true;
}
