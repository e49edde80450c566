/* Semantic analysis: programs that are right lower to a Program that the verifier accepts, with the
   storages and functions that passes expect; each program that is wrong gives exactly the errors
   listed, at their lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "frontend/sema.h"
#include "ir/op.h"
#include "ir/text.h"
#include "ir/verify.h"

/* Data files hold whatever arrays the test names: "x:40x3 y:i40". */
static SemaProbe probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                       SemaArray **array, int *n, const char **error) {
  static const char *const word[] = {"x", "y", "z"};
  (void)want, (void)nwant, (void)error;
  if (strstr(path, "absent")) return SEMA_PROBE_ABSENT;
  if (strstr(path, "broken")) {
    *error = "it is damaged";
    return SEMA_PROBE_BAD;
  }
  if (strstr(path, ".npy")) {
    static const SemaArray only = {.name = "", .rank = 1, .dim = {40}};
    *array = arena_dup(ctx, &only, sizeof only);
    *n = 1;
    return SEMA_PROBE_OK;
  }
  bool val = strstr(path, "val") != NULL;
  SemaArray a[3] = {{.rank = 2, .dim = {val ? 30 : 40, 3}},
                    {.integral = true, .rank = 1, .dim = {val ? 30 : 40}},
                    {.rank = 1, .dim = {val ? 30 : 40}}};
  for (int i = 0; i < 3; i++) a[i].name = word[i];
  if (strstr(path, "complex")) a[0] = (SemaArray){.name = "x", .problem = "found `<c8`"};
  *array = arena_dup(ctx, a, sizeof a);
  *n = 3;
  return SEMA_PROBE_OK;
}

static const char head[] =
    "dim N, M, D, C = 4; const scale = 0.5; const width = 2;"
    "data train { file = \"train.npz\"; x : f32[N, D]; y : i32[N] in range(0, C); z : f32[N]; }"
    "data mini { file = \"train.npz\"; x : f32[N, D]; z : f32[N]; batch = 8; shuffle = true; }"
    "data bits { file = \"train.npz\"; x : f32[N, D]; z : f32[N]; batch = width * 4; }"
    "data cut { file = \"train.npz\"; x : f32[N, D]; y : i32[N] in range(0, C); z : f32[N];"
    " batch = 7; shuffle = true; split = parts(a = 0.6, b = 0.25, by = y); }"
    "data val { file = \"val.npz\"; x : f32[M, D]; y : i32[M] in range(0, C); z : f32[M]; }"
    "fn nll(a : f32[..], b : f32[..]) -> f32 = mean(softplus(a) - a * b);"
    "fn affine(x : f32[.., I], W : f32[I, O], b : f32[O]) -> f32[.., O] = x @ W + b;\n";
static const char fit[] =
    "level fit { var w : f32[D] = zeros; optimizer = sgd(lr = 0.5); steps = 20;"
    " minimize nll(train.x @ w, train.z) + 0.5 * sum(exp(tune.rho) * w^2); }\n";
static const char tune[] =
    "level tune { var rho : f32[D] in box(-12, 6) = -2; argmin fit via cg(iters = 30); "
    "optimizer = adam(lr = 0.05); minimize nll(val.x @ fit.w, val.z); }\n";
static const char run[] = "run main of tune { seed = 3; report = every(10, csv); }\n";

typedef struct Result {
  Arena *arena;
  Diags *diags;
  Program *program;
} Result;

