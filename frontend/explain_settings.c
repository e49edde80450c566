/* The pages of the errors in methods and settings, E05xx, and of warnings. */
#include "frontend/explain.h"

#include <stddef.h>

const Explanation explain_settings[] = {
    {"E0501", "methods differ within one system",
     "Several adjoint states form one linear system, which one method solves. Its\n"
     "edges must name the same method with the same settings.\n",
     NULL, NULL},
    {"E0502", "a method cannot solve this system",
     "The method handles systems of one level only, and here the levels below couple.\n"
     "`dense()` solves any system.\n",
     NULL, NULL},
    {"E0503", "too many unknowns for an exact check",
     "`mloc check-grad` solves the lower levels exactly, by dense matrices. Use a\n"
     "smaller instance.\n",
     NULL, NULL},
    {"E0504", "nothing to check",
     "`mloc check-grad` checks hypergradients, and this run has no `argmin` edge.\n", NULL, NULL},
    {"E0505", "differences under a level with a lower level",
     "`fd` and `sama` take products with a level's equation by central differences:\n"
     "two gradients of its objective, its variables moved a little to both sides. If a\n"
     "still lower level depends on these variables, its solution would have to move\n"
     "along; with it standing still the result would be wrong by as much as it is\n"
     "large. `dense`, `cg`, `neumann` and `identity` use exact products.\n",
     NULL, NULL},
    {"E0520", "a number known in advance is needed",
     "Settings, bounds and axes are built of numbers, consts and dims. Data and\n"
     "variables are not known when the program is compiled.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = true);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0521", "this is no constraint",
     "Data and variables are bounded by `in box(low, high)`, both ends included;\n"
     "integers also by `in range(0, n)`, n excluded.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var s : f32 in box(1) = 1;\n"
     "  minimize s^2 * sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var s : f32 in box(0, 1) = 1;\n"
     "  minimize s^2 + sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0522", "a setting of another form",
     "`file` is a text, `precision` is f32, f64, mixed or tf32, `report` is every(STEPS)\n"
     "or every(STEPS, csv), `checkpoint` is every(STEPS) or every(STEPS, keep = N).\n"
     "With `mixed` all values are f32, and the operands of large matrix products are\n"
     "rounded to bf16; with `tf32`, to TF32.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { report = 10; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { report = every(10, csv); }\n"},
    {"E0523", "a data source lacks something",
     "A data source names its file and has at least one field.\n", "data d { x : f32[3]; }\n",
     "data d { file = \"d.npz\"; x : f32[3]; }\n"},
    {"E0524", "an unknown setting, or one given twice",
     "Settings are given once, and by their names: the message lists them.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1, momentm = 0.9);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1, momentum = 0.9);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0525", "a setting out of its range", "The message says the range. Counts are integers.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 0;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0526", "a setting is missing", "This setting has no default.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd();\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0527", "an unknown optimizer or method", "The message lists those that there are.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sdg(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0528", "a setting of an optimizer reads a variable",
     "A setting may be built of numbers, consts, dims and the step. A variable of a\n"
     "level above would act through the way to the solution, and methods differentiate\n"
     "the solution alone: its gradient would lack this path.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = exp(tune.a[0]));\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1 * warmup(5));\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n"},
    {"W0101", "something is not used",
     "`mloc check --pedantic` warns of dims, consts, data, functions and lets that\n"
     "nothing uses.\n",
     NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
