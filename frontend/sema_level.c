/* What levels declare: variables, lets, objective, edges, optimizer, metrics; and which level
   stands above which. Expressions are not looked at here, but for settings and bounds, which are
   numbers known in advance. */
#include <string.h>

#include "frontend/sema_internal.h"

SLet *level_let(SLevel *l, const char *name) {
  for (int i = 0; i < l->nlet; i++)
    if (!strcmp(l->let[i].item->name, name)) return &l->let[i];
  return NULL;
}

SMetric *level_metric(SLevel *l, const char *name) {
  for (int i = 0; i < l->nmetric; i++)
    if (!strcmp(l->metric[i].item->name, name)) return &l->metric[i];
  return NULL;
}

static void not_offered(Sema *s, Span at, const char *what, const char *help) {
  Diag *d = diag_error(s->diags, at, "E0110", "%s not offered", what);
  if (help) diag_help(s->diags, d, "%s", help);
}

/* Names that the compiler and the files of a run give to parts of every level. */
static bool reserved(const char *name) {
  static const char *const list[] = {
      "loss",          "optimizer", "steps",    "count",   "via",   "init",
      "grad",          "objective", "gradient", "update",  "state", "adjoint",
      "hypergradient", "restart",   "restarts", "started", "begin", "advance",
      "copy",          "draw",      "draws",    "settings"};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (!strcmp(name, list[i])) return true;
  return false;
}

/* False where the level has the name already. *good: it may have it; else an error has been said,
   and what is declared counts as bad, so that its uses are silent. */
static bool new_name(Sema *s, SLevel *l, AstItem *it, bool *good) {
  if (!it->name) return false;
  const SMember *part = instance_member(l->root, it->name);
  SLet *let = level_let(l, it->name);
  if (part || let) {
    Diag *d = diag_error(s->diags, it->name_span, "E0102", "`%s` is declared twice in `%s`",
                         it->name, l->name);
    diag_label(s->diags, d, part ? part->item->name_span : let->item->name_span, "first here");
    return false;
  }
  bool taken = it->kind != AST_LET && reserved(it->name); /* a let has no storage */
  *good = scope_free_name(s, it->name, it->name_span) && !taken;
  if (!taken) return true;
  Diag *d =
      diag_error(s->diags, it->name_span, "E0103", "`%s` is taken: every level has one", it->name);
  diag_help(s->diags, d, "choose another name");
  return true;
}

/* ---- settings */

static void read_optimizer(Sema *s, SLevel *l, AstItem *it) {
  const AstExpr *e = it->value;
  if (l->optimizer_item) {
    diag_error(s->diags, it->name_span, "E0524", "`optimizer` is given twice");
    return;
  }
  l->optimizer_item = it;
  if (e->kind == EX_ERROR) return;
  const char *name = e->kind == EX_CALL && e->a->kind == EX_NAME ? e->a->text
                     : e->kind == EX_NAME                        ? e->text
                                                                 : "";
  l->optimizer = optimizer_find(name);
  if (l->optimizer) {
    settings_parse(s, l, e, name, l->optimizer->setting, l->optimizer->nsetting, l->setting);
    return;
  }
  int n = optimizer_count();
  const char **list = arena_array(s->arena, const char *, n), *text = "";
  for (int i = 0; i < n; i++) {
    list[i] = optimizer_at(i)->name;
    text = arena_printf(s->arena, "%s%s`%s`", text, i ? ", " : "", list[i]);
  }
  Diag *d = diag_error(s->diags, e->span, "E0527",
                       *name ? "there is no optimizer `%s`" : "this is no optimizer%s", name);
  help_nearest(s, d, name, list, n);
  diag_note(s->diags, d, "there are %s", text);
}

/* restart = warm | fresh: where the level goes on after a step of the level above. */
static void read_restart(Sema *s, SLevel *l, AstItem *it) {
  const char *word = it->value->kind == EX_NAME ? it->value->text : "";
  if (!strcmp(word, "fresh")) l->fresh = it;
  if (!strcmp(word, "fresh") || !strcmp(word, "warm")) return;
  Diag *d = diag_error(s->diags, it->value->span, "E0525", "`restart` is `warm` or `fresh`");
  diag_note(s->diags, d,
            "warm (the default) goes on from where the level was, fresh draws initial values anew");
}

static void read_setting(Sema *s, SLevel *l, AstItem *it) {
  static const char *const known[] = {"optimizer", "steps", "stop", "restart", "freeze", "init"};
  if (!it->name || !it->value) return;
  if (!strcmp(it->name, "optimizer")) {
    read_optimizer(s, l, it);
  } else if (!strcmp(it->name, "steps")) {
    l->steps_item = it;
    setting_value(s, it->value, &steps_info, &l->steps);
  } else if (!strcmp(it->name, "stop")) {
    if (l->stop_item) diag_error(s->diags, it->name_span, "E0524", "`stop` is given twice");
    l->stop_item = it;
  } else if (!strcmp(it->name, "restart")) {
    read_restart(s, l, it);
  } else if (!strcmp(it->name, "freeze") || !strcmp(it->name, "init")) {
    VEC_PUSH(s->arena, l->part_setting, l->npart_setting, l->part_setting_cap, it);
  } else {
    setting_unknown(s, it, "a level", known, 6, NULL, 0);
  }
}

