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
     "  metric size = sum(w^2);\n"
     "}\n"
     "run main of fit { keep_best = max(sise); }\n",
     "level fit {\n"
     "  var w : f32[3] = 0;\n"
     "  minimize sum((w - 1)^2);\n"
     "  optimizer = sgd(lr = 0.1);\n"
     "  metric size = sum(w^2);\n"
     "}\n"
     "run main of fit { keep_best = max(size); }\n"},
    {NULL, NULL, NULL, NULL, NULL},
};
