/* Logistic regression with one L2 strength a feature, tuned on validation data: the algorithm of
   logreg.mlo written by hand. A gradient or a product with the Hessian is one pass over the rows in
   blocks: the block's dot products, what they become (sigmoid - y, or curvature times them), and
   the sum of rows weighted by that. A row is one vector of 16 and one of 4, so both products stay
   in registers.

   Upper step: 100 steps of SGD with momentum on w; conjugate gradients for H mu = -df/dw; the
   hypergradient exp(rho) w mu; Adam on rho. */
#include "tests/bench/logreg.h"

#include <math.h>
#include <string.h>

#include "tests/bench/exp_poly.h"

enum { D = LOGREG_FEATURES, N = LOGREG_ROWS, BLOCK = 100, HEAD = 16, TAIL = 4 };
_Static_assert(D == HEAD + TAIL && N % BLOCK == 0 && BLOCK % 4 == 0,
               "shapes that the loops rely on");

typedef float Head __attribute__((vector_size(4 * HEAD), aligned(4)));
typedef float Tail __attribute__((vector_size(4 * TAIL), aligned(4)));

static const float lr = 0.5f, momentum = 0.9f, damping = 1e-4f;

typedef struct Sums {
  Head head;
  Tail tail;
} Sums;

static inline float sigmoid(float z) { return 1 / (1 + exp_poly(-z)); }

static inline float row_dot(const float *x, Head head, Tail tail) {
  Head p = *(const Head *)x * head;
  Tail quarter[4], t = *(const Tail *)(x + HEAD) * tail;
  memcpy(quarter, &p, sizeof p);
  t += (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]);
  return (t[0] + t[1]) + (t[2] + t[3]);
}

/* Four rows a turn here and below: their chains of operations do not wait for each other. */
static inline void rows_dot(const float *x, const float *w, float *z) {
  Head head = *(const Head *)w;
  Tail tail = *(const Tail *)(w + HEAD);
  for (int i = 0; i < BLOCK; i += 4, x += 4 * D) {
    z[i] = row_dot(x, head, tail);
    z[i + 1] = row_dot(x + D, head, tail);
    z[i + 2] = row_dot(x + 2 * D, head, tail);
    z[i + 3] = row_dot(x + 3 * D, head, tail);
  }
}

static inline void row_add(const float *x, float r, Sums *s) {
  s->head += r * *(const Head *)x;
  s->tail += r * *(const Tail *)(x + HEAD);
}

static inline void rows_add(const float *x, const float *r, Sums *s) {
  Sums a = s[0], b = s[1], c = s[2], d = s[3];
  for (int i = 0; i < BLOCK; i += 4, x += 4 * D) {
    row_add(x, r[i], &a);
    row_add(x + D, r[i + 1], &b);
    row_add(x + 2 * D, r[i + 2], &c);
    row_add(x + 3 * D, r[i + 3], &d);
  }
  s[0] = a, s[1] = b, s[2] = c, s[3] = d;
}

static void sums_end(const Sums *s, float scale, float *g) {
  Head head = ((s[0].head + s[1].head) + (s[2].head + s[3].head)) * scale;
  Tail tail = ((s[0].tail + s[1].tail) + (s[2].tail + s[3].tail)) * scale;
  memcpy(g, &head, sizeof head);
  memcpy(g + HEAD, &tail, sizeof tail);
}

/* g = d/dw mean(softplus(x w) - y x w) */
static void gradient(LogregData d, const float *w, float *g) {
  Sums s[4] = {0};
  float z[BLOCK];
  for (int i = 0; i < N; i += BLOCK) {
    rows_dot(d.x + i * D, w, z);
#pragma omp simd
    for (int k = 0; k < BLOCK; k++) z[k] = sigmoid(z[k]) - d.y[i + k];
    rows_add(d.x + i * D, z, s);
  }
  sums_end(s, 1.0f / N, g);
}

/* The second derivatives of the mean's terms by x w. */
static void curvature(LogregData d, const float *w, float *c) {
  for (int i = 0; i < N; i += BLOCK) {
    rows_dot(d.x + i * D, w, c + i);
#pragma omp simd
    for (int k = i; k < i + BLOCK; k++) {
      float s = sigmoid(c[k]);
      c[k] = s * (1 - s);
    }
  }
}

