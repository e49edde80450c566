/* From a cubin to what each kernel uses: registers, stack, shared memory, code. A cubin is an ELF
   file: a kernel NAME is a function symbol marked as an entry, with its code in .text.NAME and its
   static shared memory in .nv.shared.NAME; .nv.info lists attributes of symbols. Neither is
   documented by NVIDIA; numbers are those of `cuobjdump -elf`. Spills stand in the log alone. */
#include "codegen/cubin.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

enum {
  CUDA_MACHINE = 190, /* EM_CUDA */
  ENTRY = 0x10,       /* of st_other: a kernel */
  RESERVED = 1024     /* bytes at the start of .nv.shared.NAME from sm_90 on */
};
/* Attributes: a format byte, a kind byte, two bytes that are a value or the size of what follows.
 */
enum { FORMAT_SIZED = 4, ATTR_FRAME = 0x11, ATTR_MIN_STACK = 0x12, ATTR_REGISTERS = 0x2f };

typedef struct Bytes {
  const unsigned char *at;
  size_t n;
} Bytes;

typedef struct Cubin {
  Bytes file, section_names, symbols, symbol_names;
  Elf64_Ehdr head;
  CubinKernel *kernel;
  int nkernel, cap;
  bool reserves; /* static shared memory begins with what the system reserves */
} Cubin;

/* Part of b; an empty one where it is not within b. */
static Bytes part(Bytes b, uint64_t from, uint64_t n) {
  if (from > b.n || n > b.n - from) return (Bytes){0};
  return (Bytes){b.at + from, n};
}

static bool copy(Bytes b, uint64_t from, void *to, size_t n) {
  Bytes p = part(b, from, n);
  if (p.n == n) memcpy(to, p.at, n);
  return p.n == n;
}

/* A name of a table of names; "" where it does not end within it. */
static const char *name_at(Bytes table, uint64_t from) {
  Bytes p = from < table.n ? part(table, from, table.n - from) : (Bytes){0};
  return p.n && memchr(p.at, 0, p.n) ? (const char *)p.at : "";
}

static bool section(const Cubin *c, int i, Elf64_Shdr *to) {
  return copy(c->file, c->head.e_shoff + (uint64_t)i * sizeof *to, to, sizeof *to);
}

static Bytes contents(const Cubin *c, const Elf64_Shdr *s) {
  return s->sh_type == SHT_NOBITS ? (Bytes){0} : part(c->file, s->sh_offset, s->sh_size);
}

static bool symbol(const Cubin *c, uint64_t i, Elf64_Sym *to) {
  return i < c->symbols.n / sizeof *to && copy(c->symbols, i * sizeof *to, to, sizeof *to);
}

/* ---- symbols */

static bool find_tables(Cubin *c, const char **error) {
  Elf64_Shdr s, names;
  const unsigned char *magic = c->head.e_ident;
  *error = "it is no cubin";
  if (!copy(c->file, 0, &c->head, sizeof c->head) || memcmp(magic, ELFMAG, SELFMAG)) return false;
  if (magic[EI_CLASS] != ELFCLASS64 || c->head.e_machine != CUDA_MACHINE) return false;
  *error = "its tables do not lie within it";
  if (c->head.e_shentsize != sizeof s || !section(c, c->head.e_shstrndx, &s)) return false;
  c->section_names = contents(c, &s);
  for (int i = 0; i < c->head.e_shnum && !c->symbols.n; i++) {
    if (!section(c, i, &s)) return false;
    if (s.sh_type != SHT_SYMTAB) continue;
    if (s.sh_link >= c->head.e_shnum || !section(c, (int)s.sh_link, &names)) return false;
    c->symbols = contents(c, &s);
    c->symbol_names = contents(c, &names);
  }
  return c->section_names.n && c->symbols.n && c->symbol_names.n;
}

static void find_kernels(Arena *a, Cubin *c, bool log) {
  Elf64_Sym s;
  for (uint64_t i = 0; symbol(c, i, &s); i++) {
    const char *name = name_at(c->symbol_names, s.st_name);
    if (!strcmp(name, ".nv.reservedSmem.offset0")) c->reserves = true;
    if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || !(s.st_other & ENTRY) || !*name) continue;
    CubinKernel k = {.name = arena_strdup(a, name), .symbol = i};
    if (!log) k.spill_stores = k.spill_loads = -1;
    VEC_PUSH(a, c->kernel, c->nkernel, c->cap, k);
  }
}

