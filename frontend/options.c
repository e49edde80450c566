/* The options of the command line: one table for all subcommands, read by popt. `run` has options
   of its own and passes all others on to the executable. */
#include "frontend/options.h"

#include <popt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Flag { /* an option, and the subcommands that have it */
  unsigned commands;
  const char *name;
  char letter;
  int kind;
  size_t offset;
  const char *help, *value;
} Flag;

#define AT(field) offsetof(Options, field)
static const Flag flags[] = {
    {COMPILES | FMT | EXPLAIN, "help", 'h', POPT_ARG_NONE, AT(help), "this text", NULL},
    {COMPILES, "set", 0, POPT_ARG_ARGV, AT(set), "value of a dim, const or setting", "NAME=VALUE"},
    {COMPILES, "data", 0, POPT_ARG_ARGV, AT(data), "file of a data source", "SOURCE=FILE"},
    {COMPILES & ~RUN, "run", 0, POPT_ARG_STRING, AT(run), "which run (if there are several)",
     "NAME"},
    {COMPILES, "diagnostics", 0, POPT_ARG_STRING, AT(diagnostics), "how errors are shown",
     "text|json"},
    {COMPILES, "pedantic", 0, POPT_ARG_NONE, AT(pedantic), "warn about what is likely a mistake",
     NULL},
    {LOWERS, "passes", 0, POPT_ARG_STRING, AT(passes), "optional passes: names, `-name`, none",
     "LIST"},
    {LOWERS, "dump-after", 0, POPT_ARG_STRING, AT(dump_after), "print the program after passes",
     "LIST|all"},
    {LOWERS, "time-passes", 0, POPT_ARG_NONE, AT(time_passes), "print how long each pass takes",
     NULL},
    {LOWERS, "verify", 0, POPT_ARG_NONE, AT(verify), "check the program after every pass", NULL},
    {RUN | BUILD | EMIT, "poison", 0, POPT_ARG_NONE, AT(poison), "fill dead memory with NaN", NULL},
    {RUN | BUILD | EMIT, "march", 0, POPT_ARG_STRING, AT(march), "processor to compile for",
     "NAME"},
    {RUN | BUILD, "show-cc", 0, POPT_ARG_NONE, AT(verbose), "print the C compiler's command", NULL},
    {BUILD | EMIT, "output", 'o', POPT_ARG_STRING, AT(out), "where to write", "FILE"},
    {EMIT, "stage", 0, POPT_ARG_STRING, AT(stage),
     "ast, ir, a pass's name, kernels, c (default), cuda, ptx", "STAGE"},
    {BUILD | EMIT | INSPECT, "target", 0, POPT_ARG_STRING, AT(target), "what runs the kernels",
     "cpu|cuda|cpu,cuda"},
    {CHECK_GRAD, "device", 0, POPT_ARG_STRING, AT(device), "what it runs on: cpu, cuda or auto",
     "DEVICE"},
    {BUILD, "arch", 0, POPT_ARG_STRING, AT(arch), "CUDA architectures to compile kernels for now",
     "sm_90,.."},
    {EMIT | INSPECT, "arch", 0, POPT_ARG_STRING, AT(arch), "CUDA architecture (default sm_90)",
     "ARCH"},
    {INSPECT, "no-spills", 0, POPT_ARG_NONE, AT(no_spills),
     "exit code 1 where a CUDA kernel spills registers", NULL},
    {INSPECT, "bandwidth", 0, POPT_ARG_DOUBLE, AT(bandwidth), "of the device's memory", "GB/s"},
    {INSPECT, "flops", 0, POPT_ARG_DOUBLE, AT(flops), "arithmetic of the device", "TFLOP/s"},
    {INSPECT | CHECK_GRAD, "json", 0, POPT_ARG_NONE, AT(json), "as one JSON object", NULL},
    {FMT, "check", 0, POPT_ARG_NONE, AT(check), "only say which files would change", NULL},
};
enum { NFLAG = sizeof flags / sizeof *flags };

int usage_error(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("mloc: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  return EXIT_USAGE;
}

bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), k = strlen(end);
  return n >= k && !strcmp(s + n - k, end);
}

static const Flag *find_flag(unsigned command, const char *arg, bool *has_value) {
  bool is_long = !strncmp(arg, "--", 2);
  size_t n = is_long ? strcspn(arg + 2, "=") : 0;
  for (int i = 0; i < NFLAG; i++) {
    const Flag *f = &flags[i];
    if (!(f->commands & command)) continue;
    bool hit = is_long ? n && strlen(f->name) == n && !strncmp(f->name, arg + 2, n)
                       : f->letter && arg[0] == '-' && arg[1] == f->letter && !arg[2];
    *has_value = is_long && arg[2 + n] == '=';
    if (hit) return f;
  }
  return NULL;
}

/* `run`: takes out of argv what is mloc's (*mine, for popt); the rest, the program first, the name
   of the run taken out as well, stays in *rest. What data is read both sides must know. */
