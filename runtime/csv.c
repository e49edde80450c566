/* Tables of text (.csv, .csv.gz) become columns of numbers in the arena, one pass, one row in
   memory at a time. zlib reads plain files through the same calls as compressed ones. */

#include "runtime/csv.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { BUFFER = 1 << 16, MAX_CELL = 4096, MAX_COLUMNS = 1 << 17 };

typedef struct Number {
  bool integer;
  int64_t i;
  double f;
} Number;

/* The current row's cells lie one after another in `text`, each with its terminating 0. */
struct CsvReader {
  gzFile file;
  int at, have;
  int64_t line;
  bool pending; /* the first row was data: the next row is the one already read */
  char *text;
  size_t ntext, room;
  size_t *start;
  int ncell, cell_room;
  unsigned char buffer[BUFFER];
};

typedef struct CsvReader Reader;

static int get(Reader *r) {
  if (r->at == r->have) {
    r->have = gzread(r->file, r->buffer, BUFFER);
    r->at = 0;
    if (r->have <= 0) {
      r->have = 0;
      return -1;
    }
  }
  return r->buffer[r->at++];
}

static int peek(Reader *r) {
  int c = get(r);
  if (c >= 0) r->at--;
  return c;
}

static bool grow(RtCsv *t, RtErr *e) {
  Reader *r = t->reader;
  if (r->ntext + 2 >= r->room) {
    r->room = r->room * 2 + 4096;
    char *text = realloc(r->text, r->room);
    if (!text) return rt_fail(e, RT_DATA, "%s: out of memory", t->path);
    r->text = text;
  }
  if (r->ncell + 1 >= r->cell_room) {
    r->cell_room = r->cell_room * 2 + 64;
    size_t *start = realloc(r->start, sizeof *start * (size_t)r->cell_room);
    if (!start) return rt_fail(e, RT_DATA, "%s: out of memory", t->path);
    r->start = start;
  }
  return true;
}

/* One cell without the blanks around it; returns the character that ended it: ',', '\n' or -1 at
   the end of the file; -2 on error. */
static int read_cell(RtCsv *t, RtErr *e) {
  Reader *r = t->reader;
  if (!grow(t, e)) return -2;
  size_t begin = r->ntext;
  r->start[r->ncell++] = begin;
  int c;
  bool quoted = false;
  for (;;) {
    c = get(r);
    if (c == '"') {
      if (quoted && peek(r) == '"')
        get(r);
      else {
        quoted = !quoted;
        continue;
      }
    }
    if (c < 0 || (!quoted && (c == ',' || c == '\n'))) break;
    if (c == '\n') r->line++;
    if (!quoted && (c == '\r' || (r->ntext == begin && (c == ' ' || c == '\t')))) continue;
    if (r->ntext - begin >= MAX_CELL || c == 0) {
      rt_fail(e, RT_DATA, "%s: line %lld: %s", t->path, (long long)r->line + 1,
              c == 0 ? "a zero byte (not a text file)" : "a cell of more than 4096 characters");
      return -2;
    }
    if (!grow(t, e)) return -2;
    r->text[r->ntext++] = (char)c;
  }
  while (r->ntext > begin && strchr(" \t", r->text[r->ntext - 1])) r->ntext--;
  r->text[r->ntext++] = 0;
  if (quoted) {
    rt_fail(e, RT_DATA, "%s: line %lld: a quote that never ends", t->path, (long long)r->line + 1);
    return -2;
  }
  return c;
}

static bool stream_ok(const RtCsv *t, RtErr *e) {
  int code = Z_OK;
  const char *why = gzerror(t->reader->file, &code);
  if (code == Z_OK || code == Z_STREAM_END) return true;
  return rt_fail(e, RT_DATA, "%s: after line %lld: cannot be read: %s", t->path,
                 (long long)t->reader->line, code == Z_BUF_ERROR ? "the file is truncated" : why);
}

/* Reads the next row that is not empty. Returns 1, 0 at the end, -1 on error. */
static int next_row(RtCsv *t, RtErr *e) {
  Reader *r = t->reader;
  if (r->pending) {
    r->pending = false;
    return 1;
  }
  for (;;) {
    r->ncell = 0;
    r->ntext = 0;
    int end;
    while ((end = read_cell(t, e)) == ',')
      if (r->ncell == MAX_COLUMNS) {
        rt_fail(e, RT_DATA, "%s: line %lld: more than %d columns", t->path, (long long)r->line + 1,
                MAX_COLUMNS);
        return -1;
      }
    if (end == -2) return -1;
    r->line++;
    bool empty = r->ncell == 1 && r->text[0] == 0;
    if (end < 0 && !stream_ok(t, e)) return -1;
    if (end < 0 && empty) return 0;
    if (empty) continue;
    if (t->ncolumn && r->ncell != t->ncolumn) {
      rt_fail(e, RT_DATA, "%s: line %lld: expected %d cells, found %d", t->path, (long long)r->line,
              t->ncolumn, r->ncell);
      return -1;
    }
    return 1;
  }
}

