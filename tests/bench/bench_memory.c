/* `bench_memory PROGRAM ARGS..` runs the program, its output dropped, and prints the most memory
   that was resident, in KiB. Without a program it is the one that does nothing, and prints that of
   itself: linked with the libraries of an executable, they are in it. As many threads run in it as
   in the program (each has 60 KiB of variables of OpenBLAS), but it multiplies on one. */
#define _GNU_SOURCE
#include <cblas.h>
#include <fcntl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The peak of this image, not of the shell that became it: exec keeps ru_maxrss. */
static long own_peak(void) {
  char line[256];
  long kib = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kib);
  if (f) fclose(f);
  return kib;
}

int main(int argc, char **argv) {
  struct rusage use;
  int status;
  if (argc < 2) {
    float a[16] = {0}, b[16] = {0}, c[16] = {0};
#pragma omp parallel
    c[omp_get_thread_num() % 16] = 0;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 4, 4, 4, 1, a, 4, b, 4, 0, c, 4);
    printf("%ld\n", own_peak());
    return EXIT_SUCCESS;
  }
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  if (child < 0 || wait4(child, &status, 0, &use) < 0 || status != 0) {
    fprintf(stderr, "bench_memory: %s failed\n", argv[1]);
    return EXIT_FAILURE;
  }
  printf("%ld\n", use.ru_maxrss);
  return EXIT_SUCCESS;
}
