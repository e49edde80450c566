/* Writes the data that the benchmarks read: `bench_data logreg DIR` two sets of 500 examples of a
   noisy linear classifier with 20 features, `bench_data mlp DIR` two sets of 128 images with ten
   classes, `bench_data block DIR` a batch of 16 sequences and their targets, `bench_data kernels
   DIR ROWS WIDTH` a matrix with the vectors and labels that go with it. The numbers come from a
   fixed generator, so they are the same everywhere. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "runtime/npy.h"

typedef struct Archive {
  zip_t *zip;
  uint32_t seed;
} Archive;

/* Between -1 and 1, more often near 0: a sum of four steps of a linear congruential generator. */
static float draw(Archive *a) {
  float sum = 0;
  for (int i = 0; i < 4; i++) {
    a->seed = a->seed * 1664525 + 1013904223;
    sum += (float)(a->seed >> 8) * 0x1p-24f;
  }
  return 0.5f * sum - 1;
}

static _Noreturn void give_up(const char *what) {
  fprintf(stderr, "bench_data: %s\n", what);
  exit(EXIT_FAILURE);
}

static Archive create(const char *dir, const char *name, uint32_t seed) {
  char path[4096];
  int error;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
  if (!zip) give_up(path);
  return (Archive){zip, seed};
}

/* Adds an array of 4-byte elements; returns where its elements go until the archive is closed. */
static void *add(Archive *a, const char *name, MloDType type, int64_t rows, int64_t width) {
  char header[256], entry[64];
  size_t n = rt_npy_write_header(header, type, width ? 2 : 1, (int64_t[]){rows, width});
  size_t bytes = n + 4 * (size_t)(rows * (width ? width : 1));
  char *data = malloc(bytes);
  if (!data) give_up("out of memory");
  memcpy(data, header, n);
  snprintf(entry, sizeof entry, "%s.npy", name);
  zip_source_t *source = zip_source_buffer(a->zip, data, bytes, 1);
  zip_int64_t i = zip_file_add(a->zip, entry, source, ZIP_FL_OVERWRITE);
  if (i < 0 || zip_set_file_compression(a->zip, (zip_uint64_t)i, ZIP_CM_STORE, 0))
    give_up(zip_strerror(a->zip));
  return data + n;
}

static void finish(Archive *a) {
  if (zip_close(a->zip)) give_up(zip_strerror(a->zip));
}

static void logreg(const char *dir, const char *name, uint32_t seed) {
  enum { ROWS = 500, FEATURES = 20 };
  Archive a = create(dir, name, seed);
  float *x = add(&a, "x", MLO_F32, ROWS, FEATURES), *y = add(&a, "y", MLO_F32, ROWS, 0);
  for (int i = 0; i < ROWS; i++) {
    float z = 2 * draw(&a); /* noise */
    for (int j = 0; j < FEATURES; j++) {
      x[i * FEATURES + j] = 2 * draw(&a);
      z += (float)(j % 3 - 1) * x[i * FEATURES + j]; /* every third feature says nothing */
    }
    y[i] = z > 0;
  }
  finish(&a);
}

static void vector(Archive *a, const char *name, int64_t n) {
  float *v = add(a, name, MLO_F32, n, 0);
  for (int64_t i = 0; i < n; i++) v[i] = draw(a);
}

static void kernels(const char *dir, int64_t rows, int64_t width) {
  Archive a = create(dir, "kernels.npz", 7);
  float *x = add(&a, "x", MLO_F32, rows, width);
  for (int64_t i = 0; i < rows * width; i++) x[i] = 3 * draw(&a);
  vector(&a, "b", width);
  vector(&a, "scale", width);
  vector(&a, "shift", width);
  int32_t *y = add(&a, "y", MLO_I32, rows, 0);
  for (int64_t i = 0; i < rows; i++) y[i] = (int32_t)(i * 7919 % width);
  finish(&a);
}

/* Ten classes: each has 28 x 28 means of its own, and a third of the labels are wrong. */
static void images(const char *dir, const char *name, uint32_t seed) {
  enum { ROWS = 128, PIXELS = 784, CLASSES = 10 };
  Archive a = create(dir, name, seed);
  float *x = add(&a, "x", MLO_F32, ROWS, PIXELS);
  int32_t *y = add(&a, "y", MLO_I32, ROWS, 0);
  for (int i = 0; i < ROWS; i++) {
    int class = i * 7 % CLASSES;
    for (int j = 0; j < PIXELS; j++) {
      float mean = (float)((j * 31 + class * 131) % 17) / 17 - 0.5f;
      x[i * PIXELS + j] = 0.5f * mean + 0.5f * draw(&a);
    }
    y[i] = i % 3 ? class : (class + i) % CLASSES;
  }
  finish(&a);
}

static void sequences(const char *dir) {
  enum { ROWS = 16 * 64, WIDTH = 128 };
  Archive a = create(dir, "block.npz", 11);
  float *x = add(&a, "x", MLO_F32, ROWS, WIDTH), *y = add(&a, "y", MLO_F32, ROWS, WIDTH);
  for (int i = 0; i < ROWS * WIDTH; i++) {
    x[i] = 3 * draw(&a);
    y[i] = draw(&a);
  }
  finish(&a);
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "logreg")) {
    logreg(argv[2], "logreg_train.npz", 1);
    logreg(argv[2], "logreg_val.npz", 2);
  } else if (argc == 3 && !strcmp(argv[1], "mlp")) {
    images(argv[2], "mlp_train.npz", 3);
    images(argv[2], "mlp_val.npz", 4);
  } else if (argc == 3 && !strcmp(argv[1], "block")) {
    sequences(argv[2]);
  } else if (argc == 5 && !strcmp(argv[1], "kernels")) {
    kernels(argv[2], atoll(argv[3]), atoll(argv[4]));
  } else {
    fputs("usage: bench_data logreg|mlp|block DIR | kernels DIR ROWS WIDTH\n", stderr);
    return 2;
  }
  return 0;
}
