#ifndef MLOC_PASSES_BITS_H
#define MLOC_PASSES_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* Sets of small integers as arrays of words. */

static inline int bit_words(int n) { return (n + 63) / 64; }
static inline bool bit_get(const uint64_t *set, int i) { return set[i / 64] >> (i % 64) & 1; }
static inline void bit_set(uint64_t *set, int i) { set[i / 64] |= (uint64_t)1 << (i % 64); }
static inline void bit_clear(uint64_t *set, int i) { set[i / 64] &= ~((uint64_t)1 << (i % 64)); }
static inline int bit_first(uint64_t word) { return __builtin_ctzll(word); }

/* The elements of the set expression w -> word, ascending: for each one i is set and the statement
   runs. `word` may use the index w. */
#define BITS_EACH(i, w, words, word)                                                               \
  for (int w = 0; w < (words); w++)                                                                \
    for (uint64_t w##_left = (word), w##_one = w##_left & -w##_left;                               \
         w##_left && ((i) = 64 * w + bit_first(w##_one), true);                                    \
         w##_left ^= w##_one, w##_one = w##_left & -w##_left)

#endif
