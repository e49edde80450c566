/* The calculus against closed forms and against finite differences of fully solved programs,
   through the reference interpreter: no code generation takes part. Every level of a random DAG is
   checked, lowest first, so that the gradients that solve the levels below have been checked before
   they are used. */
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

enum { MAX_LEVELS = 6, MAX_DIM = 2 };

/* ---- a program whose levels' gradients can be evaluated one by one */

typedef struct Problem {
  Build b;
  Interp *interp;
  Stmt *gradient[MAX_LEVELS]; /* by level index */
} Problem;

static bool prepare(Problem *q, bool optional) {
  Program *p = q->b.p;
  if (!pass_level_order(p) || !pass_differentiate(p)) return false;
  Stmt **tail = &p->schedule;
  for (int i = 0; i < p->nlevel; i++) {
    q->gradient[i] = *tail = stmt_new(p, STMT_REPEAT);
    (*tail)->count = 1;
    gradient_statements(p, p->level[i], &(*tail)->body);
    tail = &(*tail)->next;
  }
  if (!pass_expand(p)) return false;
  if (optional && (!pass_simplify(p) || !pass_dead_code(p) || !pass_hoist(p))) return false;
  q->interp = interp_new(p);
  for (int i = 0; i < p->nlevel; i++) interp_call(q->interp, p->level[i]->init);
  return true;
}

static void finish(Problem *q) {
  if (q->interp) interp_free(q->interp);
  build_free(&q->b);
}

static const double *gradient_of(Problem *q, int level) {
  /* The whole chain runs up to the level: hoisted statements stand between the marks. */
  Stmt *end = q->gradient[level]->next;
  q->gradient[level]->next = NULL;
  interp_run(q->interp, q->b.p->schedule);
  q->gradient[level]->next = end;
  return interp_at(q->interp, q->b.p->level[level]->grad->name);
}

static double *variables(Problem *q, int level) {
  return interp_at(q->interp, q->b.p->level[level]->flat->name);
}

static int size_of(Problem *q, int level) {
  return (int)type_count(q->b.p->level[level]->flat->type);
}

/* ---- the solved program: chord Newton on the total gradients of the levels below k */

typedef struct Solver {
  int level[MAX_LEVELS], nlevel, n;
  double inverse[MAX_LEVELS * MAX_DIM][MAX_LEVELS * MAX_DIM];
} Solver;

static void residual(Problem *q, const Solver *s, double *r) {
  for (int i = 0; i < s->nlevel; i++) {
    const double *g = gradient_of(q, s->level[i]);
    for (int k = 0; k < size_of(q, s->level[i]); k++) *r++ = g[k];
  }
}

static double *coordinate(Problem *q, const Solver *s, int j) {
  for (int i = 0; i < s->nlevel; j -= size_of(q, s->level[i++]))
    if (j < size_of(q, s->level[i])) return &variables(q, s->level[i])[j];
  return NULL;
}

static void invert(int n, double m[][MAX_LEVELS * MAX_DIM], double out[][MAX_LEVELS * MAX_DIM]) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) out[i][j] = i == j;
  for (int c = 0; c < n; c++) {
    int pivot = c;
    for (int i = c; i < n; i++)
      if (fabs(m[i][c]) > fabs(m[pivot][c])) pivot = i;
    for (int j = 0; j < n; j++) {
      double t = m[c][j], u = out[c][j];
      m[c][j] = m[pivot][j], m[pivot][j] = t;
      out[c][j] = out[pivot][j], out[pivot][j] = u;
    }
    double scale = 1 / m[c][c];
    for (int j = 0; j < n; j++) m[c][j] *= scale, out[c][j] *= scale;
    for (int i = 0; i < n; i++) {
      double f = i == c ? 0 : m[i][c];
      for (int j = 0; j < n; j++) m[i][j] -= f * m[c][j], out[i][j] -= f * out[c][j];
    }
  }
}

static void linearize(Problem *q, Solver *s) {
  double jac[MAX_LEVELS * MAX_DIM][MAX_LEVELS * MAX_DIM];
  double lo[MAX_LEVELS * MAX_DIM], hi[MAX_LEVELS * MAX_DIM], h = 1e-4;
  for (int j = 0; j < s->n; j++) {
    double *z = coordinate(q, s, j), z0 = *z;
    *z = z0 + h;
    residual(q, s, hi);
    *z = z0 - h;
    residual(q, s, lo);
    *z = z0;
    for (int i = 0; i < s->n; i++) jac[i][j] = (hi[i] - lo[i]) / (2 * h);
  }
  invert(s->n, jac, s->inverse);
}

