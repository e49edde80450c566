/* expand: replaces each `solve` of an adjoint system by the loop of its method, over the system's
   functions: rhs (writes the right-hand side) and apply (reads `in`, writes `out` = A in). A method
   is one function here and one row in ir/schema.c. */
#include <string.h>

#include "ir/derive.h"
#include "passes/calculus.h"
#include "passes/passes.h"
#include "passes/update.h"

/* Statements in order; `tail` is where the next one goes. */
typedef struct Seq {
  Program *p;
  Stmt *first, **tail;
} Seq;

static Seq seq_new(Program *p) { return (Seq){.p = p}; }

static void push(Seq *q, Stmt *s) {
  if (!q->first) q->tail = &q->first;
  *q->tail = s;
  q->tail = &s->next;
}

static void push_call(Seq *q, Func *f) {
  Stmt *s = stmt_new(q->p, STMT_CALL);
  s->func = f;
  push(q, s);
}

static Storage *scalar(Program *p, const System *s, const char *name, DType t) {
  return program_storage(p, ST_TEMP, type_scalar(t), "%s.%s", s->name, name);
}

static Storage *vector(Program *p, const System *s, const char *name) {
  return program_storage(p, ST_TEMP, s->x->type, "%s.%s", s->name, name);
}

static Node *setting(Graph *g, const System *s, const char *name) {
  for (int i = 0; i < s->method->nsetting; i++)
    if (!strcmp(s->method->setting[i].name, name)) return storage_read(g, s->setting[i].storage);
  compiler_bug("expand", "`%s` has no setting `%s`", s->method->name, name);
}

/* ---- residuals: |r| / |b|, with r'r given; 0 where b is 0. At reports alone. */

static Func *residual_func(Program *p, System *s) {
  return program_func(p, ROLE_METRIC, "%s.residual", s->name);
}

static void residual(Program *p, System *s, Func *f, Node *rr) {
  Graph *g = f->graph;
  Node *b = storage_read(g, s->rhs), *bb = ir_dot(g, b, b), *zero = ir_num(g, bb, 0);
  Node *relative = ir_sqrt(g, ir_div(g, rr, bb));
  func_result(p, f, ir_select(g, ir_eq(g, bb, zero), zero, relative), s->residual, NULL);
  report_call(p, p->schedule, f);
}

/* ---- dense: the columns A e_j, then LU */

static Func *dense_unit(Program *p, System *s, Storage *j) {
  Func *f = program_func(p, ROLE_SOLVE, "%s.unit", s->name);
  Graph *g = f->graph;
  Node *iota = ir_iota(g, type_with(s->in->type, DT_I32), 0);
  Node *hit = ir_eq(g, iota, ir_fill(g, storage_read(g, j), iota->type));
  func_result(p, f, ir_cast(g, hit, s->in->type.dtype), s->in, NULL);
  return f;
}

static void expand_dense(Seq *q, System *s) {
  Program *p = q->p;
  Type square = type_make(s->x->type.dtype, 2, (int64_t[]){s->size, s->size});
  Storage *columns = program_storage(p, ST_TEMP, square, "%s.columns", s->name);
  Storage *j = program_storage(p, ST_COUNTER, type_scalar(DT_I32), "%s.j", s->name);

  Func *keep = program_func(p, ROLE_SOLVE, "%s.keep", s->name);
  func_result(p, keep, storage_read(keep->graph, s->out), columns, j);
  Func *solve = program_func(p, ROLE_SOLVE, "%s.solve", s->name);
  Node *a = ir_transpose(solve->graph, storage_read(solve->graph, columns), (int64_t[]){1, 0});
  func_result(p, solve, ir_solve(solve->graph, a, storage_read(solve->graph, s->rhs)), s->x, NULL);

  Seq body = seq_new(p);
  push_call(&body, dense_unit(p, s, j));
  push_call(&body, s->apply);
  push_call(&body, keep);
  Stmt *loop = stmt_new(p, STMT_REPEAT);
  loop->count = s->size;
  loop->counter = j;
  loop->body = body.first;
  push_call(q, s->rhs_func);
  push(q, loop);
  push_call(q, solve);
  if (!s->residual) return;
  Func *f = residual_func(p, s);
  Graph *g = f->graph;
  a = ir_transpose(g, storage_read(g, columns), (int64_t[]){1, 0});
  Node *column = ir_reshape(g, storage_read(g, s->x), 2, (int64_t[]){s->size, 1});
  Node *ax = ir_reshape_like(g, ir_matmul(g, a, column, false, false), s->x->type);
  Node *r = ir_sub(g, storage_read(g, s->rhs), ax);
  residual(p, s, f, ir_dot(g, r, r));
}

