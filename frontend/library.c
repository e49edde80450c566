/* The modules that come with the language: library.mlo, whose text is part of the command. It is
   parsed the first time that a name is not found in the program. Its nodes have no place in the
   program's text: what is wrong in a call of them is said at the call. */
#include <string.h>

#include "frontend/library.h"
#include "frontend/sema_internal.h"

static void forget_args(AstArg *a);

static void forget_expr(AstExpr *e) {
  if (!e) return;
  e->span = e->at = (Span){0, 0};
  forget_expr(e->a);
  forget_expr(e->b);
  forget_expr(e->c);
  forget_args(e->arg);
}

static void forget_args(AstArg *a) {
  for (; a; a = a->next) {
    a->name_span = (Span){0, 0};
    forget_expr(a->value);
  }
}

static void forget_type(AstType *t) {
  if (!t) return;
  t->span = t->name_span = (Span){0, 0};
  forget_args(t->dim);
}

static void forget_items(AstItem *it) {
  for (; it; it = it->next) {
    it->span = it->name_span = it->binder_span = it->open_span = it->else_span = (Span){0, 0};
    forget_args(it->index);
    for (AstParam *p = it->param; p; p = p->next) {
      p->name_span = (Span){0, 0};
      forget_type(p->type);
    }
    forget_type(it->type);
    AstExpr *const part[] = {it->constraint, it->value,  it->update, it->on,
                             it->lower,      it->method, it->domain};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) forget_expr(part[i]);
    forget_items(it->body);
    forget_items(it->orelse);
  }
}

static void load(Sema *s) {
  Diags *d = diags_new(s->arena, "library.mlo", library_text);
  Ast *ast = ast_parse(s->arena, d, library_text, strlen(library_text));
  if (d->nerror) {
    diags_print(d, stderr, false);
    compiler_bug("library", "library.mlo does not parse");
  }
  forget_items(ast->item);
  for (AstItem *it = ast->item; it; it = it->next) {
    Symbol *y = arena_new_of(s->arena, Symbol);
    y->name = it->name;
    y->kind = it->kind == AST_FN ? SYM_FN : SYM_MODULE;
    y->item = it;
    y->library = true;
    y->used = true;
    VEC_PUSH(s->arena, s->library, s->nlibrary, s->library_cap, y);
  }
}

Symbol *library_find(Sema *s, const char *name) {
  if (!s->nlibrary) load(s);
  for (int i = 0; i < s->nlibrary; i++)
    if (!strcmp(s->library[i]->name, name)) return s->library[i];
  return NULL;
}