/* Newton with the Jacobian of the last linearize; true when it converged. */
static bool settle(Problem *q, Solver *s, bool newton) {
  double r[MAX_LEVELS * MAX_DIM];
  for (int round = 0; round < 60; round++) {
    if (newton) linearize(q, s);
    residual(q, s, r);
    double worst = 0;
    for (int j = 0; j < s->n; j++) {
      double step = 0, *z = coordinate(q, s, j);
      for (int i = 0; i < s->n; i++) step += s->inverse[j][i] * r[i];
      *z -= step;
      worst = fmax(worst, fabs(step) / (1 + fabs(*z)));
    }
    if (!(worst < 1e6)) return false;
    if (worst < 1e-14) return true;
  }
  return false;
}

static Solver solver_below(Problem *q, int k) {
  Solver s = {0};
  for (int i = 0; i < k; i++) {
    if (!level_is_above(q->b.p->level[k], q->b.p->level[i])) continue;
    s.level[s.nlevel++] = i;
    s.n += size_of(q, i);
  }
  return s;
}

static double solved_objective(Problem *q, Solver *s, int k) {
  assert_true(settle(q, s, false));
  interp_call(q->interp, q->b.p->level[k]->objective);
  return *interp_at(q->interp, q->b.p->level[k]->loss->name);
}

/* Relative error of level k's gradient against sixth-order central differences; -1 where the levels
   below could not be solved. */
static double error_of(Problem *q, int k) {
  Solver s = solver_below(q, k);
  double g[MAX_DIM], worst = 0, scale = 1e-30, h = 1e-2;
  if (s.n && !settle(q, &s, true)) return -1;
  memcpy(g, gradient_of(q, k), sizeof *g * (size_t)size_of(q, k));
  for (int j = 0; j < size_of(q, k); j++) {
    double *x = &variables(q, k)[j], x0 = *x, f[7];
    for (int d = -3; d <= 3; d++) {
      *x = x0 + d * h;
      f[d + 3] = d ? solved_objective(q, &s, k) : 0;
    }
    *x = x0;
    double fd = (45 * (f[4] - f[2]) - 9 * (f[5] - f[1]) + (f[6] - f[0])) / (60 * h);
    worst = fmax(worst, fabs(fd - g[j]));
    scale = fmax(scale, fabs(fd));
  }
  if (s.n) assert_true(settle(q, &s, false));
  return worst / scale;
}

/* ---- random DAGs */

typedef struct Random {
  uint64_t state;
} Random;

static double uniform(Random *r) {
  r->state = r->state * 6364136223846793005u + 1442695040888963407u;
  return (double)(r->state >> 11) * 0x1p-53;
}

static double normal(Random *r) {
  return sqrt(-2 * log(uniform(r) + 1e-300)) * cos(6.283185307179586 * uniform(r));
}

static Node *matrix(Graph *g, Random *r, int64_t rows, int64_t cols, double scale,
                    double diagonal) {
  Node *row[MAX_DIM * MAX_DIM];
  Type one = type_make(DT_F64, 1, (int64_t[]){1});
  for (int64_t i = 0; i < rows * cols; i++)
    row[i] = ir_const(g, one, scale * normal(r) + (i / cols == i % cols ? diagonal : 0));
  return ir_reshape(g, ir_concat(g, row, (int)(rows * cols), 0), 2, (int64_t[]){rows, cols});
}

static Node *times(Graph *g, Node *m, Node *v) {
  Node *column = ir_reshape(g, v, 2, (int64_t[]){v->type.dim[0], 1});
  return ir_flatten(g, ir_matmul(g, m, column, false, false));
}

static Node *scaled(Graph *g, Node *x, double c) { return ir_mul(g, x, ir_num(g, x, c)); }

/* g = 1/2 z'(QQ' + 3)z + b'z + sum over reads u of z'Cu + 1/2 |Fu - t|^2 for u below
   + cubic (sum tanh z sum u^2 + sum z^4). */
