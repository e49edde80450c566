/* A cubin by hand. */
#include "tests/support/made_cubin.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

/* Each section has PLACE bytes, the first place holds the header and the table of sections. */
enum { NSECTION = 7, NSYMBOL = 5, PLACE = MADE_CUBIN_BYTES / NSECTION };

static const char section_names[] =
    "\0.names\0.strtab\0.symtab\0.nv.info\0.text.loose\0.nv.shared.loose";
static const char symbol_names[] =
    "\0tight\0loose\0.nv.reservedSmem.offset0\0$loose$__internal_trig_reduction_slowpathd";

/* Where a name stands in a table of names. */
static uint32_t place_of(const char *table, size_t n, const char *name) {
  for (size_t i = 1; i < n; i += strlen(table + i) + 1)
    if (!strcmp(table + i, name)) return (uint32_t)i;
  return 0;
}

static void put_section(MadeCubin *m, int i, const char *name, uint32_t type, const void *bytes,
                        size_t n) {
  Elf64_Shdr s = {.sh_name = place_of(section_names, sizeof section_names, name),
                  .sh_type = type,
                  .sh_offset = (uint64_t)i * PLACE,
                  .sh_size = n,
                  .sh_link = 2};
  memcpy(m->byte + 64 + (size_t)i * sizeof s, &s, sizeof s);
  if (bytes) memcpy(m->byte + s.sh_offset, bytes, n);
}

static void put_symbol(Elf64_Sym *s, const char *name, unsigned char other) {
  *s = (Elf64_Sym){.st_name = place_of(symbol_names, sizeof symbol_names, name),
                   .st_info = STT_FUNC,
                   .st_other = other};
}

MadeCubin made_cubin(void) {
  MadeCubin m = {{0}};
  Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64},
                  .e_machine = 190,
                  .e_shoff = 64,
                  .e_shentsize = sizeof(Elf64_Shdr),
                  .e_shnum = NSECTION,
                  .e_shstrndx = 1};
  Elf64_Sym symbol[NSYMBOL] = {{0}};
  put_symbol(&symbol[1], "tight", 0x10);
  put_symbol(&symbol[2], "loose", 0x10);
  put_symbol(&symbol[3], ".nv.reservedSmem.offset0", 0);
  put_symbol(&symbol[4], "$loose$__internal_trig_reduction_slowpathd", 0);
  /* sized records of (symbol, value), and one that is a value itself */
  uint32_t info[] = {0x082f04, 1, 12, 0x082f04, 2, 34, 0x010203, 0x081104, 2, 40, 0x081204, 2, 40};
  memcpy(m.byte, &h, sizeof h);
  put_section(&m, 1, ".names", SHT_STRTAB, section_names, sizeof section_names);
  put_section(&m, 2, ".strtab", SHT_STRTAB, symbol_names, sizeof symbol_names);
  put_section(&m, 3, ".symtab", SHT_SYMTAB, symbol, sizeof symbol);
  put_section(&m, 4, ".nv.info", SHT_PROGBITS, info, sizeof info);
  put_section(&m, 5, ".text.loose", SHT_PROGBITS, NULL, 384);
  put_section(&m, 6, ".nv.shared.loose", SHT_NOBITS, NULL, 1024 + 256);
  return m;
}

const char made_cubin_log[] =
    "\nptxas info    : Compiling entry function 'loose' for 'sm_90'\n"
    "ptxas info    : Function properties for loose\n"
    "ptxas         .     40 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n"
    "ptxas info    : Function properties for __internal_trig_reduction_slowpathd\n"
    "    0 bytes stack frame, 1 bytes spill stores, 2 bytes spill loads\n"
    "ptxas info    : Compiling entry function 'tight' for 'sm_90'\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