static Result compile(const char *text, SemaOptions o) {
  Result r = {.arena = arena_new()};
  o.program = "test";
  o.probe = probe;
  o.probe_ctx = r.arena;
  text = arena_strdup(r.arena, text);
  r.diags = diags_new(r.arena, "test.mlo", text);
  Ast *ast = ast_parse(r.arena, r.diags, text, strlen(text));
  if (!r.diags->nerror) r.program = sema_program(r.arena, r.diags, ast, &o);
  return r;
}

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
  char text[4000];
  snprintf(text, sizeof text,
           "%slevel fit { var w : f32[D] = normal(1); var v : f32[D] = normal(1); optimizer = "
           "sgd(lr = 1);"
           " maximize sum(gumbel_softmax(w) * v); }\nrun main of fit {}\n",
           head);
  Result r = compile(text, (SemaOptions){0});
  assert_non_null(r.program);
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
  char text[4000];
  snprintf(text, sizeof text,
           "%slevel fit { var w : f32[D] = 0; optimizer = sgd(lr = 1);"
           " minimize sum((mini.x @ w - mini.z)^2) + sum(mini.z) * sum(bits.z) * sum(w); }\n"
           "run main of fit {}\n",
           head);
  Result r = compile(text, (SemaOptions){0});
  assert_non_null(r.program);
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
  char text[4000];
  snprintf(text, sizeof text,
           "%slevel fit { var w : f32[D] = 0; optimizer = sgd(lr = 1); minimize sum(w^2);"
           " metric a on odd = sqrt(mean((odd.x @ w - odd.z)^2)) + max(odd.z);"
           " output p on odd = odd.x * w; metric whole on train = mean(train.z);"
           " metric even on mini = mean(mini.z); }\n"
           "data odd { file = \"train.npz\"; x : f32[N, D]; z : f32[N]; batch = 7; }\n"
           "run main of fit {}\n",
           head);
  Result r = compile(text, (SemaOptions){0});
  assert_non_null(r.program);
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
  char text[4000];
  snprintf(text, sizeof text,
           "%slevel fit { var w : f32[D] = 0; optimizer = sgd(lr = 1);"
           " minimize mean((cut.a.x @ w - cut.a.z)^2); metric v on cut.b = mean(cut.b.x @ w); }\n"
           "run main of fit {}\n",
           head);
  Result r = compile(text, (SemaOptions){0});
  assert_non_null(r.program);
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
  assert_int_equal(r.diags->ndiag, 5); /* scale, affine, mini, bits, cut */
  for (int i = 0; i < 5; i++) assert_string_equal(r.diags->diag[i]->code, "W0101");
  arena_free(r.arena);
}

/* ---- wrong programs */

/* Errors as "code@line code@line"; line 1 is the head above. */
typedef struct Wrong {
  const char *text, *errors;
} Wrong;

static void check_wrong(const char *text, const char *errors) {
  Result r = compile(text, (SemaOptions){0});
  char got[1000] = "";
  for (int i = 0; i < r.diags->ndiag; i++) {
    int line, column;
    diag_position(r.diags->source, r.diags->diag[i]->span.lo, &line, &column);
    snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s@%d", i ? " " : "",
             r.diags->diag[i]->code, line);
  }
  if (strcmp(got, errors)) diags_print(r.diags, stderr, false);
  assert_string_equal(got, errors);
  assert_null(r.program);
  arena_free(r.arena);
}