/* ---- cg: conjugate gradients (Hestenes and Stiefel 1952) on (A + damping I) x = rhs from x = 0.
   in is the direction p, out is A p:
     q = A p + damping p, alpha = r'r / p'q, x += alpha p, r -= alpha q, beta = new r'r / r'r, p = r
   + beta p. Ends after `iters` rounds, when |r| <= tol |rhs|, or when r'r or p'q is 0 (the system
   is solved). */

typedef struct Cg {
  Storage *r, *rr, *limit, *go;
} Cg;

static Node *and_positive(Graph *g, Node *rr, Node *limit) {
  Node *positive = ir_lt(g, ir_num(g, rr, 0), rr);
  return ir_and(g, ir_lt(g, limit, rr), positive);
}

static Func *cg_start(Program *p, System *s, const Cg *v) {
  Func *f = program_func(p, ROLE_SOLVE, "%s.start", s->name);
  Graph *g = f->graph;
  Node *b = storage_read(g, s->rhs), *rr = ir_dot(g, b, b), *tol = setting(g, s, "tol");
  Node *limit = ir_mul(g, ir_mul(g, tol, tol), rr);
  func_result(p, f, ir_num(g, b, 0), s->x, NULL);
  func_result(p, f, b, v->r, NULL);
  func_result(p, f, b, s->in, NULL);
  func_result(p, f, rr, v->rr, NULL);
  func_result(p, f, limit, v->limit, NULL);
  func_result(p, f, and_positive(g, rr, limit), v->go, NULL);
  return f;
}

static Func *cg_round(Program *p, System *s, const Cg *v) {
  Func *f = program_func(p, ROLE_SOLVE, "%s.round", s->name);
  Graph *g = f->graph;
  Node *d = storage_read(g, s->in), *ad = storage_read(g, s->out), *rr = storage_read(g, v->rr);
  Node *q = ir_add(g, ad, ir_mul(g, ir_fill(g, setting(g, s, "damping"), d->type), d));
  Node *curvature = ir_dot(g, d, q), *zero = ir_num(g, rr, 0);
  Node *flat = ir_eq(g, curvature, zero);
  Node *alpha = ir_select(g, flat, zero, ir_div(g, rr, curvature));
  Node *step = ir_fill(g, alpha, d->type);
  Node *dx = ir_mul(g, step, d), *x = ir_add(g, storage_read(g, s->x), dx);
  Node *dr = ir_mul(g, step, q), *r = ir_sub(g, storage_read(g, v->r), dr);
  Node *next = ir_dot(g, r, r), *beta = ir_div(g, next, rr);
  Node *direction = ir_add(g, r, ir_mul(g, ir_fill(g, beta, d->type), d));
  Node *more = and_positive(g, next, storage_read(g, v->limit));
  Node *go = ir_and(g, ir_not(g, flat), more);
  func_result(p, f, x, s->x, NULL);
  func_result(p, f, r, v->r, NULL);
  func_result(p, f, direction, s->in, NULL);
  func_result(p, f, next, v->rr, NULL);
  func_result(p, f, go, v->go, NULL);
  return f;
}