static Node *random_objective(Graph *g, Random *r, Level *l, Level **read, const bool *lower,
                              int nread, double cubic) {
  Node *z = build_read(g, l);
  int64_t n = z->type.dim[0];
  Node *q = times(g, matrix(g, r, n, n, 1, 0), z), *e = scaled(g, ir_dot(g, q, q), .5);
  e = ir_add(g, e, scaled(g, ir_dot(g, z, z), 1.5));
  e = ir_add(g, e, ir_sum_all(g, times(g, matrix(g, r, 1, n, 1, 0), z)));
  for (int i = 0; i < nread; i++) {
    Node *u = build_read(g, read[i]);
    int64_t m = u->type.dim[0];
    e = ir_add(g, e, ir_dot(g, z, times(g, matrix(g, r, n, m, .6, 0), u)));
    if (lower[i]) {
      Node *d = ir_sub(g, times(g, matrix(g, r, m, m, .5, 0), u), ir_num(g, u, normal(r)));
      e = ir_add(g, e, scaled(g, ir_dot(g, d, d), .5));
    }
    if (cubic != 0)
      e = ir_add(g, e, scaled(g, ir_mul(g, ir_sum_all(g, ir_tanh(g, z)), ir_dot(g, u, u)), cubic));
  }
  Node *z2 = ir_mul(g, z, z);
  return cubic != 0 ? ir_add(g, e, scaled(g, ir_dot(g, z2, z2), cubic)) : e;
}

/* Levels 0..n-1, each with edges to some levels before it, the last above all. Reads: upper levels
   with probability .7, lower ones by an edge always, else .7. */
static Build random_program(uint64_t seed, int n, double cubic) {
  Random r = {seed * 7919 + 17};
  Build b = build_new("random");
  Level *l[MAX_LEVELS] = {NULL};
  bool edge[MAX_LEVELS][MAX_LEVELS] = {{false}}, above[MAX_LEVELS][MAX_LEVELS] = {{false}};
  for (int k = 0; k < n; k++) {
    int64_t dim = 1 + (uniform(&r) < .5);
    double start[MAX_DIM] = {.3 * normal(&r), .3 * normal(&r)};
    l[k] = build_level(&b, arena_printf(b.arena, "l%d", k), dim, start, .1, 1);
    for (int j = 0; j < k; j++) edge[k][j] = k == n - 1 || uniform(&r) < .5;
    if (k) edge[k][(int)(uniform(&r) * k)] = true;
    for (int j = 0; j < k; j++) {
      above[k][j] = above[k][j] || edge[k][j];
      for (int i = 0; edge[k][j] && i < j; i++) above[k][i] = above[k][i] || above[j][i];
    }
  }
  for (int k = 0; k < n; k++) {
    Level *read[MAX_LEVELS];
    bool lower[MAX_LEVELS];
    int nread = 0;
    for (int j = 0; j < n; j++) {
      if (j == k || !(above[j][k] || above[k][j])) continue;
      if (!edge[k][j] && uniform(&r) > .7) continue;
      lower[nread] = above[k][j];
      read[nread++] = l[j];
    }
    build_minimize(&b, l[k],
                   random_objective(l[k]->objective->graph, &r, l[k], read, lower, nread, cubic));
    for (int j = 0; j < k; j++)
      if (edge[k][j]) build_edge(&b, l[k], l[j], -1);
  }
  build_top(&b, l[n - 1]);
  return b;
}

/* Checks all levels of `want` solvable random programs of n levels. Games (E0302) and missing paths
   are skipped; at most `tries` programs are drawn, and nearly all drawn ones without a game must be
   solvable. */
static void check_random(int n, double cubic, int want, double tolerance, bool optional) {
  int done = 0, unsolved = 0;
  for (uint64_t seed = 1; done < want && seed < 400; seed++) {
    Problem q = {.b = random_program(seed * 10 + (uint64_t)n, n, cubic)};
    bool ok = prepare(&q, optional);
    for (int k = 0; ok && k < n; k++) {
      double error = error_of(&q, k);
      if (error > tolerance)
        fail_msg("seed %d, %d levels, level %s: relative error %g", (int)seed, n,
                 q.b.p->level[k]->name, error);
      ok = error >= 0;
      unsolved += !ok;
    }
    done += ok;
    finish(&q);
  }
  assert_int_equal(done, want);
  assert_true(unsolved <= want);
}

/* Quadratic objectives: central differences are exact, so only rounding remains. */
static void random_quadratic_dags(void **state) {
  (void)state;
  for (int n = 3; n <= MAX_LEVELS; n++) check_random(n, 0, 8, 1e-8, false);
}

