/* The pages of errors that are about what runs keep and what they begin with. */
#include "frontend/explain.h"

const Explanation explain_runs[] = {
    {"E0350", "which metric is best?",
     "`keep_best = max(acc);` names a metric of a level that the run reaches, or such a\n"
     "level's loss, as `min(fit.loss)`. At every report where it improves, the variables\n"
     "are remembered; `final.npz` then holds those of the best report.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  metric length = sum(w^2);\n"
     "}\n"
     "run main of fit { keep_best = max(lenght); }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  metric length = sum(w^2);\n"
     "}\n"
     "run main of fit { keep_best = max(length); }\n"},
    {"E0351", "a run is after another run",
     "`run b of LEVEL after a { ... }` begins with the variables that the run `a` left, and\n"
     "`mloc run p.mlo b` runs `a` first. Runs cannot wait for each other.\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit after frist { seed = 0; }\n"
     "run first of fit { seed = 0; }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "}\n"
     "run main of fit after first { seed = 0; }\n"
     "run first of fit { seed = 0; }\n"},
    {NULL, NULL, NULL, NULL, NULL},
};
