/* fd and sama through the reference interpreter: against identity, whose products are exact, and
   against central differences of the lower optimizer's update. No code generation takes part. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "passes/calculus.h"
#include "passes/passes.h"
#include "tests/support/build.h"
#include "tests/support/interp.h"

enum { N = 5, SPLIT = 2 };
#define LR 1e-3 /* of low, where an optimizer is given */

static const char *const optimizers[] = {"sgd", "nesterov", "adam", "adamw"};

/* ---- programs: `pre` (optional), `low`, `top`, each of one vector or of two variables */

typedef struct Shape {
  const char *method; /* of the edge top -> low */
  bool chain, box,
      stop;      /* pre below low; low's variables in a box; stop nodes in low's objective */
  bool rest;     /* top's objective is at its minimum over low's variables */
  bool optional; /* simplify, dead_code and hoist run */
  bool drift;    /* low's objective has no minimum: its gradient stays away from 0 */
  bool restarts; /* low's steps count from a restart */
  const char *optimizer; /* of low; NULL: sgd */
  double decay, clip;    /* 0: none */
} Shape;

typedef struct Problem {
  Build b;
  Level *pre, *low, *top;
  Interp *interp;
  double weight[N]; /* of sama's check of products */
} Problem;

static Node *scaled(Graph *g, Node *x, double c) { return ir_mul(g, x, ir_num(g, x, c)); }

/* The level's vector as two variables, NAME.a : f64[2] and NAME.b : f64[3]. */
static void split(Build *b, Level *l) {
  Type a = type_make(DT_F64, 1, (int64_t[]){SPLIT});
  Type c = type_make(DT_F64, 1, (int64_t[]){N - SPLIT});
  l->var = arena_array(b->arena, Storage *, 2);
  l->nvar = 2;
  l->var[0] = program_view(b->p, l->flat, 0, a, arena_printf(b->arena, "%s.a", l->name));
  l->var[1] = program_view(b->p, l->flat, SPLIT, c, arena_printf(b->arena, "%s.b", l->name));
}

static Node *read(Graph *g, const Level *l) {
  if (l->nvar == 1) return storage_read(g, l->var[0]);
  Node *part[2] = {storage_read(g, l->var[0]), storage_read(g, l->var[1])};
  return ir_concat(g, part, 2, 0);
}

static Node *ramp(Graph *g, double first, double step) {
  Node *part[N];
  Type one = type_make(DT_F64, 1, (int64_t[]){1});
  for (int i = 0; i < N; i++) part[i] = ir_const(g, one, first + i * step);
  return ir_concat(g, part, N, 0);
}

/* sum(exp(x) z^2) + (sum tanh(z x))^2 + sum(z^4) - sum(c z), with stop: + sum(stop(z x) z x). */
static Node *low_objective(Graph *g, Node *z, Node *x, bool stop) {
  Node *z2 = ir_mul(g, z, z), *zx = ir_mul(g, z, x);
  Node *t = ir_sum_all(g, ir_tanh(g, zx));
  Node *e = ir_dot(g, ir_exp(g, x), z2);
  e = ir_add(g, e, ir_mul(g, t, t));
  e = ir_add(g, e, ir_dot(g, z2, z2));
  e = ir_sub(g, e, ir_dot(g, ramp(g, 1, .7), z));
  return stop ? ir_add(g, e, ir_dot(g, ir_stop(g, zx), zx)) : e;
}

/* sum(c z) + 0.3 sum(sin(2 z + x)). */
static Node *drifting(Graph *g, Node *z, Node *x) {
  Node *wave = ir_sum_all(g, ir_sin(g, ir_add(g, scaled(g, z, 2), x)));
  return ir_add(g, ir_dot(g, ramp(g, 1, .3), z), scaled(g, wave, .3));
}