/* Statements of level fit, from line 2 on. */
static const Wrong statements[] = {
    {"minimize sum(v^2);", "E0101@2"},
    {"let a = b; let b = a; minimize a * norm2(w);", "E0105@2"},
    {"let a = nope(w);\nlet b = a + 1;\nminimize a + b;", "E0101@2"},
    {"let a = w + train.z;\nlet b = val.x @ w + train.z;\nminimize norm2(w);", "E0201@2 E0201@3"},
    {"var w : f32[N];\nminimize norm2(w);", "E0102@2"},
    {"var max : f32 = 0;\nminimize norm2(w) * max;", "E0102@2"},
    {"var train : f32 = 0;\nminimize norm2(w);", "E0102@2"},
    {"var steps : f32 = 0;\nminimize norm2(w) + steps^2;", "E0103@2"},
    {"var k : f23 = 0;\nminimize norm2(w) + k;", "E0104@2"},
    {"minimize train + norm2(w);", "E0106@2"},
    {"minimize norm2(w + train.q);", "E0101@2"},
    {"minimize norm2(w).size;", "E0108@2"},
    {"minimize w(1);", "E0109@2"},
    {"state e : f32[3] = 0 next norm2(w) * w[0..2];\nminimize norm2(w);", "E0201@2"},
    {"state e : i32 = 0 next w[0];\nminimize norm2(w);", "E0327@2"},
    {"var v;\nminimize norm2(w);", "E0334@2"},
    {"var v = nothing[3];\nminimize norm2(w);", "E0101@2"},
    {"var v = linear[3];\nminimize norm2(w);", "E0230@2"},
    {"var v = linear[3, 4, 5];\nminimize norm2(w);", "E0230@2"},
    {"var v = linear[3, Q = 4];\nminimize norm2(w);", "E0230@2"},
    {"var v = linear[3, O = 4, O = 4];\nminimize norm2(w);", "E0230@2"},
    {"var net = linear[3, 4];\nminimize sum(net(train.x));", "E0218@3"},
    {"var net = linear[3, 4];\nminimize sum(net());", "E0230@3"},
    {"var net = linear[3, 4];\nminimize norm2(net.V);", "E0101@3"},
    {"var net = linear[3, 4];\nminimize sum(net(w[0..3], mode = test));", "E0525@3"},
    {"var v[2] : f32[3];\nminimize norm2(v);", "E0329@3"},
    {"var v[2] : f32[3];\nminimize norm2(v[2]);", "E0208@3"},
    {"let h = w;\nfor i in 0..3 { h = h[i..2]; }\nminimize norm2(h);", "E0208@3"},
    {"let h = w;\nfor i in 3 { h = tanh(h); }\nminimize norm2(h);", "E0224@3"},
    {"for i in 0..3 { h = tanh(w); }\nminimize norm2(w);", "E0101@2"},
    {"for i in 0..2 { let h = w; }\nminimize norm2(h);", "E0101@3"},
    {"for i in 0..2 { let h[i] = w; }\nminimize norm2(h[2]);", "E0208@3"},
    {"if w[0] > 1 { let h = w; }\nminimize norm2(w);", "E0107@2"},
    {"minimize norm(i in 0..3: w[i]);", "E0225@2"},
    {"minimize norm2(w);\nfreeze = w;", "E0324@2"},
    {"minimize norm2(w);\nfreeze = x;", "E0335@3"},
    {"var v : f32[2];\nminimize norm2(w);\ninit = copy(v, w);", "E0335@4"},
    {"var v : f32[2];\nminimize norm2(w);\ninit = v;", "E0522@4"},
    {"minimize sum(w + train.x.T);", "E0201@2"},
    {"minimize sum(2 @ w);", "E0202@2"},
    {"minimize norm2(train.x @ train.x);", "E0203@2"},
    {"minimize sum(w, axis = 1);", "E0205@2"},
    {"minimize sum(reshape(w, 7, -1));", "E0220@2"},
    {"minimize sum(reshape(train.x, N, D, 2));", "E0207@2"},
    {"minimize sum(train.z - mini.z);", "E0201@2"},
    {"minimize sum(mini.z - bits.z);", "E0201@2"},
    {"minimize sum(w[index(mini)]);", "E0216@2"},
    {"minimize sum(cut.a.z - cut.b.z);", "E0201@2"},
    {"minimize sum(cut.a.z - cut.z);", "E0201@2"},
    {"minimize sum(w) * sum(cut.a);", "E0106@2"},
    {"minimize sum(w) * sum(cut.c.z);", "E0101@2"},
    {"minimize sum(w) * sum(cut.a.q);", "E0101@2"},
    {"minimize sum(w) * sum(mini.z[index(cut.a)]);", "E0216@2"},
    {"minimize sum(w); metric a on cut.c = 1;", "E0423@2"},
    {"minimize sum(w) * index(nothing)[0];", "E0423@2"},
    {"minimize sum(w) * index(mini.part)[0];", "E0423@2"},
    {"minimize sum(w) * index()[0] * index(mini, bits)[0];", "E0230@2 E0230@2"},
    {"minimize sum(w) * batch(w);", "E0423@2"},
    {"let b : f32[batch(bits)] = mini.z;\nminimize sum(b) * sum(w);", "E0217@2"},
    {"var a : f32[M] = mini.z;\nminimize sum(a) * sum(w);", "E0201@2"},
    {"minimize sum(w); metric a on nothing = 1;", "E0423@2"},
    {"minimize sum(w); metric a on w = 1;", "E0423@2"},
    {"minimize sum(w); metric a on mini = mini.z;", "E0328@2"},
    {"minimize sum(w); metric a on mini = mean((mini.z - mean(mini.z))^2);", "E0336@2"},
    {"minimize sum(w); metric a on mini = std(mini.z);", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(softmax(mini.z));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(mini.x @ mini.x.T);", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(outer(mini.z, mini.z));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(expand_dims(mini.z, 0) - expand_dims(mini.z, 1));",
     "E0336@2"},
    {"minimize sum(w); metric a on mini = mini.z[0] + sum(mini.z[1..]);", "E0336@2 E0336@2"},
    {"minimize sum(w); metric a on mini = mean(argmax(mini.z));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(mini.z * roll(mini.z, 1));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(reverse(mini.z));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(mini.z * iota(batch(mini)));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(concat(mini.z, mini.z));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(mini.z[index(mini)]);", "E0216@2"},
    {"minimize sum(w); metric a on mini = sum(reshape(mini.x, D, batch(mini)));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(reshape(mini.x, D * batch(mini)));", "E0336@2"},
    {"minimize sum(w); metric a on mini = sum(mini.z * train.z);", "E0201@2"},
    {"minimize sum(w); output a on mini = mini.x.T;", "E0336@2"},
    {"minimize sum(w); output a on mini = mini.z - mean(mini.z);", "E0336@2"},
    {"minimize sum(w); output a on mini = expand_dims(mini.z, 0);", "E0336@2"},
    {"minimize w[3];", "E0208@2"},
    {"minimize w[-4] + w[0..4];", "E0208@2 E0208@2"},
    {"minimize w[0, 0];", "E0209@2"},
    {"minimize sum((w > 0) + w);", "E0210@2"},
    {"minimize sum(f64(w) + w);", "E0211@2"},
    {"minimize sum(w div 2);", "E0212@2"},
    {"minimize sum(w) / (3 mod 0);", "E0213@2"},
    {"minimize if w[0] then 1 else 2;", "E0214@2"},
    {"minimize w[w];", "E0215@2"},
    {"minimize sum(w[train.y]);", "E0216@2"},
    {"minimize mean(xent(train.x, train.y)) + norm2(w);", "E0216@2"},
    {"let c : f32[N] = w;\nminimize norm2(w);", "E0217@2"},
    {"minimize nll(w, train.z);", "E0218@2"},
    {"minimize sum(affine(train.x, w, w));", "E0218@2"},
    {"minimize nll(w);", "E0230@2"},
    {"minimize sum(clamp(w, 0));", "E0230@2"},
    {"minimize sum(w, keep = true);", "E0230@2"},
    {"minimize mean(w, 0, keepdims = 1);", "E0231@2"},
    {"minimize sum(roll(w, train.z));", "E0107@2"},
    {"minimize sum(w);\nminimize sum(w);", "E0323@3"},
    {"", "E0323@2"},
    {"var n : i32 = 0;\nminimize norm2(w);", "E0324@2"},
    {"var b : f32 in box(1, 2);\nminimize norm2(w);", "E0326@2"},
    {"var b : f32 = w;\nminimize norm2(w);", "E0107@2"},
    {"var b : f32 = train.z;\nminimize norm2(w);", "E0327@2"},
    {"var b : f32[D] = uniform(1);\nminimize norm2(w);", "E0230@2"},
    {"minimize w;", "E0328@2"},
    {"minimize norm2(w);\nmetric acc = w;", "E0328@3"},
    {"minimize norm2(w);\nmetric train = 1;", "E0102@3"},
    {"var b : f32 in simplex = 1;\nminimize norm2(w);", "E0521@2"},
    {"minimize norm2(w);\nrestart = fresh;", "E0333@3"},
    {"minimize norm2(w);\nrestart = hot;", "E0525@3"},
    {"minimize norm2(w);\nstep = 3;", "E0524@3"},
    {"minimize norm2(w);\nsteps = 0;", "E0525@3"},
    {"minimize norm2(w);\nsteps = w[0];", "E0101@3"},
    {"argmin fti via dense();\nminimize norm2(w);", "E0321@2"},
    {"argmin fit via dense();\nminimize norm2(w);", "E0320@2"},
    {"minimize norm2(net(w));", "E0101@2"},
    {"minimize norm2(sort(w));", "E0110@2"},
    {"minimize norm2(w) + mean(train.y + 3000000000);", "E0219@2"},
    {"minimize sum(full(1, 2000000, 2000000)) + norm2(w);", "E0221@2"},
    {"let w = 1;\nminimize norm2(w);", "E0102@2"},
    {"var x : f32[D] = he_norml;\nminimize norm2(w + x);", "E0101@2"},
    {"minimize sum(roll(w, 0.5));", "E0231@2"},
    {"minimize sum(w, 0, 0);", "E0205@2"},
    {"minimize sum(transpose(train.x, 0, 0)) + norm2(w);", "E0205@2"},
    {"minimize sum(patchify(broadcast(w[0], 4, 6, 2), 4));", "E0220@2"},
    {"minimize sum(pdist2(train.x, w));", "E0201@2"},
    {"minimize sum(kl(w[0], w));", "E0202@2"},
    {"minimize sum(max(w, w, axis = 0));", "E0230@2"},
    {"minimize sum(concat(w, w > 0));", "E0211@2"},
    {"minimize sum(segment_sum(train.x, train.y, 3)) + norm2(w);", "E0216@2"},
    {"minimize max(w[0..0]);", "E0206@2"},
};

