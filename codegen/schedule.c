/* The schedule as rows of MloStmt, for a CPU: a call a function. What a device makes of it is in
   cuda_schedule.c. */
#include "codegen/schedule.h"

static const char *place(const Rows *r, const Storage *s) {
  return s ? arena_printf(r->u->arena, "%lld", (long long)emit_byte(s)) : "MLO_NOWHERE";
}

/* One row, whose number is its place: where the next one behind its body stands is put in later. */
static void row(Rows *r, const char *kind, const char *rest) {
  Row x = {.kind = kind, .rest = rest};
  VEC_PUSH(r->u->arena, r->row, r->nrow, r->row_cap, x);
}

/* After a draw from large sources the runtime reads what comes next. */
void unit_call(Rows *r, int func, const Func *f) {
  const Program *p = r->u->program;
  int number = 0, level = -1;
  const Storage *draws = NULL;
  for (int i = 0; i < p->nlevel; i++) {
    const Level *l = p->level[i];
    if (f && l->ncursor && l->draw == f) {
      level = number;
      draws = l->draws;
    }
    number += l->ncursor > 0;
  }
  row(r, "MLO_CALL",
      arena_printf(r->u->arena, "%d, %d, false, 0, MLO_NOWHERE, %s, MLO_NOWHERE", func, level,
                   place(r, draws)));
  r->row[r->nrow - 1].next = r->nrow;
}

static void loop(Rows *r, const Stmt *s) {
  bool top = stmt_is_top_loop(r->u->program, s), check = s->kind == STMT_WHILE;
  row(r, check ? "MLO_WHILE" : "MLO_REPEAT",
      arena_printf(r->u->arena, "-1, -1, %s, %lld, %s, %s, %s", top ? "true" : "false",
                   s->count_setting ? 0 : (long long)s->count, place(r, s->count_setting),
                   place(r, s->counter), place(r, check ? s->cond : NULL)));
}

/* The step is the statement's counter, else the number of steps that the top level has taken. */
static void report(Rows *r, const Stmt *s) {
  const Level *level = r->u->program->run.top;
  const Storage *step = s->counter ? s->counter : level ? level->count : NULL;
  row(r, s->eval ? "MLO_EVAL" : "MLO_REPORT",
      arena_printf(r->u->arena, "-1, -1, false, 0, MLO_NOWHERE, %s, MLO_NOWHERE", place(r, step)));
}

int unit_open(Rows *r, const Stmt *s) {
  if (s->kind == STMT_REPORT)
    report(r, s);
  else if (s->kind == STMT_REPEAT || s->kind == STMT_WHILE)
    loop(r, s);
  else
    compiler_bug("codegen", "the schedule has a statement that a pass expands");
  return r->nrow - 1;
}

void unit_close(Rows *r, int opened) { r->row[opened].next = r->nrow; }

void unit_initial(Rows *r) {
  row(r, "MLO_INITIAL", "-1, -1, false, 0, MLO_NOWHERE, MLO_NOWHERE, MLO_NOWHERE");
  unit_close(r, r->nrow - 1);
}

static void statements(Rows *r, const Stmt *s) {
  for (; s; s = s->next) {
    if (s->kind == STMT_CALL) {
      int func = 0;
      while (r->u->func[func] != s->func) func++;
      unit_call(r, func, s->func);
    } else {
      int at = unit_open(r, s);
      statements(r, s->body);
      unit_close(r, at);
    }
  }
}

const Stmt *schedule_rest(const Program *p, bool *loads) {
  const Stmt *s = p->schedule;
  *loads = false;
  for (const Stmt *t = s; t; t = t->next) *loads = *loads || stmt_is_top_loop(p, t);
  while (s && s->kind == STMT_CALL && s->func->role == ROLE_INIT) s = s->next;
  return s;
}

int unit_rows(const Rows *r, const char *name, Text *out) {
  if (!r->nrow) return 0;
  text_addf(out, "static const MloStmt %s[] = {\n", name);
  for (int i = 0; i < r->nrow; i++)
    text_addf(out, "{%s, %d, %s},\n", r->row[i].kind, r->row[i].next, r->row[i].rest);
  text_add(out, "};\n");
  return r->nrow;
}

int unit_schedule(Unit *u, const char *name, Text *out) {
  Rows r = {.u = u};
  bool loads;
  const Stmt *rest = schedule_rest(u->program, &loads);
  for (const Stmt *s = u->program->schedule; s != rest; s = s->next) {
    Stmt one = *s;
    one.next = NULL;
    statements(&r, &one);
  }
  if (loads) unit_initial(&r);
  statements(&r, rest);
  return unit_rows(&r, name, out);
}
