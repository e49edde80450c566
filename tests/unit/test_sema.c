/* Semantic analysis: programs that are right lower to a Program that the verifier accepts, with the
   storages and functions that passes expect. Wrong ones: test_sema_errors.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "tests/unit/sema_program.h"

/* ---- right programs */

/* Statements of level `fit`, in which w : f32[D] is minimized. */
static const char *const good[] = {
    "minimize sum(w^2);",
    "minimize sum((w - scale)^2) * scale;",
    "maximize -norm2(w);",
    "let z = train.x @ w; minimize nll(z, train.z) + mean(z^2);",
    ("var W : f32[D, C] = he_normal; var b : f32[C] = 0;"
     "minimize mean(xent(affine(train.x, W, b), train.y)) + norm2(w);"),
    "var W : f32[D, C] = uniform(-0.1, 0.1); minimize mean(xent(train.x @ W, train.y)) + norm2(w);",
    "var W : f32[C, D] = normal(0.01); minimize sum(W[train.y] * train.x) + norm2(w);",
    "var a : f32[N] = 0; minimize mean(sigmoid(a) * (train.x @ w - train.z)^2);",
    "var K : f32[2 * D, D + 1] = glorot_uniform; minimize sum(K^2) + norm2(w);",
    "var K : f32[width, D] = ones; minimize sum((K @ w)^2);",
    "minimize sum(roll(w, width) * w) + w[width - 1];",
    "minimize dot(w, 1 + iota(D)) / D + norm2(w);",
    "minimize nll(b = train.z, a = train.x @ w);",
    "minimize -mean(log_softmax(outer(w, w), axis = 0));",
    "minimize sum(gumbel_softmax(w, tau = 0.5) * iota(D)) + norm2(w);",
    "minimize sum(w[0..2]) + w[-1] + w[1] + norm2(w[1..]);",
    "minimize norm2(train.x[.., 0] * w[0]) + norm2(reshape(train.x, D, N) @ train.z * w);",
    "minimize sum(f64(w)^2);",
    "minimize if sum(w) > 0 then sum(w) else -2 * sum(w);",
    "minimize norm2(w); metric far = max(abs(w)) > 1;",
    "let c : f32 = 2; minimize c * norm2(w);",
    "let loss = norm2(w); minimize loss;",
    "var v : f32[D] = iota(D); minimize norm2(w - v);",
    "var m = max_pool; var a = avg_pool[3, S = 1]; var d = dropout[10];"
    "let x = reshape(d(outer(w, w)), 1, 1, -1, 1) * full(1, 1, D, 1, 1);"
    "minimize norm2(m(x)) + norm2(a(x));",
    "var v = each[3]; minimize norm2(v(w[0..3])) + norm2(w);",
    "minimize sum(train.x.T @ train.x @ w * w);",
    "minimize norm2(mini.x @ w - mini.z) / batch(mini);",
    "let r : f32[batch(mini)] = mini.x @ w - mini.z; minimize norm2(r) + mean(bits.z) * sum(w);",
    "var a : f32[N] = mini.z; minimize sum(a[index(mini)] * (mini.x @ w)) + norm2(a);",
    "var a : f32[N] = f32(index(mini)); minimize sum(a) * sum(w) * batch(train) / N;",
    "minimize sum(w * D) * mean(train.z[index(train)]) + sum(train.z[index(mini)[0..2]]);",
    ("let r : f32[batch(mini)] = (mini.x @ w)^2; minimize sum(r); metric a on mini = sqrt(mean(r));"
     "metric b on train = mean(r); output c on mini = r * index(mini); output d on mini = max(r);"),
    ("minimize norm2(w); metric a on mini = mean(softmax(mini.x @ outer(w, w)));"
     "metric b on mini = nll(mini.x @ w, mini.z) / batch(mini) + norm2(mini.x.T @ mini.z);"
     "output c on mini = gumbel_softmax(mini.x) @ w;"),
    ("var a : f32[N] = 1; minimize mean(a[index(cut.a)] * (cut.a.x @ w - cut.a.z)^2) + norm2(a);"
     "metric b on cut.b = sqrt(mean((cut.b.x @ w - cut.b.z)^2)); output p on cut.a = cut.a.y;"
     "metric c = mean(xent(cut.b.x @ outer(w, iota(4)), cut.b.y)) / batch(cut.b);"),
    "minimize sum(abs(train.y - 1) * train.z) * norm2(w);",
    "minimize norm2(w) * size(train.x, 0) / N - size(w, -1);",
    "var net = mlp[D, 2 * width, C]; minimize mean(xent(net(train.x), train.y)) + norm2(w);",
    "var net[3] = linear[D, O = D]; let h = train.x; for i in 0..3 { h = gelu(net[i](h)); }"
    "minimize norm2(h) + norm2(w);",
    "let v[0] = w; for i in 1..4 { let v[i] = tanh(v[i - 1]) + i; } minimize norm2(v[3]);",
    "minimize norm2(w); if width > 1 { metric m = mean(w); } else { metric q = nothing; }",
    "minimize sum(i in 0..3: w[i]^2) + norm2(stack(i in 0..2: i * w)) + max(i in 0..3: w[i]);",
    "var net = batchnorm[D]; state n : i32 = 0 next n + 1; minimize norm2(net(train.x)) + norm2(w);"
    "metric m = mean(net(train.x)) + n;",
    "var net = transformer[D, 1]; minimize norm2(net(expand_dims(train.x, 0))) + norm2(w);"
    "freeze = net.attend;",
    "minimize mean(train.y == 1) + norm2(w) + mean(train.y div 2 + train.y mod 2 + train.y^2);",
};

