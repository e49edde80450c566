#ifndef TESTS_SUPPORT_RANDOM_TEXT_H
#define TESTS_SUPPORT_RANDOM_TEXT_H

#include "ir/arena.h"

#include <stdint.h>

/* xorshift64*: the same numbers everywhere. */
uint64_t random_next(uint64_t *state);

/* A program that the grammar accepts (its meaning is none), with comments and odd white space. */
char *random_text(Arena *a, uint64_t seed);

#endif
