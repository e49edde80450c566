/* Semantic analysis: from the syntax tree to a Program. Names are declared first; then the run's
   precision, data and sizes; then what levels declare; then every expression, typed and lowered in
   one walk; then the Program of the chosen run. When a const turns out to size something or to be
   part of a setting, the analysis starts over with its number baked in. */
#include "frontend/sema_internal.h"

static void declare(Sema *s) {
  static const struct {
    AstItemKind item;
    SymKind kind;
  } kinds[] = {{AST_CONST, SYM_CONST}, {AST_DATA, SYM_DATA},     {AST_FN, SYM_FN},
               {AST_LEVEL, SYM_LEVEL}, {AST_MODULE, SYM_MODULE}, {AST_RUN, SYM_RUN}};
  for (AstItem *it = s->ast->item; it; it = it->next) {
    for (AstItem *d = it->kind == AST_DIM ? it->body : NULL; d; d = d->next)
      scope_declare(s, SYM_DIM, d);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
      if (it->kind == kinds[i].item) scope_declare(s, kinds[i].kind, it);
  }
}

static void check_unused(Sema *s) {
  for (int i = 0; i < s->nsymbol; i++) {
    const Symbol *y = s->symbol[i];
    bool counts =
        y->kind == SYM_DIM || y->kind == SYM_CONST || y->kind == SYM_DATA || y->kind == SYM_FN ||
        y->kind == SYM_MODULE;
    if (counts && !y->used)
      diag_warning(s->diags, y->item->name_span, "W0101", "%s `%s` is not used",
                   scope_kind(y->kind) + 2, y->name);
  }
  for (int i = 0; i < s->nlevel; i++)
    for (int k = 0; k < s->level[i]->nlet; k++)
      if (!s->level[i]->let[k].used)
        diag_warning(s->diags, s->level[i]->let[k].item->name_span, "W0101", "`let %s` is not used",
                     s->level[i]->let[k].item->name);
}

static void analyse(Sema *s) {
  s->complete = true;
  s->ops.stream = &s->stream;
  s->ops.g = graph_new(s->arena);
  s->ops.what = "this";
  declare(s);
  for (int i = 0; i < s->nbaked; i++) {
    Symbol *y = scope_find(s, s->baked[i]);
    if (y) y->baked = true;
  }
  sema_choose_run(s);
  sema_data(s);
  for (int i = 0; i < s->nsymbol; i++) {
    Symbol *y = s->symbol[i];
    s->env = (Env){.pure = true};
    if (y->kind == SYM_CONST) {
      bool used = y->used;
      sema_const(s, y);
      y->used = used;
    }
    if (y->kind == SYM_FN) sema_check_fn(s, y);
    if (y->kind == SYM_MODULE) sema_check_module(s, y);
  }
  sema_levels(s);
  sema_run(s);
  for (int i = 0; i < s->nlevel; i++) sema_lower_level(s, s->level[i]);
}

Program *sema_program(Arena *a, Diags *d, const Ast *ast, const SemaOptions *o) {
  const char **baked = NULL;
  int nbaked = 0, cap = 0;
  for (;;) {
    Sema s = {.arena = a, .diags = d, .ast = ast, .opt = o};
    s.ops.arena = a;
    s.ops.diags = d;
    s.ops.ragged = rows_ragged;
    s.ops.ctx = &s;
    s.baked = baked;
    s.nbaked = nbaked;
    s.baked_cap = cap;
    s.set_used = arena_array(a, bool, o->nset);
    analyse(&s);
    if (d->nerror) return NULL;
    if (!s.rebake) {
      if (o->pedantic) check_unused(&s);
      return s.complete && !s.missing ? sema_emit(&s) : NULL;
    }
    baked = s.baked;
    nbaked = s.nbaked;
    cap = s.baked_cap;
  }
}