static void expand_cg(Seq *q, System *s) {
  Program *p = q->p;
  DType t = s->x->type.dtype;
  Cg v = {.r = vector(p, s, "r")};
  v.rr = scalar(p, s, "rr", t);
  v.limit = scalar(p, s, "limit", t);
  v.go = scalar(p, s, "go", DT_BOOL);
  Seq body = seq_new(p);
  push_call(&body, s->apply);
  push_call(&body, cg_round(p, s, &v));
  Stmt *loop = stmt_new(p, STMT_WHILE);
  loop->cond = v.go;
  loop->count_setting = s->setting[0].storage;
  loop->count = (int64_t)loop->count_setting->value;
  loop->body = body.first;
  push_call(q, s->rhs_func);
  push_call(q, cg_start(p, s, &v));
  push(q, loop);
  if (!s->residual) return;
  Func *f = residual_func(p, s);
  residual(p, s, f, storage_read(f->graph, v.rr));
}

/* ---- neumann: x = alpha sum over k < terms of (I - alpha A)^k rhs, term by term. With the
   residual r = rhs - A x in `in`: x += alpha r, then r -= alpha A r, so a series of T terms takes T
   - 1 applications. Gradient descent on the lower level's quadratic model from its solution gives
   the same (Lorraine, Vicol and Duvenaud 2020). */

typedef struct Neumann {
  Storage *term, *go; /* terms so far; another one is wanted */
} Neumann;

/* x += alpha r; k terms are in x then. */
static void neumann_term(Program *p, Func *f, System *s, const Neumann *v, Node *x, Node *r,
                         Node *k) {
  Graph *g = f->graph;
  Node *alpha = ir_fill(g, setting(g, s, "alpha"), r->type);
  Node *step = ir_mul(g, alpha, r);
  func_result(p, f, x ? ir_add(g, x, step) : step, s->x, NULL);
  func_result(p, f, r, s->in, NULL);
  func_result(p, f, k, v->term, NULL);
  func_result(p, f, ir_lt(g, k, setting(g, s, "terms")), v->go, NULL);
}

static void expand_neumann(Seq *q, System *s) {
  Program *p = q->p;
  Neumann v = {.term = scalar(p, s, "term", DT_I32)};
  v.go = scalar(p, s, "go", DT_BOOL);
  Func *start = program_func(p, ROLE_SOLVE, "%s.start", s->name);
  Node *one = ir_const(start->graph, v.term->type, 1);
  neumann_term(p, start, s, &v, NULL, storage_read(start->graph, s->rhs), one);

  Func *round = program_func(p, ROLE_SOLVE, "%s.round", s->name);
  Graph *g = round->graph;
  Node *r = storage_read(g, s->in), *alpha = ir_fill(g, setting(g, s, "alpha"), r->type);
  Node *ar = storage_read(g, s->out), *k = storage_read(g, v.term);
  r = ir_sub(g, r, ir_mul(g, alpha, ar));
  k = ir_add(g, k, ir_num(g, k, 1));
  neumann_term(p, round, s, &v, storage_read(g, s->x), r, k);

  Seq body = seq_new(p);
  for (int i = 0; i < p->nlevel; i++) { /* a new batch for every term */
    const Level *x = p->level[i];
    if (x->draw && x != s->level && func_reads(p, s->apply, x->draws)) push_call(&body, x->draw);
  }
  push_call(&body, s->apply);
  push_call(&body, round);
  Stmt *loop = stmt_new(p, STMT_WHILE);
  loop->cond = v.go;
  loop->count_setting = s->setting[0].storage;
  loop->count = (int64_t)loop->count_setting->value;
  loop->body = body.first;
  push_call(q, s->rhs_func);
  push_call(q, start);
  push(q, loop);
  if (!s->residual) return;
  Func *f = residual_func(p, s); /* before the last term, which is added without a product more */
  r = storage_read(f->graph, s->in);
  residual(p, s, f, ir_dot(f->graph, r, r));
}

