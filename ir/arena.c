/* A bump allocator over chunks that double in size. Under MLOC_HOSTILE every allocation is its own
   chunk, so that the address sanitizer sees each overrun. */
#include "ir/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Chunk {
  struct Chunk *next;
  size_t used, size;
  _Alignas(max_align_t) unsigned char data[];
} Chunk;

struct Arena {
  Chunk *chunk;
  size_t next_size;
};

static Chunk *chunk_new(size_t size) {
  Chunk *c = calloc(1, sizeof(Chunk) + size);
  if (!c) {
    fprintf(stderr, "mloc: out of memory (%zu bytes)\n", size);
    abort();
  }
  c->size = size;
  return c;
}

Arena *arena_new(void) {
  Arena *a = calloc(1, sizeof *a);
  if (!a) abort();
#ifdef MLOC_HOSTILE
  a->next_size = 0;
#else
  a->next_size = 1 << 16;
#endif
  return a;
}

void arena_free(Arena *a) {
  if (!a) return;
  for (Chunk *c = a->chunk, *next; c; c = next) {
    next = c->next;
    free(c);
  }
  free(a);
}

void *arena_alloc(Arena *a, size_t size) {
  size_t need = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
  Chunk *c = a->chunk;
  if (!c || c->size - c->used < need) {
    size_t n = a->next_size > need ? a->next_size : need;
    c = chunk_new(n);
    c->next = a->chunk;
    a->chunk = c;
    if (a->next_size && a->next_size < ((size_t)1 << 24)) a->next_size *= 2;
  }
  void *p = c->data + c->used;
  c->used += need;
  return p;
}

void *arena_dup(Arena *a, const void *p, size_t size) {
  void *q = arena_alloc(a, size);
  if (size) memcpy(q, p, size);
  return q;
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
  char *p = arena_alloc(a, n + 1);
  memcpy(p, s, n);
  return p;
}

char *arena_strdup(Arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
  va_list copy;
  va_copy(copy, ap);
  int n = vsnprintf(NULL, 0, fmt, copy);
  va_end(copy);
  char *p = arena_alloc(a, (size_t)n + 1);
  vsnprintf(p, (size_t)n + 1, fmt, ap);
  return p;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *p = arena_vprintf(a, fmt, ap);
  va_end(ap);
  return p;
}

void *arena_grow(Arena *a, void *old, int n, int *cap, size_t size) {
  *cap = *cap ? *cap * 2 : 8;
  void *p = arena_alloc(a, (size_t)*cap * size);
  if (n) memcpy(p, old, (size_t)n * size);
  return p;
}
