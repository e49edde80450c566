/* Closed forms against the whole chain: random instances go into .npy files and a .mlo program,
   `mloc check-grad --json` compiles and runs it in f64, and its hypergradients must be the closed
   ones: 1e-10 relative with `dense`, and with `cg` where a component has one block and as many
   iterations as unknowns. MLOC names the compiler; where the environment has MLO_CUDA_PATH, a CUDA
   device runs it. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX = 12 };

/* ---- random numbers, small dense algebra (row-major) */

typedef struct Random {
  uint64_t state;
} Random;

static double uniform(Random *r) {
  r->state = r->state * 6364136223846793005u + 1442695040888963407u;
  return ((double)(r->state >> 11) + .5) * 0x1p-53;
}

static void fill(Random *r, int n, double *v) {
  for (int i = 0; i < n; i++)
    v[i] = sqrt(-2 * log(uniform(r))) * cos(6.283185307179586 * uniform(r));
}

/* SPD: Q Q' + 3 I. */
static void spd(Random *r, int n, double *a) {
  double q[MAX * MAX];
  fill(r, n * n, q);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      a[i * n + j] = i == j ? 3 : 0;
      for (int k = 0; k < n; k++) a[i * n + j] += q[i * n + k] * q[j * n + k];
    }
}

/* y = A x (rows x cols), or A' x. */
static void times(int rows, int cols, const double *a, bool transpose, const double *x, double *y) {
  for (int i = 0; i < (transpose ? cols : rows); i++) {
    y[i] = 0;
    for (int j = 0; j < (transpose ? rows : cols); j++)
      y[i] += (transpose ? a[j * cols + i] : a[i * cols + j]) * x[j];
  }
}

/* X = A^-1 B with B of k columns, by elimination with pivoting. */
static void solve(int n, int k, const double *a0, const double *b, double *x) {
  double a[MAX * MAX];
  memcpy(a, a0, sizeof(double) * (size_t)(n * n));
  memmove(x, b, sizeof(double) * (size_t)(n * k));
  for (int c = 0; c < n; c++) {
    int p = c;
    for (int i = c; i < n; i++)
      if (fabs(a[i * n + c]) > fabs(a[p * n + c])) p = i;
    for (int j = 0; j < n; j++) {
      double t = a[c * n + j];
      a[c * n + j] = a[p * n + j], a[p * n + j] = t;
    }
    for (int j = 0; j < k; j++) {
      double t = x[c * k + j];
      x[c * k + j] = x[p * k + j], x[p * k + j] = t;
    }
    for (int i = 0; i < n; i++) {
      double f = i == c ? 0 : a[i * n + c] / a[c * n + c];
      for (int j = 0; j < n; j++) a[i * n + j] -= f * a[c * n + j];
      for (int j = 0; j < k; j++) x[i * k + j] -= f * x[c * k + j];
    }
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < k; j++) x[i * k + j] /= a[i * n + i];
}

/* ---- programs and files in a folder of the test */

typedef struct Chain {
  char folder[64];
  json_t *result;
} Chain;

static void write_file(const Chain *c, const char *name, const void *bytes, size_t n) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", c->folder, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

/* A .npy file, version 1.0, f8, row-major; cols = 0: a vector. */
static void write_array(const Chain *c, const char *name, int rows, int cols, const double *v) {
  char shape[32], header[128], file[32];
  unsigned char bytes[128 + sizeof(double) * MAX * MAX * 4] = "\x93NUMPY\x01\x00\x76";
  snprintf(shape, sizeof shape, cols ? "(%d, %d)" : "(%d,)", rows, cols);
  int n = snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }",
                   shape);
  memset(bytes + 10, ' ', 117);
  memcpy(bytes + 10, header, (size_t)n);
  bytes[9] = 0;
  bytes[127] = '\n';
  size_t size = sizeof(double) * (size_t)(rows * (cols ? cols : 1));
  memcpy(bytes + 128, v, size);
  snprintf(file, sizeof file, "%s.npy", name);
  write_file(c, file, bytes, 128 + size);
}

