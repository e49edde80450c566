#ifndef MLOC_RUNTIME_SPIN_H
#define MLOC_RUNTIME_SPIN_H

/* Starts the process anew, with the same arguments and with GOMP_SPINCOUNT set, where the user has
   said nothing about how threads wait (GOMP_SPINCOUNT, OMP_WAIT_POLICY) and there are several:
   nthread, or OpenMP's default where that is 0. Otherwise, and where it cannot be done, it returns.
   argv is the process's own. Nothing that should last may have happened before. */
void rt_spin_less(char **argv, int nthread);

#endif
