/* Runs: which one is built and at which precision, which must be known before any type is; then
   their settings, and the levels that the chosen one reaches. All runs of a program are checked. */
#include <math.h>
#include <string.h>

#include "frontend/sema_internal.h"

static const AstItem *find_setting(const Symbol *run, const char *name) {
  for (const AstItem *it = run->item->body; it; it = it->next)
    if (it->kind == AST_SETTING && it->name && !strcmp(it->name, name)) return it;
  return NULL;
}

static bool read_precision(Sema *s, const Symbol *run, DType *out, Products *products) {
  const AstItem *it = find_setting(run, "precision");
  const AstExpr *e = it ? it->value : NULL;
  if (!e || e->kind == EX_ERROR) return false;
  if (e->kind == EX_NAME && precision_parse(e->text, out, products)) return true;
  Diag *d = diag_error(s->diags, e->span, "E0522", "`precision` is f32, f64, mixed or tf32");
  diag_help(s->diags, d, "`mixed` keeps values f32 and multiplies matrices of bf16");
  return false;
}

/* The run that was asked for; without a name the only one, or `main`. */
static Symbol *choose(Sema *s) {
  Symbol *found = NULL, *any = NULL;
  int n = 0;
  const char *want = s->opt->run ? s->opt->run : "main";
  const char **names = arena_array(s->arena, const char *, s->nsymbol);
  for (int i = 0; i < s->nsymbol; i++) {
    if (s->symbol[i]->kind != SYM_RUN) continue;
    any = s->symbol[i];
    names[n++] = any->name;
    if (!strcmp(any->name, want)) found = any;
  }
  if (found || (n == 1 && !s->opt->run)) return found ? found : any;
  if (s->lost_run) return NULL;
  Diag *d = diag_error(s->diags, any ? any->item->name_span : (Span){0, 0}, "E0330",
                       n == 0        ? "the program has no run%s%s"
                       : s->opt->run ? "there is no run `%s`%s"
                                     : "there are several runs%s%s",
                       n && s->opt->run ? want : "", "");
  if (n == 0)
    diag_help(s->diags, d, "add `run main of LEVEL { seed = 0; }`, LEVEL being the top one");
  else if (s->opt->run)
    help_nearest(s, d, want, names, n);
  else
    diag_help(s->diags, d, "name one, as in `mloc run p.mlo %s`, or call one of them `main`",
              names[0]);
  if (n == 0) return NULL;
  const char *text = "";
  for (int i = 0; i < n; i++)
    text = arena_printf(s->arena, "%s%s`%s`", text, i ? ", " : "", names[i]);
  diag_note(s->diags, d, n > 1 ? "there are %s" : "there is %s", text);
  return NULL;
}

void sema_choose_run(Sema *s) {
  DType p;
  Products products;
  s->run = choose(s);
  s->ops.flt = DT_F32;
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_RUN && read_precision(s, s->symbol[i], &p, &products) &&
        s->symbol[i] == s->run) {
      s->ops.flt = p;
      s->products = products;
    }
  if (!s->opt->any_precision) return;
  s->ops.flt = s->opt->precision;
  s->products = PRODUCTS_EXACT;
}

/* A count from 1 on; what it counts stands in the message. */
static void read_count(Sema *s, const AstExpr *e, const char *range, int64_t *out) {
  Value v;
  if (!sema_number(s, e, &v)) return;
  if (v.num >= 1 && v.num < 1e15 && v.num == floor(v.num))
    *out = (int64_t)v.num;
  else
    diag_error(s->diags, e->span, "E0525", "%s", range);
}

/* every(10), every(10, csv) */
static void read_report(Sema *s, const AstExpr *e, int64_t *every, bool *csv) {
  const AstArg *a = e->kind == EX_CALL ? e->arg : NULL, *b = a ? a->next : NULL;
  bool form =
      a && e->a->kind == EX_NAME && !strcmp(e->a->text, "every") && !a->name && (!b || !b->next);
  *csv = b && b->value->kind == EX_NAME && !strcmp(b->value->text, "csv");
  if (e->kind == EX_ERROR) return;
  if (!form || (b && !*csv)) {
    Diag *d = diag_error(s->diags, e->span, "E0522", "this is not a plan of reports");
    diag_help(s->diags, d,
              "write `report = every(10);`, or `every(10, csv)` to log to metrics.csv too");
    return;
  }
  read_count(s, a->value, "reports come every 1, 2, ... steps", every);
}