static void split_run(Arena *a, int argc, char **argv, char **mine, int *nmine, char **rest,
                      int *nrest, Options *o) {
  int file = -1, n = 1;
  bool done = false, has_value;
  for (int i = 0; i < argc; i++) {
    const Flag *f = done ? NULL : find_flag(RUN, argv[i], &has_value);
    bool value = f && f->kind != POPT_ARG_NONE && !has_value && i + 1 < argc;
    bool both = f && !strcmp(f->name, "data");
    if (!done && !strcmp(argv[i], "--")) {
      done = true;
    } else if (f) {
      mine[(*nmine)++] = argv[i];
      if (both) rest[n++] = argv[i];
      if (value) mine[(*nmine)++] = argv[++i];
      if (value && both) rest[n++] = argv[i];
    } else if (file < 0 && (ends_with(argv[i], ".mlo") || ends_with(argv[i], ".ir"))) {
      file = i;
      rest[0] = argv[i];
      if (i + 1 < argc && argv[i + 1][0] != '-') o->run = arena_strdup(a, argv[++i]);
    } else {
      rest[n++] = argv[i];
    }
  }
  if (file < 0) memmove(rest, rest + 1, (size_t)(n - 1) * sizeof *rest);
  *nrest = file < 0 ? n - 1 : n;
}

static void options_of(unsigned command, Options *o, struct poptOption *table) {
  int n = 0;
  for (int i = 0; i < NFLAG; i++) {
    const Flag *f = &flags[i];
    if (!(f->commands & command)) continue;
    table[n++] = (struct poptOption){f->name, f->letter, (unsigned)f->kind, (char *)o + f->offset,
                                     0,       f->help,   f->value};
  }
  table[n] = (struct poptOption)POPT_TABLEEND;
}

/* A list or a text of popt's, which is freed, in the arena. */
static char **own_list(Arena *a, char **list) {
  int n = 0;
  while (list[n]) n++;
  char **copy = arena_array(a, char *, n + 1);
  for (int i = 0; i < n; i++) {
    copy[i] = arena_strdup(a, list[i]);
    free(list[i]);
  }
  free(list);
  return copy;
}

static char *own_text(Arena *a, char *text) {
  char *copy = arena_strdup(a, text);
  free(text);
  return copy;
}

static void own_values(Arena *a, unsigned command, Options *o) {
  for (int i = 0; i < NFLAG; i++) {
    void *at = (char *)o + flags[i].offset;
    if (!(flags[i].commands & command)) continue;
    if (flags[i].kind == POPT_ARG_STRING && *(char **)at) *(char **)at = own_text(a, *(char **)at);
    if (flags[i].kind == POPT_ARG_ARGV && *(char ***)at) *(char ***)at = own_list(a, *(char ***)at);
  }
}

/* `NAME=VALUE`, for all of a list. */
static int bad_pairs(char *const *list, const char *option, const char *form) {
  for (; list && *list; list++) {
    const char *eq = strchr(*list, '=');
    if (!eq || eq == *list)
      return usage_error("--%s %s: write --%s %s", option, *list, option, form);
  }
  return 0;
}

static int bad_choice(const Options *o) {
  int code = bad_pairs(o->set, "set", "NAME=VALUE");
  if (code == 0) code = bad_pairs(o->data, "data", "SOURCE=FILE");
  if (code) return code;
  const char *d = o->diagnostics, *t = o->target, *v = o->device;
  if (d && strcmp(d, "json") && strcmp(d, "text"))
    return usage_error("--diagnostics is `text` or `json`, not `%s`", d);
  if (v && strcmp(v, "cpu") && strcmp(v, "cuda") && strcmp(v, "auto"))
    return usage_error("--device is `cpu`, `cuda` or `auto`, not `%s`", v);
  if (t && strcmp(t, "cpu") && strcmp(t, "cuda") && strcmp(t, "cpu,cuda"))
    return usage_error("--target is `cpu`, `cuda` or `cpu,cuda`, not `%s`", t);
  if (!(o->bandwidth >= 0 && o->bandwidth < 1e9) || !(o->flops >= 0 && o->flops < 1e9))
    return usage_error("--bandwidth and --flops are positive: GB/s and TFLOP/s");
  return 0;
}

int options_parse(Arena *a, unsigned bit, const char *name, const char *usage, const char *text,
                  int argc, char **argv, Options *o, char ***rest, int *nrest) {
  struct poptOption table[NFLAG + 1];
  char **mine = arena_array(a, char *, argc + 2);
  int nmine = 1, code;
  *rest = arena_array(a, char *, argc + 2);
  *nrest = 0;
  mine[0] = arena_printf(a, "mloc %s", name);
  if (bit == RUN) {
    split_run(a, argc, argv, mine, &nmine, *rest, nrest, o);
  } else {
    memcpy(mine + 1, argv, (size_t)argc * sizeof *argv);
    nmine = argc + 1;
  }
  options_of(bit, o, table);
  poptContext pc = poptGetContext(NULL, nmine, (const char **)mine, table, 0);
  poptSetOtherOptionHelp(pc, usage);
  while ((code = poptGetNextOpt(pc)) > 0) {}
  own_values(a, bit, o);
  if (code < -1) {
    code = usage_error("%s: %s", poptBadOption(pc, POPT_BADOPTION_NOALIAS), poptStrerror(code));
  } else if (o->help) {
    printf("%s\n\n", text);
    poptPrintHelp(pc, stdout, 0);
    code = -1;
  } else if ((code = bad_choice(o)) == 0) {
    for (const char *s; (s = poptGetArg(pc));) (*rest)[(*nrest)++] = arena_strdup(a, s);
  }
  poptFreeContext(pc);
  return code;
}