static void remember(Chain *c, const char *program) {
  write_file(c, "p.mlo", program, strlen(program));
}

static void check_grad(Chain *c) {
  const char *mloc = getenv("MLOC");
  assert_non_null(mloc);
  char command[512];
  snprintf(command, sizeof command, "'%s' check-grad %s/p.mlo --json --device=%s", mloc, c->folder,
           getenv("MLO_CUDA_PATH") ? "cuda" : "cpu");
  FILE *f = popen(command, "r");
  assert_non_null(f);
  json_error_t e;
  if (c->result) json_decref(c->result);
  c->result = json_loadf(f, 0, &e);
  int status = pclose(f);
  if (!c->result || status)
    fail_msg("%s: exit status %d, %s", command, status, c->result ? "" : e.text);
}

/* Compares the values that `kind` ("dense", "method") gives for a variable of the level. */
static void expect(Chain *c, int level, const char *kind, int n, const double *want,
                   double tolerance) {
  json_t *levels = json_object_get(c->result, "levels");
  json_t *variables = json_object_get(json_array_get(levels, (size_t)level), "variables");
  json_t *values = json_object_get(json_array_get(variables, 0), kind);
  assert_int_equal(json_array_size(values), n);
  double error = 0, norm = 0;
  for (int i = 0; i < n; i++) {
    double got = json_number_value(json_array_get(values, (size_t)i));
    error += (got - want[i]) * (got - want[i]);
    norm += want[i] * want[i];
  }
  if (!(sqrt(error) <= tolerance * sqrt(norm)))
    fail_msg("%s: relative error %g", kind, sqrt(error / norm));
}

static int setup(void **state) {
  Chain *c = calloc(1, sizeof *c);
  strcpy(c->folder, "/tmp/mloc-oracle-XXXXXX");
  if (!c || !mkdtemp(c->folder)) return -1;
  *state = c;
  return 0;
}

static int teardown(void **state) {
  Chain *c = *state;
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", c->folder);
  if (c->result) json_decref(c->result);
  int code = system(command);
  free(c);
  return code;
}

/* ---- quadratic: grad = Hx + Kz* + h - C A^-1 (F z* + K'x + f), z* = -A^-1 (C'x + a) */

static const char quadratic_text[] =
    "dim N, M;\n"
    "data A { file = \"A.npy\"; v : f64[N, N]; }\ndata C { file = \"C.npy\"; v : f64[M, N]; }\n"
    "data F { file = \"F.npy\"; v : f64[N, N]; }\ndata H { file = \"H.npy\"; v : f64[M, M]; }\n"
    "data K { file = \"K.npy\"; v : f64[M, N]; }\ndata a { file = \"a.npy\"; v : f64[N]; }\n"
    "data f { file = \"f.npy\"; v : f64[N]; }\ndata h { file = \"h.npy\"; v : f64[M]; }\n"
    "data x0 { file = \"x0.npy\"; v : f64[M]; }\n"
    "level low {\n  var z : f64[N] = zeros;\n"
    "  minimize 0.5 * sum(z * (A.v @ z)) + sum(top.x * (C.v @ z)) + sum(a.v * z);\n"
    "  optimizer = sgd(lr = 0.01);\n  steps = 10;\n}\n"
    "level top {\n  var x : f64[M] = x0.v;\n  argmin low via cg(iters = 12);\n"
    "  minimize 0.5 * sum(low.z * (F.v @ low.z)) + 0.5 * sum(x * (H.v @ x)) + sum(x * (K.v @ "
    "low.z))\n"
    "    + sum(f.v * low.z) + sum(h.v * x);\n"
    "  optimizer = sgd(lr = 0.01);\n  steps = 1;\n}\n"
    "run main of top { seed = 0; precision = f64; }\n";