/* every(50), every(50, keep = 3) */
static void read_checkpoint(Sema *s, const AstExpr *e, int64_t *every, int64_t *keep) {
  const AstArg *a = e->kind == EX_CALL ? e->arg : NULL, *b = a ? a->next : NULL;
  bool form = a && e->a->kind == EX_NAME && !strcmp(e->a->text, "every") && !a->name &&
              (!b || (b->name && !strcmp(b->name, "keep") && !b->next));
  if (e->kind == EX_ERROR) return;
  if (!form) {
    Diag *d = diag_error(s->diags, e->span, "E0522", "this is not a plan of checkpoints");
    diag_help(s->diags, d,
              "write `checkpoint = every(50);`, or `every(50, keep = 3)` to keep the last three");
    return;
  }
  read_count(s, a->value, "checkpoints come every 1, 2, ... steps", every);
  if (b) read_count(s, b->value, "1, 2, ... checkpoints are kept", keep);
}

/* every(100) */
static void read_eval(Sema *s, const AstExpr *e, int64_t *every) {
  const AstArg *a = e->kind == EX_CALL ? e->arg : NULL;
  bool form = a && e->a->kind == EX_NAME && !strcmp(e->a->text, "every") && !a->name && !a->next;
  if (e->kind == EX_ERROR) return;
  if (!form) {
    Diag *d = diag_error(s->diags, e->span, "E0522", "this is not a plan of evaluations");
    diag_help(s->diags, d, "write `eval = every(100);`");
    return;
  }
  read_count(s, a->value, "evaluations come every 1, 2, ... steps", every);
}

static bool is_metric(const Sema *s, const AstExpr *e) {
  if (e->kind == EX_FIELD) {
    const Symbol *y = scope_find(s, e->a->text);
    return y && y->kind == SYM_LEVEL && !strcmp(e->text, "loss");
  }
  for (int i = 0; i < s->nlevel; i++) {
    const SMetric *m = level_metric(s->level[i], e->text);
    if (m && m->item->kind == AST_METRIC) return true;
  }
  return false;
}

typedef struct Best {
  const char *metric;
  Span span;
  bool max;
} Best;

/* max(acc), min(fit.loss) */
static void read_best(Sema *s, const AstExpr *e, Best *out) {
  const AstArg *a = e->kind == EX_CALL && e->a->kind == EX_NAME ? e->arg : NULL;
  if (e->kind == EX_ERROR || (a && a->value->kind == EX_ERROR)) return;
  bool max = a && !strcmp(e->a->text, "max"), min = a && !strcmp(e->a->text, "min");
  const AstExpr *m = a ? a->value : NULL;
  bool field = m && m->kind == EX_FIELD && m->a->kind == EX_NAME;
  if (!(max || min) || a->name || a->next || !(field || m->kind == EX_NAME)) {
    Diag *d = diag_error(s->diags, e->span, "E0522", "this says not which report is the best");
    diag_help(s->diags, d, "write `keep_best = max(acc);` or `keep_best = min(fit.loss);`");
    return;
  }
  const char *name = field ? arena_printf(s->arena, "%s.%s", m->a->text, m->text) : m->text;
  if (is_metric(s, m)) {
    *out = (Best){name, m->span, max};
    return;
  }
  const char **list = NULL;
  int n = 0, cap = 0;
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_METRIC && s->symbol[i]->item->kind == AST_METRIC)
      VEC_PUSH(s->arena, list, n, cap, s->symbol[i]->name);
  for (int i = 0; i < s->nlevel; i++) {
    const char *loss = arena_printf(s->arena, "%s.loss", s->level[i]->name);
    VEC_PUSH(s->arena, list, n, cap, loss);
  }
  Diag *d = diag_error(s->diags, m->span, "E0350", "there is no metric `%s`", name);
  help_nearest(s, d, name, list, n);
}

static void read_seed(Sema *s, const AstExpr *e, int64_t *seed) {
  Value v;
  if (!sema_number(s, e, &v)) return;
  if (v.num < 0 || v.num > 2147483647 || v.num != floor(v.num))
    diag_error(s->diags, e->span, "E0525", "a seed is an integer from 0 to 2147483647");
  else
    *seed = (int64_t)v.num;
}

