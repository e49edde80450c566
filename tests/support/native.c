/* Generated C as a loaded shared object. */
#include "tests/support/native.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/kernel.h"

struct Native {
  void *handle;
};

static void die(const char *what, const char *path) {
  fprintf(stderr, "native: %s (%s)\n", what, path);
  abort();
}

Native *native_load(const char *text, const char *level) {
  char dir[] = "/tmp/mloc-native-XXXXXX", command[1024], path[64];
  const char *cc = getenv("CC"), *root = getenv("MLOC_SOURCE_DIR");
  if (!mkdtemp(dir)) die("no temporary directory", dir);
  snprintf(path, sizeof path, "%s/a.c", dir);
  FILE *f = fopen(path, "w");
  if (!f || fputs(text, f) < 0 || fclose(f)) die("cannot write", path);
  snprintf(command, sizeof command,
           "%s -std=gnu11 %s -fopenmp -fno-math-errno -fno-trapping-math -march=native -Wall "
           "-Wextra -Werror "
           "-fPIC -shared -I%s -o %s/a.so %s/a.c",
           cc && *cc ? cc : "cc", level, root ? root : ".", dir, dir);
  if (system(command) != 0) die("generated text does not compile", path);
  Native *n = calloc(1, sizeof *n);
  snprintf(path, sizeof path, "%s/a.so", dir);
  if (n) n->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!n || !n->handle) die(dlerror(), path);
  unlink(path);
  snprintf(path, sizeof path, "%s/a.c", dir);
  unlink(path);
  rmdir(dir);
  return n;
}

void native_free(Native *n) {
  dlclose(n->handle);
  free(n);
}

void *native_find(const Native *n, const char *name) { return dlsym(n->handle, name); }

static size_t byte_of(const Storage *s) {
  return (size_t)(storage_root(s)->offset + storage_start(s));
}

void native_read(const unsigned char *arena, const Storage *s, double *out) {
  const unsigned char *at = arena + byte_of(s);
  for (int64_t i = 0; i < type_count(s->type); i++) {
    int32_t w;
    float x;
    switch (s->type.dtype) {
    case DT_BOOL: out[i] = at[i]; break;
    case DT_I32: memcpy(&w, at + 4 * i, 4), out[i] = w; break;
    case DT_F32: memcpy(&x, at + 4 * i, 4), out[i] = x; break;
    default: memcpy(&out[i], at + 8 * i, 8);
    }
  }
}

void native_write(unsigned char *arena, const Storage *s, const double *in) {
  unsigned char *at = arena + byte_of(s);
  for (int64_t i = 0; i < type_count(s->type); i++) {
    int32_t w = s->type.dtype == DT_I32 ? (int32_t)in[i] : 0;
    float x = (float)in[i];
    switch (s->type.dtype) {
    case DT_BOOL: at[i] = in[i] != 0; break;
    case DT_I32: memcpy(at + 4 * i, &w, 4); break;
    case DT_F32: memcpy(at + 4 * i, &x, 4); break;
    default: memcpy(at + 8 * i, &in[i], 8);
    }
  }
}

unsigned char *native_arena(const Program *p) {
  size_t n = ((size_t)p->arena_bytes + 127) / 64 * 64;
  unsigned char *arena = aligned_alloc(64, n);
  if (!arena) abort();
  memset(arena, 0, n);
  for (int i = 0; i < p->nstorage; i++) {
    const Storage *s = p->storage[i];
    if (s->kind == ST_SETTING || s == p->seed) native_write(arena, s, &s->value);
  }
  return arena;
}