static void test_good(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    char text[4000];
    snprintf(
        text, sizeof text,
        "%slevel fit { var w : f32[D] = 0; optimizer = sgd(lr = 1); %s }\nrun main of fit {}\n",
        head, good[i]);
    for (int wide = 0; wide < 2; wide++) {
      Result r = compile(text, (SemaOptions){.any_precision = wide, .precision = DT_F64});
      if (!r.program) diags_print(r.diags, stderr, false);
      if (!r.program) fail_msg("%s", good[i]);
      const char *wrong = ir_verify(r.program);
      if (wrong) fail_msg("%s: %s", good[i], wrong);
      const char *printed = ir_print(r.program);
      Program *again = ir_parse(r.arena, r.diags, "again", printed);
      assert_non_null(again);
      assert_string_equal(printed, ir_print(again));
      arena_free(r.arena);
    }
  }
}

/* ---- the contract with passes */

static Storage *storage(const Program *p, const char *name, StorageKind kind) {
  Storage *s = program_find(p, name);
  if (!s) fail_msg("no storage `%s`", name);
  assert_int_equal(s->kind, kind);
  return s;
}

static bool reads(const Func *f, const char *name) {
  for (int i = 0; i < f->graph->nnode; i++)
    if (f->graph->node[i]->op == OP_param && !strcmp(f->graph->node[i]->attr.sym, name))
      return true;
  return false;
}

/* The declarations of `head` and this, which is right. */
static Result lowered(const char *rest) {
  char text[4000];
  snprintf(text, sizeof text, "%s%s", head, rest);
  Result r = compile(text, (SemaOptions){0});
  if (!r.program) diags_print(r.diags, stderr, false);
  assert_non_null(r.program);
  return r;
}

