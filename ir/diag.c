/* Diagnostics: a list of errors and warnings with source ranges becomes text with source lines,
   carets and notes, or a JSON array. Offsets are bytes; columns count characters; on screen, tabs
   go to the next multiple of four, wide characters take two cells, and control characters are never
   let through. */
#include "ir/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TAB = 4, CONTEXT = 60, WINDOW = 150, MAX_MARKS = 32 };

Diags *diags_new(Arena *a, const char *file, const char *source) {
  Diags *d = arena_new_of(a, Diags);
  d->arena = a;
  d->file = file;
  d->source = source;
  return d;
}

static Diag *add(Diags *d, Severity severity, Span span, const char *code, const char *fmt,
                 va_list ap) {
  Diag *g = arena_new_of(d->arena, Diag);
  g->severity = severity;
  g->code = code;
  g->span = span;
  g->text = arena_vprintf(d->arena, fmt, ap);
  VEC_PUSH(d->arena, d->diag, d->ndiag, d->cap, g);
  if (severity == SEV_ERROR) d->nerror++;
  return g;
}

Diag *diag_error(Diags *d, Span span, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  Diag *g = add(d, SEV_ERROR, span, code, fmt, ap);
  va_end(ap);
  return g;
}

Diag *diag_warning(Diags *d, Span span, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  Diag *g = add(d, SEV_WARNING, span, code, fmt, ap);
  va_end(ap);
  return g;
}

static void attach(Diags *d, Diag *g, int kind, Span span, const char *fmt, va_list ap) {
  DiagNote *n = arena_new_of(d->arena, DiagNote);
  n->kind = kind;
  n->span = span;
  n->text = arena_vprintf(d->arena, fmt, ap);
  DiagNote **tail = &g->note;
  while (*tail) tail = &(*tail)->next;
  *tail = n;
}

void diag_label(Diags *d, Diag *g, Span span, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  attach(d, g, NOTE_LABEL, span, fmt, ap);
  va_end(ap);
}

void diag_help(Diags *d, Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  attach(d, g, NOTE_HELP, (Span){0, 0}, fmt, ap);
  va_end(ap);
}

void diag_note(Diags *d, Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  attach(d, g, NOTE_NOTE, (Span){0, 0}, fmt, ap);
  va_end(ap);
}

void diag_path(Diags *d, Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  attach(d, g, NOTE_PATH, (Span){0, 0}, fmt, ap);
  va_end(ap);
}

void compiler_bug(const char *where, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fflush(stdout);
  fprintf(stderr, "compiler bug in %s: ", where);
  vfprintf(stderr, fmt, ap);
  fputs("\nThis is a fault of mloc, not of the program. Please report it, with the program and the "
        "command.\n",
        stderr);
  fflush(stderr);
  va_end(ap);
  abort();
}

/* Reads one character at s; *n is its length in bytes. -1: not UTF-8 (one byte). */
static int32_t utf8_next(const char *s, int *n) {
  const unsigned char *u = (const unsigned char *)s;
  static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  int len = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
  if (u[0] >= 0xf5) len = 0;
  *n = 1;
  if (len == 0) return -1;
  if (len == 1) return u[0];
  int32_t c = u[0] & (0x7f >> len);
  for (int i = 1; i < len; i++) {
    if ((u[i] & 0xc0) != 0x80) return -1;
    c = c << 6 | (u[i] & 0x3f);
  }
  if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return -1;
  *n = len;
  return c;
}

static int char_cells(int32_t c) {
  if (c >= 0x300 && c < 0x370) return 0;
  static const int32_t wide[][2] = {{0x1100, 0x1160},  {0x2e80, 0xa4d0}, {0xac00, 0xd7a4},
                                    {0xf900, 0xfb00},  {0xfe30, 0xfe70}, {0xff00, 0xff61},
                                    {0x1f300, 0x1fb00}};
  for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
    if (c >= wide[i][0] && c < wide[i][1]) return 2;
  return 1;
}

void diag_position(const char *source, uint32_t offset, int *line, int *column) {
  *line = *column = 1;
  if (!source) return;
  for (uint32_t i = 0; i < offset && source[i];) {
    int n = 1;
    if (source[i] == '\n') {
      ++*line;
      *column = 1;
    } else {
      utf8_next(source + i, &n);
      ++*column;
    }
    i += (uint32_t)n;
  }
}

