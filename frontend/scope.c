/* The one namespace of a program: from names to what they stand for, by hash; what may be
   declared; the nearest name for misspelt ones; and the values that the command line sets. */
#include <ctype.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"

static uint32_t hash_name(const char *s) {
  uint32_t h = 2166136261u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
  return h;
}

static uint32_t slot(const Sema *s, const char *name) {
  uint32_t mask = s->ntable - 1, i = hash_name(name) & mask;
  while (s->table[i] && strcmp(s->table[i]->name, name)) i = (i + 1) & mask;
  return i;
}

Symbol *scope_find(const Sema *s, const char *name) {
  if (s->env.library) {
    for (int i = 0; i < s->nlibrary; i++)
      if (!strcmp(s->library[i]->name, name)) return s->library[i];
    return NULL;
  }
  return s->ntable ? s->table[slot(s, name)] : NULL;
}

Symbol *scope_module(Sema *s, const char *name) {
  Symbol *y = scope_find(s, name);
  if (!y) y = library_find(s, name);
  return y && y->kind == SYM_MODULE && !y->twice ? y : NULL;
}

void help_nearest_module(Sema *s, Diag *d, const char *name) {
  const char **list = NULL;
  int n = 0, cap = 0;
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_MODULE) VEC_PUSH(s->arena, list, n, cap, s->symbol[i]->name);
  for (int i = 0; i < s->nlibrary; i++)
    if (s->library[i]->kind == SYM_MODULE) VEC_PUSH(s->arena, list, n, cap, s->library[i]->name);
  help_nearest(s, d, name, list, n);
}

const char *scope_kind(SymKind kind) {
  static const char *const word[NSYM] = {"a dimension", "a const", "a data source", "a function",
                                         "a module",    "a level", "a run",         "a metric"};
  return word[kind];
}

static void grow(Sema *s) {
  s->ntable = s->ntable ? 2 * s->ntable : 64;
  s->table = arena_array(s->arena, Symbol *, (int)s->ntable);
  for (int i = 0; i < s->nsymbol; i++) s->table[slot(s, s->symbol[i]->name)] = s->symbol[i];
}

/* Says that the name is taken, if it is. A module may have the name of a function, which is called
   in other places. */
static bool clash(Sema *s, const char *name, Span span, SymKind kind) {
  Symbol *old = scope_find(s, name);
  if (!old && (kind == SYM_MODULE || !builtin_find(name))) return false;
  const char *what = old ? "`%s` is declared twice" : "`%s` is a built-in function";
  Diag *d = diag_error(s->diags, span, "E0102", what, name);
  if (old) diag_label(s->diags, d, old->item->name_span, "%s of that name", scope_kind(old->kind));
  if (old) old->twice = true;
  diag_help(s->diags, d, "a name means one thing in a program; choose another");
  return true;
}

bool scope_free_name(Sema *s, const char *name, Span span) {
  return !clash(s, name, span, SYM_METRIC);
}

Symbol *scope_declare(Sema *s, SymKind kind, AstItem *item) {
  bool taken = false;
  if (!item->name) return NULL;
  if (kind != SYM_RUN && (!strcmp(item->name, "seed") || !strcmp(item->name, "metric"))) {
    Diag *d = diag_error(s->diags, item->name_span, "E0103", "`%s` is taken", item->name);
    diag_note(s->diags, d, "what a run writes uses this name itself");
  } else {
    taken = clash(s, item->name, item->name_span, kind);
  }
  if (taken && scope_find(s, item->name)) {
    s->lost_run = s->lost_run || kind == SYM_RUN;
    return NULL;
  }
  if (2 * s->nsymbol >= (int)s->ntable) grow(s);
  Symbol *y = arena_new_of(s->arena, Symbol);
  y->name = item->name;
  y->kind = kind;
  y->item = item;
  y->twice = taken;
  s->table[slot(s, y->name)] = y;
  VEC_PUSH(s->arena, s->symbol, s->nsymbol, s->symbol_cap, y);
  return y;
}

/* Edit distance in which swapping neighbours counts once; names are short (the scanner limits
   them). */
static int distance(const char *a, const char *b) {
  int n = (int)strlen(a), m = (int)strlen(b);
  int row[3][AST_MAX_NAME + 2];
  if (n > AST_MAX_NAME || m > AST_MAX_NAME) return AST_MAX_NAME;
  for (int j = 0; j <= m; j++) row[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      int best = up[j - 1] + (a[i - 1] != b[j - 1]);
      if (up[j] + 1 < best) best = up[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best)
        best = up2[j - 2] + 1;
      now[j] = best;
    }
  }
  return row[n % 3][m];
}

const char *nearest(const char *name, const char *const *list, int n) {
  const char *best = NULL;
  int limit = (int)strlen(name) / 3, least = limit < 1 ? 1 : limit;
  for (int i = 0; i < n; i++) {
    int d = distance(name, list[i]);
    if (!name[1] && tolower(name[0]) != tolower(list[i][0])) continue;
    if (d > least || (best && d >= least)) continue;
    least = d;
    best = list[i];
  }
  return best;
}

void help_nearest(Sema *s, Diag *d, const char *name, const char *const *list, int n) {
  const char *near = nearest(name, list, n);
  if (near) diag_help(s->diags, d, "did you mean `%s`?", near);
}

void help_nearest_visible(Sema *s, Diag *d, const char *name) {
  const char **list = NULL;
  int n = 0, cap = 0;
  for (const Local *l = s->env.local; l; l = l->next) VEC_PUSH(s->arena, list, n, cap, l->name);
  SLevel *v = s->env.level;
  for (int i = 0; v && i < v->nvar; i++) VEC_PUSH(s->arena, list, n, cap, v->var[i].name);
  for (int i = 0; v && i < v->nlet; i++) VEC_PUSH(s->arena, list, n, cap, v->let[i].item->name);
  const SInstance *t = s->env.instance ? s->env.instance : v ? v->root : NULL;
  for (int i = 0; t && i < t->nmember; i++) VEC_PUSH(s->arena, list, n, cap, t->member[i].name);
  if (s->ops.step) VEC_PUSH(s->arena, list, n, cap, "step");
  for (int i = 0; i < s->nsymbol; i++) VEC_PUSH(s->arena, list, n, cap, s->symbol[i]->name);
  for (int i = 0; i < builtin_count(); i++) VEC_PUSH(s->arena, list, n, cap, builtin_at(i)->name);
  help_nearest(s, d, name, list, n);
}

const char *sema_set_value(Sema *s, const char *name) {
  size_t n = strlen(name);
  const char *found = NULL;
  for (int i = 0; i < s->opt->nset; i++)
    if (!strncmp(s->opt->set[i], name, n) && s->opt->set[i][n] == '=') {
      found = s->opt->set[i] + n + 1;
      s->set_used[i] = true;
    }
  return found;
}