static void test_contract(void **state) {
  (void)state;
  char text[4000];
  snprintf(text, sizeof text,
           "%s%slevel idle { var v : f32 = 0; optimizer = sgd(lr = 1); minimize (v - "
           "mean(val.x))^2; }\n%s"
           "run main of tune { seed = 3; report = every(10, csv); }\n",
           head, fit,
           "level tune { var rho : f32[D] in box(-12, 6) = -2; argmin fit via cg(iters = 30); "
           "optimizer = adam(lr = 0.05); steps = 7; minimize scale * nll(val.x @ fit.w, val.z); "
           "metric acc = mean(fit.w > 0); }\n");
  Result r = compile(text, (SemaOptions){0});
  Program *p = r.program;
  assert_non_null(p);
  assert_int_equal(p->nlevel, 2);
  assert_string_equal(p->level[0]->name, "fit");
  assert_string_equal(p->run.top->name, "tune");
  assert_int_equal(p->run.seed, 3);
  assert_int_equal(p->run.report_every, 10);
  assert_true(p->run.csv);
  assert_true(p->run.precision == DT_F32 && p->facts == 0 && !p->schedule);
  assert_int_equal(p->nsource, 2);
  Storage *y = storage(p, "train.y", ST_DATA);
  assert_true(y->check == CHECK_RANGE && y->lo == 0 && y->hi == 4);
  assert_string_equal(y->dim_name[0], "N");
  assert_true(storage(p, "scale", ST_SETTING)->value == 0.5);
  assert_null(program_find(p, "width"));
  Storage *rho = storage(p, "tune.rho", ST_VAR);
  assert_true(rho->saved && rho->base == storage(p, "tune", ST_VAR) && !rho->base->saved);
  assert_true(rho->check == CHECK_BOX && rho->lo == -12 && rho->hi == 6);
  assert_true(storage(p, "tune.via.fit.iters", ST_SETTING)->value == 30);
  assert_true(storage(p, "tune.optimizer.beta1", ST_SETTING)->value == 0.9);
  assert_true(storage(p, "tune.steps", ST_SETTING)->value == 7);
  assert_ptr_equal(p->seed, storage(p, "seed", ST_COUNTER));
  assert_int_equal(p->nmetric, 3);
  assert_string_equal(p->metric[0].name, "fit.loss");
  assert_ptr_equal(p->metric[0].func, p->level[0]->objective);
  assert_string_equal(p->metric[2].name, "acc");
  const Level *t = p->level[1];
  assert_int_equal(t->nedge, 1);
  assert_ptr_equal(t->edge[0].lower, p->level[0]);
  assert_true(reads(t->objective, "fit.w") && !reads(t->objective, "fit"));
  assert_true(reads(p->level[0]->objective, "tune.rho"));
  assert_ptr_equal(t->objective->dest[0], t->loss);
  assert_null(t->count);
  arena_free(r.arena);
}

static void test_random_reads_counters(void **state) {
  (void)state;
  Result r =
      lowered("level fit { var w : f32[D] = normal(1); var v : f32[D] = normal(1); optimizer = "
              "sgd(lr = 1);"
              " maximize sum(gumbel_softmax(w) * v); }\nrun main of fit {}\n");
  const Level *l = r.program->level[0];
  assert_true(l->maximize && reads(l->init, "seed") && !reads(l->init, "fit.draws"));
  assert_true(reads(l->objective, "seed") && reads(l->objective, "fit.draws"));
  assert_ptr_equal(l->draws, storage(r.program, "fit.draws", ST_COUNTER));
  int64_t stream[2] = {-1, -1};
  for (int i = 0, n = 0; i < l->init->graph->nnode; i++)
    if (l->init->graph->node[i]->op == OP_random) stream[n++] = l->init->graph->node[i]->attr.i[1];
  assert_true(stream[0] >= 0 && stream[1] >= 0 && stream[0] != stream[1]);
  arena_free(r.arena);
}

/* One vector of row numbers a source, whatever reads it; draws count, and nothing else is stored.
 */