static void quadratic(void **state) {
  Chain *ch = *state;
  enum { N = 6, M = 4 };
  for (uint64_t seed = 1; seed <= 3; seed++) {
    Random r = {seed};
    double A[N * N], F[N * N], H[M * M], C[M * N], K[M * N], a[N], f[N], h[M], x[M];
    spd(&r, N, A), spd(&r, N, F), spd(&r, M, H);
    fill(&r, M * N, C), fill(&r, M * N, K), fill(&r, N, a), fill(&r, N, f), fill(&r, M, h),
        fill(&r, M, x);
    double z[N], t[N], u[N], v[N], g[M], w[M];
    times(M, N, C, true, x, t);
    for (int i = 0; i < N; i++) t[i] = -(t[i] + a[i]);
    solve(N, 1, A, t, z);
    times(N, N, F, false, z, t);
    times(M, N, K, true, x, u);
    for (int i = 0; i < N; i++) t[i] += u[i] + f[i];
    solve(N, 1, A, t, v);
    times(M, M, H, false, x, g);
    times(M, N, K, false, z, w);
    for (int i = 0; i < M; i++) g[i] += w[i] + h[i];
    times(M, N, C, false, v, w);
    for (int i = 0; i < M; i++) g[i] -= w[i];
    const struct {
      const char *name;
      int rows, cols;
      const double *v;
    } file[] = {{"A", N, N, A}, {"C", M, N, C}, {"F", N, N, F}, {"H", M, M, H}, {"K", M, N, K},
                {"a", N, 0, a}, {"f", N, 0, f}, {"h", M, 0, h}, {"x0", M, 0, x}};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
      write_array(ch, file[i].name, file[i].rows, file[i].cols, file[i].v);
    remember(ch, quadratic_text);
    check_grad(ch);
    expect(ch, 0, "dense", M, g, 1e-10);
    expect(ch, 0, "method", M, g, 1e-10);
  }
}

/* ---- neumann of T terms at alpha: A^-1 becomes A^-1 (I - (I - alpha A)^T); identity: scale I */

static void truncated(void **state) {
  Chain *ch = *state;
  enum { N = 6, M = 4 };
  const char *methods[] = {"neumann(terms = 1, alpha = 0.03)", "neumann(terms = 7, alpha = 0.03)",
                           "neumann(terms = 400, alpha = 0.03)", "identity(scale = 0.25)"};
  const int terms[] = {1, 7, 400, 1};
  for (int m = 0; m < 4; m++) {
    Random r = {77};
    double A[N * N], C[M * N], a[N], x[M], z[N], t[N], b[N], v[N] = {0}, s[N], g[M];
    double alpha = m == 3 ? .25 : .03;
    spd(&r, N, A), fill(&r, M * N, C), fill(&r, N, a), fill(&r, M, x);
    times(M, N, C, true, x, t);
    for (int i = 0; i < N; i++) t[i] = -(t[i] + a[i]);
    solve(N, 1, A, t, z);
    for (int i = 0; i < N; i++) b[i] = z[i] - 1;
    for (int k = 0; k < terms[m]; k++) { /* v += alpha (b - A v) */
      times(N, N, A, false, v, s);
      for (int i = 0; i < N; i++) v[i] += alpha * (b[i] - s[i]);
    }
    times(M, N, C, false, v, g);
    for (int i = 0; i < M; i++) g[i] = x[i] - g[i];
    write_array(ch, "A", N, N, A), write_array(ch, "C", M, N, C), write_array(ch, "a", N, 0, a);
    write_array(ch, "x0", M, 0, x);
    char text[1024];
    snprintf(
        text, sizeof text,
        "dim N, M;\ndata A { file = \"A.npy\"; v : f64[N, N]; }\n"
        "data C { file = \"C.npy\"; v : f64[M, N]; }\ndata a { file = \"a.npy\"; v : f64[N]; }\n"
        "data x0 { file = \"x0.npy\"; v : f64[M]; }\n"
        "level low { var z : f64[N] = zeros; minimize 0.5 * sum(z * (A.v @ z)) "
        "+ sum(top.x * (C.v @ z)) + sum(a.v * z); optimizer = sgd(lr = 0.01); steps = 10; }\n"
        "level top { var x : f64[M] = x0.v; argmin low via %s; "
        "minimize 0.5 * sum((low.z - 1)^2) + 0.5 * sum(x^2); optimizer = sgd(lr = 0.01); }\n"
        "run main of top { seed = 0; precision = f64; }\n",
        methods[m]);
    remember(ch, text);
    check_grad(ch);
    expect(ch, 0, "method", M, g, 1e-10);
  }
}