/* ---- identity: x = scale rhs, as if the Hessian were I / scale (one-step methods: Luketina et al.
 * 2016) */

static void expand_identity(Seq *q, System *s) {
  Func *f = program_func(q->p, ROLE_SOLVE, "%s.scale", s->name);
  Node *b = storage_read(f->graph, s->rhs);
  Node *scale = ir_fill(f->graph, setting(f->graph, s, "scale"), b->type);
  func_result(q->p, f, ir_mul(f->graph, scale, b), s->x, NULL);
  push_call(q, s->rhs_func);
  push_call(q, f);
}

/* ---- sama: x = -(dPhi/dgrad)' rhs with the lower level's update map z' = Phi(z, grad, ...), at
   its current variables and states, its last gradient and its next step: the last step of an
   unrolled lower problem, whose other steps are left out (Choe et al. 2023). The system has one
   block, a level that is named like it. */

static void expand_sama(Seq *q, System *s) {
  const Level *lower = program_find_level(q->p, s->block[0]);
  if (!lower) compiler_bug("expand", "`%s` is no level", s->block[0]);
  Func *f = program_func(q->p, ROLE_SOLVE, "%s.adapt", s->name);
  Graph *g = f->graph;
  Node *next[MAX_STATE], *z = level_update(g, lower, next), *x;
  Node *grad = storage_read(g, lower->grad), *v = ir_neg(g, storage_read(g, s->rhs));
  ir_vjp(g, &z, &v, 1, &grad, 1, &x);
  func_result(q->p, f, x, s->x, NULL);
  push_call(q, s->rhs_func);
  push_call(q, f);
}

/* ---- the pass */

static const struct {
  const char *method;
  void (*expand)(Seq *q, System *s);
} methods[] = {{"dense", expand_dense},       {"cg", expand_cg},       {"neumann", expand_neumann},
               {"identity", expand_identity}, {"fd", expand_identity}, {"sama", expand_sama}};

/* One expansion a system, wherever it is solved: the statements are shared text, so each place gets
 * a copy. */
typedef struct Expanded {
  System *system;
  Stmt *body;
} Expanded;

typedef struct Memo {
  Expanded *item;
  int n, cap;
} Memo;

static Stmt *copy_stmts(Program *p, const Stmt *s, Stmt ***tail) {
  Stmt *first = NULL, **at = &first;
  for (; s; s = s->next) {
    Stmt *c = arena_dup(p->arena, s, sizeof *s);
    Stmt **ignored;
    c->body = copy_stmts(p, s->body, &ignored);
    c->next = NULL;
    *at = c;
    at = &c->next;
  }
  *tail = at;
  return first;
}

static Stmt *expansion(Program *p, Memo *m, System *s) {
  for (int i = 0; i < m->n; i++)
    if (m->item[i].system == s) return m->item[i].body;
  Seq q = seq_new(p);
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (!strcmp(methods[i].method, s->method->name)) methods[i].expand(&q, s);
  if (!q.first) compiler_bug("expand", "no expansion of `%s`", s->method->name);
  if (s->method->unapplied) s->apply = NULL, s->in = s->out = NULL;
  Expanded e = {s, q.first};
  VEC_PUSH(p->arena, m->item, m->n, m->cap, e);
  return q.first;
}

static void rewrite(Program *p, Memo *m, Stmt **at) {
  while (*at) {
    Stmt *s = *at, **tail;
    rewrite(p, m, &s->body);
    if (s->kind != STMT_SOLVE) {
      at = &s->next;
      continue;
    }
    Stmt *first = copy_stmts(p, expansion(p, m, s->system), &tail);
    *tail = s->next;
    *at = first;
    at = tail;
  }
}

bool pass_expand(Program *p) {
  Memo memo = {0};
  rewrite(p, &memo, &p->schedule);
  return true;
}