static void test_batches(void **state) {
  (void)state;
  Result r =
      lowered("level fit { var w : f32[D] = 0; optimizer = sgd(lr = 1);"
              " minimize sum((mini.x @ w - mini.z)^2) + sum(mini.z) * sum(bits.z) * sum(w); }\n"
              "run main of fit {}\n");
  const Level *l = r.program->level[0];
  int shuffles = 0, gathers = 0;
  const Graph *g = l->objective->graph;
  for (int i = 0; i < g->nnode; i++) {
    shuffles += g->node[i]->op == OP_shuffle;
    gathers += g->node[i]->op == OP_gather;
    if (g->node[i]->op == OP_shuffle) assert_int_equal(g->node[i]->attr.i[0], 40);
  }
  assert_int_equal(shuffles, 1);
  assert_int_equal(gathers, 3);
  assert_ptr_equal(l->draws, storage(r.program, "fit.draws", ST_COUNTER));
  assert_true(reads(l->draw, "fit.draws") && l->draw->dest[0] == l->draws);
  assert_false(reads(l->init, "fit.draws"));
  assert_int_equal(r.program->source[0]->batch, 8);
  assert_true(r.program->source[0]->shuffled && !r.program->source[1]->shuffled);
  arena_free(r.arena);
}

static void test_metrics_on_sources(void **state) {
  (void)state;
  Result r = lowered("level fit { var w : f32[D] = 0; optimizer = sgd(lr = 1); minimize sum(w^2);"
                     " metric a on odd = sqrt(mean((odd.x @ w - odd.z)^2)) + max(odd.z);"
                     " output p on odd = odd.x * w; metric whole on train = mean(train.z);"
                     " metric even on mini = mean(mini.z); }\n"
                     "data odd { file = \"train.npz\"; x : f32[N, D]; z : f32[N]; batch = 7; }\n"
                     "run main of fit {}\n");
  const Metric *m = r.program->metric + 1;
  assert_int_equal(m->nbatch, 5);
  assert_true(m->start && m->batch && m->rest && m->func && m->start->nresult == 2);
  assert_int_equal(m->rest->nresult, 2);
  assert_true(reads(m->batch, "a.batch") && !reads(m->rest, "a.batch"));
  assert_true(reads(m->func, "a.part0") && !reads(m->func, "odd.x"));
  assert_true(reads(m->batch, "odd.x") && !reads(m->batch, "fit.draws"));
  m++;
  assert_true(!m->start && m->batch && m->rest && !m->func && m->output);
  assert_int_equal(type_count(m->value->type), 120);
  assert_ptr_equal(m->batch->dest[0]->base, m->value);
  assert_ptr_equal(m->batch->row[0], m->counter);
  assert_int_equal(m->rest->dest[0]->base_offset, 105);
  m++;
  assert_true(m->func && !m->batch && !m->start && !m->rest);
  m++;
  assert_true(m->func && m->batch && m->start && !m->rest);
  assert_null(ir_verify(r.program));
  arena_free(r.arena);
}

static void test_splits(void **state) {
  (void)state;
  Result r = lowered(
      "level fit { var w : f32[D] = 0; optimizer = sgd(lr = 1);"
      " minimize mean((cut.a.x @ w - cut.a.z)^2); metric v on cut.b = mean(cut.b.x @ w); }\n"
      "run main of fit {}\n");
  const Source *s = r.program->source[0];
  assert_true(s->npart == 2 && s->rows == 40 && s->batch == 7);
  assert_ptr_equal(s->by, storage(r.program, "cut.y", ST_DATA));
  assert_ptr_equal(s->part[0].rows, storage(r.program, "cut.a.rows", ST_DATA));
  assert_int_equal(s->part[0].rows->type.dim[0], 24);
  assert_int_equal(s->part[1].rows->type.dim[0], 10);
  const Graph *g = r.program->level[0]->objective->graph;
  for (int i = 0; i < g->nnode; i++)
    if (g->node[i]->op == OP_shuffle) assert_int_equal(g->node[i]->attr.i[0], 24);
  const Metric *m = r.program->metric + 1;
  assert_true(m->nbatch == 1 && m->rest && reads(m->batch, "cut.b.rows"));
  arena_free(r.arena);
}

