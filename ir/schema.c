/* Optimizers and methods: their settings with defaults and limits, and the update maps. All maps
   take flat vectors, so that a level's update is one kernel however many variables it has. The
   method sama differentiates them with respect to the gradient: where it is 0, as before the first
   step, their derivatives must be numbers. */
#include "ir/schema.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A scalar setting over a whole vector. */
static Node *over(Graph *g, Node *scalar, Node *like) { return ir_fill(g, scalar, like->type); }

/* The gradient that an update sees: scaled to a norm of at most `clip`, then decay z added (L2);
   either may be NULL. */
static Node *prepare(Graph *g, Node *z, Node *grad, Node *decay, Node *clip) {
  if (clip) {
    Node *square = ir_dot(g, grad, grad), *one = ir_num(g, square, 1);
    Node *larger = ir_lt(g, ir_mul(g, clip, clip), square);
    Node *norm = ir_sqrt(g, ir_select(g, larger, square, one));
    Node *scale = ir_select(g, larger, ir_div(g, clip, norm), one);
    grad = ir_mul(g, grad, over(g, scale, z));
  }
  return decay ? ir_add(g, grad, ir_mul(g, over(g, decay, z), z)) : grad;
}

/* SGD with heavy-ball momentum (Polyak 1964, in the form of Sutskever et al. 2013 without
   dampening): v' = momentum v + grad, z' = z - lr v'. */
static Node *update_sgd(Graph *g, Node *z, Node *grad, Node *const *state, Node *const *setting,
                        Node *step, Node **next) {
  (void)step;
  grad = prepare(g, z, grad, setting[2], setting[3]);
  Node *v = ir_add(g, ir_mul(g, over(g, setting[1], z), state[0]), grad);
  next[0] = v;
  return ir_sub(g, z, ir_mul(g, over(g, setting[0], z), v));
}

/* Nesterov's accelerated gradient (1983), in the form of Sutskever et al. 2013 with the variables
   at the point that is looked ahead to: v' = momentum v + grad, z' = z - lr (grad + momentum v').
 */
static Node *update_nesterov(Graph *g, Node *z, Node *grad, Node *const *state,
                             Node *const *setting, Node *step, Node **next) {
  (void)step;
  grad = prepare(g, z, grad, setting[2], setting[3]);
  Node *momentum = over(g, setting[1], z);
  Node *v = ir_add(g, ir_mul(g, momentum, state[0]), grad);
  Node *ahead = ir_add(g, grad, ir_mul(g, momentum, v));
  next[0] = v;
  return ir_sub(g, z, ir_mul(g, over(g, setting[0], z), ahead));
}

/* Adam (Kingma and Ba 2015, algorithm 1): m' = b1 m + (1 - b1) grad, v' = b2 v + (1 - b2) grad^2,
   z' = z - lr (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + eps). */
static Node *adam_step(Graph *g, Node *z, Node *grad, Node *const *state, Node *const *setting,
                       Node *step, Node **next) {
  Node *lr = setting[0], *b1 = setting[1], *b2 = setting[2], *eps = setting[3];
  Node *one = ir_num(g, b1, 1);
  Node *fresh = ir_mul(g, over(g, ir_sub(g, one, b1), z), grad);
  Node *m = ir_add(g, ir_mul(g, over(g, b1, z), state[0]), fresh);
  Node *square = ir_mul(g, grad, grad);
  Node *power = ir_mul(g, over(g, ir_sub(g, one, b2), z), square);
  Node *v = ir_add(g, ir_mul(g, over(g, b2, z), state[1]), power);
  Node *c1 = ir_div(g, lr, ir_sub(g, one, ir_pow(g, b1, step)));
  Node *c2 = ir_recip(g, ir_sqrt(g, ir_sub(g, one, ir_pow(g, b2, step))));
  next[0] = m;
  next[1] = v;
  Node *floor = over(g, eps, z), *root = over(g, c2, z);
  double least = z->type.dtype == DT_F64 ? DBL_MIN : FLT_MIN; /* of which the root has a slope */
  Node *sqrt_v = ir_sqrt(g, ir_max(g, v, ir_num(g, v, least)));
  Node *scale = ir_add(g, ir_mul(g, sqrt_v, root), floor);
  return ir_sub(g, z, ir_div(g, ir_mul(g, over(g, c1, z), m), scale));
}

static Node *update_adam(Graph *g, Node *z, Node *grad, Node *const *state, Node *const *setting,
                         Node *step, Node **next) {
  grad = prepare(g, z, grad, setting[4], setting[5]);
  return adam_step(g, z, grad, state, setting, step, next);
}

/* AdamW (Loshchilov and Hutter 2019): Adam's step, and z shrinks by lr decay z. */
static Node *update_adamw(Graph *g, Node *z, Node *grad, Node *const *state, Node *const *setting,
                          Node *step, Node **next) {
  grad = prepare(g, z, grad, NULL, setting[5]);
  Node *moved = adam_step(g, z, grad, state, setting, step, next);
  Node *rate = over(g, ir_mul(g, setting[0], setting[4]), z);
  return ir_sub(g, moved, ir_mul(g, rate, z));
}

/* clang-format off */
#define DECAY {"decay", DT_F32, false, 0, 0, INFINITY, "L2: decay z is added to the gradient", true}
#define CLIP {"clip", DT_F32, false, 0, 0, INFINITY, "largest norm of a gradient", true}
/* clang-format on */