static const char *cell(const Reader *r, int i) { return r->text + r->start[i]; }

static bool parse_number(const char *s, Number *out) {
  const char *p = s + (*s == '-' || *s == '+');
  int64_t v = 0;
  int digits = 0;
  for (; isdigit((unsigned char)p[digits]) && digits < 18; digits++) v = v * 10 + (p[digits] - '0');
  if (digits && p[digits] == 0) {
    *out = (Number){true, *s == '-' ? -v : v, 0};
    return true;
  }
  if (strcasecmp(s, "true") == 0 || strcasecmp(s, "false") == 0) {
    *out = (Number){true, tolower((unsigned char)*s) == 't', 0};
    return true;
  }
  if (*s == 0 || strpbrk(s, "xX")) return false; /* strtod would take hexadecimal */
  char *end;
  *out = (Number){false, 0, strtod(s, &end)};
  return *end == 0;
}

static bool name_columns(RtCsv *t, RtErr *e) {
  Reader *r = t->reader;
  Number ignored;
  if ((unsigned char)cell(r, 0)[0] == 0xef && strncmp(cell(r, 0), "\xef\xbb\xbf", 3) == 0)
    r->start[0] += 3; /* the byte order mark that spreadsheets write */
  t->column = calloc((size_t)r->ncell, sizeof *t->column);
  if (!t->column) return rt_fail(e, RT_DATA, "%s: out of memory", t->path);
  t->ncolumn = r->ncell;
  for (int i = 0; i < r->ncell; i++) t->header |= !parse_number(cell(r, i), &ignored);
  r->pending = !t->header;
  for (int i = 0; i < r->ncell; i++) {
    t->column[i] = strdup(t->header ? cell(r, i) : "");
    if (!t->column[i]) return rt_fail(e, RT_DATA, "%s: out of memory", t->path);
  }
  return true;
}

static bool check_names(const RtCsv *t, RtErr *e) {
  if (t->ncolumn > 4096) return true; /* the check is quadratic; match takes the first of a name */
  for (int i = 0; t->header && i < t->ncolumn; i++)
    for (int j = 0; j < i; j++)
      if (t->column[i][0] && strcmp(t->column[i], t->column[j]) == 0)
        return rt_fail(e, RT_DATA, "%s: column `%.80s`: the name stands twice in the header row",
                       t->path, t->column[i]);
  return true;
}

bool rt_csv_open(RtCsv *t, const char *path, RtErr *e) {
  *t = (RtCsv){.path = path, .reader = calloc(1, sizeof(Reader))};
  if (!t->reader) return rt_fail(e, RT_DATA, "%s: out of memory", path);
  t->reader->file = gzopen(path, "rb");
  if (!t->reader->file) return rt_fail(e, RT_DATA, "%s: cannot be opened", path);
  int got = next_row(t, e);
  if (got == 0) rt_fail(e, RT_DATA, "%s: the table is empty", path);
  return got > 0 && name_columns(t, e) && check_names(t, e);
}

void rt_csv_close(RtCsv *t) {
  Reader *r = t->reader;
  if (r && r->file) gzclose(r->file);
  if (r) {
    free(r->text);
    free(r->start);
    free(r);
  }
  for (int i = 0; t->column && i < t->ncolumn; i++) free(t->column[i]);
  free(t->column);
  *t = (RtCsv){0};
}

static int find_column(char *const *name, int n, const char *wanted) {
  for (int i = 0; i < n; i++)
    if (strcmp(name[i], wanted) == 0) return i;
  return -1;
}

/* A column base<number> of a number that the k columns from `from` on leave out: one is missing
 * between. */
static bool has_gap(char *const *name, int n, const char *prefix, long last) {
  size_t length = strlen(prefix);
  for (int i = 0; i < n; i++) {
    const char *digits = name[i] + length;
    if (strncmp(name[i], prefix, length) != 0 || strspn(digits, "0123456789") == 0) continue;
    if (digits[strspn(digits, "0123456789")] == 0 && strtol(digits, NULL, 10) > last) return true;
  }
  return false;
}

/* base0, base1, .. as long as they go; returns how many, 0 where one is missing in between. */
static int match_numbered(char *const *name, int n, const char *base, const char *joint, int from,
                          int *column) {
  char wanted[256];
  for (int k = 0;; k++) {
    if (snprintf(wanted, sizeof wanted, "%s%s%d", base, joint, from + k) >= (int)sizeof wanted)
      return k;
    int next = k ? column[k - 1] + 1 : 0; /* usually they stand in order */
    bool there = next < n && strcmp(name[next], wanted) == 0;
    int c = k >= n ? -1 : there ? next : find_column(name, n, wanted);
    if (c < 0) {
      snprintf(wanted, sizeof wanted, "%s%s", base, joint);
      return k && has_gap(name, n, wanted, from + k - 1) ? 0 : k;
    }
    column[k] = c;
  }
}

