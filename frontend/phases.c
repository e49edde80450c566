/* Runs `after` others: their order, and the arguments of each. Options stand as `--out DIR` or
   `--out=DIR`, as the executables take them. */
#include "frontend/phases.h"

#include <string.h>

static const AstItem *find_run(const Ast *ast, const char *name) {
  for (const AstItem *it = ast->item; it; it = it->next)
    if (it->kind == AST_RUN && it->name && !strcmp(it->name, name)) return it;
  return NULL;
}

const char **phases_before(Arena *a, const Ast *ast, const char *run, int *n) {
  const char **list = NULL;
  int cap = 0;
  *n = 0;
  for (const AstItem *it = find_run(ast, run); it && it->lower;) {
    it = find_run(ast, it->lower->text);
    if (it) VEC_PUSH(a, list, *n, cap, it->name);
  }
  for (int i = 0; i < *n / 2; i++) {
    const char *x = list[i];
    list[i] = list[*n - 1 - i];
    list[*n - 1 - i] = x;
  }
  return list;
}

/* Whether argv[i] is the option; *words: 2 where its value is the next one. */
static const char *value_of(int argc, char *const *argv, int i, const char *option, int *words) {
  size_t n = strlen(option);
  *words = 1;
  if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, option, n) != 0) return NULL;
  if (argv[i][2 + n] == '=') return argv[i] + 3 + n;
  if (argv[i][2 + n] || i + 1 >= argc) return NULL;
  *words = 2;
  return argv[i + 1];
}

const char *phase_option(int argc, char *const *argv, const char *option) {
  const char *found = NULL;
  int words;
  for (int i = 1; i < argc; i += words) {
    const char *value = value_of(argc, argv, i, option, &words);
    if (value) found = value;
  }
  return found;
}

static bool has(int argc, char *const *argv, const char *const *list) {
  for (int i = 1; i < argc; i++)
    for (int k = 0; list[k]; k++)
      if (!strcmp(argv[i], list[k])) return true;
  return false;
}

bool phase_asks(int argc, char *const *argv) {
  static const char *const list[] = {"--help", "-h", "--version", "--licenses", NULL};
  return has(argc, argv, list);
}

bool phase_quiet(int argc, char *const *argv) {
  static const char *const list[] = {"--quiet", "-q", NULL};
  return has(argc, argv, list);
}

static bool reads(const Phase *p, const char *pair) {
  size_t n = strcspn(pair, "=");
  for (int i = 0; i < p->nsource; i++)
    if (strlen(p->source[i]) == n && !strncmp(p->source[i], pair, n)) return true;
  return false;
}

/* Whether the phase does not take the option at i as it stands. */
static bool dropped(int argc, char *const *argv, int i, const Phase *p, int *words) {
  const char *data;
  if (value_of(argc, argv, i, "out", words) || value_of(argc, argv, i, "load", words)) return true;
  if (value_of(argc, argv, i, "steps", words)) return !p->last;
  data = value_of(argc, argv, i, "data", words);
  return data && !reads(p, data);
}

char **phase_arguments(Arena *a, int argc, char *const *argv, const Phase *p) {
  char **out = arena_array(a, char *, argc + 6);
  int n = 0, words;
  out[n++] = arena_strdup(a, p->name);
  for (int i = 1; i < argc; i += words) {
    bool drop = dropped(argc, argv, i, p, &words);
    for (int k = 0; k < words && !drop; k++) out[n++] = argv[i + k];
  }
  if (p->out) out[n++] = arena_printf(a, "--out=%s", p->out);
  if (p->load) out[n++] = arena_printf(a, "--load=%s", p->load);
  out[n] = NULL;
  return out;
}