static void random_nonlinear_dags(void **state) {
  (void)state;
  for (int n = 3; n <= 5; n++) check_random(n, .03, 6, 1e-7, false);
}

static void optional_passes_change_nothing(void **state) {
  (void)state;
  check_random(4, .03, 2, 1e-7, true);
}

/* ---- quadratics in closed form, by elimination: independent of any derivative rule.
   Over the vector v of all variables g_k = 1/2 v'Gv + b'v, with G and b from values of g_k
   (differences are exact). With the responses of the levels below put in, level k answers z_k = T v
   + c in the variables not below it. */

enum { MAX_V = MAX_LEVELS * MAX_DIM };

typedef struct Quadratic {
  int n, start[MAX_LEVELS + 1];
  double t[MAX_V][MAX_V], c[MAX_V]; /* responses of the levels solved so far: v_i = t_i v + c_i */
  double hessian[MAX_V][MAX_V], gradient[MAX_V];
} Quadratic;

static double objective_at(Problem *q, const Quadratic *w, int k, const double *v) {
  for (int i = 0; i < q->b.p->nlevel; i++)
    memcpy(variables(q, i), v + w->start[i], sizeof *v * (size_t)size_of(q, i));
  interp_call(q->interp, q->b.p->level[k]->objective);
  return *interp_at(q->interp, q->b.p->level[k]->loss->name);
}

static void measure(Problem *q, Quadratic *w, int k) {
  double v[MAX_V] = {0}, f0 = objective_at(q, w, k, v), fi[MAX_V];
  for (int i = 0; i < w->n; i++) {
    v[i] = 1;
    double up = objective_at(q, w, k, v);
    v[i] = -1;
    double down = objective_at(q, w, k, v);
    v[i] = 0;
    w->gradient[i] = (up - down) / 2;
    w->hessian[i][i] = up + down - 2 * f0;
    fi[i] = up;
  }
  for (int i = 0; i < w->n; i++)
    for (int j = 0; j < i; j++) {
      v[i] = v[j] = 1;
      w->hessian[i][j] = w->hessian[j][i] = objective_at(q, w, k, v) - fi[i] - fi[j] + f0;
      v[i] = v[j] = 0;
    }
}

static bool is_below(Problem *q, int k, int variable, const Quadratic *w) {
  for (int i = 0; i < k; i++)
    if (variable >= w->start[i] && variable < w->start[i + 1])
      return level_is_above(q->b.p->level[k], q->b.p->level[i]);
  return false;
}

/* The map v_rest -> v with the variables below k eliminated: solves (I - T_bb) v_b = T_br v_r +
 * c_b. */
static void eliminate(Problem *q, const Quadratic *w, int k, double m[][MAX_V], double *shift) {
  static double a[MAX_V][MAX_V], inverse[MAX_V][MAX_V];
  for (int i = 0; i < w->n; i++)
    for (int j = 0; j < w->n; j++)
      a[i][j] = (i == j) - (is_below(q, k, i, w) && is_below(q, k, j, w) ? w->t[i][j] : 0);
  invert(w->n, a, inverse);
  for (int i = 0; i < w->n; i++) {
    shift[i] = 0;
    for (int j = 0; j < w->n; j++) {
      m[i][j] = 0;
      for (int l = 0; l < w->n; l++) {
        double right = is_below(q, k, l, w) ? (is_below(q, k, j, w) ? 0 : w->t[l][j])
                                            : l == j && !is_below(q, k, j, w);
        m[i][j] += inverse[i][l] * right;
      }
      shift[i] += inverse[i][j] * (is_below(q, k, j, w) ? w->c[j] : 0);
    }
  }
}