/* ---- ridge, per feature: w* = (X'X + D)^-1 X'y, v = (X'X + D)^-1 Xv'(Xv w* - yv), grad_j =
 * -exp(l_j) w_j v_j */

static const char ridge_text[] =
    "dim N, M, D;\n"
    "data X { file = \"X.npy\"; v : f64[N, D]; }\ndata y { file = \"y.npy\"; v : f64[N]; }\n"
    "data Xv { file = \"Xv.npy\"; v : f64[M, D]; }\ndata yv { file = \"yv.npy\"; v : f64[M]; }\n"
    "data l0 { file = \"l0.npy\"; v : f64[D]; }\n"
    "level fit {\n  var w : f64[D] = zeros;\n"
    "  minimize 0.5 * sum((X.v @ w - y.v)^2) + 0.5 * sum(exp(tune.lambda) * w^2);\n"
    "  optimizer = sgd(lr = 0.001);\n  steps = 10;\n}\n"
    "level tune {\n  var lambda : f64[D] = l0.v;\n  argmin fit via cg(iters = 12);\n"
    "  minimize 0.5 * sum((Xv.v @ fit.w - yv.v)^2);\n  optimizer = adam(lr = 0.05);\n  steps = "
    "1;\n}\n"
    "run main of tune { seed = 0; precision = f64; }\n";

static void ridge(void **state) {
  Chain *ch = *state;
  enum { N = 11, M = 7, D = 5 };
  for (uint64_t seed = 1; seed <= 3; seed++) {
    Random r = {seed + 50};
    double X[N * D], y[N], V[M * D], yv[M], l[D], S[D * D], b[D], w[D], v[D], e[M], g[D];
    fill(&r, N * D, X), fill(&r, N, y), fill(&r, M * D, V), fill(&r, M, yv), fill(&r, D, l);
    for (int i = 0; i < D; i++)
      for (int j = 0; j < D; j++) {
        S[i * D + j] = i == j ? exp(l[i]) : 0;
        for (int k = 0; k < N; k++) S[i * D + j] += X[k * D + i] * X[k * D + j];
      }
    times(N, D, X, true, y, b);
    solve(D, 1, S, b, w);
    times(M, D, V, false, w, e);
    for (int i = 0; i < M; i++) e[i] -= yv[i];
    times(M, D, V, true, e, b);
    solve(D, 1, S, b, v);
    for (int j = 0; j < D; j++) g[j] = -exp(l[j]) * w[j] * v[j];
    write_array(ch, "X", N, D, X), write_array(ch, "y", N, 0, y), write_array(ch, "Xv", M, D, V);
    write_array(ch, "yv", M, 0, yv), write_array(ch, "l0", D, 0, l);
    remember(ch, ridge_text);
    check_grad(ch);
    expect(ch, 0, "dense", D, g, 1e-10);
    expect(ch, 0, "method", D, g, 1e-10);
  }
}

/* ---- reweighting: grad_i = -s'(x_i)(a_i'w* - y_i)(a_i'v), v = H^-1 df/dw, H = A' diag(s) A + c I
 */

