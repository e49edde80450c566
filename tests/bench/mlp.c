/* Weights of training examples tuned on clean ones, for a network 784-256-10 with relu: the
   algorithms of mlp_cg.mlo and mlp_sama.mlo written by hand over OpenBLAS. An example's weight is
   sigmoid(u), normalized by their sum.

   A lower step: the gradient of the weighted loss, Adam. An upper step by conjugate gradients: the
   upper gradient; the forward pass that all products with the Hessian share; CG; and for each
   example the derivative of its loss along the solution, which is a forward pass of tangents. By
   SAMA (Choe et al. 2023): the upper gradient times the derivative of Adam's step by its gradient,
   and the difference of each example's losses at two points along it, which takes no backward pass.
   The first layer being linear, the data's products with its parameters and with their direction
   serve both. */
#include "tests/bench/mlp.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "tests/bench/exp_poly.h"

enum { ROWS = MLP_ROWS, IN = MLP_IN, HIDDEN = MLP_HIDDEN, OUT = MLP_OUT, PARAMS = MLP_PARAMS };
_Static_assert(sizeof(Mlp) == sizeof(float) * PARAMS, "one vector");

static const float damping = 1, radius = 0.01f;
static const float lower_rate = 1e-3f, upper_rate = 1e-2f, beta1 = 0.9f, beta2 = 0.999f,
                   eps = 1e-8f;

/* What a forward pass leaves. */
typedef struct Pass {
  float h[ROWS * HIDDEN]; /* after relu */
  float p[ROWS * OUT];    /* softmax */
  float loss[ROWS];
} Pass;

/* c = op(a) op(b) + beta c */
static void product(bool ta, bool tb, int m, int n, int k, const float *a, const float *b,
                    float beta, float *c) {
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n,
              k, 1, a, ta ? m : k, b, tb ? k : n, beta, c, n);
}

/* z to softmax(z + b2) and the losses. */
static void softmax(const float *b2, const int32_t *y, float *z, float *loss) {
  float top[ROWS], label[ROWS];
  for (int i = 0; i < ROWS; i++) {
    float *row = z + i * OUT, best = -INFINITY;
    for (int j = 0; j < OUT; j++) {
      row[j] += b2[j];
      best = row[j] > best ? row[j] : best;
    }
    for (int j = 0; j < OUT; j++) row[j] -= best;
    label[i] = row[y[i]];
  }
#pragma omp simd
  for (int i = 0; i < ROWS * OUT; i++) z[i] = exp_poly(z[i]);
  for (int i = 0; i < ROWS; i++) {
    float *row = z + i * OUT, sum = 0;
    for (int j = 0; j < OUT; j++) sum += row[j];
    top[i] = sum;
    float scale = 1 / sum;
    for (int j = 0; j < OUT; j++) row[j] *= scale;
  }
  for (int i = 0; i < ROWS; i++) loss[i] = logf(top[i]) - label[i];
}

static void forward(MlpData d, const Mlp *w, Pass *f) {
  product(false, false, ROWS, HIDDEN, IN, d.x, w->w1, 0, f->h);
  for (int i = 0; i < ROWS; i++) {
#pragma omp simd
    for (int j = 0; j < HIDDEN; j++) {
      float a = f->h[i * HIDDEN + j] + w->b1[j];
      f->h[i * HIDDEN + j] = a > 0 ? a : 0;
    }
  }
  product(false, false, ROWS, OUT, HIDDEN, f->h, w->w2, 0, f->p);
  softmax(w->b2, d.y, f->p, f->loss);
}

/* dz = share (p - onehot(y)), and its column sums */
static void loss_gradient(const Pass *f, const int32_t *y, const float *share, float *dz,
                          float *g) {
  for (int i = 0; i < ROWS; i++) {
    for (int j = 0; j < OUT; j++) dz[i * OUT + j] = share[i] * f->p[i * OUT + j];
    dz[i * OUT + y[i]] -= share[i];
  }
  memset(g, 0, OUT * sizeof *g);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUT; j++) g[j] += dz[i * OUT + j];
}

/* dh is cut where relu is off; g its column sums */
static void relu_gradient(const float *h, float *dh, float *g) {
  memset(g, 0, HIDDEN * sizeof *g);
  for (int i = 0; i < ROWS; i++) {
#pragma omp simd
    for (int j = 0; j < HIDDEN; j++) {
      float a = h[i * HIDDEN + j] > 0 ? dh[i * HIDDEN + j] : 0;
      dh[i * HIDDEN + j] = a;
      g[j] += a;
    }
  }
}