/* Turns g_k into the function of the variables not below k, then solves it for z_k. */
static void respond(Problem *q, Quadratic *w, int k) {
  static double m[MAX_V][MAX_V], gm[MAX_V][MAX_V], h[MAX_V][MAX_V], block[MAX_V][MAX_V],
      inverse[MAX_V][MAX_V];
  double shift[MAX_V], r[MAX_V], b[MAX_V];
  measure(q, w, k);
  eliminate(q, w, k, m, shift);
  for (int i = 0; i < w->n; i++) {
    r[i] = w->gradient[i];
    for (int j = 0; j < w->n; j++) {
      r[i] += w->hessian[i][j] * shift[j];
      gm[i][j] = 0;
      for (int l = 0; l < w->n; l++) gm[i][j] += w->hessian[i][l] * m[l][j];
    }
  }
  for (int i = 0; i < w->n; i++) {
    b[i] = 0;
    for (int l = 0; l < w->n; l++) b[i] += m[l][i] * r[l];
    for (int j = 0; j < w->n; j++) {
      h[i][j] = 0;
      for (int l = 0; l < w->n; l++) h[i][j] += m[l][i] * gm[l][j];
    }
  }
  memcpy(w->hessian, h, sizeof h);
  memcpy(w->gradient, b, sizeof b);
  int s = w->start[k], n = w->start[k + 1] - s;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) block[i][j] = h[s + i][s + j];
  invert(n, block, inverse);
  for (int i = 0; i < n; i++) {
    w->c[s + i] = 0;
    for (int j = 0; j < w->n; j++) w->t[s + i][j] = 0;
    for (int l = 0; l < n; l++) {
      w->c[s + i] -= inverse[i][l] * b[s + l];
      for (int j = 0; j < w->n; j++)
        if (j < s || j >= s + n) w->t[s + i][j] -= inverse[i][l] * h[s + l][j];
    }
  }
}

static void random_quadratics_in_closed_form(void **state) {
  (void)state;
  int done = 0, levels[MAX_LEVELS + 1] = {0};
  for (uint64_t seed = 1; done < 24 && seed < 400; seed++) {
    int n = 3 + (int)(seed % 4);
    Problem q = {.b = random_program(seed * 31, n, 0)};
    bool ok = prepare(&q, seed % 2);
    static Quadratic w;
    w = (Quadratic){0};
    for (int k = 0; ok && k < n; k++) w.start[k + 1] = w.n = w.start[k] + size_of(&q, k);
    double x[MAX_V];
    for (int k = 0; ok && k < n; k++)
      memcpy(x + w.start[k], variables(&q, k), sizeof *x * (size_t)size_of(&q, k));
    for (int k = 0; ok && k < n - 1; k++) respond(&q, &w, k);
    if (ok) {
      static double m[MAX_V][MAX_V];
      double shift[MAX_V], g[MAX_DIM], norm = 0, error = 0;
      eliminate(&q, &w, n - 1, m, shift);
      for (int i = 0; i < w.start[n - 1]; i++) {
        x[i] = shift[i];
        for (int j = w.start[n - 1]; j < w.n; j++) x[i] += m[i][j] * x[j];
      }
      respond(&q, &w, n - 1);
      for (int i = 0; i < size_of(&q, n - 1); i++) {
        int row = w.start[n - 1] + i;
        g[i] = w.gradient[row];
        for (int j = w.start[n - 1]; j < w.n; j++) g[i] += w.hessian[row][j] * x[j];
      }
      for (int k = 0; k < n; k++)
        memcpy(variables(&q, k), x + w.start[k], sizeof *x * (size_t)size_of(&q, k));
      const double *got = gradient_of(&q, n - 1);
      for (int i = 0; i < size_of(&q, n - 1); i++) {
        error = fmax(error, fabs(got[i] - g[i]));
        norm = fmax(norm, fabs(g[i]));
      }
      if (!(error <= 1e-10 * norm)) fail_msg("seed %d: error %g of %g", (int)seed, error, norm);
      done++;
      levels[n]++;
    }
    finish(&q);
  }
  for (int n = 3; n <= MAX_LEVELS; n++) assert_true(levels[n] > 0);
}

/* ---- the third-order trilevel problem of the design's oracles */

static Build third_order(double x) {
  Build b = build_new("third");
  double z = x / (2 * cosh(x)), y = exp(x) * z;
  Level *l3 = build_level(&b, "z", 1, &z, .1, 1), *l2 = build_level(&b, "y", 1, &y, .1, 1);
  Level *l1 = build_level(&b, "x", 1, &x, .1, 1);
  Graph *g = l3->objective->graph;
  Node *zz = build_read(g, l3), *yy = build_read(g, l2), *xx = build_read(g, l1);
  Node *e =
      ir_sub(g, scaled(g, ir_mul(g, ir_exp(g, xx), ir_mul(g, zz, zz)), .5), ir_mul(g, yy, zz));
  build_minimize(&b, l3, ir_sum_all(g, e));
  g = l2->objective->graph;
  Node *d = ir_sub(g, build_read(g, l2), build_read(g, l1)), *w = build_read(g, l3);
  build_minimize(
      &b, l2,
      ir_sum_all(g, ir_add(g, scaled(g, ir_mul(g, d, d), .5), scaled(g, ir_mul(g, w, w), .5))));
  g = l1->objective->graph;
  d = ir_sub(g, build_read(g, l3), ir_num(g, build_read(g, l3), 1));
  build_minimize(&b, l1, ir_sum_all(g, scaled(g, ir_mul(g, d, d), .5)));
  build_edge(&b, l2, l3, -1);
  build_edge(&b, l1, l2, -1);
  build_top(&b, l1);
  return b;
}