static const char reweighting_text[] =
    "dim N, D;\n"
    "data A { file = \"A.npy\"; v : f64[N, D]; }\ndata y { file = \"y.npy\"; v : f64[N]; }\n"
    "data t { file = \"t.npy\"; v : f64[D]; }\ndata x0 { file = \"x0.npy\"; v : f64[N]; }\n"
    "level fit {\n  var w : f64[D] = zeros;\n"
    "  minimize 0.5 * sum(sigmoid(weigh.x) * (A.v @ w - y.v)^2) + 0.5 * 0.7 * sum(w^2);\n"
    "  optimizer = sgd(lr = 0.001);\n  steps = 10;\n}\n"
    "level weigh {\n  var x : f64[N] = x0.v;\n  argmin fit via cg(iters = 12);\n"
    "  minimize 0.5 * sum((fit.w - t.v)^2);\n  optimizer = adam(lr = 0.05);\n  steps = 1;\n}\n"
    "run main of weigh { seed = 0; precision = f64; }\n";

static void reweighting(void **state) {
  Chain *ch = *state;
  enum { N = 11, D = 4 };
  for (uint64_t seed = 1; seed <= 3; seed++) {
    Random r = {seed + 90};
    double A[N * D], y[N], t[D], x[N], s[N], H[D * D], b[D] = {0}, w[D], v[D], g[N], aw[N], av[N];
    fill(&r, N * D, A), fill(&r, N, y), fill(&r, D, t), fill(&r, N, x);
    for (int i = 0; i < N; i++) s[i] = 1 / (1 + exp(-x[i]));
    for (int i = 0; i < D; i++)
      for (int j = 0; j < D; j++) {
        H[i * D + j] = i == j ? .7 : 0;
        for (int k = 0; k < N; k++) H[i * D + j] += s[k] * A[k * D + i] * A[k * D + j];
      }
    for (int k = 0; k < N; k++)
      for (int i = 0; i < D; i++) b[i] += s[k] * y[k] * A[k * D + i];
    solve(D, 1, H, b, w);
    for (int i = 0; i < D; i++) b[i] = w[i] - t[i];
    solve(D, 1, H, b, v);
    times(N, D, A, false, w, aw);
    times(N, D, A, false, v, av);
    for (int i = 0; i < N; i++) g[i] = -s[i] * (1 - s[i]) * (aw[i] - y[i]) * av[i];
    write_array(ch, "A", N, D, A), write_array(ch, "y", N, 0, y), write_array(ch, "t", D, 0, t);
    write_array(ch, "x0", N, 0, x);
    remember(ch, reweighting_text);
    check_grad(ch);
    expect(ch, 0, "dense", N, g, 1e-10);
    expect(ch, 0, "method", N, g, 1e-10);
  }
}

/* ---- trilevel quadratic: P = A^-1 C, Q = A^-1 B, S = D + P'P, Y = S^-1 (D M - P'Q), Z = Q + P Y,
   y* = Y x + S^-1 P'r, z* = Q x + P y*, grad = rho x + Y'(y* - t) + Z'(z* - s) */

static const char trilevel_text[] =
    "dim N, K, L;\nconst rho = 0.3;\n"
    "data A { file = \"A.npy\"; v : f64[N, N]; }\ndata B { file = \"B.npy\"; v : f64[N, L]; }\n"
    "data C { file = \"C.npy\"; v : f64[N, K]; }\ndata D { file = \"D.npy\"; v : f64[K, K]; }\n"
    "data M { file = \"M.npy\"; v : f64[K, L]; }\ndata r { file = \"r.npy\"; v : f64[N]; }\n"
    "data s { file = \"s.npy\"; v : f64[N]; }\ndata t { file = \"t.npy\"; v : f64[K]; }\n"
    "data x0 { file = \"x0.npy\"; v : f64[L]; }\n"
    "level bottom {\n  var z : f64[N] = zeros;\n"
    "  minimize 0.5 * sum(z * (A.v @ z)) - sum(z * (B.v @ top.x + C.v @ middle.y));\n"
    "  optimizer = sgd(lr = 0.01);\n  steps = 3;\n}\n"
    "level middle {\n  var y : f64[K] = zeros;\n  argmin bottom via dense();\n"
    "  let d = y - M.v @ top.x;\n"
    "  minimize 0.5 * sum(d * (D.v @ d)) + 0.5 * sum((bottom.z - r.v)^2);\n"
    "  optimizer = sgd(lr = 0.01);\n  steps = 2;\n}\n"
    "level top {\n  var x : f64[L] = x0.v;\n  argmin middle via dense();\n"
    "  minimize 0.5 * sum((bottom.z - s.v)^2) + 0.5 * sum((middle.y - t.v)^2) + 0.5 * rho * "
    "sum(x^2);\n"
    "  optimizer = sgd(lr = 0.01);\n  steps = 1;\n}\n"
    "run main of top { seed = 0; precision = f64; }\n";

