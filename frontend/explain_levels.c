/* The pages of the errors in levels and runs, E03xx. */
#include "frontend/explain.h"

#include <stddef.h>

const Explanation explain_levels[] = {
    {"E0301", "no hypergradient path",
     "A variable of an upper level acts only through what depends on it. If nothing\n"
     "does, its gradient would be exactly zero, and training would pretend to work.\n"
     "The path in the message shows where the dependence breaks.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
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
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n"},
    {"E0302", "two levels play a game",
     "Two levels read each other's variables, and neither stands above the other. That\n"
     "is an equilibrium, not a minimum. Put an `argmin` edge between them, or hold one\n"
     "of the two fixed by `stop(...)`.\n",
     NULL, NULL},
    {"E0303", "the objective does not depend on a variable",
     "The variable occurs in no differentiable way in the objective of its level, so\n"
     "that it would keep its initial value.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var b : f32 = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var b : f32 = 0;\n"
     "  minimize sum((w - b)^2) + b^2;\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0310", "one step of the top level takes too long",
     "The steps of the levels below multiply: one step of the run's level would take\n"
     "over a million of theirs.\n",
     NULL, NULL},
    {"E0311", "a level that cannot stop",
     "Where some level has several levels above it, the order of all steps is computed\n"
     "when the program is compiled. A `stop` would change it. Only the run's own level\n"
     "may have one then.\n",
     NULL, NULL},
    {"E0320", "a level stands above itself",
     "`argmin` edges lead down: they must not form a circle. A level reads the\n"
     "variables of levels above it without an edge.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  argmin tune via dense();\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
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
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n"},
    {"E0321", "`argmin` needs a level",
     "`argmin LEVEL via METHOD(...);` puts this level above another one, once.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fti via dense();\n"
     "  minimize sum(a^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n"},
    {"E0322", "unrelated levels",
     "A level reads the variables of levels below it, which are solutions there, and\n"
     "of levels above it, which are constants there. Others it cannot read: add an\n"
     "`argmin` edge.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  minimize sum((a - fit.w)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum((a - fit.w)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n"},
    {"E0323", "one objective a level",
     "A level has exactly one `minimize` or `maximize`. Several terms are added up in\n"
     "it.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  minimize sum(w);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2) + sum(w);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0324", "variables are floats",
     "A level has at least one variable, and all are of the run's float type, f32\n"
     "unless the run says `precision = f64`.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var n : i32 = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var n : f32 = 0;\n"
     "  minimize sum((w - n)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0325", "a level needs an optimizer",
     "The optimizer says how the level's variables are updated from its gradient.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = adam(lr = 0.01);\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0326", "an initial value outside of its box",
     "A variable starts where its constraint allows. Without an initial value it\n"
     "starts at zero.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var s : f32 in box(1, 2) = 0;\n"
     "  minimize s * sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var s : f32 in box(1, 2) = 1;\n"
     "  minimize s * sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0327", "an initial value of another type",
     "An initial value is a number, has the shape of its variable, or fits it by\n"
     "repetition.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var b : f32 = iota(3) / 2;\n"
     "  minimize sum((w - b)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var b : f32[3] = iota(3) / 2;\n"
     "  minimize sum((w - b)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0328", "an objective or metric is one number",
     "Reduce it: `mean(...)`, `sum(...)`, `max(...)`.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize w^2;\n"
     "  optimizer = sgd(lr = 0.1);\n"
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
    {"E0329", "a list of variables or modules",
     "`var block[4] = linear[D, D];` makes four instances, block[0] to block[3]. The\n"
     "length is known when the program is compiled, and what is used is one of them.\n",
     "level fit {\n"
     "  var w[3] : f32[2] = 0;\n"
     "  minimize norm2(w - 1);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w[3] : f32[2] = 0;\n"
     "  minimize sum(i in 0..3: norm2(w[i] - 1));\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0330", "which run?",
     "A program has at least one run. With several, `mloc run p.mlo NAME` names one,\n"
     "or one is called `main`.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run one of fit { seed = 0; }\n"
     "run two of fit { seed = 1; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n"
     "run two of fit { seed = 1; }\n"},
    {"E0331", "a run is of a level",
     "`run NAME of LEVEL { ... }` runs that level and all levels below it.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fti { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  steps = 10;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0332", "a run does not reach what it reads",
     "A run holds its level and those below it. A level of it reads a variable of a\n"
     "level above, which this run does not have.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - tune.a)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "level tune {\n"
     "  var a : f32[3] = 1;\n"
     "  argmin fit via dense();\n"
     "  minimize sum(fit.w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of tune { seed = 0; }\n"},
    {"E0333", "nothing restarts the level",
     "`restart = fresh` draws initial values anew after each step of the level above. No level\n"
     "has an `argmin` edge to this one.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  restart = fresh;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0334", "a variable without a type, a module without a value",
     "A variable has a type, or is an instance of a module. Parameters of modules have\n"
     "types. A module ends with `return`.\n",
     "level fit {\n"
     "  var w;\n"
     "  minimize norm2(w - 1);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3];\n"
     "  minimize norm2(w - 1);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0335", "a setting of a part of the level",
     "`freeze = enc;` holds variables of the level at their initial values, and\n"
     "`init = copy(enc, below.enc);` begins with those of another level. Both name a\n"
     "variable, a module's instance, or a part of one; copies have the same shapes.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  freeze = v;\n"
     "}\n"
     "run main of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  var v : f32[3] = 1;\n"
     "  minimize sum((w - v)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  freeze = v;\n"
     "}\n"
     "run main of fit { seed = 0; }\n"},
    {"E0336", "a metric cannot be computed batch by batch",
     "A metric `on` a batched source is over all of its rows, which are read batch by\n"
     "batch. Sums, means, maxima and products over the rows add up, and what follows from\n"
     "them is computed at the end. What needs rows of different batches at once does not:\n"
     "sorting or shifting rows, comparing each with each, or a sum over rows of what\n"
     "needs a mean over all of them.\n",
     NULL, NULL},
    {"E0340", "--set or --data of an unknown name",
     "`--set NAME=VALUE` changes a dim, a const or a setting such as\n"
     "`tune.optimizer.lr`; `--data SOURCE=FILE` gives a data source\n"
     "another file.\n",
     NULL, NULL},
    {"E0341", "--set of a wrong value",
     "The value is not a number, or out of the range of what it is given to.\n", NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