static void third_order_terms_are_exact(void **state) {
  (void)state;
  const double at[] = {1, -1, .3}, truth[] = {-0.0522188787, -0.1022810474, 0};
  for (int i = 0; i < 3; i++) {
    Problem q = {.b = third_order(at[i])};
    assert_true(prepare(&q, i == 2));
    double x = at[i];
    double closed = (x / (2 * cosh(x)) - 1) * (1 - x * tanh(x)) / (2 * cosh(x));
    double got = gradient_of(&q, 2)[0];
    assert_float_equal(got, closed, 1e-12);
    if (truth[i] != 0) assert_float_equal(got, truth[i], 1e-10);
    finish(&q);
  }
}

/* ---- the check-grad program agrees with itself: methods, dense and differences */

static void check_grad_agrees(void **state) {
  (void)state;
  int checked = 0;
  for (uint64_t seed = 1; checked < 4; seed++) {
    Build b = seed == 1 ? third_order(-1) : random_program(seed, 4, .03);
    Program *p = b.p;
    if (pass_level_order(p) && pass_differentiate(p)) {
      assert_true(pass_check_grad(p) && pass_expand(p));
      if (seed % 2) assert_true(pass_simplify(p) && pass_dead_code(p) && pass_hoist(p));
      Interp *in = interp_new(p);
      interp_run(in, p->schedule);
      for (int k = 0; k < p->nlevel; k++) {
        if (!p->level[k]->nedge) continue;
        const char *name = p->level[k]->name;
        const double *dense = interp_at(in, arena_printf(b.arena, "%s.check.dense", name));
        const double *method = interp_at(in, arena_printf(b.arena, "%s.check.method", name));
        const double *fd = interp_at(in, arena_printf(b.arena, "%s.check.fd", name));
        assert_true(*interp_at(in, arena_printf(b.arena, "%s.check.residual", name)) < 1e-12);
        for (int i = 0; i < (int)type_count(p->level[k]->flat->type); i++) {
          assert_true(fabs(dense[i] - method[i]) <= 1e-13 * (1 + fabs(dense[i])));
          assert_true(fabs(fd[i] - dense[i]) <= 1e-8 * (1 + fabs(dense[i])));
        }
      }
      if (seed == 1) assert_float_equal(*interp_at(in, "x.check.dense"), -0.1022810474, 1e-10);
      interp_free(in);
      checked++;
    }
    build_free(&b);
  }
}

/* ---- conjugate gradients: known ways to get them wrong are an old residual in the direction (the
   error grows), no step size in the residual's update, and the iterate before the last where it
   converges (2 I would give 0) */

enum { WIDE = 24 };

/* low: 1/2 sum d_i z_i^2 - sum x z; top: sum z. Its adjoint state is -1/d. */
static Problem diagonal(const double *d, int64_t iters) {
  Problem q = {.b = build_new("diagonal")};
  double zero[WIDE] = {0};
  Level *low = build_level(&q.b, "low", WIDE, zero, .1, 1),
        *top = build_level(&q.b, "top", WIDE, zero, .1, 1);
  Graph *g = low->objective->graph;
  Node *z = build_read(g, low), *part[WIDE];
  for (int i = 0; i < WIDE; i++)
    part[i] = ir_const(g, type_make(DT_F64, 1, (int64_t[]){1}), d[i] / 2);
  Node *e = ir_dot(g, ir_concat(g, part, WIDE, 0), ir_mul(g, z, z));
  build_minimize(&q.b, low, ir_sub(g, e, ir_dot(g, build_read(g, top), z)));
  build_minimize(&q.b, top,
                 ir_sum_all(top->objective->graph, build_read(top->objective->graph, low)));
  build_edge(&q.b, top, low, iters);
  build_top(&q.b, top);
  assert_true(prepare(&q, true));
  return q;
}