static CubinKernel *find(Cubin *c, const char *name, size_t n) {
  for (int i = 0; i < c->nkernel; i++)
    if (strlen(c->kernel[i].name) == n && !memcmp(c->kernel[i].name, name, n)) return &c->kernel[i];
  return NULL;
}

/* What follows a prefix; NULL without it. */
static const char *after(const char *s, const char *prefix) {
  size_t n = strlen(prefix);
  return strncmp(s, prefix, n) ? NULL : s + n;
}

/* A function that belongs to a kernel is called "$kernel$function". */
static void find_callees(Cubin *c) {
  static const char reduction[] = "$__internal_trig_reduction_slowpathd";
  Elf64_Sym s;
  for (uint64_t i = 0; symbol(c, i, &s); i++) {
    const char *name = after(name_at(c->symbol_names, s.st_name), "$");
    const char *end = name ? strstr(name, reduction) : NULL;
    CubinKernel *k = end ? find(c, name, (size_t)(end - name)) : NULL;
    if (k) k->trig64 = true;
  }
}

/* ---- sections */

static void read_attributes(Cubin *c, Bytes info) {
  uint64_t at = 0;
  uint16_t size;
  uint32_t pair[2]; /* symbol, value */
  while (copy(info, at + 2, &size, sizeof size)) {
    int format = info.at[at], kind = info.at[at + 1];
    at += 4;
    if (format != FORMAT_SIZED) continue;
    bool whole = size >= sizeof pair && copy(info, at, pair, sizeof pair);
    for (int i = 0; whole && i < c->nkernel; i++) {
      if (c->kernel[i].symbol != pair[0]) continue;
      if (kind == ATTR_REGISTERS) c->kernel[i].registers = pair[1];
      if (kind == ATTR_FRAME) c->kernel[i].stack_frame = pair[1];
      if (kind == ATTR_MIN_STACK) c->kernel[i].local = pair[1];
    }
    at += size;
  }
}

static bool read_sections(Cubin *c) {
  Elf64_Shdr s;
  for (int i = 0; i < c->head.e_shnum; i++) {
    if (!section(c, i, &s)) return false;
    const char *name = name_at(c->section_names, s.sh_name), *of;
    int64_t size = s.sh_size > INT32_MAX ? INT32_MAX : (int64_t)s.sh_size;
    if (!strcmp(name, ".nv.info")) read_attributes(c, contents(c, &s));
    CubinKernel *k = (of = after(name, ".text.")) ? find(c, of, strlen(of)) : NULL;
    if (k) k->code = size;
    k = (of = after(name, ".nv.shared.")) ? find(c, of, strlen(of)) : NULL;
    if (k) k->shared = size - (c->reserves && size >= RESERVED ? RESERVED : 0);
  }
  return true;
}

/* ---- the log */

/* Lines of one kernel, and of the functions that it calls, follow the line that begins it. */
static void read_log(Cubin *c, const char *log) {
  CubinKernel *k = NULL;
  for (size_t n; *log; log += n + (log[n] == '\n')) {
    n = strcspn(log, "\n");
    char text[512];
    snprintf(text, sizeof text, "%.*s", n < sizeof text ? (int)n : (int)sizeof text - 1, log);
    const char *entry = strstr(text, "Compiling entry function '");
    const char *frame = strstr(text, " bytes stack frame, ");
    const char *name = entry ? strchr(entry, '\'') + 1 : NULL;
    long long stores, loads;
    if (name) k = find(c, name, strcspn(name, "'"));
    if (k && frame &&
        sscanf(frame, " bytes stack frame, %lld bytes spill stores, %lld bytes spill loads",
               &stores, &loads) == 2) {
      k->spill_stores += stores;
      k->spill_loads += loads;
    }
  }
}

bool cubin_read(Arena *a, const unsigned char *image, size_t n, const char *log,
                CubinKernel **kernel, int *nkernel, const char **error) {
  Cubin c = {.file = {image, n}};
  *kernel = NULL;
  *nkernel = 0;
  if (!find_tables(&c, error)) return false;
  find_kernels(a, &c, log != NULL);
  find_callees(&c);
  if (!read_sections(&c)) return false;
  if (log) read_log(&c, log);
  *kernel = c.kernel;
  *nkernel = c.nkernel;
  return true;
}

bool cubin_is_tight(const CubinKernel *k) {
  int64_t most = k->trig64 ? CUBIN_TRIG_FRAME : 0;
  return k->spill_stores <= 0 && k->spill_loads <= 0 && k->stack_frame <= most && k->local <= most;
}