/* One source line on screen. cell[i] is the screen column of byte i of the line. */
typedef struct Row {
  int number, width, nbyte;
  uint32_t lo; /* offset of the line */
  int *cell;
  char *text; /* escaped for the screen; from byte to text by at[] */
  int *at;
} Row;

static Row row_make(Arena *a, const char *source, uint32_t offset) {
  Row r = {0};
  int column;
  diag_position(source, offset, &r.number, &column);
  uint32_t lo = offset;
  while (lo > 0 && source[lo - 1] != '\n') lo--;
  r.lo = lo;
  const char *s = source + lo;
  r.nbyte = (int)strcspn(s, "\n");
  r.cell = arena_array(a, int, r.nbyte + 1);
  r.at = arena_array(a, int, r.nbyte + 1);
  r.text = arena_array(a, char, r.nbyte *TAB + 1);
  int out = 0;
  for (int i = 0; i < r.nbyte;) {
    int n;
    int32_t c = utf8_next(s + i, &n);
    for (int k = 0; k < n; k++) r.cell[i + k] = r.width, r.at[i + k] = out;
    if (c == '\t') {
      int w = TAB - r.width % TAB;
      for (int k = 0; k < w; k++) r.text[out++] = ' ';
      r.width += w;
    } else if (c == '\r') { /* of a line break; alone it must not move the cursor */
    } else if (c < 32 || (c >= 127 && c < 160)) {
      r.text[out++] = '?';
      r.width++;
    } else {
      memcpy(r.text + out, s + i, (size_t)n);
      out += n;
      r.width += char_cells(c);
    }
    i += n;
  }
  r.cell[r.nbyte] = r.width;
  r.at[r.nbyte] = out;
  return r;
}

typedef struct Mark {
  int lo, hi; /* screen columns within the row */
  char mark;
  const char *text;
} Mark;

typedef struct Paint {
  FILE *out;
  bool color;
  int gutter; /* digits of the largest line number */
} Paint;

static const char *paint(const Paint *p, const char *code) { return p->color ? code : ""; }

#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define YELLOW "\033[1;33m"
#define BLUE "\033[1;34m"
#define CYAN "\033[36m"
#define RESET "\033[0m"

static void gutter(const Paint *p, const char *sign) {
  fprintf(p->out, "%s%*s%s%s", paint(p, BLUE), p->gutter + 2, "", sign, paint(p, RESET));
}

static Mark mark_make(const Row *r, Span s, char mark, const char *text) {
  int lo = (int)(s.lo - r->lo), hi = s.hi > s.lo ? (int)(s.hi - r->lo) : lo;
  if (lo > r->nbyte) lo = r->nbyte;
  if (hi > r->nbyte) hi = r->nbyte;
  Mark m = {r->cell[lo], r->cell[hi], mark, text && text[0] ? text : NULL};
  if (m.hi <= m.lo) m.hi = m.lo + 1;
  return m;
}

static void pad_to(FILE *out, int *column, int to) {
  for (; *column < to; ++*column) fputc(' ', out);
}

/* The line of carets; the rightmost mark's text stands beside it, the others' below it. */
static void print_marks(const Paint *p, const Mark *m, int n, int from, const char *accent) {
  gutter(p, "| ");
  int column = from, rest = n;
  for (int i = 0; i < n; i++) {
    int lo = m[i].lo < column ? column : m[i].lo;
    pad_to(p->out, &column, lo);
    fputs(paint(p, m[i].mark == '^' ? accent : BLUE), p->out);
    for (; column < m[i].hi && column < from + WINDOW; column++) fputc(m[i].mark, p->out);
    fputs(paint(p, RESET), p->out);
  }
  if (m[n - 1].text) {
    rest = n - 1;
    fprintf(p->out, " %s%s%s", paint(p, m[n - 1].mark == '^' ? accent : BLUE), m[n - 1].text,
            paint(p, RESET));
  }
  fputc('\n', p->out);
  for (int i = rest - 1; i >= 0; i--) {
    if (!m[i].text) continue;
    gutter(p, "| ");
    column = from;
    for (int k = 0; k < i; k++) {
      if (!m[k].text || m[k].lo < column) continue;
      pad_to(p->out, &column, m[k].lo);
      fputc('|', p->out);
      column++;
    }
    pad_to(p->out, &column, m[i].lo);
    fprintf(p->out, "%s%s%s\n", paint(p, m[i].mark == '^' ? accent : BLUE), m[i].text,
            paint(p, RESET));
  }
}