/* hv = (x' diag(c) x / N + diag(exp rho)) v */
static void hessian(LogregData d, const float *c, const float *strength, const float *v,
                    float *hv) {
  Sums s[4] = {0};
  float z[BLOCK];
  for (int i = 0; i < N; i += BLOCK) {
    rows_dot(d.x + i * D, v, z);
#pragma omp simd
    for (int k = 0; k < BLOCK; k++) z[k] *= c[i + k];
    rows_add(d.x + i * D, z, s);
  }
  sums_end(s, 1.0f / N, hv);
  for (int j = 0; j < D; j++) hv[j] += strength[j] * v[j];
}

static float dot(const float *a, const float *b) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int j = 0; j < D; j++) s += a[j] * b[j];
  return s;
}

/* mu = (H + damping I)^-1 b from mu = 0 */
static void solve(LogregData d, const float *c, const float *strength, const float *b, float *mu) {
  float r[D], p[D], q[D], rr = dot(b, b);
  memset(mu, 0, sizeof r);
  memcpy(r, b, sizeof r);
  memcpy(p, b, sizeof p);
  for (int k = 0; k < LOGREG_CG && rr > 0; k++) {
    hessian(d, c, strength, p, q);
    for (int j = 0; j < D; j++) q[j] += damping * p[j];
    float pq = dot(p, q);
    if (pq == 0) break;
    float alpha = rr / pq, old = rr;
    for (int j = 0; j < D; j++) {
      mu[j] += alpha * p[j];
      r[j] -= alpha * q[j];
    }
    rr = dot(r, r);
    for (int j = 0; j < D; j++) p[j] = r[j] + rr / old * p[j];
  }
}

static void adam(float *z, const float *g, float *m, float *v, int step) {
  const float rate = 0.05f, b1 = 0.9f, b2 = 0.999f, eps = 1e-8f;
  float c1 = rate / (1 - powf(b1, (float)step)), c2 = 1 / sqrtf(1 - powf(b2, (float)step));
  for (int j = 0; j < D; j++) {
    m[j] = b1 * m[j] + (1 - b1) * g[j];
    v[j] = b2 * v[j] + (1 - b2) * g[j] * g[j];
    z[j] -= c1 * m[j] / (sqrtf(v[j]) * c2 + eps);
  }
}

static float loss(LogregData d, const float *w) {
  float z[BLOCK], sum = 0;
  for (int i = 0; i < N; i += BLOCK) {
    rows_dot(d.x + i * D, w, z);
    for (int k = 0; k < BLOCK; k++)
      sum += fmaxf(z[k], 0) + log1pf(expf(-fabsf(z[k]))) - d.y[i + k] * z[k];
  }
  return sum / N;
}

static void descend(LogregData d, const float *strength, float *w, float *speed) {
  float g[D];
  for (int k = 0; k < LOGREG_INNER; k++) {
    gradient(d, w, g);
    for (int j = 0; j < D; j++) {
      speed[j] = momentum * speed[j] + (g[j] + strength[j] * w[j]);
      w[j] -= lr * speed[j];
    }
  }
}

float logreg_reference(LogregData train, LogregData val, int steps, float *rho) {
  float w[D] = {0}, speed[D] = {0}, m[D] = {0}, v[D] = {0}, g[D], b[D], mu[D], strength[D], c[N];
  for (int j = 0; j < D; j++) rho[j] = -2;
  for (int step = 1;; step++) {
    for (int j = 0; j < D; j++) strength[j] = expf(rho[j]);
    descend(train, strength, w, speed);
    if (step > steps) return loss(val, w); /* the last strengths have their own w */
    gradient(val, w, b);
    for (int j = 0; j < D; j++) b[j] = -b[j];
    curvature(train, w, c);
    solve(train, c, strength, b, mu);
    for (int j = 0; j < D; j++) g[j] = strength[j] * w[j] * mu[j];
    adam(rho, g, m, v, step);
  }
}