/* The gradient of sum share loss by w. */
static void gradient(MlpData d, const Mlp *w, const float *share, Mlp *g, float *loss) {
  static Pass f; /* too large for a stack */
  static float dz[ROWS * OUT], dh[ROWS * HIDDEN];
  forward(d, w, &f);
  loss_gradient(&f, d.y, share, dz, g->b2);
  product(false, true, ROWS, HIDDEN, OUT, dz, w->w2, 0, dh);
  product(true, false, HIDDEN, OUT, ROWS, f.h, dz, 0, g->w2);
  relu_gradient(f.h, dh, g->b1);
  product(true, false, IN, HIDDEN, ROWS, d.x, dh, 0, g->w1);
  *loss = 0;
  for (int i = 0; i < ROWS; i++) *loss += share[i] * f.loss[i];
}

static void shares(const float *u, float *share) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < ROWS; i++) sum += share[i] = 1 / (1 + exp_poly(-u[i]));
  for (int i = 0; i < ROWS; i++) share[i] /= sum;
}

static void adam(int n, float *z, const float *g, float *m, float *v, float rate, int step) {
  float c1 = rate / (1 - powf(beta1, (float)step)), c2 = 1 / sqrtf(1 - powf(beta2, (float)step));
#pragma omp parallel for simd schedule(simd : static) if (parallel : n > 10000)
  for (int j = 0; j < n; j++) {
    m[j] = beta1 * m[j] + (1 - beta1) * g[j];
    v[j] = beta2 * v[j] + (1 - beta2) * g[j] * g[j];
    z[j] -= c1 * m[j] / (sqrtf(v[j]) * c2 + eps);
  }
}

static void lower_step(MlpRun *r, Mlp *g) {
  float share[ROWS];
  shares(r->u, share);
  gradient(r->train, &r->w, share, g, &r->lower_loss);
  adam(PARAMS, r->w.all, g->all, r->m.all, r->v.all, lower_rate, ++r->lower_steps);
}

static const float *uniform(float *share) {
  for (int i = 0; i < ROWS; i++) share[i] = 1.0f / ROWS;
  return share;
}

/* The upper variables' step, from what each example's loss contributes to the upper gradient. */
static void upper_step(MlpRun *r, const float *each) {
  float share[ROWS], g[ROWS], mean = 0;
  shares(r->u, share);
  for (int i = 0; i < ROWS; i++) mean += share[i] * each[i];
  for (int i = 0; i < ROWS; i++) g[i] = share[i] / (1 + exp_poly(r->u[i])) * (each[i] - mean);
  adam(ROWS, r->u, g, r->um, r->uv, upper_rate, ++r->upper_steps);
}

/* ---- conjugate gradients */

/* Tangents of the logits along p at the point of f, without p's b2; th: those of h. */
static void tangents(const MlpRun *r, const Mlp *w, const Pass *f, const Mlp *p, float *th,
                     float *tz) {
  product(false, false, ROWS, HIDDEN, IN, r->train.x, p->w1, 0, th);
  for (int i = 0; i < ROWS; i++) {
#pragma omp simd
    for (int j = 0; j < HIDDEN; j++)
      th[i * HIDDEN + j] = f->h[i * HIDDEN + j] > 0 ? th[i * HIDDEN + j] + p->b1[j] : 0;
  }
  product(false, false, ROWS, OUT, HIDDEN, th, w->w2, 0, tz);
  product(false, false, ROWS, OUT, HIDDEN, f->h, p->w2, 1, tz);
}

/* tz, tangents of the logits, to those of share (p - onehot(y)); g: their column sums */
static void softmax_tangents(const Pass *f, const float *share, const float *b2, float *tz,
                             float *g) {
  memset(g, 0, OUT * sizeof *g);
  for (int i = 0; i < ROWS; i++) {
    float *row = tz + i * OUT, mean = 0;
    const float *p = f->p + i * OUT;
    for (int j = 0; j < OUT; j++) {
      row[j] += b2[j];
      mean += p[j] * row[j];
    }
    for (int j = 0; j < OUT; j++) {
      row[j] = share[i] * p[j] * (row[j] - mean);
      g[j] += row[j];
    }
  }
}

/* hp = H p, at the point of f; dz: share (p - onehot(y)) there */
static void hessian(const MlpRun *r, const Mlp *w, const Pass *f, const float *share,
                    const float *dz, const Mlp *p, Mlp *hp) {
  static float th[ROWS * HIDDEN], tz[ROWS * OUT];
  tangents(r, w, f, p, th, tz);
  softmax_tangents(f, share, p->b2, tz, hp->b2);
  product(true, false, HIDDEN, OUT, ROWS, th, dz, 0, hp->w2);
  product(true, false, HIDDEN, OUT, ROWS, f->h, tz, 1, hp->w2);
  product(false, true, ROWS, HIDDEN, OUT, tz, w->w2, 0, th);
  product(false, true, ROWS, HIDDEN, OUT, dz, p->w2, 1, th);
  relu_gradient(f->h, th, hp->b1);
  product(true, false, IN, HIDDEN, ROWS, r->train.x, th, 0, hp->w1);
}

