#ifndef MLOC_TESTS_EMULATED_H
#define MLOC_TESTS_EMULATED_H

#include "codegen/codegen.h"
#include "runtime/mlo.h"

/* Generated CUDA in this process, by the runtime's own CUDA device on the emulated stack: the
   environment names its folder (MLO_CUDA_PATH). */

/* Runs the device's schedule of p on a copy of the arena, whose bytes it then has; false after a
   message where the device reports an error: a race, an access out of bounds, a trap. source: the
   text of the kernels, NULL: the program's own. */
bool emulated_run(const MloProgram *p, const char *source, unsigned char *arena);
/* The same of a planned program: prints its CUDA with those options, `library` among them, and
   loads the tables. */
bool emulated_program(Program *p, const CgOptions *o, unsigned char *arena);

#endif
