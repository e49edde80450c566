/* How waiting threads wait. By default those of OpenMP spin for milliseconds before they sleep:
   beside a busy neighbour each short parallel loop then costs a time slice (measured: 30 times
   slower in all). The OpenMP library reads its settings from the environment before main, so they
   are put there and the program starts once more. */

#include "runtime/mlo.h"

#include <stdlib.h>
#include <unistd.h>

void mlo_patient_threads(char **argv) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME")) return;
  /* libgomp takes this count itself where there are more threads than processors. */
  if (setenv("GOMP_SPINCOUNT", "1000", 1) || setenv("KMP_BLOCKTIME", "0", 1)) return;
  execv("/proc/self/exe", argv); /* returns where there is no /proc: then they spin */
}