static void test_statements(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
    char text[4000];
    snprintf(
        text, sizeof text,
        "%slevel fit { var w : f32[D] = 0; optimizer = sgd(lr = 1); %s }\nrun main of fit {}\n",
        head, statements[i].text);
    check_wrong(text, statements[i].errors);
  }
}

static const char ending[] = "level last { var w : f32[2] = 0; optimizer = sgd(lr = 1); minimize "
                             "norm2(w); }\nrun main of last {}\n";

static const Wrong declarations[] = {
    {"dim K;\n", "E0416@1"},
    {"dim K = 7 / 2;\n", "E0220@1"},
    {"dim K = L, L = K;\n", "E0105@1"},
    {"const a = b; const b = a;\n", "E0105@1"},
    {"dim K = 3; const K = 2;\n", "E0102@1"},
    {"const seed = 3;\n", "E0103@1"},
    {"fn max(x : f32) -> f32 = x;\nfn two(x : f32) -> f32 = 2 * max(x);\n", "E0102@1"},
    {"fn f(x : f32) -> f32 = g(x);\nfn g(x : f32) -> f32 = f(x);\n", "E0111@2"},
    {"fn f(x : f32[N], y : f32[M]) -> f32 = sum(x * y);\nfn g(x : f32) -> f32 = f(x, x);\n",
     "E0201@1"},
    {"fn f(x : f32[2 * I]) -> f32 = sum(x);\n", "E0101@1"},
    {"fn f(x : f32, x : f32) -> f32 = x;\n", "E0102@1"},
    {"module m[I](x : f32[I]) -> f32[2 * I] {\nreturn x; }\n", "E0217@1"},
    {"module m[I](x : f32[I]) -> f32[I] {\nparam W : f32[I, J];\nreturn x; }\n", "E0101@2"},
    {"module m[I](x : f32[I]) -> f32[I] {\nparam W : f32[I];\nlet y = W @ W; }\n", "E0334@1"},
    {"module m[I](x : f32[I, W]) -> f32[I, W] {\nparam W : f32[I];\nreturn x; }\n", "E0102@2"},
    {"module m[I, I](x : f32[I]) -> f32[I] { return x; }\n", "E0102@1"},
    {"module m[I](x : f32[I]) -> f32[I] {\nvar q = m[I];\nreturn q(x); }\n", "E0111@2"},
    {"module m[I](x : f32[I]) -> f32[I] {\nlet y = x;\ny = z;\nreturn y; }\n", "E0101@3"},
    {"module m[I](x : f32[I]) -> f32[I] {\nparam W : i32[I];\nreturn x; }\n", "E0324@2"},
    {"data d { x : f32[3]; }\n", "E0523@1"},
    {"data d { file = \"broken.npz\"; x : f32[3]; }\n", "E0402@1"},
    {"data d { file = \"absent.npz\"; x : f32[3]; }\n", "E0401@1"},
    {"dim N, D; data d { file = \"d.npz\"; x : f32[N]; }\n", "E0411@1 E0416@1"},
    {"dim N; data d { file = \"d.npz\"; x : f32[N, N]; }\n", "E0412@1"},
    {"dim N; data d { file = \"d.npz\"; x : f32[N, 4]; }\n", "E0412@1"},
    {"data d { file = \"d.npz\"; q : f32[4]; }\n", "E0413@1"},
    {"data d { file = \"d.npz\"; z : i32[40]; }\n", "E0414@1"},
    {"dim N, D; data d { file = \"complex.npz\"; x : f32[N, D]; z : f32[N]; }\n", "E0402@1"},
    {"dim N; data d {\nfile = \"d.npy\"; x : f32[N];\ny : f32[N];\nz : f32[N]; }\n", "E0413@3"},
    {"data d { file = \"d.npz\"; z : f32[40]; z : f32[40]; }\n", "E0102@1"},
    {"data d { file = \"d.npz\"; z : f32[40] in range(0, 2); }\n", "E0521@1"},
    {"data d { file = 3; z : f32[40]; }\n", "E0522@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; batch = 4; batch = 5; }\n", "E0524@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; bach = 4; }\n", "E0524@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 41; }\n", "E0420@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = N - N; }\n", "E0420@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 0.5; }\n", "E0222@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = d.z; }\n", "E0222@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; shuffle = true; }\n", "E0420@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 4; shuffle = 1; }\n", "E0525@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 4; partial = keep; }\n", "E0110@1"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 4; partial = no; }\n", "E0525@1"},
    {"dim N, C = 3; data d { file = \"d.npz\"; z : f32[N]; batch = 4;\nrows = C; }\n", "E0421@2"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 4;\nrows = K; }\n", "E0101@2"},
    {"dim N; data d { file = \"absent.npz\"; z : f32; x : f32[N];\nbatch = 4; }\n",
     "E0401@1 E0421@2"},
    {"dim N, K = batch(d); data d { file = \"d.npz\"; z : f32[N]; batch = 4; }\n", "E0421@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = 0.5; }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(0.5, b = 0.5); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.5, b = 0.6); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.5, b = 0); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.99, b = 0.01); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.5, a = 0.5); }\n", "E0102@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(z = 0.5); }\n", "E0102@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.5, by = z); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.5, by = q); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = 0.5, seed = -1); }\n", "E0422@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; split = parts(a = seed); }\n", "E0101@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; batch = 9;\nsplit = parts(a = 0.9, b = 0.1); }\n",
     "E0420@1"},
    {"data d { file = \"d.npz\"; z : f32[40]; }\nfn f(x : f32) -> f32 = x * index(d)[0];\n",
     "E0107@2"},
    {"const c = nowhere;\nconst d = c + 1;\n", "E0101@1"},
};

