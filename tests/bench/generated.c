/* A generated program as part of a benchmark: its main out of the way, its tables and its function
   FUNCTION, and BEFORE that one that has to run once before it, within reach. GENERATED is the
   file.
 */
#define main generated_main
int generated_main(int argc, char **argv);
#include GENERATED
#undef main

const MloProgram *bench_program(void);
const MloProgram *bench_program(void) { return &mlo_program; }

#ifdef BEFORE
void bench_before(unsigned char *arena);
void bench_before(unsigned char *arena) { BEFORE(arena); }
#endif

#ifdef FUNCTION
void bench_generated(unsigned char *arena);
void bench_generated(unsigned char *arena) { FUNCTION(arena); }
#endif
