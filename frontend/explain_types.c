/* The pages of the errors in types and shapes, E02xx. */
#include "frontend/explain.h"

#include <stddef.h>

const Explanation explain_types[] = {
    {"E0201", "shapes do not fit",
     "Operands are aligned at their last axis. Two sizes fit where they are the same\n"
     "or one of them is 1. Sizes are compared by what they are, not by how large they\n"
     "happen to be: `N` and `M` never fit.\n",
     "fn gap(x : f32[N], y : f32[M]) -> f32 = sum(x - y);\n",
     "fn gap(x : f32[N], y : f32[N]) -> f32 = sum(x - y);\n"},
    {"E0202", "the number of axes does not fit",
     "A product needs vectors or matrices, a transposition a matrix, and some\n"
     "functions an axis to work along.\n",
     "fn scaled(x : f32[N]) -> f32[N] = 2 @ x;\n", "fn scaled(x : f32[N]) -> f32[N] = 2 * x;\n"},
    {"E0203", "inner dimensions of a matrix product differ",
     "In `x @ y` the last axis of x is summed against the first of the last two axes\n"
     "of y (the only one of a vector), so these must have the same size.\n",
     "fn layer(x : f32[N, I], W : f32[O, I]) -> f32[N, O] = x @ W;\n",
     "fn layer(x : f32[N, I], W : f32[O, I]) -> f32[N, O] = x @ W.T;\n"},
    {"E0204", "too many axes", "A tensor has at most six axes.\n",
     "fn wide(x : f32[A, B, C, D]) -> f32[A, B, C, D, A, B, C, D] = outer(x, x);\n",
     "fn wide(x : f32[A, B, C]) -> f32[A, B, C, A, B, C] = outer(x, x);\n"},
    {"E0205", "there is no such axis",
     "Axes are counted from 0, or from the end: -1 is the last.\n",
     "fn total(x : f32[N]) -> f32 = sum(x, axis = 1);\n",
     "fn total(x : f32[N]) -> f32 = sum(x, axis = 0);\n"},
    {"E0206", "a maximum of nothing", "An axis of size 0 has no largest element.\n",
     "fn top(x : f32[0]) -> f32 = max(x);\n", "fn top(x : f32[1]) -> f32 = max(x);\n"},
    {"E0207", "the number of elements changes",
     "`reshape` keeps all elements, and `squeeze` drops axes of size 1 only. One size\n"
     "of a reshape may be -1: what is left.\n",
     "fn rows(x : f32[6]) -> f32[2, 2] = reshape(x, 2, 2);\n",
     "fn rows(x : f32[6]) -> f32[2, 3] = reshape(x, 2, -1);\n"},
    {"E0208", "an index is out of range",
     "Indices run from 0 to the size, which is excluded; -1 is the last. A range\n"
     "`a..b` excludes b.\n",
     "fn last(x : f32[3]) -> f32 = x[3];\n", "fn last(x : f32[3]) -> f32 = x[-1];\n"},
    {"E0209", "too many indices",
     "An index list has at most one index an axis, and `..` at most once.\n",
     "fn first(x : f32[3]) -> f32 = x[0, 0];\n", "fn first(x : f32[3]) -> f32 = x[0];\n"},
    {"E0210", "truth values where numbers are needed",
     "Arithmetic is for numbers. `f32(c)` counts true as 1 and false as 0; `where(c,\n"
     "a, b)` chooses. `sum` and `mean` count by themselves.\n",
     "fn share(x : f32[N]) -> f32 = sum((x > 0) * x);\n",
     "fn share(x : f32[N]) -> f32 = sum(where(x > 0, x, 0));\n"},
    {"E0211", "f32 meets f64",
     "Numbers of the program text and consts adapt to what they meet; tensors of\n"
     "different float types need a conversion that says which one is meant.\n",
     "fn mixed(x : f32[N], y : f64[N]) -> f64[N] = x + y;\n",
     "fn mixed(x : f32[N], y : f64[N]) -> f64[N] = f64(x) + y;\n"},
    {"E0212", "integers are needed",
     "`div` and `mod` divide integers. Floats are divided by `/`, and rounded down by\n"
     "`floor`.\n",
     "fn half(x : f32[N]) -> f32[N] = x div 2;\n",
     "fn half(x : f32[N]) -> f32[N] = floor(x / 2);\n"},
    {"E0213", "division by zero", "The divisor of a `div` or `mod` is zero.\n",
     "const n = 7 mod 0;\n", "const n = 7 mod 2;\n"},
    {"E0214", "a truth value is needed",
     "`if`, `where`, `and`, `or` and `not` take truth values, and no number is one.\n",
     "fn keep(x : f32[N]) -> f32[N] = if x then x else 0;\n",
     "fn keep(x : f32[N]) -> f32[N] = if x > 0 then x else 0;\n"},
    {"E0215", "an index is an integer",
     "Indices are numbers of the program text, or tensors of i32.\n",
     "fn pick(x : f32[N], i : f32) -> f32 = x[i];\n",
     "fn pick(x : f32[N], i : i32) -> f32 = x[i];\n"},
    {"E0216", "an index from data is not known to fit",
     "Data that is used as an index or as a label must be declared to fit: `in\n"
     "range(0, C)`. The file is then checked before the first step, and no step reads\n"
     "outside of a tensor. (Computed indices are allowed; out of range, they read\n"
     "NaN.)\n",
     "data d { file = \"d.npz\"; i : i32[5]; }\n"
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w[d.i]^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "data d { file = \"d.npz\"; i : i32[5] in range(0, 3); }\n"
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w[d.i]^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0217", "a value is not of its declared type",
     "The expression of a fn or a let has another type than the one declared.\n",
     "fn total(x : f32[N]) -> f32[N] = sum(x);\n", "fn total(x : f32[N]) -> f32 = sum(x);\n"},
    {"E0218", "an argument does not fit",
     "A parameter's type must fit its argument. Sizes that only the parameters name\n"
     "are bound by the first argument that has them; `..` is any number of leading\n"
     "sizes, the same in all parameters.\n",
     "fn add(x : f32[N], y : f32[N]) -> f32[N] = x + y;\n"
     "fn both(x : f32[2], y : f32[3]) -> f32[2] = add(x, y);\n",
     "fn add(x : f32[N], y : f32[N]) -> f32[N] = x + y;\n"
     "fn both(x : f32[2], y : f32[2]) -> f32[2] = add(x, y);\n"},
    {"E0219", "a number does not fit i32",
     "An i32 holds the integers of about plus or minus 2.1e9. Larger numbers need a\n"
     "float.\n",
     "fn far(x : i32[N]) -> i32[N] = x + 3000000000;\n",
     "fn far(x : i32[N]) -> f32[N] = f32(x) + 3000000000;\n"},
    {"E0220", "a size does not divide", "In a size, `/` is exact. `div` rounds down.\n",
     "dim D = 7, H = 2, K = D / H;\n", "dim D = 8, H = 2, K = D / H;\n"},
    {"E0221", "an impossible size",
     "A size is negative, or far too large; or a tensor would have over 2^40 elements.\n",
     "dim D = 3, K = D - 4;\n", "dim D = 5, K = D - 4;\n"},
    {"E0222", "this is no size",
     "A size is made of integers, dims and consts that are integers, by + - * / div\n"
     "and mod.\n",
     "const rate = 0.5;\n"
     "dim N = 2 * rate;\n",
     "const rate = 2;\n"
     "dim N = 2 * rate;\n"},
    {"E0223", "`..` where it stands for nothing",
     "`..` in a type stands for the leading sizes of a fn's arguments. It belongs into\n"
     "the types of parameters, and into the result's if a parameter has it.\n",
     "data d { file = \"d.npz\"; x : f32[.., 3]; }\n",
     "data d { file = \"d.npz\"; x : f32[5, 3]; }\n"},
    {"E0224", "how often a `for` runs is not known",
     "`for` repeats its statements when the program is compiled: its range is made of\n"
     "numbers, consts and dimensions that have a value of their own.\n",
     "module m[D, L](x : f32[.., D]) -> f32[.., D] {\n"
     "  let h = x;\n"
     "  for i in L { h = tanh(h); }\n"
     "  return h;\n"
     "}\n",
     "module m[D, L](x : f32[.., D]) -> f32[.., D] {\n"
     "  let h = x;\n"
     "  for i in 0..L { h = tanh(h); }\n"
     "  return h;\n"
     "}\n"},
    {"E0225", "this does not go over a range",
     "`sum(i in 0..4: e)` is e of 0 to 3, added up. mean, max, min, stack and concat can\n"
     "be written so, too.\n",
     "fn m(x : f32[4]) -> f32 = norm(i in 0..4: i * x[i]);\n",
     "fn m(x : f32[4]) -> f32 = sum(i in 0..4: i * x[i]);\n"},
    {"E0226", "a window does not fit",
     "A window must lie inside of its axis, padding included: (size - 1) * dilation + 1\n"
     "elements at most are left. A pool's padding is at most half of its size, so that\n"
     "every window holds an element.\n",
     "fn pooled(x : f32[N, 4, 4, C]) -> f32[N, 1, 1, C] = max_pool(x, 5);\n",
     "fn pooled(x : f32[N, 4, 4, C]) -> f32[N, 1, 1, C] = max_pool(x, 4);\n"},
    {"E0227", "a number is outside of its range",
     "A dropout rate is a probability less than 1: at 1 nothing would be kept.\n",
     "fn thinned(x : f32[N]) -> f32[N] = dropout(x, 1.5);\n",
     "fn thinned(x : f32[N]) -> f32[N] = dropout(x, 0.15);\n"},
    {"E0230", "wrong arguments",
     "A call gives each parameter one argument, by position or by name; those with a\n"
     "default may be left out.\n",
     "fn m(x : f32[N, D]) -> f32[N] = mean(x, axs = 1);\n",
     "fn m(x : f32[N, D]) -> f32[N] = mean(x, axis = 1);\n"},
    {"E0231", "this must be known when the program is compiled",
     "`true` or `false`, or an axis, is written as such: shapes depend on it.\n",
     "fn m(x : f32[N, D]) -> f32[N, 1] = mean(x, axis = 1, keepdims = 1);\n",
     "fn m(x : f32[N, D]) -> f32[N, 1] = mean(x, axis = 1, keepdims = true);\n"},
    {NULL, NULL, NULL, NULL, NULL},
};