/* ---- edges */

static void unknown_method(Sema *s, Span at, const char *name) {
  static const char *const later[] = {"warm", "nystrom", "unroll", "penalty", "evolution"};
  int n = method_count();
  const char **list = arena_array(s->arena, const char *, n), *text = "";
  for (int i = 0; i < n; i++) {
    list[i] = method_at(i)->name;
    text = arena_printf(s->arena, "%s%s`%s`", text, i ? ", " : "", list[i]);
  }
  bool planned = false;
  for (size_t i = 0; i < sizeof later / sizeof *later; i++)
    planned = planned || !strcmp(name, later[i]);
  Diag *d =
      diag_error(s->diags, at, planned ? "E0110" : "E0527",
                 planned ? "the method `%s` is not offered" : "there is no method `%s`", name);
  if (!planned) help_nearest(s, d, name, list, n);
  diag_note(s->diags, d, "there are %s", text);
}

static void read_method(Sema *s, SEdge *edge, const AstExpr *e) {
  if (!e || e->kind == EX_ERROR) return;
  const char *name = e->kind == EX_CALL && e->a->kind == EX_NAME ? e->a->text
                     : e->kind == EX_NAME                        ? e->text
                                                                 : "";
  edge->method = method_find(name);
  if (edge->method)
    settings_parse(s, NULL, e, name, edge->method->setting, edge->method->nsetting, edge->setting);
  else
    unknown_method(s, e->span, name);
}

static void read_edge(Sema *s, SLevel *l, AstItem *it) {
  const AstExpr *e = it->lower;
  if (!e || e->kind == EX_ERROR) return;
  const Symbol *y = e->kind == EX_NAME ? scope_find(s, e->text) : NULL;
  if (!y || y->kind != SYM_LEVEL || !y->level) {
    s->lost_edge = true;
    if (y && (y->kind == SYM_LEVEL || y->twice)) return;
    Diag *d = diag_error(s->diags, e->span, "E0321", "`argmin` needs a level here");
    const char **list = arena_array(s->arena, const char *, s->nlevel);
    for (int i = 0; i < s->nlevel; i++) list[i] = s->level[i]->name;
    if (e->kind == EX_NAME) help_nearest(s, d, e->text, list, s->nlevel);
    return;
  }
  for (int i = 0; i < l->nedge; i++)
    if (l->edge[i].lower == y->level) {
      Diag *d = diag_error(s->diags, e->span, "E0321", "there are two `argmin %s`", y->name);
      diag_label(s->diags, d, l->edge[i].item->lower->span, "first here");
      return;
    }
  SEdge edge = {.lower = y->level, .item = it};
  read_method(s, &edge, it->method);
  VEC_PUSH(s->arena, l->edge, l->nedge, l->edge_cap, edge);
}

/* ---- the body */

static void read_objective(Sema *s, SLevel *l, AstItem *it) {
  if (l->objective_item) {
    Diag *d = diag_error(s->diags, it->name_span, "E0323", "`%s` has two objectives", l->name);
    diag_label(s->diags, d, l->objective_item->name_span, "first here");
    diag_help(s->diags, d, "add them up in one");
    return;
  }
  l->objective_item = it;
}

/* Metrics of two levels may share a name, which then stands for that of the level that a run
   reaches: sema_run looks for runs that reach both. */
static void add_metric(Sema *s, SLevel *l, AstItem *it) {
  const Symbol *old = it->name ? scope_find(s, it->name) : NULL;
  bool elsewhere = old && old->kind == SYM_METRIC && !level_metric(l, it->name);
  if (!elsewhere && !scope_declare(s, SYM_METRIC, it)) return;
  SMetric m = {.item = it};
  VEC_PUSH(s->arena, l->metric, l->nmetric, l->metric_cap, m);
}

static void add_var(Sema *s, SLevel *l, AstItem *it) {
  bool good;
  if (!new_name(s, l, it, &good)) return;
  if (it->kind == AST_STATE)
    sema_add_state(s, l->root, it, good);
  else
    sema_add_part(s, l, it, good);
}

static void add_let(Sema *s, SLevel *l, AstItem *it) {
  bool good;
  if (it->index) {
    l->ordered = true;
    return;
  }
  if (!new_name(s, l, it, &good)) return;
  SLet let = {.item = it, .progress = good ? NOT_CHECKED : FAILED};
  VEC_PUSH(s->arena, l->let, l->nlet, l->let_cap, let);
}

static void read_item(Sema *s, SLevel *l, AstItem *it);

static void read_items(Sema *s, SLevel *l, AstItem *it) {
  for (; it; it = it->next) read_item(s, l, it);
}

