/* Random programs from the grammar: text that must parse, for the formatter and the fuzzers. */
#include "tests/support/random_text.h"

#include <stdbool.h>

typedef struct Gen {
  Arena *arena;
  uint64_t state;
  char *text;
  int n, cap, depth;
} Gen;

uint64_t random_next(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545f4914f6cdd1dULL;
}

static int pick(Gen *g, int n) { return (int)((random_next(&g->state) >> 33) % (uint64_t)n); }

static void raw(Gen *g, const char *s) {
  for (; *s; s++) VEC_PUSH(g->arena, g->text, g->n, g->cap, *s);
}

/* A token, with white space of some kind, or a comment, before it. */
static void put(Gen *g, const char *token) {
  static const char *const gap[] = {" ",   " ",      " ",  " ",          "  ",
                                    "\n",  "\n\n\n", "\t", " // note\n", "\n// two\n  // lines\n",
                                    "\r\n"};
  raw(g, gap[pick(g, sizeof gap / sizeof *gap)]);
  raw(g, token);
}

static const char *name(Gen *g) {
  static const char *const names[] = {"x",  "w",     "train", "steps",  "next",  "on",
                                      "of", "after", "state", "output", "file",  "optimizer",
                                      "N",  "D",     "a_1",   "batch",  "param", "metric"};
  return names[pick(g, sizeof names / sizeof *names)];
}

static void expr(Gen *g);

static void list(Gen *g, void (*one)(Gen *), int least) {
  int n = least + pick(g, 3);
  for (int i = 0; i < n; i++) {
    if (i) put(g, ",");
    one(g);
  }
}

static void argument(Gen *g) {
  if (pick(g, 3) == 0) {
    put(g, name(g));
    put(g, "=");
  }
  expr(g);
}

static void dots(Gen *g) {
  int k = pick(g, 6);
  if (k == 1 || k == 3 || k == 4) expr(g);
  if (k == 2 || k == 3 || k == 1) put(g, "..");
  if (k == 2 || k == 3) expr(g);
  if (k == 0) put(g, "..");
  if (k == 5) expr(g);
}

static void domain(Gen *g) {
  put(g, name(g));
  put(g, "in");
  expr(g);
  if (pick(g, 2)) return;
  put(g, "..");
  expr(g);
}

static void leaf(Gen *g) {
  static const char *const leaves[] = {"1",       "0",    "2.5",   "1e-3",          "1.5E+3",
                                       "\"a b\"", "true", "false", "\"\\\"\\\\n\"", "12345",
                                       "\"\""};
  if (pick(g, 2))
    put(g, name(g));
  else
    put(g, leaves[pick(g, sizeof leaves / sizeof *leaves)]);
}

static void suffix(Gen *g) {
  switch (pick(g, 4)) {
  case 0:
    put(g, ".");
    put(g, name(g));
    break;
  case 1:
    put(g, "[");
    list(g, dots, 1);
    put(g, "]");
    break;
  case 2:
    put(g, "(");
    domain(g);
    put(g, ":");
    expr(g);
    put(g, ")");
    break;
  default:
    put(g, "(");
    list(g, argument, 0);
    put(g, ")");
  }
}

static void operand(Gen *g) {
  bool value = false;
  if (pick(g, 4) == 0) {
    put(g, "(");
    expr(g);
    put(g, ")");
  } else if (pick(g, 8) == 0) {
    put(g, "-");
    operand(g);
    return;
  } else if (pick(g, 2)) {
    put(g, name(g));
  } else {
    leaf(g);
    value = true; /* numbers have no fields */
  }
  while (!value && g->depth < 8 && pick(g, 4) == 0) suffix(g);
}

static void conditional(Gen *g) {
  put(g, "if");
  expr(g);
  put(g, "then");
  expr(g);
  put(g, "else");
  expr(g);
}

static void expr(Gen *g) {
  static const char *const ops[] = {"+",   "-",   "*", "/", "@",   "^",
                                    "div", "mod", "+", "*", "and", "or"};
  static const char *const cmp[] = {"==", "!=", "<", "<=", ">", ">="};
  g->depth++;
  if (g->depth > 8)
    leaf(g);
  else if (pick(g, 12) == 0)
    conditional(g);
  else {
    int n = pick(g, 4);
    operand(g);
    for (int i = 0; i < n; i++) {
      put(g, ops[pick(g, sizeof ops / sizeof *ops)]);
      operand(g);
    }
    if (n == 0 && pick(g, 4) == 0) {
      put(g, cmp[pick(g, 6)]);
      operand(g);
    }
  }
  g->depth--;
}

