/* The runner: walks the table of passes, checks the facts, dumps and times on demand. */
#include "passes/pass.h"

#include <string.h>
#include <time.h>

#include "ir/text.h"
#include "ir/verify.h"
#include "passes/passes.h"

enum { REQUIRED, OPTIONAL, ON_REQUEST };

typedef struct PassInfo {
  const char *name;
  unsigned requires, establishes, breaks;
  int kind;
  bool (*run)(Program *p);
} PassInfo;

#define PASS(name, requires, establishes, breaks, kind)                                            \
  {#name, requires, establishes, breaks, kind, pass_##name},
static const PassInfo passes[] = {
#include "passes/pipeline.def"
};

int pass_count(void) { return (int)(sizeof passes / sizeof *passes); }
const char *pass_name(int i) { return passes[i].name; }
bool pass_optional(int i) { return passes[i].kind == OPTIONAL; }

/* Whether the comma list holds the name, with the given prefix before it. */
static bool listed(const char *list, const char *prefix, const char *name) {
  size_t np = strlen(prefix), nn = strlen(name);
  for (const char *s = list; s && *s;) {
    size_t n = strcspn(s, ",");
    if (n == np + nn && !strncmp(s, prefix, np) && !strncmp(s + np, name, nn)) return true;
    s += n + (s[n] == ',');
  }
  return false;
}

const char *pass_unknown(Arena *a, const char *list) {
  for (const char *s = list; s && *s;) {
    size_t n = strcspn(s, ",");
    const char *word = arena_strndup(a, s, n);
    bool known = !n || !strcmp(word, "all") || !strcmp(word, "none");
    for (int i = 0; i < pass_count() && !known; i++)
      known = !strcmp(word + (*word == '-'), passes[i].name);
    if (!known) return word;
    s += n + (s[n] == ',');
  }
  return NULL;
}

/* A list with a positive name or "none" starts from no optional pass, any other from all. */
static bool enabled(const PassInfo *pass, const PassOptions *o) {
  const char *list = o->passes;
  if (pass->kind == ON_REQUEST) return pass->run == pass_check_grad && o->check_grad;
  if (pass->kind == REQUIRED || !list || !*list) return true;
  if (listed(list, "-", pass->name)) return false;
  if (listed(list, "", pass->name)) return true;
  bool positive = listed(list, "", "none");
  for (int i = 0; i < pass_count(); i++) positive = positive || listed(list, "", passes[i].name);
  return !positive;
}

static double seconds(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool run_one(Program *p, const PassInfo *pass, const PassOptions *o) {
  if (pass->requires & ~p->facts) compiler_bug(pass->name, "runs before what it requires");
  double start = seconds();
  if (!pass->run(p)) return false;
  p->facts = (p->facts & ~pass->breaks) | pass->establishes;
  if (o->time && o->dump)
    fprintf(o->dump, "%-14s %8.3f ms\n", pass->name, 1e3 * (seconds() - start));
  const char *wrong = o->verify ? ir_verify(p) : NULL;
  if (wrong) compiler_bug(pass->name, "%s", wrong);
  if (o->dump && (listed(o->dump_after, "", pass->name) || listed(o->dump_after, "", "all")))
    fprintf(o->dump, "// after %s\n%s", pass->name, ir_print(p));
  return true;
}

bool pass_run(Program *p, const PassOptions *o) {
  for (int i = 0; i < pass_count(); i++) {
    const PassInfo *pass = &passes[i];
    bool done = pass->establishes && (pass->establishes & ~p->facts) == 0;
    bool late = pass->kind != REQUIRED && (pass->breaks & p->facts);
    if (!done && !late && enabled(pass, o) && !run_one(p, pass, o)) return false;
    if (o->stop_after && !strcmp(o->stop_after, pass->name)) break;
  }
  return p->diags->nerror == 0;
}