static void read_settings(Sema *s, Symbol *run) {
  static const char *const known[] = {"seed",       "precision", "report",
                                      "checkpoint", "keep_best", "eval"};
  int64_t seed = 0, every = 0, checkpoint = 0, keep = 0, eval = 0;
  Best best = {.metric = NULL};
  bool csv = true;
  for (AstItem *it = run->item->body; it; it = it->next) {
    if (it->kind != AST_SETTING || !it->name || !it->value) continue;
    if (find_setting(run, it->name) != it)
      diag_error(s->diags, it->name_span, "E0524", "`%s` is given twice", it->name);
    else if (!strcmp(it->name, "seed"))
      read_seed(s, it->value, &seed);
    else if (!strcmp(it->name, "report"))
      read_report(s, it->value, &every, &csv);
    else if (!strcmp(it->name, "checkpoint"))
      read_checkpoint(s, it->value, &checkpoint, &keep);
    else if (!strcmp(it->name, "keep_best"))
      read_best(s, it->value, &best);
    else if (!strcmp(it->name, "eval"))
      read_eval(s, it->value, &eval);
    else if (strcmp(it->name, "precision"))
      setting_unknown(s, it, "a run", known, 6, NULL, 0);
  }
  if (run != s->run) return;
  s->seed = seed;
  s->report_every = every;
  s->csv = csv;
  s->checkpoint_every = checkpoint;
  s->checkpoint_keep = keep;
  s->eval_every = eval;
  s->best = best.metric;
  s->best_span = best.span;
  s->best_max = best.max;
}

static SLevel *top_of(Sema *s, Symbol *run) {
  const AstExpr *e = run->item->on;
  if (!e || e->kind == EX_ERROR) return NULL;
  Symbol *y = e->kind == EX_NAME ? scope_find(s, e->text) : NULL;
  if (y && y->kind == SYM_LEVEL) return y->level;
  if (y && y->twice) return NULL;
  const char **names = arena_array(s->arena, const char *, s->nlevel);
  for (int i = 0; i < s->nlevel; i++) names[i] = s->level[i]->name;
  Diag *d = diag_error(s->diags, e->span, "E0331", "a run is `of` a level");
  if (e->kind == EX_NAME) help_nearest(s, d, e->text, names, s->nlevel);
  return NULL;
}

static bool reaches(const Symbol *run, const SLevel *l) {
  return run->top && (run->top == l || run->top->below[l->number]);
}

static bool reached_before(const Symbol *run, const SLevel *l) {
  for (const Symbol *b = run->after; b; b = b->after)
    if (reaches(b, l)) return true;
  return false;
}

bool sema_reads_before(const Sema *s, const SLevel *reader, const SLevel *other) {
  for (int i = 0; i < s->nsymbol; i++) {
    const Symbol *run = s->symbol[i];
    if (run->kind == SYM_RUN && reaches(run, reader) && !reaches(run, other) &&
        reached_before(run, other))
      return true;
  }
  return false;
}

static void read_after(Sema *s, Symbol *run) {
  const AstExpr *e = run->item->lower;
  if (!e || e->kind == EX_ERROR) return;
  Symbol *y = e->kind == EX_NAME ? scope_find(s, e->text) : NULL;
  if (y && y->kind == SYM_RUN) {
    for (const Symbol *b = y; b; b = b->after)
      if (b == run) {
        diag_error(s->diags, e->span, "E0351", "run `%s` would come after itself", run->name);
        return;
      }
    run->after = y;
    return;
  }
  const char **names = arena_array(s->arena, const char *, s->nsymbol);
  int n = 0;
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_RUN && s->symbol[i] != run) names[n++] = s->symbol[i]->name;
  Diag *d = diag_error(s->diags, e->span, "E0351", "a run is `after` another run");
  if (e->kind == EX_NAME) help_nearest(s, d, e->text, names, n);
}

/* Says that a level under `run` has a metric of the same name as `m` of level `n`, another one. */
static void check_metric(Sema *s, const Symbol *run, SMetric *m, int n) {
  for (int i = 0; i < n; i++) {
    const SMetric *old = level_metric(s->level[i], m->item->name);
    if (!old || m->twice || !reaches(run, s->level[i])) continue;
    Diag *d = diag_error(s->diags, m->item->name_span, "E0102", "run `%s` has two metrics `%s`",
                         run->name, m->item->name);
    diag_label(s->diags, d, old->item->name_span, "a metric of that name");
    diag_help(s->diags, d, "levels of one run need metrics of different names");
    m->twice = true;
  }
}

static void check_metrics(Sema *s, const Symbol *run) {
  for (int i = 0; i < s->nlevel; i++)
    for (int k = 0; k < s->level[i]->nmetric && reaches(run, s->level[i]); k++)
      check_metric(s, run, &s->level[i]->metric[k], i);
}

void sema_run(Sema *s) {
  for (int i = 0; i < s->nsymbol; i++) {
    Symbol *y = s->symbol[i];
    if (y->kind != SYM_RUN) continue;
    y->top = top_of(s, y);
    read_after(s, y);
    read_settings(s, y);
    check_metrics(s, y);
    if (y == s->run) s->top = y->top;
  }
  if (!s->top) return;
  for (int i = 0; i < s->nlevel; i++) {
    s->level[i]->reached = reaches(s->run, s->level[i]);
    s->level[i]->given = !s->level[i]->reached && reached_before(s->run, s->level[i]);
  }
}