/* mu = (H + damping)^-1 b from mu = 0; b becomes the residual. */
static void solve(const MlpRun *r, const Pass *f, const float *share, float *b, float *mu) {
  static Mlp direction, product_of;
  static float dz[ROWS * OUT];
  float *p = direction.all, *q = product_of.all, rr = 0, unused[OUT];
  loss_gradient(f, r->train.y, share, dz, unused);
#pragma omp parallel for simd schedule(simd : static) reduction(+ : rr)
  for (int i = 0; i < PARAMS; i++) {
    mu[i] = 0;
    p[i] = b[i];
    rr += b[i] * b[i];
  }
  for (int k = 0; k < MLP_CG && rr > 0; k++) {
    float pq = 0, next = 0;
    hessian(r, &r->w, f, share, dz, &direction, &product_of);
#pragma omp parallel for simd schedule(simd : static) reduction(+ : pq)
    for (int i = 0; i < PARAMS; i++) pq += p[i] * (q[i] + damping * p[i]);
    if (pq == 0) break;
    float alpha = rr / pq;
#pragma omp parallel for simd schedule(simd : static) reduction(+ : next)
    for (int i = 0; i < PARAMS; i++) {
      mu[i] += alpha * p[i];
      b[i] -= alpha * (q[i] + damping * p[i]);
      next += b[i] * b[i];
    }
    float ratio = next / rr;
    rr = next;
#pragma omp parallel for simd schedule(simd : static)
    for (int i = 0; i < PARAMS; i++) p[i] = b[i] + ratio * p[i];
  }
}

static void cg_step(MlpRun *r) {
  static Pass f;
  static Mlp b, mu;
  static float th[ROWS * HIDDEN], tz[ROWS * OUT];
  float share[ROWS], each[ROWS];
  gradient(r->val, &r->w, uniform(share), &b, &r->upper_loss);
#pragma omp parallel for simd schedule(simd : static)
  for (int i = 0; i < PARAMS; i++) b.all[i] = -b.all[i];
  shares(r->u, share);
  forward(r->train, &r->w, &f);
  solve(r, &f, share, b.all, mu.all);
  tangents(r, &r->w, &f, &mu, th, tz);
  for (int i = 0; i < ROWS; i++) {
    const float *t = tz + i * OUT, *p = f.p + i * OUT;
    each[i] = -(t[r->train.y[i]] + mu.b2[r->train.y[i]]);
    for (int j = 0; j < OUT; j++) each[i] += p[j] * (t[j] + mu.b2[j]);
  }
  upper_step(r, each);
}

/* ---- SAMA */

/* b to mu = -(derivative of the lower level's next step by its last gradient) b, element by
   element; the sum of its squares. One division serves 1 / (root c2 + eps) and that over root;
   where root is 0, so is g. */
static float adapt(const MlpRun *r, const float *g, float *b) {
  const float *m = r->m.all, *v = r->v.all;
  float next = (float)(r->lower_steps + 1);
  float c1 = lower_rate / (1 - powf(beta1, next)), c2 = 1 / sqrtf(1 - powf(beta2, next)), sum = 0;
  float by_mean = c1 * (1 - beta1), by_root = c1 * c2 * (1 - beta2);
#pragma omp parallel for simd schedule(simd : static) reduction(+ : sum)
  for (int i = 0; i < PARAMS; i++) {
    float mean = beta1 * m[i] + (1 - beta1) * g[i];
    float root = sqrtf(beta2 * v[i] + (1 - beta2) * g[i] * g[i]), some = root > 0 ? root : 1;
    float q = 1 / (some * (root * c2 + eps));
    float mu = (by_root * mean * g[i] * q - by_mean) * some * q * b[i];
    b[i] = mu;
    sum += mu * mu;
  }
  return sum;
}