static void read_item(Sema *s, SLevel *l, AstItem *it) {
  bool yes;
  switch (it->kind) {
  case AST_VAR:
  case AST_STATE: add_var(s, l, it); break;
  case AST_LET: add_let(s, l, it); break;
  case AST_MINIMIZE:
  case AST_MAXIMIZE: read_objective(s, l, it); break;
  case AST_ARGMIN: read_edge(s, l, it); break;
  case AST_METRIC:
  case AST_OUTPUT: add_metric(s, l, it); break;
  case AST_SETTING: read_setting(s, l, it); break;
  case AST_FOR: l->ordered = true; break;
  case AST_IF:
    s->env =
        (Env){.owner = l, .pure = true, .bake = true, .place = "what must be known in advance"};
    if (sema_static(s, it->value, &yes)) read_items(s, l, yes ? it->body : it->orelse);
    break;
  default: break;
  }
}

static void check_body(Sema *s, SLevel *l) {
  Span at = l->item->name_span;
  if (!l->objective_item) {
    Diag *d = diag_error(s->diags, at, "E0323", "level `%s` has no objective", l->name);
    diag_help(s->diags, d, "add `minimize ...;`");
  }
  if (!l->root->nmember) {
    Diag *d = diag_error(s->diags, at, "E0324", "level `%s` has no variables", l->name);
    diag_help(s->diags, d, "add `var w : f32[D] = zeros;`");
  }
  if (!l->optimizer_item) {
    Diag *d = diag_error(s->diags, at, "E0325", "level `%s` has no optimizer", l->name);
    diag_help(s->diags, d, "add `optimizer = sgd(lr = 0.1);`");
  }
}

/* ---- order */

static bool find_cycle(Sema *s, SLevel *l, SLevel **path, int n) {
  if (l->visit == DONE) return false;
  if (l->visit == IN_PROGRESS) {
    int first = 0;
    while (path[first] != l) first++;
    const char *text = l->name;
    for (int i = first + 1; i < n; i++)
      text = arena_printf(s->arena, "%s -> %s", text, path[i]->name);
    Diag *d = diag_error(s->diags, l->item->name_span, "E0320", "level `%s` stands above itself",
                         l->name);
    diag_path(s->diags, d, "%s -> %s", text, l->name);
    diag_help(s->diags, d,
              "remove one `argmin`: a level below reads the levels above it without one");
    return true;
  }
  l->visit = IN_PROGRESS;
  path[n] = l;
  bool found = false;
  for (int i = 0; i < l->nedge && !found; i++) found = find_cycle(s, l->edge[i].lower, path, n + 1);
  l->visit = DONE;
  return found;
}

static void close_below(SLevel *l, int n) {
  if (l->visit == DONE) return;
  l->visit = DONE;
  for (int i = 0; i < l->nedge; i++) {
    SLevel *m = l->edge[i].lower;
    close_below(m, n);
    l->below[m->number] = true;
    for (int k = 0; k < n; k++) l->below[k] = l->below[k] || m->below[k];
  }
}

void sema_levels(Sema *s) {
  for (int i = 0; i < s->nsymbol; i++) {
    Symbol *y = s->symbol[i];
    if (y->kind != SYM_LEVEL) continue;
    if (y->item->binder) {
      not_offered(s, y->item->binder_span, "level families and task batches are", NULL);
      continue;
    }
    y->level = arena_new_of(s->arena, SLevel);
    *y->level = (SLevel){.name = y->name, .item = y->item, .number = s->nlevel};
    y->level->root = arena_new_of(s->arena, SInstance);
    *y->level->root = (SInstance){.path = "", .level = y->level};
    y->level->steps = (SSetting){.info = &steps_info, .value = steps_info.value};
    VEC_PUSH(s->arena, s->level, s->nlevel, s->level_cap, y->level);
  }
  for (int i = 0; i < s->nlevel; i++) {
    read_items(s, s->level[i], s->level[i]->item->body);
    check_body(s, s->level[i]);
  }
  SLevel **path = arena_array(s->arena, SLevel *, s->nlevel + 1);
  for (int i = 0; i < s->nlevel; i++) {
    s->level[i]->below = arena_array(s->arena, bool, s->nlevel);
    find_cycle(s, s->level[i], path, 0);
  }
  for (int i = 0; i < s->nlevel; i++) s->level[i]->visit = NOT_CHECKED;
  for (int i = 0; i < s->nlevel; i++) close_below(s->level[i], s->nlevel);
  for (int i = 0; i < s->nlevel; i++) sema_part_settings(s, s->level[i]);
  s->env = (Env){0};
  for (int i = 0; i < s->nlevel; i++) {
    bool above = !s->level[i]->fresh;
    for (int k = 0; k < s->nlevel; k++) above = above || s->level[k]->below[i];
    if (!above)
      diag_error(s->diags, s->level[i]->fresh->name_span, "E0333",
                 "no level stands above `%s`, so nothing restarts it", s->level[i]->name);
  }
}