static Problem problem_new(Shape s) {
  const double z[N] = {.3, -.2, .5, .1, -.4}, x[N] = {-.3, .2, .4, -.1, .6};
  Problem q = {.b = build_new("differences")};
  Build *b = &q.b;
  q.pre = s.chain ? build_level(b, "pre", N, x, .05, 1) : NULL;
  q.low = build_level(b, "low", N, z, .05, 1);
  q.top = build_level(b, "top", N, x, .1, 1);
  split(b, q.low);
  if (s.box)
    for (int i = 0; i < 2; i++) {
      q.low->var[i]->check = CHECK_BOX;
      q.low->var[i]->lo = -.3;
      q.low->var[i]->hi = .5;
    }
  if (s.chain) {
    Graph *g = q.pre->objective->graph;
    build_minimize(b, q.pre, low_objective(g, read(g, q.pre), read(g, q.top), false));
  }
  Graph *g = q.low->objective->graph;
  Node *over = read(g, s.chain ? q.pre : q.top);
  Node *zz = read(g, q.low);
  build_minimize(b, q.low, s.drift ? drifting(g, zz, over) : low_objective(g, zz, over, s.stop));
  if (s.optimizer) build_optimizer(b, q.low, s.optimizer, LR, s.decay, s.clip);
  if (s.restarts)
    q.low->restarts = program_storage(b->p, ST_COUNTER, type_scalar(DT_I32), "low.restarts");
  g = q.top->objective->graph;
  Node *at = s.rest ? storage_read(g, q.low->flat) : ramp(g, -.5, .3);
  Node *d = ir_sub(g, read(g, q.low), s.rest ? ir_stop(g, at) : at), *xx = read(g, q.top);
  Node *own = scaled(g, ir_dot(g, xx, xx), .5);
  build_minimize(b, q.top, ir_add(g, ir_dot(g, d, ir_mul(g, d, d)), own));
  if (s.rest) q.top->objective->result[0] = ir_add(g, ir_dot(g, d, d), own);
  if (s.chain) build_via(b, q.low, q.pre, "neumann");
  build_via(b, q.top, q.low, s.method);
  build_top(b, q.top);
  return q;
}

/* Ready to run: settings can still be changed by name. */
static void prepare(Problem *q, bool optional) {
  Program *p = q->b.p;
  assert_true(pass_level_order(p) && pass_differentiate(p));
  p->schedule = stmt_new(p, STMT_REPEAT);
  p->schedule->count = 1;
  gradient_statements(p, q->top, &p->schedule->body);
  assert_true(pass_expand(p));
  if (optional) assert_true(pass_simplify(p) && pass_dead_code(p) && pass_hoist(p));
  q->interp = interp_new(p);
  for (int i = 0; i < p->nlevel; i++) interp_call(q->interp, p->level[i]->init);
}

static void set(Problem *q, const char *name, double value) { *interp_at(q->interp, name) = value; }

static void finish(Problem *q) {
  if (q->interp) interp_free(q->interp);
  build_free(&q->b);
}

/* The hypergradient of top for the method with the given radius and scale. */
static void gradient(Shape s, double radius, double scale, double *out) {
  Problem q = problem_new(s);
  prepare(&q, s.optional);
  if (radius > 0) set(&q, "top.via.low.radius", radius);
  set(&q, "top.via.low.scale", scale);
  if (s.chain) set(&q, "low.via.pre.alpha", .05);
  interp_run(q.interp, q.b.p->schedule);
  memcpy(out, interp_at(q.interp, "top.grad"), sizeof *out * N);
  finish(&q);
}

static double distance(const double *a, const double *b) {
  double d = 0, n = 0;
  for (int i = 0; i < N; i++) {
    d += (a[i] - b[i]) * (a[i] - b[i]);
    n += b[i] * b[i];
  }
  return sqrt(d / n);
}

/* ---- fd */

/* The distance from exact products falls as radius^2: by 4 when the radius is halved. */
static void fd_approaches_identity(void **state) {
  (void)state;
  const Shape shape[] = {{0}, {.chain = true}, {.box = true}, {.stop = true, .optional = true}};
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
    Shape s = shape[i];
    double exact[N], got[N], last = 0;
    s.method = "identity";
    gradient(s, 0, .3, exact);
    s.method = "fd";
    for (double radius = .04; radius > .004; radius /= 2) {
      gradient(s, radius, .3, got);
      double d = distance(got, exact);
      if (last > 0) assert_true(last / d > 3.8 && last / d < 4.2);
      last = d;
    }
    assert_true(last < 1e-3);
    gradient(s, 1e-5, .3, got);
    assert_true(distance(got, exact) < 1e-8);
  }
}

/* A right-hand side of zero gives the direct part of the gradient, which is x, exactly. */
static void nothing_to_move(void **state) {
  (void)state;
  Shape s = {.method = "fd", .rest = true};
  double got[N];
  const double x[N] = {-.3, .2, .4, -.1, .6};
  gradient(s, .01, 1, got);
  for (int i = 0; i < N; i++) assert_true(got[i] == x[i]);
}

/* What the methods leave out is not in the program: no product with a Hessian. */
static void second_derivatives_are_not_built(void **state) {
  (void)state;
  Problem q = problem_new((Shape){.method = "fd"});
  prepare(&q, true);
  assert_null(q.top->system[0]->apply);
  assert_null(program_find_func(q.b.p, "top.adjoint0.apply"));
  assert_null(program_find(q.b.p, "top.adjoint0.in"));
  finish(&q);
}

/* ---- sama */

