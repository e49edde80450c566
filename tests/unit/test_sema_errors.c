/* Wrong programs: the codes and places of their errors, each said once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/sema_program.h"

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
    {"minimize norm2(w);\nstop = norm(grad);", "E0214@3"},
    {"minimize norm2(w);\nstop = grad < 1;", "E0214@3"},
    {"minimize norm2(w);\nstop = norm(gard) < 1;", "E0101@3"},
    {"minimize norm2(w - grad);", "E0101@2"},
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
    {"minimize sum(1.0 * iota(3000000000)) + norm2(w);", "E0221@2"},
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
    {"var net = nope[3];\nminimize norm2(net(w));", "E0101@2"},
    {"var net = linear(3, 3);\nminimize norm2(net(w));", "E0334@2"},
    {"var net[2] = linear[D, D];\nminimize norm2(net(w));", "E0329@3"},
    {"var net[2] = linear[D, D];\nminimize norm2(net[2](w));", "E0208@3"},
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
    {"module m(x : f32[..]) -> f32[..] { return x; }\nlevel a { var v = m; optimizer = sgd(lr = "
     "1);\n"
     "minimize sum(v(1)); }\n",
     "E0324@2"},
    {"module m[I](x : f32[I]) -> f32[I] { for i in 0..I { let z[i] = x[i]; } return stack(i in "
     "0..I: z[i]); }\nlevel a { var v : f32[3] = 1; var w = m[2]; optimizer = sgd(lr = 1);\n"
     "minimize norm2(w(v)); }\n",
     "E0218@3"},
    {"module m[I](x : f32[I]) -> f32[2 * I] {\nreturn x; }\n", "E0217@1"},
    {"module m[I](x : f32[I]) -> f32[I] {\nparam W : f32[I, J];\nreturn x; }\n", "E0101@2"},
    {"module m[I](x : f32[I]) -> f32[I] {\nparam W : f32[I];\nlet y = W @ W; }\n", "E0334@1"},
    {"module m[I](x : f32[I]) -> f32[I] {\nreturn x;\nlet y = x; }\n", "E0010@3"},
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
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2 * sum(roll(d.z, 1)); }\n",
     "E0424@3"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2 * d.z[3]; }\n",
     "E0424@3"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2 * sum(d.z[1..]); }\n",
     "E0424@3"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2 * sum(concat(d.z, d.z)); }\n",
     "E0424@3"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2 * sum(reshape(d.z, -1, 1)[0]); }\n",
     "E0424@3"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2 * sum(reverse(d.z)); }\n",
     "E0424@3"},
    {"dim N; data d { file = \"d.npz\"; z : f32[N]; batch = 7; partial = keep; }\nlevel a { var v "
     ": f32 = 0; optimizer = sgd(lr = 1);\nminimize v^2; output o = d.z; }\n",
     "E0424@3"},
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
      cmocka_unit_test(test_statements),
      cmocka_unit_test(test_declarations),
      cmocka_unit_test(test_programs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