static void type(Gen *g) {
  put(g, pick(g, 2) ? "f32" : "i32");
  if (pick(g, 4) == 0) return;
  put(g, "[");
  list(g, dots, pick(g, 2));
  /* A list of no dimensions is `[]`. */
  put(g, "]");
}

static void param(Gen *g) {
  put(g, name(g));
  put(g, ":");
  type(g);
}

static void index_of(Gen *g) {
  if (pick(g, 3)) return;
  put(g, "[");
  list(g, dots, 1);
  put(g, "]");
}

static void optional(Gen *g, const char *word) {
  if (pick(g, 2)) return;
  put(g, word);
  expr(g);
}

static void end(Gen *g) { put(g, ";"); }

static void setting(Gen *g) {
  put(g, name(g));
  put(g, "=");
  expr(g);
  end(g);
}

static void variable(Gen *g, const char *word) {
  put(g, word);
  put(g, name(g));
  index_of(g);
  if (pick(g, 2)) {
    put(g, ":");
    type(g);
  }
  optional(g, "in");
  optional(g, "=");
  end(g);
}

static void valued(Gen *g, const char *word, bool named) {
  put(g, word);
  if (named) {
    put(g, name(g));
    optional(g, "on");
    put(g, "=");
  }
  expr(g);
  end(g);
}

static void level_statement(Gen *g);

static void block(Gen *g, void (*statement)(Gen *)) {
  put(g, "{");
  int n = pick(g, 4);
  g->depth += 2;
  for (int i = 0; i < n; i++) statement(g);
  g->depth -= 2;
  put(g, "}");
}

static void branch(Gen *g) {
  put(g, "if");
  expr(g);
  block(g, level_statement);
  if (pick(g, 2)) return;
  put(g, "else");
  if (pick(g, 2))
    block(g, level_statement);
  else
    branch(g);
}

static void edge(Gen *g) {
  put(g, "argmin");
  put(g, name(g));
  put(g, "via");
  expr(g);
  end(g);
}

static void state(Gen *g) {
  put(g, "state");
  param(g);
  put(g, "=");
  expr(g);
  put(g, "next");
  expr(g);
  end(g);
}

static void level_statement(Gen *g) {
  switch (pick(g, g->depth > 8 ? 8 : 10)) {
  case 0: variable(g, "var"); break;
  case 1: valued(g, "minimize", false); break;
  case 2: valued(g, "maximize", false); break;
  case 3: valued(g, "metric", true); break;
  case 4: valued(g, "output", true); break;
  case 5: edge(g); break;
  case 6: state(g); break;
  case 7: setting(g); break;
  case 8: branch(g); break;
  default:
    put(g, "for");
    domain(g);
    block(g, level_statement);
  }
}

static void module_statement(Gen *g) {
  int k = pick(g, 3);
  if (k == 0)
    variable(g, "param");
  else if (k == 1)
    valued(g, "return", false);
  else
    setting(g);
}

static void field(Gen *g) {
  if (pick(g, 2)) {
    setting(g);
    return;
  }
  param(g);
  optional(g, "in");
  end(g);
}

static void function(Gen *g, bool module) {
  put(g, module ? "module" : "fn");
  put(g, name(g));
  put(g, "(");
  list(g, param, 0);
  put(g, ")");
  put(g, "->");
  type(g);
  if (module) {
    block(g, module_statement);
    return;
  }
  put(g, "=");
  expr(g);
  end(g);
}

static void size(Gen *g) {
  put(g, name(g));
  optional(g, "=");
}

static void level(Gen *g) {
  put(g, "level");
  put(g, name(g));
  if (pick(g, 4) == 0) {
    put(g, "[");
    domain(g);
    put(g, "]");
  }
  block(g, level_statement);
}

static void run(Gen *g) {
  put(g, "run");
  put(g, name(g));
  put(g, "of");
  put(g, name(g));
  if (pick(g, 3) == 0) {
    put(g, "after");
    put(g, name(g));
  }
  block(g, setting);
}

char *random_text(Arena *a, uint64_t seed) {
  Gen g = {.arena = a, .state = seed * 0x9e3779b97f4a7c15ULL + 1};
  int n = 1 + pick(&g, 6);
  for (int i = 0; i < n; i++) {
    switch (pick(&g, 7)) {
    case 0:
      put(&g, "dim");
      list(&g, size, 1);
      end(&g);
      break;
    case 1:
      put(&g, "const");
      setting(&g);
      break;
    case 2:
      put(&g, "data");
      put(&g, name(&g));
      block(&g, field);
      break;
    case 3: function(&g, false); break;
    case 4: function(&g, true); break;
    case 5: level(&g); break;
    default: run(&g);
    }
  }
  raw(&g, pick(&g, 2) ? "\n// end" : "\n");
  VEC_PUSH(a, g.text, g.n, g.cap, 0);
  return g.text;
}