static void trilevel_quadratic(void **state) {
  Chain *ch = *state;
  enum { N = 5, K = 4, L = 3 };
  for (uint64_t seed = 1; seed <= 3; seed++) {
    Random rnd = {seed + 130};
    double A[N * N], B[N * L], C[N * K], D[K * K], M[K * L], r[N], s[N], t[K], x[L];
    spd(&rnd, N, A), spd(&rnd, K, D), fill(&rnd, N * L, B), fill(&rnd, N * K, C),
        fill(&rnd, K * L, M);
    fill(&rnd, N, r), fill(&rnd, N, s), fill(&rnd, K, t), fill(&rnd, L, x);
    double P[N * K], Q[N * L], S[K * K], R[K * L], Y[K * L], Z[N * L], q[K], e[K], y[K], z[N], g[L];
    solve(N, K, A, C, P);
    solve(N, L, A, B, Q);
    for (int i = 0; i < K; i++) {
      for (int j = 0; j < K; j++) {
        S[i * K + j] = D[i * K + j];
        for (int k = 0; k < N; k++) S[i * K + j] += P[k * K + i] * P[k * K + j];
      }
      for (int j = 0; j < L; j++) {
        R[i * L + j] = 0;
        for (int k = 0; k < K; k++) R[i * L + j] += D[i * K + k] * M[k * L + j];
        for (int k = 0; k < N; k++) R[i * L + j] -= P[k * K + i] * Q[k * L + j];
      }
    }
    solve(K, L, S, R, Y);
    for (int i = 0; i < N; i++)
      for (int j = 0; j < L; j++) {
        Z[i * L + j] = Q[i * L + j];
        for (int k = 0; k < K; k++) Z[i * L + j] += P[i * K + k] * Y[k * L + j];
      }
    times(N, K, P, true, r, q);
    solve(K, 1, S, q, e);
    times(K, L, Y, false, x, y);
    for (int i = 0; i < K; i++) y[i] += e[i];
    times(N, L, Q, false, x, z);
    for (int i = 0; i < N; i++)
      for (int k = 0; k < K; k++) z[i] += P[i * K + k] * y[k];
    for (int j = 0; j < L; j++) {
      g[j] = .3 * x[j];
      for (int k = 0; k < K; k++) g[j] += Y[k * L + j] * (y[k] - t[k]);
      for (int i = 0; i < N; i++) g[j] += Z[i * L + j] * (z[i] - s[i]);
    }
    const struct {
      const char *name;
      int rows, cols;
      const double *v;
    } file[] = {{"A", N, N, A}, {"B", N, L, B}, {"C", N, K, C}, {"D", K, K, D}, {"M", K, L, M},
                {"r", N, 0, r}, {"s", N, 0, s}, {"t", K, 0, t}, {"x0", L, 0, x}};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
      write_array(ch, file[i].name, file[i].rows, file[i].cols, file[i].v);
    remember(ch, trilevel_text);
    check_grad(ch);
    expect(ch, 1, "dense", L, g, 1e-10);
  }
}

