#ifndef MLOC_IR_ARENA_H
#define MLOC_IR_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/* One arena a compile: everything that describes the program lives in it and dies with it. */
typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *a);
/* Zeroed memory, aligned for any type; never NULL (aborts when the system has none left). */
void *arena_alloc(Arena *a, size_t size);
void *arena_dup(Arena *a, const void *p, size_t size);
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
/* Memory for at least n + 1 items of the given size, the first n copied from old: grows by
 * doubling. */
void *arena_grow(Arena *a, void *old, int n, int *cap, size_t size);

#define arena_new_of(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)((n) > 0 ? (n) : 1)))

/* Appends item to the growing array v of length n and capacity cap (three lvalues). */
#define VEC_PUSH(a, v, n, cap, item)                                                               \
  do {                                                                                             \
    if ((n) == (cap)) (v) = arena_grow((a), (v), (n), &(cap), sizeof *(v));                        \
    (v)[(n)++] = (item);                                                                           \
  } while (0)

#endif
