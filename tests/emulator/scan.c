/* A reader of C's tokens that knows as much as it needs to find kernels: their names, parameters
 * and bodies. It reads what the preprocessor wrote, so there are no comments or macros left. */

#include "tests/emulator/scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char MARK[] = "emu_kernel", BOUNDS[] = "emu_bounds", SECTION[] = "emu_shared_0000";

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool is_word(Span s, const char *word) {
  return s.n == strlen(word) && memcmp(s.at, word, s.n) == 0;
}

/* The token at or behind p: a word or number, a string or character with its quotes, a whole line
 * of the preprocessor's, or one sign; n = 0 at the end. */
static Span token(const char *p) {
  while (isspace((unsigned char)*p)) p++;
  Span s = {p, 0};
  if (*p == '\0') return s;
  if (*p == '#') {
    s.n = strcspn(p, "\n");
  } else if (*p == '"' || *p == '\'') {
    const char *q = p + 1;
    while (*q && *q != *p) q += *q == '\\' && q[1] ? 2 : 1;
    s.n = (size_t)(q - p) + (*q != '\0');
  } else if (in_word(*p)) {
    while (in_word(p[s.n])) s.n++;
  } else {
    s.n = 1;
  }
  return s;
}

static Span next(Span s) { return token(s.at + s.n); }

/* The bracket that closes the one at `open`, or the end. */
static Span closing(Span open) {
  int depth = 0;
  for (Span s = open; s.n; s = next(s)) {
    if (s.n == 1 && strchr("([{", *s.at)) depth++;
    if (s.n == 1 && strchr(")]}", *s.at) && --depth == 0) return s;
  }
  return (Span){open.at + strlen(open.at), 0};
}

/* A parameter's type: all but its name, which is the last word. */
static Span type_of(const char *from, const char *to) {
  while (to > from && isspace((unsigned char)to[-1])) to--;
  while (to > from && in_word(to[-1])) to--;
  return (Span){from, (size_t)(to - from)};
}

static bool read_params(Span open, Span close, ScannedKernel *k) {
  Span first = next(open);
  if (first.at == close.at || (is_word(first, "void") && next(first).at == close.at)) return true;
  const char *from = open.at + 1;
  for (Span s = first; s.n; s = next(s)) {
    if (s.n == 1 && (*s.at == '(' || *s.at == '[')) s = closing(s);
    if (s.at != close.at && !(s.n == 1 && *s.at == ',')) continue;
    if (k->nparam == SCAN_PARAMS) return false;
    k->param[k->nparam++] = type_of(from, s.at);
    from = s.at + 1;
    if (s.at == close.at) break;
  }
  return true;
}

/* Gives the body's shared arrays the kernel's own section. */
static bool number_sections(Span open, Span close, int number) {
  bool found = false;
  for (char *p = (char *)open.at; (p = strstr(p, SECTION)) && p < close.at; p += sizeof SECTION) {
    for (int digit = 0, rest = number; digit < 4; digit++, rest /= 10)
      p[sizeof SECTION - 2 - digit] = (char)('0' + rest % 10);
    found = true;
  }
  return found;
}

/* Reads on behind the mark: attributes, the type, the name, parameters, the body. Returns where to
 * read on; n < 0 of the kernel count never happens. */
static bool read_kernel(Span s, Scan *out, Span *rest) {
  ScannedKernel k = {0};
  Span name = {0};
  for (; s.n && !(s.n == 1 && (*s.at == '{' || *s.at == ';')); s = next(s)) {
    if (is_word(s, BOUNDS)) {
      Span open = next(s), close = closing(open);
      k.bound = (Span){open.at + 1, (size_t)(close.at - open.at - 1)};
      s = close;
    } else if (*s.at == '(' && name.n && in_word(*name.at) && !is_word(name, "__attribute__") &&
               !k.name.n) {
      Span close = closing(s);
      k.name = name;
      if (!read_params(s, close, &k)) return false;
      s = close;
    }
    name = s;
  }
  *rest = s;
  if (!s.n || *s.at == ';' || !k.name.n) return true;
  Span close = closing(s);
  if (out->nkernel + 1 == SCAN_KERNELS) return false;
  k.shared = number_sections(s, close, out->nkernel + 1);
  out->kernel = realloc(out->kernel, (size_t)(out->nkernel + 1) * sizeof k);
  out->kernel[out->nkernel++] = k;
  *rest = close;
  return true;
}

bool scan_kernels(char *text, Scan *out) {
  memset(out, 0, sizeof *out);
  for (Span s = token(text); s.n; s = next(s))
    if (is_word(s, MARK) && !read_kernel(s, out, &s)) return false;
  out->shared = strstr(text, SECTION) != NULL;
  return true;
}

void scan_free(Scan *s) { free(s->kernel); }

static void section_table(int number, bool used, FILE *out) {
  if (used)
    fprintf(out, "__start_emu_shared_%04d, __stop_emu_shared_%04d", number, number);
  else
    fprintf(out, "0, 0");
}

static void declare_section(int number, FILE *out) {
  fprintf(out,
          "extern __attribute__((visibility(\"hidden\"))) char __start_emu_shared_%04d[], "
          "__stop_emu_shared_%04d[];\n",
          number, number);
}

static void entry(const ScannedKernel *k, int number, FILE *out) {
  fprintf(out,
          "static __attribute__((no_sanitize(\"thread\"), no_sanitize(\"alignment\"))) void "
          "emu_entry_%d(void **emu_p) {\n  %.*s(",
          number, (int)k->name.n, k->name.at);
  for (int i = 0; i < k->nparam; i++)
    fprintf(out, "%s*(%.*s *)emu_p[%d]", i ? ", " : "", (int)k->param[i].n, k->param[i].at, i);
  fprintf(out, ");\n  (void)emu_p;\n}\nstatic const unsigned emu_bytes_%d[] = {", number);
  for (int i = 0; i < k->nparam; i++)
    fprintf(out, "sizeof(%.*s), ", (int)k->param[i].n, k->param[i].at);
  fprintf(out, "0};\n");
  if (k->shared) declare_section(number, out);
}

void scan_tables(const Scan *s, bool checked, bool flush_denormals, FILE *out) {
  fprintf(out, "\n# 1 \"emulator\"\n");
  for (int i = 0; i < s->nkernel; i++) entry(&s->kernel[i], i + 1, out);
  if (s->shared) declare_section(0, out);
  fprintf(out, "static const EmuKernel emu_kernel_table[] = {\n");
  for (int i = 0; i < s->nkernel; i++) {
    const ScannedKernel *k = &s->kernel[i];
    fprintf(out, "  {\"%.*s\", emu_entry_%d, %d, emu_bytes_%d, %.*s, ", (int)k->name.n, k->name.at,
            i + 1, k->nparam, i + 1, k->bound.n ? (int)k->bound.n : 1,
            k->bound.n ? k->bound.at : "0");
    section_table(i + 1, k->shared, out);
    fprintf(out, "},\n");
  }
  fprintf(out, "  {0, 0, 0, 0, 0, 0, 0}};\n");
  fprintf(out, "extern const EmuImage emu_image;\nconst EmuImage emu_image = {emu_kernel_table, "
               "&emu_core, ");
  section_table(0, s->shared, out);
  fprintf(out, ", %d, %d};\n", checked, flush_denormals);
}
