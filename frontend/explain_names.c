/* The pages of the errors in names and declarations, E01xx. */
#include "frontend/explain.h"

#include <stddef.h>

const Explanation explain_names[] = {
    {"E0101", "a name is not declared",
     "Nothing of that name is declared where it is used: a variable, field, size or\n"
     "function may be misspelt, or belong to a level or data source, whose name then\n"
     "stands before it: `fit.w`, `train.x`.\n",
     "const rate = 0.1;\n"
     "const half = rat / 2;\n",
     "const rate = 0.1;\n"
     "const half = rate / 2;\n"},
    {"E0102", "a name is declared twice",
     "A name means one thing in a program: there is no shadowing. Variables and lets\n"
     "of different levels may share a name, since others read them as `level.name`,\n"
     "and metrics and outputs may, where no run has both of the levels; nothing may\n"
     "have the name of a built-in function.\n",
     "dim N = 3;\n"
     "const N = 2;\n",
     "dim N = 3;\n"
     "const K = 2;\n"},
    {"E0103", "a name is taken",
     "A few names belong to parts that every level or run has, such as `fit.loss` and\n"
     "`fit.steps`, `seed` and `metric`.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var loss : f32 = 0;\n"
     "  minimize sum(w^2) + loss^2;\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var slack : f32 = 0;\n"
     "  minimize sum(w^2) + slack^2;\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0104", "an unknown element type",
     "Element types are f32, f64, i32 and bool. Files of other types are converted\n"
     "when they are read. `precision = f64` in a run widens f32.\n",
     "fn double(x : f16) -> f32 = 2 * x;\n", "fn double(x : f32) -> f32 = 2 * x;\n"},
    {"E0105", "a value depends on itself",
     "The value of a dim, const or let is defined by itself, directly or through\n"
     "others.\n",
     "dim N = M + 1, M = N - 1;\n", "dim N = M + 1, M = 3;\n"},
    {"E0106", "this is no value",
     "A level, a data source, a function or a text stands where a number or tensor is\n"
     "needed. Name a variable of the level, a field of the source, or call the\n"
     "function.\n",
     "data d { file = \"d.npz\"; x : f32[3]; }\n"
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - d)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "data d { file = \"d.npz\"; x : f32[3]; }\n"
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - d.x)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0107", "this cannot be read here",
     "A fn depends on its parameters alone, an initial value on no variables, a\n"
     "setting on neither data nor variables. Pass what a fn needs as an argument.\n",
     "data d { file = \"d.npz\"; x : f32[3]; }\n"
     "fn miss(w : f32[3]) -> f32 = sum((w - d.x)^2);\n",
     "data d { file = \"d.npz\"; x : f32[3]; }\n"
     "fn miss(w : f32[3], x : f32[3]) -> f32 = sum((w - x)^2);\n"},
    {"E0108", "there is no such field",
     "A dot follows a data source or a level. The only field of a value is `.T`, which\n"
     "transposes a matrix.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w.size * w);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(3 * w);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0109", "this is no function",
     "Only fns and built-in functions are called. Elements are read with `[ ]`, and a\n"
     "product needs its `*`.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize w(0)^2;\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize w[0]^2;\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0110", "not offered",
     "The language has this, but this version of the compiler does not offer it. The\n"
     "message says what can be used in its place, where there is something.\n",
     "fn top(x : f32[3]) -> f32 = sort(x)[2];\n", "fn top(x : f32[3]) -> f32 = max(x);\n"},
    {"E0111", "a function calls itself",
     "A fn is an expression with parameters, and is put in place of each call. Calls\n"
     "of itself, directly or through others, would never end.\n",
     "fn fact(n : f32) -> f32 = n * fact(n - 1);\n", "fn twice(n : f32) -> f32 = 2 * n;\n"},
    {"E0112", "functions expand too far",
     "Each call of a fn is replaced by its expression. Here that would never fit into\n"
     "memory: fns call each other too deeply, or too many times.\n",
     NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