int rt_csv_match(char *const *name, int ncolumn, const char *field, int rank, int nfield,
                 int *column) {
  if (rank == 1) {
    column[0] = find_column(name, ncolumn, field);
    if (column[0] < 0 && ncolumn == 1 && nfield == 1) column[0] = 0;
    return column[0] >= 0;
  }
  if (rank != 2) return 0;
  for (int from = 0; from < 2; from++) {
    int k = match_numbered(name, ncolumn, field, "", from, column);
    if (k == 0) k = match_numbered(name, ncolumn, field, "_", from, column);
    if (k > 0) return k;
  }
  if (nfield != 1) return 0;
  for (int i = 0; i < ncolumn; i++) column[i] = i;
  return ncolumn;
}

bool rt_csv_survey(RtCsv *t, int64_t *nrow, RtColumnFacts *fact, RtErr *e) {
  int got;
  *nrow = 0;
  for (int i = 0; i < t->ncolumn; i++) fact[i] = (RtColumnFacts){true, true};
  while ((got = next_row(t, e)) > 0) {
    for (int i = 0; i < t->ncolumn; i++) {
      Number v;
      if (!fact[i].number) continue;
      fact[i].number = parse_number(cell(t->reader, i), &v);
      if (!fact[i].number || !v.integer || v.i > INT32_MAX || v.i < INT32_MIN)
        fact[i].integer = false;
    }
    ++*nrow;
  }
  return got == 0;
}

static bool store_row(RtCsv *t, RtTarget *target, const int *column, int width, int64_t row,
                      RtErr *e) {
  target->line = t->reader->line;
  for (int j = 0; j < width; j++) {
    int64_t at = row * width + j;
    Number v;
    const char *text = cell(t->reader, column[j]);
    if (!parse_number(text, &v)) {
      char where[256];
      rt_where(target, at, where, sizeof where);
      return rt_fail(e, RT_DATA, "%s%s: expected a number, found %s%.40s%s", target->label, where,
                     *text ? "`" : "an empty cell", text, *text ? "`" : "");
    }
    if (!(v.integer ? rt_store_int(target, at, v.i, e) : rt_store_float(target, at, v.f, e)))
      return false;
  }
  return true;
}

static bool load_rows(RtCsv *t, RtTarget *target, int ntarget, int *const *column, const int *width,
                      RtErr *e) {
  int64_t row = 0;
  int got;
  while ((got = next_row(t, e)) > 0) {
    for (int i = 0; i < ntarget; i++) {
      if (row < target[i].field->dim[0]) {
        if (!store_row(t, &target[i], column[i], width[i], row, e)) return false;
      } else {
        return rt_fail(e, RT_DATA, "%s: expected %lld rows, found more%s", target[i].label,
                       (long long)target[i].field->dim[0], target[i].hint);
      }
    }
    row++;
  }
  for (int i = 0; got == 0 && i < ntarget; i++)
    if (row != target[i].field->dim[0])
      return rt_fail(e, RT_DATA, "%s: expected %lld rows, found %lld%s", target[i].label,
                     (long long)target[i].field->dim[0], (long long)row, target[i].hint);
  return got == 0;
}

static bool bind(RtCsv *t, RtTarget *target, int nfield, int *column, int *width, RtErr *e) {
  const MloField *f = target->field;
  *width = rt_csv_match(t->column, t->ncolumn, f->name, f->rank, nfield, column);
  if (*width == 0 && f->rank != 1 && f->rank != 2)
    return rt_fail(e, RT_DATA, "%s: a table holds arrays of rank 1 and 2, expected rank %d",
                   target->label, f->rank);
  if (*width == 0)
    return rt_fail(e, RT_DATA, "%s: no such column%s", target->label,
                   t->header ? "" : " (the file has no header row)");
  if (f->rank == 2 && *width != f->dim[1])
    return rt_fail(e, RT_DATA, "%s: expected %lld columns, found %d%s", target->label,
                   (long long)f->dim[1], *width, target->hint);
  return true;
}

bool rt_csv_load(RtCsv *t, RtTarget *target, int ntarget, RtErr *e) {
  int **column = calloc((size_t)ntarget + 1, sizeof *column);
  int *width = calloc((size_t)ntarget + 1, sizeof *width);
  bool ok = column && width;
  if (!ok) rt_fail(e, RT_DATA, "%s: out of memory", t->path);
  for (int i = 0; ok && i < ntarget; i++) {
    column[i] = calloc((size_t)t->ncolumn, sizeof **column);
    ok = column[i] ? bind(t, &target[i], ntarget, column[i], &width[i], e)
                   : rt_fail(e, RT_DATA, "%s: out of memory", t->path);
  }
  ok = ok && load_rows(t, target, ntarget, column, width, e);
  for (int i = 0; column && i < ntarget; i++) free(column[i]);
  free(column);
  free(width);
  return ok;
}