/* Long lines are shown through a window around a mark. Returns the window's first column. */
static int print_row(const Paint *p, const Row *r, int focus) {
  int from = 0, b = 0, e = r->nbyte;
  if (r->width > WINDOW && focus > CONTEXT) {
    while (b < r->nbyte && r->cell[b] < focus - CONTEXT) b++;
    from = r->cell[b];
  }
  if (r->width > from + WINDOW) {
    e = b;
    while (e < r->nbyte && r->cell[e] < from + WINDOW) e++;
  }
  fprintf(p->out, "%s %*d |%s", paint(p, BLUE), p->gutter, r->number, paint(p, RESET));
  if (e > b) fprintf(p->out, " %.*s", r->at[e] - r->at[b], r->text + r->at[b]);
  fputc('\n', p->out);
  return from;
}

static int mark_compare(const void *x, const void *y) {
  const Mark *a = x, *b = y;
  return a->lo != b->lo ? (a->lo > b->lo) - (a->lo < b->lo) : (a->hi > b->hi) - (a->hi < b->hi);
}

static int digits(int n) {
  int k = 1;
  while (n >= 10) n /= 10, k++;
  return k;
}

/* Prints one source line with all marks of g on it. */
static void print_line(const Paint *p, const Diag *g, const Row *r, const char *accent) {
  Mark m[MAX_MARKS];
  int n = 0;
  uint32_t lo = r->lo, hi = r->lo + (uint32_t)r->nbyte;
  int focus = -1;
  if (g->span.lo >= lo && g->span.lo <= hi) {
    m[n++] = mark_make(r, g->span, '^', g->label);
    focus = m[0].lo;
  }
  for (const DiagNote *t = g->note; t && n < MAX_MARKS; t = t->next)
    if (t->kind == NOTE_LABEL && t->span.lo >= lo && t->span.lo <= hi)
      m[n++] = mark_make(r, t->span, '-', t->text);
  qsort(m, (size_t)n, sizeof *m, mark_compare);
  if (focus < 0) focus = m[0].lo;
  int from = print_row(p, r, focus);
  print_marks(p, m, n, from, accent);
}

static bool has_place(const Diags *d, Span s) {
  return d->source && (s.lo || s.hi) && s.lo <= strlen(d->source);
}

static uint32_t line_start(const char *source, uint32_t at) {
  while (at > 0 && source[at - 1] != '\n') at--;
  return at;
}

/* The offsets of the lines to show, ascending and distinct. */
static int lines_of(const Diags *d, const Diag *g, uint32_t *line) {
  int n = 0;
  if (has_place(d, g->span)) line[n++] = line_start(d->source, g->span.lo);
  for (const DiagNote *t = g->note; t && n < MAX_MARKS; t = t->next) {
    if (t->kind != NOTE_LABEL || !has_place(d, t->span)) continue;
    uint32_t at = line_start(d->source, t->span.lo);
    int k = n;
    while (k > 0 && line[k - 1] > at) k--;
    if (k > 0 && line[k - 1] == at) continue;
    memmove(line + k + 1, line + k, (size_t)(n - k) * sizeof *line);
    line[k] = at;
    n++;
  }
  return n;
}

static void print_source(Paint *p, const Diags *d, const Diag *g, const char *accent) {
  uint32_t line[MAX_MARKS + 1];
  int n = lines_of(d, g, line), previous = 0;
  Arena *scratch = arena_new();
  gutter(p, "|\n");
  for (int i = 0; i < n; i++) {
    Row r = row_make(scratch, d->source, line[i]);
    if (i && r.number > previous + 1)
      fprintf(p->out, "%s ...%s\n", paint(p, BLUE), paint(p, RESET));
    print_line(p, g, &r, accent);
    previous = r.number;
  }
  arena_free(scratch);
}