/* ---- third-order terms: z* = x / (2 cosh x), d = (z* - 1)(1 - x tanh x) / (2 cosh x) */

static void third_order(void **state) {
  Chain *ch = *state;
  const double at[] = {-1, 1}, truth[] = {-0.1022810474, -0.0522188787};
  for (int i = 0; i < 2; i++) {
    char text[1024];
    snprintf(
        text, sizeof text,
        "level bottom { var z : f64 = 0; minimize 0.5 * exp(top.x) * z^2 - middle.y * z; "
        "optimizer = sgd(lr = 0.1); steps = 5; }\n"
        "level middle { var y : f64 = 0; argmin bottom via dense(); "
        "minimize 0.5 * (y - top.x)^2 + 0.5 * bottom.z^2; optimizer = sgd(lr = 0.1); steps = 5; }\n"
        "level top { var x : f64 = %g; argmin middle via dense(); minimize 0.5 * (bottom.z - 1)^2; "
        "optimizer = sgd(lr = 0.1); steps = 1; }\n"
        "run main of top { seed = 0; precision = f64; }\n",
        at[i]);
    remember(ch, text);
    check_grad(ch);
    double x = at[i], g = (x / (2 * cosh(x)) - 1) * (1 - x * tanh(x)) / (2 * cosh(x));
    assert_true(fabs(g - truth[i]) < 1e-10);
    expect(ch, 1, "dense", 1, &g, 1e-10);
  }
}

/* ---- box: w* = clip(x, 0, 1), f = 1/2 |w - t|^2: grad_i = (w_i - t_i) inside, 0 where a bound
 * holds w_i */

static void box(void **state) {
  Chain *ch = *state;
  const double x[] = {-.5, .25, .75, 1.5, .9}, t[] = {.3, -1, 2, .1, .4};
  double g[5];
  for (int i = 0; i < 5; i++) g[i] = x[i] > 0 && x[i] < 1 ? x[i] - t[i] : 0;
  write_array(ch, "x0", 5, 0, x);
  write_array(ch, "t", 5, 0, t);
  const char *method[] = {"dense()", "cg(iters = 8)"};
  for (int i = 0; i < 2; i++) {
    char text[1024];
    snprintf(text, sizeof text,
             "dim N;\ndata x0 { file = \"x0.npy\"; v : f64[N]; }\ndata t { file = \"t.npy\"; v : "
             "f64[N]; }\n"
             "level low { var w : f64[N] in box(0, 1) = 0.5; minimize 0.5 * sum((w - top.x)^2); "
             "optimizer = sgd(lr = 0.5); steps = 60; }\n"
             "level top { var x : f64[N] = x0.v; argmin low via %s; minimize 0.5 * sum((low.w - "
             "t.v)^2); "
             "optimizer = sgd(lr = 0.1); steps = 1; }\n"
             "run main of top { seed = 0; precision = f64; }\n",
             method[i]);
    remember(ch, text);
    check_grad(ch);
    expect(ch, 0, "dense", 5, g, 1e-10);
    expect(ch, 0, "method", 5, g, 1e-10);
  }
}

/* ---- stop: a* = 1 - r^2 / 2, v* = stop(a) a + r, f = (v - 1)^2 + a stop(v): at r = 1, f' = 2 (v -
 * 1)(1 - a) - v = -1 */

static void stop_holds_still(void **state) {
  Chain *ch = *state;
  const double g[] = {-1, -1};
  remember(ch, "level a { var w : f64[2] = 0; minimize sum((w - 1)^2) + sum(top.r^2 * w); "
               "optimizer = sgd(lr = 0.1); steps = 2; }\n"
               "level b { var v : f64[2] = 0; argmin a via dense(); "
               "minimize sum((v - stop(a.w) * a.w - top.r)^2); optimizer = adam(lr = 0.1); }\n"
               "level top { var r : f64[2] = 1; argmin b via dense(); "
               "minimize sum((b.v - 1)^2) + sum(a.w * stop(b.v)); optimizer = sgd(lr = 1); }\n"
               "run main of top { seed = 0; precision = f64; }\n");
  check_grad(ch); /* fails where the differences disagree */
  expect(ch, 1, "dense", 2, g, 1e-10);
}

