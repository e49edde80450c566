/* The schedule as rows of MloStmt: on a CPU and, with rows of functions of its own, on a CUDA
   device. There a loop with a condition makes all its rounds, of which only those count that begin
   while the condition holds: a first call in each keeps what it was. */
#include "codegen/schedule.h"

typedef struct Rows {
  Unit *u;
  Device *device; /* NULL: a CPU */
  Text *out;
  int nstmt; /* so far */
} Rows;

static const char *place(const Rows *r, const Storage *s) {
  return s ? arena_printf(r->u->arena, "%lld", (long long)emit_byte(s)) : "MLO_NOWHERE";
}

/* One row, but for what is in its body: kind, how many rows it has with its body, and the rest. */
static void row(Rows *r, const char *kind, int size, const char *rest) {
  text_addf(r->out, "{%s, %d, %s},\n", kind, r->nstmt + size, rest);
  r->nstmt++;
}

static bool conditional(const Rows *r, const Stmt *s) {
  return r->device && s->kind == STMT_WHILE && !stmt_is_top_loop(r->u->program, s);
}

/* How many rows the statements become. */
static int size(const Rows *r, const Stmt *s) {
  int n = 0;
  for (; s; s = s->next) n += 1 + conditional(r, s) + size(r, s->body);
  return n;
}

/* After a draw from large sources the runtime reads what comes next. */
static void call_row(Rows *r, int func, const Func *f) {
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
  row(r, "MLO_CALL", 1,
      arena_printf(r->u->arena, "%d, %d, false, 0, MLO_NOWHERE, %s, MLO_NOWHERE", func, level,
                   place(r, draws)));
}

/* The device's rows of functions stand behind those of the CPU. */
static void call(Rows *r, const Func *f, int around) {
  int func = 0;
  if (r->device)
    func = r->u->nfunc + device_func(r->device, f, around);
  else
    while (r->u->func[func] != f) func++;
  call_row(r, func, f);
}

static void loop(Rows *r, const Stmt *s) {
  bool top = stmt_is_top_loop(r->u->program, s), check = s->kind == STMT_WHILE;
  row(r, check ? "MLO_WHILE" : "MLO_REPEAT", 1 + conditional(r, s) + size(r, s->body),
      arena_printf(r->u->arena, "-1, -1, %s, %lld, %s, %s, %s", top ? "true" : "false",
                   s->count_setting ? 0 : (long long)s->count, place(r, s->count_setting),
                   place(r, s->counter), place(r, check ? s->cond : NULL)));
}

/* The step is the statement's counter, else the number of steps that the top level has taken. */
static void report(Rows *r, const Stmt *s) {
  const Level *level = r->u->program->run.top;
  const Storage *step = s->counter ? s->counter : level ? level->count : NULL;
  row(r, s->eval ? "MLO_EVAL" : "MLO_REPORT", 1 + size(r, s->body),
      arena_printf(r->u->arena, "-1, -1, false, 0, MLO_NOWHERE, %s, MLO_NOWHERE", place(r, step)));
}

/* around: the loop with a condition that the statement is in, or 0. */
static void statement(Rows *r, const Stmt *s, int around) {
  switch (s->kind) {
  case STMT_REPEAT:
  case STMT_WHILE: loop(r, s); break;
  case STMT_CALL: call(r, s->func, around); break;
  case STMT_REPORT: report(r, s); break;
  case STMT_STEP:
  case STMT_SOLVE: compiler_bug("codegen", "the schedule has a statement that a pass expands");
  }
  if (conditional(r, s)) {
    int inner = device_loop(r->device);
    call_row(r, r->u->nfunc + device_keep(r->device, inner, around, s->cond), NULL);
    around = inner;
  }
  for (const Stmt *b = s->body; b; b = b->next) statement(r, b, around);
}

/* Where steps are taken, --load comes between the calls that set initial values and all others:
   what is computed before the loop reads what it gave. */
int unit_schedule(Unit *u, Device *device, const char *name, Text *out) {
  const Program *p = u->program;
  const Stmt *s = p->schedule;
  Text rows = {.arena = u->arena};
  Rows r = {.u = u, .device = device, .out = &rows};
  bool steps = false;
  for (const Stmt *t = s; t; t = t->next) steps = steps || stmt_is_top_loop(p, t);
  for (; s && s->kind == STMT_CALL && s->func->role == ROLE_INIT; s = s->next) statement(&r, s, 0);
  if (steps) row(&r, "MLO_INITIAL", 1, "-1, -1, false, 0, MLO_NOWHERE, MLO_NOWHERE, MLO_NOWHERE");
  for (; s; s = s->next) statement(&r, s, 0);
  if (r.nstmt && out) text_addf(out, "static const MloStmt %s[] = {\n%s};\n", name, rows.s);
  return r.nstmt;
}