static void print_one(const Diags *d, const Diag *g, FILE *out, bool color) {
  static const char *const word[] = {"", "help", "note", "path"};
  Paint p = {out, color, 1};
  const char *accent = g->severity == SEV_ERROR ? RED : YELLOW;
  fprintf(out, "%s%s[%s]%s%s: %s%s\n", paint(&p, accent),
          g->severity == SEV_ERROR ? "error" : "warning", g->code, paint(&p, RESET),
          paint(&p, BOLD), g->text, paint(&p, RESET));
  if (has_place(d, g->span)) {
    int line, column, last;
    diag_position(d->source, g->span.lo, &line, &column);
    p.gutter = digits(line);
    for (const DiagNote *t = g->note; t; t = t->next) {
      if (t->kind != NOTE_LABEL || !has_place(d, t->span)) continue;
      int ignored;
      diag_position(d->source, t->span.lo, &last, &ignored);
      if (digits(last) > p.gutter) p.gutter = digits(last);
    }
    fprintf(out, "%s%*s-->%s %s:%d:%d\n", paint(&p, BLUE), p.gutter + 1, "", paint(&p, RESET),
            d->file, line, column);
    print_source(&p, d, g, accent);
  } else if (d->file) {
    fprintf(out, "%s%*s-->%s %s\n", paint(&p, BLUE), 2, "", paint(&p, RESET), d->file);
  }
  for (const DiagNote *t = g->note; t; t = t->next) {
    if (t->kind == NOTE_LABEL) continue;
    gutter(&p, "= ");
    fprintf(out, "%s%s%s: %s\n", paint(&p, CYAN), word[t->kind], paint(&p, RESET), t->text);
  }
}

/* Insertion sort by position: stable, and the list is short and nearly in order. */
static Diag **sorted(const Diags *d) {
  Diag **v = arena_array(d->arena, Diag *, d->ndiag);
  for (int i = 0; i < d->ndiag; i++) {
    int k = i;
    while (k > 0 && v[k - 1]->span.lo > d->diag[i]->span.lo) {
      v[k] = v[k - 1];
      k--;
    }
    v[k] = d->diag[i];
  }
  return v;
}

void diags_print(const Diags *d, FILE *out, bool color) {
  Diag **v = sorted(d);
  for (int i = 0; i < d->ndiag; i++) {
    if (i) fputc('\n', out);
    print_one(d, v[i], out, color);
  }
}

static void json_string(FILE *out, const char *s) {
  fputc('"', out);
  for (int n; *s; s += n) {
    int32_t c = utf8_next(s, &n);
    if (c < 0)
      fputs("\\ufffd", out);
    else if (c == '"' || c == '\\')
      fprintf(out, "\\%c", (int)c);
    else if (c < 32 || c == 127)
      fprintf(out, "\\u%04x", (unsigned)c);
    else
      fwrite(s, 1, (size_t)n, out);
  }
  fputc('"', out);
}

static void json_place(FILE *out, const Diags *d, Span s) {
  int line = 0, column = 0, end_line = 0, end_column = 0;
  if (has_place(d, s)) {
    diag_position(d->source, s.lo, &line, &column);
    diag_position(d->source, s.hi, &end_line, &end_column);
  }
  fprintf(out, "\"line\": %d, \"column\": %d, \"end_line\": %d, \"end_column\": %d", line, column,
          end_line, end_column);
}

static void json_one(FILE *out, const Diags *d, const Diag *g) {
  static const char *const word[] = {"label", "help", "note", "path"};
  fprintf(out, "  {\"severity\": \"%s\", \"code\": \"%s\", \"message\": ",
          g->severity == SEV_ERROR ? "error" : "warning", g->code);
  json_string(out, g->text);
  fputs(", \"file\": ", out);
  json_string(out, d->file ? d->file : "");
  fputs(", ", out);
  json_place(out, d, g->span);
  if (g->label) {
    fputs(", \"label\": ", out);
    json_string(out, g->label);
  }
  fputs(", \"notes\": [", out);
  for (const DiagNote *t = g->note; t; t = t->next) {
    fprintf(out, "%s{\"kind\": \"%s\", \"message\": ", t == g->note ? "" : ", ", word[t->kind]);
    json_string(out, t->text);
    if (t->kind == NOTE_LABEL) {
      fputs(", ", out);
      json_place(out, d, t->span);
    }
    fputc('}', out);
  }
  fputs("]}", out);
}

void diags_print_json(const Diags *d, FILE *out) {
  Diag **v = sorted(d);
  fputs("[", out);
  for (int i = 0; i < d->ndiag; i++) {
    fputs(i ? ",\n" : "\n", out);
    json_one(out, d, v[i]);
  }
  fputs(d->ndiag ? "\n]\n" : "]\n", out);
}
