#ifndef MLOC_FRONTEND_SEMA_INTERNAL_H
#define MLOC_FRONTEND_SEMA_INTERNAL_H

#include "frontend/sema_types.h"

/* What the files of semantic analysis offer each other. */

/* symbols: scope.c */
Symbol *scope_find(const Sema *s, const char *name);
Symbol *scope_declare(Sema *s, SymKind kind, AstItem *item); /* NULL after an error */
const char *scope_kind(SymKind kind);                        /* "a dimension" */
bool scope_free_name(Sema *s, const char *name, Span span);  /* error where the name is taken */
/* The name nearest to `name` of n, or NULL if none is near. */
const char *nearest(const char *name, const char *const *list, int n);
void help_nearest(Sema *s, Diag *d, const char *name, const char *const *list, int n);
void help_nearest_visible(Sema *s, Diag *d, const char *name);
const char *sema_set_value(Sema *s,
                           const char *name); /* text after `=` of --set name=..., or NULL */

/* sizes and types: sema_size.c */
bool sema_size(Sema *s, const AstExpr *e, SDim *out);
bool sema_type(Sema *s, const AstType *t, SType *out);
bool sema_dtype(Sema *s, const AstType *t, DType *out);
void sema_dims(Sema *s);
bool sema_dim(Sema *s, Symbol *y); /* resolves a dim */

/* expressions: sema_expr.c, sema_index.c, sema_fn.c */
Value sema_expr(Sema *s, const AstExpr *e);
Value sema_index(Sema *s, const AstExpr *e);
Value sema_call(Sema *s, const AstExpr *e);
Value sema_call_fn(Sema *s, Symbol *fn, const AstExpr *e);
Value sema_const(Sema *s, Symbol *y);
void sema_check_fn(Sema *s, Symbol *fn);
/* A number known now (a setting, a bound); consts in it are baked. */
bool sema_number(Sema *s, const AstExpr *e, Value *out);

/* declarations */
void sema_data(Sema *s);                        /* sema_data.c */
SField *data_field(SData *d, const char *name); /* NULL if there is none */
void sema_levels(Sema *s);                 /* sema_level.c: what levels declare, and their order */
void sema_lower_level(Sema *s, SLevel *l); /* sema_lower.c: their expressions */
Value sema_let(Sema *s, SLevel *l, SLet *let);
SVar *level_var(SLevel *l, const char *name);
SLet *level_let(SLevel *l, const char *name);
void sema_choose_run(Sema *s);        /* sema_run.c: which run, and its precision */
void sema_run(Sema *s);               /*   the rest, and what levels it reaches */
Value sema_initial(Sema *s, SVar *v); /* sema_init.c: value of v's type, broadcast */
bool sema_box(Sema *s, const AstExpr *e, const char *form, Value *lo, Value *hi);

/* settings: sema_settings.c */
bool settings_parse(Sema *s, const AstExpr *call, const char *what, const SettingInfo *info, int n,
                    SSetting *out);
bool setting_value(Sema *s, const AstExpr *e, const SettingInfo *info, SSetting *out);
void setting_unknown(Sema *s, AstItem *item, const char *where, const char *const *known,
                     int nknown, const char *const *later, int nlater);

Program *sema_emit(Sema *s); /* sema_emit.c */

#endif