static const SettingInfo sgd_settings[] = {
    {"lr", DT_F32, true, 0, 0, INFINITY, "step size", false},
    {"momentum", DT_F32, false, 0, 0, 1, "share of the last step that is kept", false},
    DECAY,
    CLIP,
};
static const SettingInfo nesterov_settings[] = {
    {"lr", DT_F32, true, 0, 0, INFINITY, "step size", false},
    {"momentum", DT_F32, false, 0.9, 0, 1, "share of the last step that is kept", false},
    DECAY,
    CLIP,
};
static const SettingInfo adam_settings[] = {
    {"lr", DT_F32, false, 1e-3, 0, INFINITY, "step size", false},
    {"beta1", DT_F32, false, 0.9, 0, 1, "decay of the gradient's mean", false},
    {"beta2", DT_F32, false, 0.999, 0, 1, "decay of the squared gradient's mean", false},
    {"eps", DT_F32, false, 1e-8, 0, INFINITY, "added to the root", false},
    DECAY,
    CLIP,
};

static const SettingInfo adamw_settings[] = {
    {"lr", DT_F32, false, 1e-3, 0, INFINITY, "step size", false},
    {"beta1", DT_F32, false, 0.9, 0, 1, "decay of the gradient's mean", false},
    {"beta2", DT_F32, false, 0.999, 0, 1, "decay of the squared gradient's mean", false},
    {"eps", DT_F32, false, 1e-8, 0, INFINITY, "added to the root", false},
    {"decay", DT_F32, false, 0.01, 0, INFINITY, "share of the variables lost, times lr", false},
    CLIP,
};

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const OptimizerInfo optimizers[] = {
    {"sgd",
     "stochastic gradient descent with momentum",
     COUNT(sgd_settings),
     1,
     sgd_settings,
     {"momentum"},
     update_sgd},
    {"adam",
     "Adam with bias correction",
     COUNT(adam_settings),
     2,
     adam_settings,
     {"m", "v"},
     update_adam},
    {"adamw",
     "Adam with decoupled weight decay",
     COUNT(adamw_settings),
     2,
     adamw_settings,
     {"m", "v"},
     update_adamw},
    {"nesterov",
     "gradient descent with Nesterov's momentum",
     COUNT(nesterov_settings),
     1,
     nesterov_settings,
     {"momentum"},
     update_nesterov},
};

static const SettingInfo cg_settings[] = {
    {"iters", DT_I32, false, 20, 1, 1e6, "most iterations", false},
    {"tol", DT_F32, false, 0, 0, 1, "stop when the residual is below tol times the right-hand side",
     false},
    {"damping", DT_F32, false, 0, 0, INFINITY, "added to the Hessian's diagonal", false},
};

static const SettingInfo neumann_settings[] = {
    {"terms", DT_I32, false, 5, 1, 1e6, "terms of the series", false},
    {"alpha", DT_F32, true, 0, 0, INFINITY,
     "step of a sweep: below 2 over the Hessian's largest eigenvalue", false},
};
static const SettingInfo identity_settings[] = {
    {"scale", DT_F32, false, 1, 0, INFINITY, "stands for the inverse of the Hessian", false},
};

#define RADIUS                                                                                     \
  { "radius", DT_F32, false, 0.01, 1e-12, INFINITY, "length of the step of the differences", false }
static const SettingInfo fd_settings[] = {
    RADIUS,
    {"scale", DT_F32, false, 1, 0, INFINITY, "stands for the inverse of the Hessian", false},
};

static const SettingInfo sama_settings[] = {RADIUS};

static const MethodInfo methods[] = {
    {"dense", "forms the component's matrix and factorizes it", METHOD_SOLVE, false,
     .setting = NULL},
    {"cg", "conjugate gradients on one level's Hessian", METHOD_SOLVE, true, COUNT(cg_settings),
     .setting = cg_settings},
    {"neumann", "sweeps mu -= alpha dLag/du from 0: the Neumann series of the inverse",
     METHOD_SOLVE, false, COUNT(neumann_settings), neumann_settings, .draw = DRAW_EACH_TERM},
    {"identity", "a multiple of the identity for the inverse Hessian", METHOD_SOLVE, false,
     COUNT(identity_settings), identity_settings, .unapplied = true, .draw = DRAW_REPLAY},
    {"fd", "as identity, with central differences of gradients for products", METHOD_SOLVE, true,
     COUNT(fd_settings), fd_settings, .differences = true, .unapplied = true,
     .draw = DRAW_REPLAY},
    {"sama", "as fd, with the derivative of the lower level's update for the inverse Hessian",
     METHOD_SOLVE, true, COUNT(sama_settings), sama_settings, .differences = true, .updates = true,
     .unapplied = true, .draw = DRAW_REPLAY},
};

const SettingInfo steps_info = {
    "steps", DT_I32, false, 1, 1, 2e9, "steps for each step of the level above", false};

int optimizer_count(void) { return COUNT(optimizers); }
const OptimizerInfo *optimizer_at(int i) { return &optimizers[i]; }
int method_count(void) { return COUNT(methods); }
const MethodInfo *method_at(int i) { return &methods[i]; }

const OptimizerInfo *optimizer_find(const char *name) {
  for (int i = 0; i < COUNT(optimizers); i++)
    if (!strcmp(optimizers[i].name, name)) return &optimizers[i];
  return NULL;
}

const MethodInfo *method_find(const char *name) {
  for (int i = 0; i < COUNT(methods); i++)
    if (!strcmp(methods[i].name, name)) return &methods[i];
  return NULL;
}