static double energy_error(Problem *q, const double *d) {
  gradient_of(q, 1);
  const double *mu = interp_at(q->interp, "top.mu.low.z");
  double e = 0;
  for (int i = 0; i < WIDE; i++) e += d[i] * (mu[i] + 1 / d[i]) * (mu[i] + 1 / d[i]);
  return sqrt(e);
}

static void cg_keeps_improving(void **state) {
  (void)state;
  double d[WIDE], last = 1e30;
  for (int i = 0; i < WIDE; i++) d[i] = pow(10, 6.0 * i / (WIDE - 1));
  Problem q = diagonal(d, 1);
  for (int iters = 1; iters <= 4 * WIDE;
       iters++) { /* the energy norm falls in every round (Hestenes and Stiefel 1952) */
    *interp_at(q.interp, "top.via.low.iters") = iters;
    double error = energy_error(&q, d);
    assert_true(error <= last * (1 + 1e-9) + 1e-12);
    last = error;
  }
  assert_true(last < 1e-6);
  finish(&q);
  for (int i = 0; i < WIDE; i++) d[i] = 2;
  q = diagonal(d, 1);
  assert_true(energy_error(&q, d) < 1e-15);
  *interp_at(q.interp, "top.via.low.iters") = 50; /* an exactly solved system stays solved */
  assert_true(energy_error(&q, d) < 1e-15);
  finish(&q);
}

/* ---- errors */

static void missing_path_is_an_error(void **state) {
  (void)state;
  Build b = build_new("missing");
  double zero = 0;
  Level *low = build_level(&b, "low", 1, &zero, .1, 1),
        *top = build_level(&b, "top", 1, &zero, .1, 1);
  Graph *g = low->objective->graph;
  Node *z = build_read(g, low), *x = ir_stop(g, build_read(g, top)), *d = ir_sub(g, z, x);
  build_minimize(&b, low, ir_dot(g, d, d));
  g = top->objective->graph;
  z = build_read(g, low);
  build_minimize(&b, top, ir_dot(g, z, z));
  build_edge(&b, top, low, -1);
  build_top(&b, top);
  Calculus c;
  assert_true(pass_level_order(b.p));
  assert_false(calculus_build(&c, b.p));
  assert_int_equal(b.diags->ndiag, 1);
  assert_string_equal(b.diags->diag[0]->code, "E0301");
  build_free(&b);
}

static void games_are_errors(void **state) {
  (void)state;
  Build b = build_new("game");
  double zero = 0;
  Level *low = build_level(&b, "low", 1, &zero, .1, 1), *p = build_level(&b, "p", 1, &zero, .1, 1);
  Level *q = build_level(&b, "q", 1, &zero, .1, 1), *top = build_level(&b, "top", 1, &zero, .1, 1);
  Graph *g = low->objective->graph;
  Node *z = build_read(g, low), *d = ir_sub(g, z, ir_mul(g, build_read(g, p), build_read(g, q)));
  build_minimize(&b, low, ir_dot(g, d, d));
  Level *middle[2] = {p, q};
  for (int i = 0; i < 2; i++) {
    g = middle[i]->objective->graph;
    d = ir_sub(g, build_read(g, low), build_read(g, middle[i]));
    d = ir_add(g, d, build_read(g, top));
    build_minimize(
        &b, middle[i],
        ir_add(g, ir_dot(g, d, d), ir_dot(g, build_read(g, middle[i]), build_read(g, middle[i]))));
    build_edge(&b, middle[i], low, -1);
  }
  g = top->objective->graph;
  build_minimize(&b, top, ir_dot(g, build_read(g, p), build_read(g, q)));
  build_edge(&b, top, p, -1);
  build_edge(&b, top, q, -1);
  build_top(&b, top);
  Calculus c;
  assert_true(pass_level_order(b.p));
  assert_false(calculus_build(&c, b.p));
  assert_string_equal(b.diags->diag[0]->code, "E0302");
  build_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(third_order_terms_are_exact),
      cmocka_unit_test(random_quadratic_dags),
      cmocka_unit_test(random_quadratics_in_closed_form),
      cmocka_unit_test(random_nonlinear_dags),
      cmocka_unit_test(optional_passes_change_nothing),
      cmocka_unit_test(check_grad_agrees),
      cmocka_unit_test(cg_keeps_improving),
      cmocka_unit_test(missing_path_is_an_error),
      cmocka_unit_test(games_are_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
