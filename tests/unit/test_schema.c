/* Update maps of optimizers against their formulas in plain C, over several steps. */
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/eval.h"
#include "ir/schema.h"

enum { N = 3, STEPS = 25 };

/* Params "z", "g", "t", "s0", "s1" (states) and "h0".. (settings). */
typedef struct World {
  double z[N], g[N], t[1], state[MAX_STATE][N], setting[MAX_SETTINGS][1];
} World;

static const double *value_of(void *ctx, const Node *n) {
  const World *w = ctx;
  const char *s = n->attr.sym;
  if (s[0] == 's') return w->state[s[1] - '0'];
  if (s[0] == 'h') return w->setting[s[1] - '0'];
  return s[0] == 'z' ? w->z : s[0] == 'g' ? w->g : w->t;
}

/* Gradient of sum of (k + 1) (z_k - 1)^2 / 2. */
static void gradient(const double *z, double *g) {
  for (int k = 0; k < N; k++) g[k] = (k + 1) * (z[k] - 1);
}

/* STEPS steps of the optimizer with its default settings, but for lr = 0.05; z is left in z.
   decay, clip: 0 is off. */
static void run(const char *name, double decay, double clip, double *z) {
  const OptimizerInfo *o = optimizer_find(name);
  assert_non_null(o);
  Arena *a = arena_new();
  Graph *g = graph_new(a);
  World w = {.z = {3, -2, 0.5}};
  Type vector = type_make(DT_F64, 1, (int64_t[]){N}), scalar = type_scalar(DT_F64);
  Node *state[MAX_STATE], *setting[MAX_SETTINGS], *out[MAX_STATE + 1];
  for (int i = 0; i < o->nstate; i++) state[i] = ir_param(g, arena_printf(a, "s%d", i), vector);
  for (int i = 0; i < o->nsetting; i++) {
    bool on = !o->setting[i].optional || (strcmp(o->setting[i].name, "clip") ? decay : clip) > 0;
    setting[i] = on ? ir_param(g, arena_printf(a, "h%d", i), scalar) : NULL;
    w.setting[i][0] = strcmp(o->setting[i].name, "lr") ? o->setting[i].value : .05;
    if (o->setting[i].optional) w.setting[i][0] = strcmp(o->setting[i].name, "clip") ? decay : clip;
    if (!strcmp(o->setting[i].name, "momentum")) w.setting[i][0] = .9;
  }
  out[0] = o->update(g, ir_param(g, "z", vector), ir_param(g, "g", vector), state, setting,
                     ir_param(g, "t", scalar), out + 1);
  for (int t = 1; t <= STEPS; t++) {
    const double *v[MAX_STATE + 1];
    w.t[0] = t;
    gradient(w.z, w.g);
    ir_eval(a, g, out, 1 + o->nstate, value_of, &w, v);
    memcpy(w.z, v[0], sizeof w.z);
    for (int i = 0; i < o->nstate; i++) memcpy(w.state[i], v[i + 1], sizeof w.z);
  }
  memcpy(z, w.z, sizeof w.z);
  arena_free(a);
}

static void expect(const char *name, double decay, double clip, const double *want) {
  double z[N];
  run(name, decay, clip, z);
  for (int k = 0; k < N; k++)
    if (!(fabs(z[k] - want[k]) <= 1e-13)) fail_msg("%s: %.17g, not %.17g", name, z[k], want[k]);
}

/* The gradient after clipping and L2 decay. */
static void prepared(const double *z, double decay, double clip, double *g) {
  double norm = 0;
  gradient(z, g);
  for (int k = 0; k < N; k++) norm += g[k] * g[k];
  norm = sqrt(norm);
  for (int k = 0; k < N; k++)
    g[k] = g[k] * (clip > 0 && norm > clip ? clip / norm : 1) + decay * z[k];
}

static void momentum(void **state) {
  (void)state;
  for (int variant = 0; variant < 8; variant++) {
    int nesterov = variant & 1;
    double decay = variant & 2 ? .1 : 0, clip = variant & 4 ? 1.5 : 0;
    double z[N] = {3, -2, .5}, v[N] = {0}, g[N];
    for (int t = 0; t < STEPS; t++) {
      prepared(z, decay, clip, g);
      for (int k = 0; k < N; k++) {
        v[k] = .9 * v[k] + g[k];
        z[k] -= .05 * (nesterov ? g[k] + .9 * v[k] : v[k]);
      }
    }
    expect(nesterov ? "nesterov" : "sgd", decay, clip, z);
  }
}

static void adam(void **state) {
  (void)state;
  for (int variant = 0; variant < 6; variant++) {
    bool decoupled = variant % 3 == 0;
    double l2 = variant % 3 == 1 ? .1 : 0, clip = variant < 3 ? 0 : 1.5;
    double z[N] = {3, -2, .5}, m[N] = {0}, v[N] = {0}, g[N];
    for (int t = 1; t <= STEPS; t++) {
      prepared(z, l2, clip, g);
      for (int k = 0; k < N; k++) {
        m[k] = .9 * m[k] + .1 * g[k];
        v[k] = .999 * v[k] + .001 * g[k] * g[k];
        double step = m[k] / (1 - pow(.9, t)) / (sqrt(v[k] / (1 - pow(.999, t))) + 1e-8);
        z[k] -= .05 * (step + (decoupled ? .01 * z[k] : 0));
      }
    }
    expect(decoupled ? "adamw" : "adam", l2, clip, z);
  }
}

/* Every optimizer of the table is tested above. */
static void all(void **state) {
  (void)state;
  assert_int_equal(optimizer_count(), 4);
  for (int i = 0; i < optimizer_count(); i++) {
    assert_ptr_equal(optimizer_find(optimizer_at(i)->name), optimizer_at(i));
    assert_true(optimizer_at(i)->nsetting <= MAX_SETTINGS && optimizer_at(i)->nstate <= MAX_STATE);
  }
  for (int i = 0; i < method_count(); i++) assert_true(method_at(i)->nsetting <= MAX_SETTINGS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(momentum),
      cmocka_unit_test(adam),
      cmocka_unit_test(all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