static void test_set(void **state) {
  (void)state;
  char text[4000];
  snprintf(text, sizeof text,
           "%slevel fit { var w : f32[width] = scale; optimizer = sgd(lr = 1);"
           " minimize sum(w^2) * scale; }\nrun main of fit {}\n",
           head);
  const char *const set[] = {"width=5", "scale=0.25", "fit.optimizer.lr=0.125", "fit.steps=9"};
  Result r = compile(text, (SemaOptions){.set = set, .nset = 4});
  if (!r.program) diags_print(r.diags, stderr, false);
  assert_non_null(r.program);
  assert_int_equal(storage(r.program, "fit.w", ST_VAR)->type.dim[0], 5);
  assert_true(storage(r.program, "scale", ST_SETTING)->value == 0.25);
  assert_true(storage(r.program, "fit.optimizer.lr", ST_SETTING)->value == 0.125);
  assert_true(storage(r.program, "fit.steps", ST_SETTING)->value == 9);
  arena_free(r.arena);
  const char *const file = "widht=x.csv";
  r = compile(text, (SemaOptions){.data = &file, .ndata = 1});
  assert_null(r.program);
  assert_string_equal(r.diags->diag[0]->code, "E0340");
  arena_free(r.arena);
  static const char *const wrong[][2] = {{"widht=5", "E0340"},
                                         {"width=x", "E0341"},
                                         {"N=-1", "E0341"},
                                         {"fit.optimizer.lr=-1", "E0341"},
                                         {"fit.steps=1.5", "E0341"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    r = compile(text, (SemaOptions){.set = &wrong[i][0], .nset = 1});
    assert_null(r.program);
    assert_string_equal(r.diags->diag[0]->code, wrong[i][1]);
    arena_free(r.arena);
  }
}

/* Names alone suffice to check; everything else needs the files. */
static void test_absent_files(void **state) {
  (void)state;
  static const char body[] = "dim N, D; data d { file = \"absent.npz\"; x : f32[N, D]; }"
                             "level fit { var w : f32[D] = he_normal; optimizer = sgd(lr = 1);"
                             "minimize %s; }\nrun main of fit {}\n";
  static const struct {
    const char *objective;
    bool check;
    const char *code;
  } c[] = {{"norm2(d.x @ w) / N + w[2] + sum(reshape(d.x, D, N)[0..1] * d.x.T)", true, NULL},
           {"norm2(d.x @ w)", false, "E0401"},
           {"norm2(w @ d.x)", true, "E0203"}};
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    char text[2000];
    snprintf(text, sizeof text, body, c[i].objective);
    Result r = compile(text, (SemaOptions){.check_only = c[i].check});
    assert_null(r.program);
    assert_int_equal(r.diags->nerror, c[i].code ? 1 : 0);
    if (c[i].code) assert_string_equal(r.diags->diag[0]->code, c[i].code);
    arena_free(r.arena);
  }
}

static void test_pedantic(void **state) {
  (void)state;
  char text[4000];
  snprintf(text, sizeof text, "%s%s%s%s", head, fit, tune, run);
  Result r = compile(text, (SemaOptions){.pedantic = true});
  assert_non_null(r.program);
  assert_int_equal(r.diags->nerror, 0);
  assert_int_equal(r.diags->ndiag, 6); /* scale, affine, mini, bits, cut, each */
  for (int i = 0; i < 6; i++) assert_string_equal(r.diags->diag[i]->code, "W0101");
  arena_free(r.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good),
      cmocka_unit_test(test_contract),
      cmocka_unit_test(test_random_reads_counters),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_metrics_on_sources),
      cmocka_unit_test(test_splits),
      cmocka_unit_test(test_set),
      cmocka_unit_test(test_absent_files),
      cmocka_unit_test(test_pedantic),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
