#ifndef MLOC_TESTS_UNIT_TEST_FILES_H
#define MLOC_TESTS_UNIT_TEST_FILES_H

/* Temporary folders and files for tests of the runtime's readers and writers. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Folder {
  char path[128];
} Folder;

static inline Folder folder_make(void) {
  Folder f;
  const char *tmp = getenv("TMPDIR");
  snprintf(f.path, sizeof f.path, "%.80s/mlo-test-XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(f.path));
  return f;
}

/* Path of a file in the folder, in a buffer of the caller. */
static inline char *folder_file(const Folder *f, const char *name, char path[512]) {
  snprintf(path, 512, "%s/%s", f->path, name);
  return path;
}

static inline void folder_remove(const Folder *f) {
  char command[256];
  snprintf(command, sizeof command, "rm -rf '%s'", f->path);
  assert_int_equal(system(command), 0);
}

static inline void write_bytes(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *path, const char *text) {
  write_bytes(path, text, strlen(text));
}

/* Reads a whole file; free the result. */
static inline char *read_bytes(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  *n = 0;
  if (!f) return NULL;
  char *text = malloc(1 << 20);
  *n = fread(text, 1, (1 << 20) - 1, f);
  text[*n] = 0;
  fclose(f);
  return text;
}

/* A version 1 .npy with the given dictionary; returns its length. */
static inline size_t npy_bytes(char *out, const char *dict, const void *data, size_t n) {
  size_t length = strlen(dict) + 1;
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)(length & 255);
  out[9] = (char)(length >> 8);
  memcpy(out + 10, dict, length - 1);
  out[9 + length] = '\n';
  if (n) memcpy(out + 10 + length, data, n);
  return 10 + length + n;
}

static inline void write_npy(const char *path, const char *dict, const void *data, size_t n) {
  char *bytes = malloc(n + strlen(dict) + 64);
  write_bytes(path, bytes, npy_bytes(bytes, dict, data, n));
  free(bytes);
}

#define assert_contains(text, part)                                                                \
  do {                                                                                             \
    if (!strstr(text, part)) fail_msg("`%s` not in: %s", part, text);                              \
  } while (0)

#endif
