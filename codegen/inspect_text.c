/* The report of `mloc inspect` as text, printed from its JSON form. */
#include <string.h>

#include "codegen/inspect.h"

static const char *string(const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

static long long integer(const json_t *o, const char *key) {
  return (long long)json_integer_value(json_object_get(o, key));
}

/* "1, 2, 3" or "a, b" */
static void list(FILE *out, const json_t *a) {
  size_t i;
  json_t *x;
  json_array_foreach(a, i, x) {
    if (i) fputs(", ", out);
    if (json_is_string(x))
      fputs(json_string_value(x), out);
    else
      fprintf(out, "%lld", (long long)json_integer_value(x));
  }
}

static void kernel(FILE *out, const json_t *k) {
  fprintf(out, "  %s (%s): %s over [", string(k, "name"), string(k, "role"), string(k, "kind"));
  list(out, json_object_get(k, "domain"));
  fputs("]", out);
  if (json_array_size(json_object_get(k, "reduced"))) {
    fputs(" reduced along ", out);
    list(out, json_object_get(k, "reduced"));
  }
  fputs(json_is_true(json_object_get(k, "parallel")) ? ", parallel\n" : "\n", out);
  if (json_array_size(json_object_get(k, "lines"))) {
    fputs("    lines ", out);
    list(out, json_object_get(k, "lines"));
    fputs("\n", out);
  }
  fputs("    nodes ", out);
  list(out, json_object_get(k, "nodes"));
  fputs("\n    writes ", out);
  list(out, json_object_get(k, "stores"));
  fprintf(out, "\n    %lld flop, %lld bytes, %.2f flop/byte\n", integer(k, "flops"),
          integer(k, "bytes"), json_real_value(json_object_get(k, "intensity")));
  inspect_print_kernel(json_object_get(k, "device"), out);
}

static void memory(FILE *out, const json_t *m) {
  size_t i;
  json_t *s;
  fprintf(out,
          "\nmemory: %lld bytes (%lld live for the whole run; %lld without reuse, %lld saved)\n",
          integer(m, "total"), integer(m, "whole_run"), integer(m, "without_reuse"),
          integer(m, "reused"));
  fprintf(out, "  %10s %10s  %-10s %s\n", "offset", "bytes", "kind", "storage");
  json_array_foreach(json_object_get(m, "storages"), i, s) {
    fprintf(out, "  %10lld %10lld  %-10s %s : %s", integer(s, "offset"), integer(s, "bytes"),
            string(s, "kind"), string(s, "name"), string(s, "type"));
    if (json_is_string(json_object_get(s, "view_of")))
      fprintf(out, ", in %s", string(s, "view_of"));
    if (!json_is_true(json_object_get(s, "whole_run")))
      fprintf(out, ", steps %lld to %lld", integer(s, "first_step"), integer(s, "last_step"));
    fputs("\n", out);
  }
}

static void schedule(FILE *out, const json_t *a, int depth) {
  size_t i;
  json_t *s;
  json_array_foreach(a, i, s) {
    fprintf(out, "%*s%s", 2 * depth, "", string(s, "kind"));
    const json_t *count = json_object_get(s, "count");
    if (json_is_string(count)) fprintf(out, " %s times", json_string_value(count));
    if (json_is_integer(count)) fprintf(out, " %lld times", (long long)json_integer_value(count));
    if (*string(s, "while")) fprintf(out, " at most, while %s", string(s, "while"));
    if (*string(s, "function")) fprintf(out, " %s", string(s, "function"));
    fputs("\n", out);
    schedule(out, json_object_get(s, "body"), depth + 1);
  }
}

static void systems(FILE *out, const json_t *a) {
  size_t i;
  json_t *s;
  if (json_array_size(a)) fputs("\nadjoint systems, in the order in which they are solved\n", out);
  json_array_foreach(a, i, s) {
    fprintf(out, "  %s: level %s, %lld unknowns by %s, blocks ", string(s, "name"),
            string(s, "level"), integer(s, "size"), string(s, "method"));
    list(out, json_object_get(s, "blocks"));
    fputs("\n", out);
  }
}

static void sources(FILE *out, const json_t *a) {
  size_t i;
  json_t *s, *rows;
  const char *part;
  if (json_array_size(a)) fputs("\ndata\n", out);
  json_array_foreach(a, i, s) {
    fprintf(out, "  %s: %s", string(s, "name"), string(s, "file"));
    if (integer(s, "rows")) fprintf(out, ", %lld rows", integer(s, "rows"));
    if (integer(s, "batch")) fprintf(out, ", batches of %lld", integer(s, "batch"));
    fputs(json_is_true(json_object_get(s, "shuffled")) ? ", shuffled" : "", out);
    json_object_foreach(json_object_get(s, "parts"), part, rows)
        fprintf(out, ", %s has %lld", part, (long long)json_integer_value(rows));
    fputs("\n", out);
  }
}

void inspect_print(const json_t *report, FILE *out) {
  size_t i;
  json_t *k;
  fprintf(out, "program %s, run %s\n", string(report, "program"), string(report, "run"));
  inspect_print_device(json_object_get(report, "device"), out);
  sources(out, json_object_get(report, "sources"));
  fputs("\nkernels\n", out);
  json_array_foreach(json_object_get(report, "kernels"), i, k) kernel(out, k);
  inspect_print_costs(report, out);
  memory(out, json_object_get(report, "memory"));
  fputs("\nschedule\n", out);
  schedule(out, json_object_get(report, "schedule"), 1);
  systems(out, json_object_get(report, "systems"));
  fputs("\nlibraries: ", out);
  list(out, json_object_get(report, "libraries"));
  fputs("\n", out);
}