static void step_low(Problem *q) {
  interp_call(q->interp, q->low->gradient);
  interp_call(q->interp, q->low->update);
}

/* Sixth-order differences at 0 of a function of an offset. */
static double slope(Problem *q, double (*f)(Problem *, int, double), int at, double h) {
  double d1 = f(q, at, h) - f(q, at, -h), d2 = f(q, at, 2 * h) - f(q, at, -2 * h);
  double d3 = f(q, at, 3 * h) - f(q, at, -3 * h);
  return (45 * d1 - 9 * d2 + d3) / (60 * h);
}

/* <rhs, z'> after a step of low from where it is, its gradient's element changed by `offset`;
   everything is put back. */
static double moved_step(Problem *q, int element, double offset) {
  double kept[3][N], count = *interp_at(q->interp, "low.count"), sum = 0;
  double *z = interp_at(q->interp, "low"), *grad = interp_at(q->interp, "low.grad"), *state[2];
  const double *rhs = interp_at(q->interp, "top.adjoint0.rhs");
  int nstate = q->low->optimizer->nstate;
  for (int i = 0; i < nstate; i++) {
    state[i] = interp_at(q->interp, q->low->state[i]->name);
    memcpy(kept[i], state[i], sizeof kept[i]);
  }
  memcpy(kept[2], z, sizeof kept[2]);
  double was = grad[element];
  grad[element] += offset;
  interp_call(q->interp, q->low->update);
  for (int i = 0; i < N; i++) sum += rhs[i] * z[i];
  grad[element] = was;
  memcpy(z, kept[2], sizeof kept[2]);
  for (int i = 0; i < nstate; i++) memcpy(state[i], kept[i], sizeof kept[i]);
  set(q, "low.count", count);
  return sum;
}

/* No bound of the box holds the variable. */
static bool is_free(Problem *q, Shape s, int i) {
  double z = interp_at(q->interp, "low")[i], down = -interp_at(q->interp, "low.grad")[i];
  return !s.box || !((z <= -.3 && down < 0) || (z >= .5 && down > 0));
}

/* <q->weight, dg/dz> at the current z with x's element changed by `offset`. */
static double moved_gradient(Problem *q, int element, double offset) {
  double kept[N], sum = 0, *grad = interp_at(q->interp, "low.grad");
  double *x = &interp_at(q->interp, "top")[element], was = *x;
  memcpy(kept, grad, sizeof kept);
  *x += offset;
  interp_call(q->interp, q->low->gradient);
  for (int i = 0; i < N; i++) sum += q->weight[i] * grad[i];
  *x = was;
  memcpy(grad, kept, sizeof kept);
  return sum;
}

static double rhs_size(Problem *q) {
  double size = 0;
  const double *rhs = interp_at(q->interp, "top.adjoint0.rhs");
  for (int i = 0; i < N; i++) size = fmax(size, fabs(rhs[i]));
  return size;
}

static void check_map(Problem *q, Shape s, int steps) {
  const double *mu = interp_at(q->interp, "top.adjoint0.x");
  for (int i = 0; i < N; i++) {
    double want = -slope(q, moved_step, i, 1e-2);
    if (!(fabs(mu[i] - want) <= 1e-9 * LR * rhs_size(q)))
      fail_msg("%s, decay %g, clip %g, step %d: %g, not %g", s.optimizer, s.decay, s.clip, steps,
               mu[i], want);
  }
}

/* The gradient is df/dx + d/dx <m mu, dg/dz>, m = 0 where a bound holds and 1 elsewhere. */
static void check_product(Problem *q, Shape s) {
  double got[N];
  const double *mu = interp_at(q->interp, "top.adjoint0.x"), *x = interp_at(q->interp, "top");
  const double *rhs = interp_at(q->interp, "top.adjoint0.rhs");
  memcpy(got, interp_at(q->interp, "top.grad"), sizeof got);
  interp_call(q->interp, q->low->gradient);
  int held = 0;
  for (int i = 0; i < N; i++) {
    bool open = is_free(q, s, i);
    q->weight[i] = open ? mu[i] : 0;
    if (!open) assert_true(rhs[i] == 0);
    held += !open;
  }
  assert_true(s.box ? held > 0 && held < N : !held);
  for (int i = 0; i < N; i++) {
    double part = slope(q, moved_gradient, i, 1e-2);
    assert_true(fabs(got[i] - x[i] - part) <= 1e-7 * LR * rhs_size(q));
  }
}