/* The losses at w + h mu and at w - h mu. */
static void both_sides(MlpData d, const Mlp *w, const Mlp *mu, float h, float *plus, float *minus) {
  static float up[ROWS * HIDDEN], down[ROWS * HIDDEN], z[ROWS * OUT];
  float w2[HIDDEN * OUT], b2[OUT];
  product(false, false, ROWS, HIDDEN, IN, d.x, w->w1, 0, up);
  product(false, false, ROWS, HIDDEN, IN, d.x, mu->w1, 0, down);
  for (int i = 0; i < ROWS; i++) {
#pragma omp simd
    for (int j = 0; j < HIDDEN; j++) {
      float a = up[i * HIDDEN + j] + w->b1[j], t = h * (down[i * HIDDEN + j] + mu->b1[j]);
      up[i * HIDDEN + j] = a + t > 0 ? a + t : 0;
      down[i * HIDDEN + j] = a - t > 0 ? a - t : 0;
    }
  }
  for (int side = 0; side < 2; side++) {
    float step = side ? -h : h;
    for (int i = 0; i < HIDDEN * OUT; i++) w2[i] = w->w2[i] + step * mu->w2[i];
    for (int j = 0; j < OUT; j++) b2[j] = w->b2[j] + step * mu->b2[j];
    product(false, false, ROWS, OUT, HIDDEN, side ? down : up, w2, 0, z);
    softmax(b2, d.y, z, side ? minus : plus);
  }
}

static void sama_step(MlpRun *r, const Mlp *g) {
  static Mlp mu;
  float share[ROWS], each[ROWS], plus[ROWS], minus[ROWS];
  gradient(r->val, &r->w, uniform(share), &mu, &r->upper_loss);
  float size = sqrtf(adapt(r, g->all, mu.all)), h = size > 0 ? radius / size : 0;
  both_sides(r->train, &r->w, &mu, h, plus, minus);
  for (int i = 0; i < ROWS; i++) each[i] = size / (2 * radius) * (plus[i] - minus[i]);
  upper_step(r, each);
}

/* ---- runs */

static void report(MlpRun *r) {
  static Pass f;
  float share[ROWS];
  shares(r->u, share);
  forward(r->train, &r->w, &f);
  r->lower_loss = r->upper_loss = 0;
  for (int i = 0; i < ROWS; i++) r->lower_loss += share[i] * f.loss[i];
  forward(r->val, &r->w, &f);
  for (int i = 0; i < ROWS; i++) r->upper_loss += f.loss[i] / ROWS;
}

/* The program takes the hypergradient once more for its last report. */
static void run(MlpRun *r, int steps, bool by_cg) {
  static Mlp g;
  static MlpRun last;
  for (int step = 0; step <= steps; step++) {
    lower_step(r, &g);
    if (step == 0 || step == steps) report(r);
    if (step == steps) last = *r;
    if (by_cg)
      cg_step(r);
    else
      sama_step(r, &g);
    if (step == steps) *r = last;
  }
}

void mlp_cg(MlpRun *r, int steps) { run(r, steps, true); }
void mlp_sama(MlpRun *r, int steps) { run(r, steps, false); }

float mlp_gradient(const MlpRun *r, const Mlp *w, Mlp *g) {
  float share[ROWS], loss;
  shares(r->u, share);
  gradient(r->train, w, share, g, &loss);
  return loss;
}

void mlp_hessian(const MlpRun *r, const Mlp *w, const Mlp *p, Mlp *hp) {
  static Pass f;
  static float dz[ROWS * OUT];
  float share[ROWS], unused[OUT];
  shares(r->u, share);
  forward(r->train, w, &f);
  loss_gradient(&f, r->train.y, share, dz, unused);
  hessian(r, w, &f, share, dz, p, hp);
}

/* ---- the products alone */

static float hidden[ROWS * HIDDEN], logits[ROWS * OUT];

static void forward_products(const float *x, const Mlp *w) {
  product(false, false, ROWS, HIDDEN, IN, x, w->w1, 0, hidden);
  product(false, false, ROWS, OUT, HIDDEN, hidden, w->w2, 0, logits);
}

static void backward_products(const float *x, const Mlp *w, Mlp *g) {
  product(false, true, ROWS, HIDDEN, OUT, logits, w->w2, 0, hidden);
  product(true, false, HIDDEN, OUT, ROWS, hidden, logits, 0, g->w2);
  product(true, false, IN, HIDDEN, ROWS, x, hidden, 0, g->w1);
}

void mlp_sama_products(MlpRun *r) {
  for (int i = 0; i < 4; i++) forward_products(r->train.x, &r->w);
  for (int i = 0; i < 2; i++) backward_products(r->train.x, &r->w, &r->m);
}

void mlp_cg_products(MlpRun *r) {
  for (int i = 0; i < 4 + MLP_CG; i++) forward_products(r->train.x, &r->w);
  for (int i = 0; i < 2 + MLP_CG; i++) backward_products(r->train.x, &r->w, &r->m);
  for (int i = 0; i < 1 + MLP_CG; i++)
    product(false, false, ROWS, OUT, HIDDEN, hidden, r->w.w2, 1, logits);
  for (int i = 0; i < MLP_CG; i++) {
    product(false, true, ROWS, HIDDEN, OUT, logits, r->w.w2, 1, hidden);
    product(true, false, HIDDEN, OUT, ROWS, hidden, logits, 1, r->m.w2);
  }
}
