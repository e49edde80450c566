/* What the report of `mloc inspect --target=cuda` adds, as text. */
#include <string.h>

#include "codegen/inspect.h"

static const char *string(const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

static long long integer(const json_t *o, const char *key) {
  return (long long)json_integer_value(json_object_get(o, key));
}

static double number(const json_t *o, const char *key) {
  return json_number_value(json_object_get(o, key));
}

/* "1 block", "2 blocks", "3 launches" */
static void count(FILE *out, long long n, const char *what) {
  const char *many = what[strlen(what) - 1] == 'h' ? "es" : "s";
  fprintf(out, "%lld %s%s", n, what, n == 1 ? "" : many);
}

/* "3.21 M" for 3210000: three digits and a prefix. */
static void scaled(FILE *out, double x) {
  static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
  int i = 0;
  for (; x >= 999.5 && i < 5; i++) x /= 1000;
  fprintf(out, i ? "%.3g %s" : "%.0f %s", x, prefix[i]);
}

static void duration(FILE *out, double seconds) {
  static const char *const unit[] = {"ns", "us", "ms", "s"};
  double x = 1e9 * seconds;
  int i = 0;
  for (; x >= 999.5 && i < 3; i++) x /= 1000;
  fprintf(out, "%.3g %s", x, unit[i]);
}

static void spills(FILE *out, const json_t *k) {
  long long stores = integer(k, "spill_stores"), loads = integer(k, "spill_loads");
  if (stores > 0 || loads > 0)
    fprintf(out, ", spills %lld bytes out and %lld bytes in", stores, loads);
  if (integer(k, "stack_frame"))
    fprintf(out, ", stack frame of %lld bytes", integer(k, "stack_frame"));
  if (json_is_true(json_object_get(k, "reduces_f64_angles"))) fputs(" (large f64 angles)", out);
}

void inspect_print_device(const json_t *device, FILE *out) {
  size_t i;
  json_t *k;
  if (!device) return;
  fprintf(out, "device %s, as %s: ", string(device, "arch"), string(device, "assumed"));
  count(out, integer(device, "multiprocessors"), "multiprocessor");
  fprintf(out, ", %.4g GB/s, %.4g TFLOP/s in f32, %.4g in f64; ", number(device, "bandwidth") / 1e9,
          number(device, "flops_f32") / 1e12, number(device, "flops_f64") / 1e12);
  fprintf(out, "products of bf16 %.4g, of TF32 %.4g\n", number(device, "flops_bf16") / 1e12,
          number(device, "flops_tf32") / 1e12);
  count(out, integer(device, "kernels"), "kernel");
  fprintf(out, " of %lld bytes of code; ", integer(device, "code"));
  const json_t *loose = json_object_get(device, "loose");
  if (!json_array_size(loose)) fputs("none spills\n", out);
  if (json_array_size(loose)) fputs("these spill or keep arrays on the stack:\n", out);
  json_array_foreach(loose, i, k) {
    fprintf(out, "  %s", string(k, "kernel"));
    spills(out, k);
    fputs("\n", out);
  }
}

static void resources(FILE *out, const json_t *k) {
  fputs(", ", out);
  count(out, integer(k, "registers"), "register");
  fprintf(out, ", %lld bytes shared, %lld bytes of code", integer(k, "shared"), integer(k, "code"));
  spills(out, k);
  fprintf(out, "\n    occupancy %.0f %%, ", 100 * number(k, "occupancy"));
  count(out, integer(k, "blocks_a_multiprocessor"), "block");
  fprintf(out, " a multiprocessor by %s, %.2g waves", string(k, "limited_by"), number(k, "waves"));
}

static void launch(FILE *out, const json_t *o) {
  count(out, integer(o, "blocks"), "block");
  fprintf(out, " of %lld threads", integer(o, "threads"));
  if (json_object_get(o, "registers")) resources(out, o);
}

void inspect_print_kernel(const json_t *device, FILE *out) {
  size_t i;
  json_t *name;
  if (!device) return;
  fputs("    ", out);
  if (*string(device, "library")) fprintf(out, "%s; ", string(device, "library"));
  if (*string(device, "kernel")) {
    fprintf(out, "%s (%s): ", string(device, "kernel"), string(device, "shape"));
    launch(out, device);
    fputs("; ", out);
  }
  json_array_foreach(json_object_get(device, "within"), i, name)
      fprintf(out, "%s%s%s", i ? ", " : "within ", json_string_value(name),
              i + 1 == json_array_size(json_object_get(device, "within")) ? "; " : "");
  duration(out, number(device, "seconds"));
  fprintf(out, " by %s\n", string(device, "bound"));
}

static void cost(FILE *out, const json_t *o) {
  scaled(out, number(o, "flops"));
  fputs("flop, ", out);
  scaled(out, number(o, "bytes"));
  fputs("B, ", out);
  duration(out, number(o, "seconds"));
  fputs("\n", out);
}

static void block(FILE *out, const json_t *o) {
  size_t i;
  json_t *k;
  fprintf(out, "  %s: ", string(o, "kernel"));
  launch(out, o);
  fputs("\n    ", out);
  json_array_foreach(json_object_get(o, "kernels"), i, k) {
    fprintf(out, "%s%s", i ? ", " : "", string(k, "name"));
    if (number(k, "times") != 1) fprintf(out, " x %.0f", number(k, "times"));
  }
  fputs("\n    ", out);
  cost(out, o);
}

void inspect_print_costs(const json_t *report, FILE *out) {
  size_t i;
  json_t *x;
  const json_t *step = json_object_get(report, "step");
  if (!json_object_get(report, "device")) return;
  if (json_array_size(json_object_get(report, "blocks"))) fputs("\nseveral kernels in one\n", out);
  json_array_foreach(json_object_get(report, "blocks"), i, x) block(out, x);
  fputs("\nfunctions\n", out);
  json_array_foreach(json_object_get(report, "functions"), i, x) {
    fprintf(out, "  %s (%s): ", string(x, "name"), string(x, "role"));
    count(out, integer(x, "kernels"), "kernel");
    fputs(", ", out);
    cost(out, x);
  }
  if (!json_is_object(step)) return;
  fprintf(out, "\none step of %s", string(step, "level"));
  if (json_is_true(json_object_get(step, "at_most"))) fputs(" with all rounds of its loops", out);
  fputs(": ", out);
  count(out, integer(step, "launches"), "launch");
  fputs(", ", out);
  cost(out, step);
}
