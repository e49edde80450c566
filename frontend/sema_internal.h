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
/* The module of that name, of the program or of the library; NULL: none. */
Symbol *scope_module(Sema *s, const char *name);
void help_nearest_module(Sema *s, Diag *d, const char *name);
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
/* Provenance of e's nodes: its place, in library.mlo that of the call. */
Span sema_place(const Sema *s, const AstExpr *e);
Value sema_call(Sema *s, const AstExpr *e);
Value sema_call_fn(Sema *s, Symbol *fn, const AstExpr *e);
Value sema_read_var(Sema *s, SVar *v);
/* A position on an axis: an index, or one end of a range; negative ones count from the end. */
bool sema_position(Sema *s, const AstExpr *e, SDim size, SDim *out);
Value sema_const(Sema *s, Symbol *y);
void sema_check_fn(Sema *s, Symbol *fn);
/* A number known now (a setting, a bound); consts in it are baked. */
bool sema_number(Sema *s, const AstExpr *e, Value *out);

/* Parts of a call that fns and modules share: the arguments in the order of the parameters, sizes
   bound by them, the declared result; limits on the number of calls. */
bool fn_arguments(Sema *s, Symbol *fn, const AstExpr *e, Value **out);
bool fn_bind(Sema *s, Symbol *fn, Value *v);
void fn_check_result(Sema *s, Symbol *fn, Value v, Span at);
Value fn_result(Sema *s, Symbol *fn, Value v);
/* Parameters of a definition that is checked, with sizes unlike any others. */
bool fn_declare(Sema *s, Symbol *fn);
bool fn_count_call(Sema *s, const Symbol *fn, const AstExpr *e);

/* bodies: sema_body.c */
/* A truth that is known when the program is compiled; errors reported. sema_is_static: one that
   depends on no const. */
bool sema_static(Sema *s, const AstExpr *e, bool *out);
bool sema_is_static(const Sema *s, const AstExpr *e);
bool sema_domain(Sema *s, const AstExpr *e, int64_t *lo, int64_t *hi); /* a..b of a `for` */
Local *sema_bind(Sema *s, Local **list, const char *name);
Value sema_let_value(Sema *s, const AstItem *it);
/* Runs lets, rebindings, `for` and `if` in order, of a module or a level (whose declarations are
   skipped); inside: of a `for`. *result: what `return` gives. False after an error. */
bool sema_run_items(Sema *s, AstItem *first, bool level, bool inside, Value *result);
/* The value of a let of a level with `for`, after all its statements: runs them, once a graph.
   NULL: it has no such let. */
const Local *sema_ordered(Sema *s, SLevel *l, const char *name, bool *bad);
/* sum(i in 0..4: e) and its like. */
struct Builtin;
Value sema_each(Sema *s, const struct Builtin *b, const AstExpr *e);
void sema_next_state(Sema *s, SState *st);
Value sema_call_module(Sema *s, SInstance *t, const AstExpr *e);
Value sema_instance_value(Sema *s, const SInstance *t); /* all its parameters as one vector */

/* what levels own: sema_var.c */
void sema_add_part(Sema *s, SLevel *l, AstItem *it, bool good); /* a `var` */
void sema_add_state(Sema *s, SInstance *of, AstItem *it, bool good);
SMember *instance_member(const SInstance *t, const char *name);
/* What `e` names: a member's element (w, net.l1, block[i], fit.net), or an instance. NULL where it
   is none; after an error if *bad. */
SMember *sema_member(Sema *s, const AstExpr *e, int *at, bool *bad);
SInstance *sema_instance(Sema *s, const AstExpr *e);
/* The value of what sema_member finds, or of all of an instance; *found: it is a part, or an error
   has been said. */
Value sema_part(Sema *s, const AstExpr *e, bool *found);
void sema_part_settings(Sema *s, SLevel *l); /* freeze, init */
void sema_check_module(Sema *s, Symbol *module);
void sema_check_body(Sema *s, SInstance *t); /* sema_body.c */

/* library.mlo: library.c */
Symbol *library_find(Sema *s, const char *name);

/* declarations */
void sema_data(Sema *s);                        /* sema_data.c */
SField *data_field(SData *d, const char *name); /* NULL if there is none */
/* Rows of sources: sema_rows.c. */
void sema_rows(Sema *s, Symbol *data);  /* batches, shuffling, splits; after the fields' types */
void sema_split(Sema *s, Symbol *data); /* sema_split.c: its parts; sizes once rows are known */
/* A source `train` or a part `train.tr`; NULL if it is neither, which is said unless `quiet`. */
SRows *rows_find(Sema *s, const AstExpr *e, Symbol **data, bool quiet);
void rows_ragged(void *ctx, SDim size, Node **valid, Node **count); /* Ops.ragged */
bool rows_batch(Sema *s, const AstExpr *call, SDim *out); /* batch(train) as a size */
Value rows_call(Sema *s, const AstExpr *call);            /* index(train), batch(train) */
/* A field's value for the rows at hand, from that of all rows. */
Value rows_of_field(Sema *s, Symbol *data, const SRows *r, const SField *f, Value all);
/* sema_cursor.c: the level at hand draws batches of r; what the runtime is to read ahead. */
void cursor_add(Sema *s, const Symbol *data, const SRows *r);
void cursors_emit(Sema *s, Program *p, SLevel *l);
void sema_levels(Sema *s);                 /* sema_level.c: what levels declare, and their order */
void sema_lower_level(Sema *s, SLevel *l); /* sema_lower.c: their expressions */
Value sema_let(Sema *s, SLevel *l, SLet *let);
SVar *level_var(SLevel *l, const char *name);
SLet *level_let(SLevel *l, const char *name);
SMetric *level_metric(SLevel *l, const char *name); /* or output; NULL: none */
void sema_choose_run(Sema *s);                      /* sema_run.c: which run, and its precision */
void sema_run(Sema *s);                             /*   the rest, and what levels it reaches */
/* Whether a run reaches `reader` after one that reached `other`, which is then a constant. */
bool sema_reads_before(const Sema *s, const SLevel *reader, const SLevel *other);
Value sema_initial(Sema *s, SVar *v); /* sema_init.c: value of v's type, broadcast */
bool sema_box(Sema *s, const AstExpr *e, const char *form, Value *lo, Value *hi);

/* settings: sema_settings.c. l: the level whose optimizer they are of, which may have schedules;
   else NULL */
bool settings_parse(Sema *s, SLevel *l, const AstExpr *call, const char *what,
                    const SettingInfo *info, int n, SSetting *out);
bool setting_value(Sema *s, const AstExpr *e, const SettingInfo *info, SSetting *out);
void setting_unknown(Sema *s, AstItem *item, const char *where, const char *const *known,
                     int nknown, const char *const *later, int nlater);

/* schedules: sema_schedule.c */
struct Builtin;
const struct Builtin *schedule_find(const char *name); /* NULL if there is none */
/* `step` in a setting of an optimizer; bad elsewhere. */
Value schedule_step(Sema *s);
/* Takes a setting of l's optimizer if it is a schedule, or reads a variable, which is an error;
 *ok: it is right. Otherwise false: it is a number known in advance. */
bool schedule_value(Sema *s, SLevel *l, const AstExpr *e, SSetting *set, bool *ok);
/* Lowers l's schedules, and samples them over the steps that it takes, consts at their values: they
   must stay in the limits of their settings. After all levels have been read. */
void schedules_lower(Sema *s, SLevel *l);

Program *sema_emit(Sema *s); /* sema_emit.c */

#endif