/* ---- nested programs of 3 to 6 levels, each above all before it, with random reads and
   third-order terms: every level's dense hypergradient against central differences of the solved
   program */

static void dag_text(Random *r, int n, char *text, size_t size) {
  size_t at =
      (size_t)snprintf(text, size, "dim N, K;\ndata R { file = \"R.npy\"; v : f64[N, K]; }\n");
  int row = 0;
  for (int k = 0; k < n; k++) {
    at += (size_t)snprintf(text + at, size - at, "level l%d {\n  var z : f64[K] = 0.1;\n", k);
    for (int j = 0; j < k; j++)
      at += (size_t)snprintf(text + at, size - at, "  argmin l%d via dense();\n", j);
    at += (size_t)snprintf(text + at, size - at,
                           "  minimize 2 * sum(z^2) + sum(R.v[%d] * z) + 0.03 * sum(z^4)", row++);
    for (int j = 0; j < n; j++) {
      if (j == k || (j != k - 1 && uniform(r) > .7)) continue;
      at += (size_t)snprintf(text + at, size - at,
                             "\n    + 0.6 * sum(R.v[%d] * z) * sum(R.v[%d] * l%d.z)", row, row + 1,
                             j);
      row += 2;
      if (j < k)
        at += (size_t)snprintf(
            text + at, size - at,
            "\n    + 0.5 * sum((l%d.z - R.v[%d])^2) + 0.03 * sum(tanh(z)) * sum(l%d.z^2)", j, row++,
            j);
    }
    at += (size_t)snprintf(text + at, size - at, ";\n  optimizer = sgd(lr = 0.05);\n}\n");
  }
  snprintf(text + at, size - at, "run main of l%d { seed = 0; precision = f64; }\n", n - 1);
}

static void nested_levels(void **state) {
  Chain *ch = *state;
  int most =
      getenv("MLO_CUDA_PATH") ? 4 : 6; /* a device makes all rounds of loops that end early */
  for (int n = 3; n <= most; n++) {
    static char text[16384];
    enum { ROWS = 120 };
    double values[ROWS * 2];
    Random r = {(uint64_t)n * 1000 + 3};
    fill(&r, ROWS * 2, values);
    dag_text(&r, n, text, sizeof text);
    write_array(ch, "R", ROWS, 2, values);
    remember(ch, text);
    check_grad(ch);
    json_t *levels = json_object_get(ch->result, "levels");
    assert_int_equal(json_array_size(levels), n - 1);
    for (int k = 0; k < n - 1; k++) {
      json_t *level = json_array_get(levels, (size_t)k);
      json_t *variable = json_array_get(json_object_get(level, "variables"), 0);
      json_t *dense = json_object_get(variable, "dense_against_differences");
      double error = json_number_value(json_object_get(dense, "relative_error"));
      assert_true(json_number_value(json_object_get(level, "residual")) < 1e-12);
      if (!(error < 1e-7)) fail_msg("%d levels, level %d: relative error %g", n, k + 1, error);
    }
  }
}

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(quadratic, setup, teardown),
      cmocka_unit_test_setup_teardown(truncated, setup, teardown),
      cmocka_unit_test_setup_teardown(ridge, setup, teardown),
      cmocka_unit_test_setup_teardown(reweighting, setup, teardown),
      cmocka_unit_test_setup_teardown(trilevel_quadratic, setup, teardown),
      cmocka_unit_test_setup_teardown(third_order, setup, teardown),
      cmocka_unit_test_setup_teardown(box, setup, teardown),
      cmocka_unit_test_setup_teardown(stop_holds_still, setup, teardown),
      cmocka_unit_test_setup_teardown(nested_levels, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
