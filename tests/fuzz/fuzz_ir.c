/* Mutates texts of the IR for two seconds (or as many as the first argument says): every one must
   be parsed, or refused with a diagnostic, and what parses must print and parse again to the same
   text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/text.h"
#include "passes/passes.h"
#include "tests/support/draw.h"

enum { SEEDS = 6 };

static char *seed_text(Arena *keep, int i) {
  Build b = draw_program((uint64_t)i + 1, 2, 10, 4);
  if (i >= 2) {
    pass_kernels(b.p);
    b.p->facts |= F_FUSED;
  }
  if (i >= 4) {
    pass_fuse(b.p);
    pass_plan_memory(b.p);
    b.p->facts |= F_PLANNED;
  }
  char *s = arena_strdup(keep, ir_print(b.p));
  build_free(&b);
  return s;
}

static void copy_piece(Draw *d, char *s, size_t n) {
  size_t len = 1 + draw_below(d, 24);
  if (n <= len) return;
  memmove(s + draw_below(d, (uint32_t)(n - len)), s + draw_below(d, (uint32_t)(n - len)), len);
}

static void mutate(Draw *d, char *s) {
  static const char *const words[] = {"%0",       "-1",   "inf", "9999999999", "[", "}",
                                      "reduced ", "view", "\"",  "@",          "0"};
  int rounds = 1 + (int)draw_below(d, 4);
  for (int r = 0; r < rounds; r++) {
    size_t n = strlen(s), at = n ? draw_below(d, (uint32_t)n) : 0;
    if (!n) return;
    const char *w = words[draw_below(d, sizeof words / sizeof *words)];
    switch (draw_below(d, 5)) {
    case 0: s[at] = (char)(1 + draw_below(d, 255)); break;
    case 1: memcpy(s + at, w, strlen(w) < n - at ? strlen(w) : n - at); break;
    case 2: copy_piece(d, s, n); break;
    case 3: s[at] = (char)('0' + draw_below(d, 10)); break;
    default: memmove(s + at, s + at + 1, n - at); break;
    }
  }
}

static int try_text(const char *text) {
  Arena *a = arena_new();
  Diags *d = diags_new(a, "fuzz.ir", text);
  Program *p = ir_parse(a, d, "fuzz", text);
  int bad = !p && !d->nerror;
  if (p) {
    char *once = ir_print(p);
    Program *again = ir_parse(a, d, "fuzz", once);
    char *twice = again ? ir_print(again) : "";
    size_t same = 0;
    while (once[same] && once[same] == twice[same]) same++;
    bad = once[same] != twice[same];
    if (bad && !again) diags_print(d, stdout, false);
    if (bad) printf("differs at: %.60s\n", once + (same > 30 ? same - 30 : 0));
  }
  arena_free(a);
  return bad;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 2;
  Arena *keep = arena_new();
  char *seed[SEEDS];
  Draw d = {argc > 2 ? strtoull(argv[2], NULL, 10) : 1};
  for (int i = 0; i < SEEDS; i++) seed[i] = seed_text(keep, i);
  clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
  long n = 0;
  for (; clock() < end; n++) {
    char *s = strdup(seed[draw_below(&d, SEEDS)]);
    if (!s) return 1;
    mutate(&d, s);
    if (try_text(s)) {
      printf("wrong after %ld texts:\n%s\n", n, s);
      free(s);
      return 1;
    }
    free(s);
  }
  printf("%ld texts\n", n);
  arena_free(keep);
  return 0;
}
