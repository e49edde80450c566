/* How long threads that wait for each other spin before they sleep. libgomp's default is 300000
   rounds, which is 18 ms where a pause takes 140 cycles: as soon as another process wants one of
   the processors, each end of a parallel region may take a slice of the scheduler. Its setting is
   an environment variable that libgomp reads before main, so the process has to be started anew. */

#define _GNU_SOURCE
#include "runtime/spin.h"

#include <limits.h>
#include <omp.h>
#include <stdlib.h>
#include <unistd.h>

/* About as long as it takes to wake a thread that sleeps. */
static const char *const rounds = "1000";

void rt_spin_less(char **argv, int nthread) {
  char path[PATH_MAX];
  if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return; /* also the second time */
  if ((nthread ? nthread : omp_get_max_threads()) < 2) return;
  if (setenv("GOMP_SPINCOUNT", rounds, 1) != 0) return;
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n > 0) {
    path[n] = 0;
    execv(path, argv); /* by its name, which lists of processes show */
  }
  execv("/proc/self/exe", argv); /* a file that is gone, too */
}
