#ifndef MLOC_PASSES_PASSES_H
#define MLOC_PASSES_PASSES_H

#include "ir/program.h"

/* Every pass of pipeline.def: Program in place; false after user errors. */
#define PASS(name, ...) bool pass_##name(Program *p);
#include "passes/pipeline.def"

#endif
