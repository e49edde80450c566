/* The pages of the errors in text and grammar, E00xx. */
#include "frontend/explain.h"

#include <stddef.h>

const Explanation explain_syntax[] = {
    {"E0001", "the file is not text",
     "A program is UTF-8 text of at most 64 MiB, without NUL bytes. Outside of strings and\n"
     "comments it uses ASCII only.\n",
     "const a = 1; // caf\xe9\n", "const a = 1; // cafe\n"},
    {"E0002", "unexpected character",
     "A character, or a word of characters, is not of the language. Some that other\n"
     "languages have are written otherwise here: `^` is the power, `and`, `or` and `not` are\n"
     "the logical operators, `div` and `mod` divide integers, comments start with `//`.\n"
     "Names have at most 100 characters.\n",
     "const a = 3 ** 2;\n", "const a = 3 ^ 2;\n"},
    {"E0003", "bad number",
     "Numbers are decimal: 3, 0.5, 1e-3. A number neither ends nor starts with a point, so\n"
     "that `0..3` is the range of 0, 1, 2. Integers have 64 bits. A product needs its `*`.\n",
     "const a = 2.;\n", "const a = 2.0;\n"},
    {"E0004", "bad string",
     "A string stands in double quotes, on one line. The escapes are \\\\, \\\", \\n and \\t.\n",
     "data d { file = 'd.npz'; x : f32[3]; }\n", "data d { file = \"d.npz\"; x : f32[3]; }\n"},
    {"E0005", "unexpected word or sign",
     "The program does not fit the grammar here: the message says what was found, and what\n"
     "could stand in its place. Reading goes on after the next `;`, or after the block.\n"
     "Reserved words (`data`, `level`, `in`, ...) cannot be names.\n",
     "const data = 3;\n", "const rows = 3;\n"},
    {"E0006", "a `;` is missing",
     "Every statement, and every declaration without a block, ends with `;`.\n",
     "const a = 1\nconst b = 2;\n", "const a = 1;\nconst b = 2;\n"},
    {"E0007", "a block is not closed",
     "A declaration starts, or the file ends, inside of a block. A `}` is missing: at the\n"
     "latest where the message points, maybe above.\n",
     "data d {\n  file = \"d.npz\";\n  x : f32[3];\nconst a = 1;\n",
     "data d {\n  file = \"d.npz\";\n  x : f32[3];\n}\nconst a = 1;\n"},
    {"E0008", "comparisons do not chain",
     "`a < b < c` would have to mean either (a < b) < c or a < b and b < c. It means neither:\n"
     "say which.\n",
     "fn inside(x : f32) -> bool = 0 < x < 1;\n",
     "fn inside(x : f32) -> bool = 0 < x and x < 1;\n"},
    {"E0009", "nested too deep",
     "Expressions, and blocks in blocks, may be nested up to a fixed depth, so that no program "
     "makes\n"
     "the compiler run out of stack. A sum of a thousand terms is nested a thousand deep: name "
     "parts\n"
     "of it by `let`, or sum over an axis.\n",
     NULL, NULL},
    {"E0010", "a statement in the wrong block",
     "Each kind of block has its own statements. A `data` block has fields and settings; a\n"
     "`level` has variables, an objective, edges, metrics and settings; a `module` has\n"
     "parameters and a `return`; a `run` has settings.\n",
     "level fit {\n  w : f32[3];\n}\n",
     "level fit {\n  var w : f32[3] = 0;\n  minimize sum(w^2);\n"
     "  optimizer = sgd(lr = 0.1);\n  steps = 10;\n}\nrun main of fit { seed = 0; }\n"},
    {NULL, NULL, NULL, NULL, NULL},
};