static void check_sama(Shape s, int steps) {
  Problem q = problem_new(s);
  prepare(&q, s.optional);
  set(&q, "top.via.low.radius", 1e-4);
  if (!strncmp(s.optimizer, "adam", 4) && s.optional) set(&q, "low.optimizer.eps", .1);
  for (int i = 0; i < steps; i++) step_low(&q);
  if (s.restarts) set(&q, "low.started", steps / 2);
  interp_run(q.interp, q.b.p->schedule);
  if (!s.box) check_map(&q, s, steps);
  check_product(&q, s);
  finish(&q);
}

/* mu = -(dPhi/dgrad)' rhs, and the product of mu with the mixed derivatives. */
static void sama_differentiates_the_update(void **state) {
  (void)state;
  const int steps[] = {1, 2, 20, 1000};
  for (int o = 0; o < 4; o++)
    for (int i = 0; i < 4; i++)
      for (int v = 0; v < 4; v++) {
        Shape s = {.method = "sama", .drift = true, .optimizer = optimizers[o]};
        s.decay = v & 1 ? .2 : 0;
        s.clip = v & 2 ? 1.5 : 0;
        s.optional = (i + v) % 2;
        s.restarts = i > 1 && v == 3;
        check_sama(s, steps[i]);
      }
}

/* Clipping couples the variables: mu is not 0 where a bound holds, but must not move them. */
static void sama_in_a_box(void **state) {
  (void)state;
  for (int o = 0; o < 4; o++)
    check_sama((Shape){.method = "sama", .box = true, .optimizer = optimizers[o], .clip = .1}, 1);
}

/* One step of sgd: z' = z - lr dg/dz, so mu = -lr df/dz, whether or not there was a step before. */
static void sama_of_sgd_is_one_step(void **state) {
  (void)state;
  for (int steps = 0; steps < 2; steps++) {
    Problem q = problem_new((Shape){.method = "sama", .optimizer = "sgd"});
    prepare(&q, false);
    for (int i = 0; i < steps; i++) step_low(&q);
    interp_run(q.interp, q.b.p->schedule);
    const double *z = interp_at(q.interp, "low"), *mu = interp_at(q.interp, "top.adjoint0.x");
    for (int i = 0; i < N; i++) {
      double d = z[i] - (-.5 + i * .3); /* f = sum d^3 + |x|^2 / 2 */
      assert_float_equal(mu[i], -LR * 3 * d * d, 1e-15);
    }
    finish(&q);
  }
}

/* Before the first step gradients and states are 0, where roots have no slope. */
static void sama_without_a_gradient(void **state) {
  (void)state;
  for (int o = 0; o < 4; o++) {
    Shape s = {.method = "sama", .optimizer = optimizers[o], .decay = .1, .clip = 1};
    s.chain = o > 1;
    Problem q = problem_new(s);
    prepare(&q, o % 2);
    interp_run(q.interp, q.b.p->schedule);
    for (int i = 0; i < N; i++) {
      assert_true(isfinite(interp_at(q.interp, "top.adjoint0.x")[i]));
      assert_true(isfinite(interp_at(q.interp, "top.grad")[i]));
    }
    finish(&q);
  }
}

static void lower_levels_must_not_depend(void **state) {
  (void)state;
  Build b = build_new("dependent");
  double zero = 0;
  Level *pre = build_level(&b, "pre", 1, &zero, .1, 1);
  Level *low = build_level(&b, "low", 1, &zero, .1, 1);
  Level *top = build_level(&b, "top", 1, &zero, .1, 1);
  Graph *g = pre->objective->graph;
  Node *d = ir_sub(g, build_read(g, pre), build_read(g, low));
  build_minimize(&b, pre, ir_dot(g, d, d));
  g = low->objective->graph;
  d = ir_sub(g, build_read(g, low), build_read(g, top));
  Node *e = ir_mul(g, build_read(g, pre), build_read(g, low));
  build_minimize(&b, low, ir_sum_all(g, ir_add(g, ir_mul(g, d, d), e)));
  g = top->objective->graph;
  build_minimize(&b, top, ir_dot(g, build_read(g, low), build_read(g, low)));
  build_via(&b, low, pre, "cg");
  build_via(&b, top, low, "fd");
  build_top(&b, top);
  assert_true(pass_level_order(b.p));
  assert_false(pass_differentiate(b.p));
  assert_int_equal(b.diags->ndiag, 1);
  assert_string_equal(b.diags->diag[0]->code, "E0505");
  build_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fd_approaches_identity),
      cmocka_unit_test(nothing_to_move),
      cmocka_unit_test(second_derivatives_are_not_built),
      cmocka_unit_test(sama_differentiates_the_update),
      cmocka_unit_test(sama_in_a_box),
      cmocka_unit_test(sama_of_sgd_is_one_step),
      cmocka_unit_test(sama_without_a_gradient),
      cmocka_unit_test(lower_levels_must_not_depend),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