static void test_declarations(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
    char text[4000];
    snprintf(text, sizeof text, "%s%s", declarations[i].text, ending);
    check_wrong(text, declarations[i].errors);
  }
}

/* Levels `fit` and `tune` are given; runs and more levels follow. */
static const Wrong programs[] = {
    {"run main of nothing {}\n", "E0331@4"},
    {"run one of tune {}\nrun two of tune {}\n", "E0330@5"},
    {"run main of tune { sed = 1; precision = f16; report = 3; }\n", "E0522@4 E0524@4 E0522@4"},
    {"run main of tune { seed = -1; checkpoint = every(3); }\n", "E0525@4"},
    {"run main of tune { eval = every(3); checkpoint = 5; }\n", "E0522@4"},
    {"run main of tune { checkpoint = every(5, keep = 0); }\n", "E0525@4"},
    {"run main of tune { eval = 3; keep_best = tune.loss; }\n", "E0522@4 E0522@4"},
    {"run main of tune { eval = every(0); keep_best = max(none); }\n", "E0525@4 E0350@4"},
    {"run main of tune { keep_best = max(tune.w); }\n", "E0350@4"},
    {"run main of tune { keep_best = min(fit.loss, 3); }\n", "E0522@4"},
    {"run main of tune { checkpoint = every(5, csv); }\n", "E0522@4"},
    {"run main of fit {}\n", "E0332@4"},
    {"run main of tune after main {}\n", "E0351@4"},
    {"run main of tune after again {}\nrun again of tune after main {}\n", "E0351@5"},
    {"run main of tune after fit {}\n", "E0351@4"},
    {"level third { var a : f32 = 0; optimizer = sgd(lr = 1); minimize (a - mean(fit.w))^2; }\n"
     "run main of tune {}\n",
     "E0322@4"},
    {"level third { var a : f32 = 0; optimizer = sgd(); minimize a^2;\nargmin tune via "
     "unroll(steps = 3);\n"
     "argmin fit via cg(iter = 3);\nargmin fit via dense(); }\nrun main of third {}\n",
     "E0526@4 E0110@5 E0524@6 E0321@7"},
    {"level third { var a : f32 = 0; minimize (a - 1)^2;\noptimizer = adam(lr = exp(tune.rho),\n"
     "beta1 = warmup(0), beta2 = iota(3) * step,\neps = warm(3), decay = third.a * step); }\n"
     "run main of third {}\n",
     "E0528@5 E0101@7 E0528@7 E0525@6 E0520@6"},
    {"level third { var a : f32 = 0; minimize (a - 1)^2; steps = 30;\n"
     "optimizer = sgd(lr = 1 - step / 20, momentum = 0.5 + step / 58); }\nrun main of third {}\n",
     "E0525@5"},
    {"level third { var a : f32 = 0; minimize (a - 1)^2; steps = 29;\n"
     "optimizer = sgd(lr = 1 - step / 29, momentum = 0.5 + step / 57);\n"
     "argmin fit via cg(iters = warmup(3)); }\nrun main of third {}\n",
     "E0101@6"},
    {"level third { var a : f32 = 0; minimize (a - warmup(3) - step)^2;\n"
     "optimizer = sgd(lr = 1); }\nrun main of third {}\n",
     "E0101@4 E0101@4"},
    {"", "E0330@1"},
};

static void test_programs(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    char text[4000];
    snprintf(text, sizeof text, "%s%s%s%s", head, fit, tune, programs[i].text);
    check_wrong(text, programs[i].errors);
  }
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
      cmocka_unit_test(test_statements),
      cmocka_unit_test(test_declarations),
      cmocka_unit_test(test_programs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
