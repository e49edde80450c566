/* `mloc explain`: finds an error code in the tables and prints its page. */
#include "frontend/explain.h"

#include <string.h>
#include <strings.h>

static const Explanation *const tables[] = {explain_syntax,  explain_names, explain_types,
                                            explain_levels,  explain_runs,  explain_data,
                                            explain_settings};

const Explanation *explain_at(int i) {
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const Explanation *e = tables[t]; e->code; e++)
      if (i-- == 0) return e;
  return NULL;
}

const Explanation *explain_find(const char *code) {
  const Explanation *e;
  for (int i = 0; (e = explain_at(i)); i++)
    if (!strcasecmp(e->code, code)) return e;
  return NULL;
}

static void print_indented(const char *text, FILE *out) {
  while (*text) {
    int n = (int)strcspn(text, "\n");
    if (n > 0) fprintf(out, "    %.*s", n, text);
    fputc('\n', out);
    text += n + (text[n] == '\n');
  }
}

void explain_print(const Explanation *e, FILE *out) {
  fprintf(out, "%s: %s\n\n%s", e->code, e->title, e->text);
  if (!e->wrong) return;
  fputs("\nThis program has the error:\n\n", out);
  print_indented(e->wrong, out);
  fputs("\nand this one does not:\n\n", out);
  print_indented(e->right, out);
}

void explain_list(FILE *out) {
  const Explanation *e;
  for (int i = 0; (e = explain_at(i)); i++) fprintf(out, "%s  %s\n", e->code, e->title);
}
