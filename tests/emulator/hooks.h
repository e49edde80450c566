/* What -fsanitize=thread,alignment,bounds calls, compiled into instrumented kernels: each access
 * goes to the emulator, not to a sanitizer's library. Types as those compilers have them. */

#define EMU_MEMORY                                                                                 \
  __attribute__((visibility("hidden"), noinline, no_sanitize("thread"), no_sanitize("alignment"),  \
                 no_sanitize("bounds"))) void
#define EMU_HOOK EMU_MEMORY
#define EMU_ACCESS(n)                                                                              \
  EMU_HOOK __tsan_read##n(void *at) { emu_core->access(at, n, 0, __builtin_return_address(0)); }   \
  EMU_HOOK __tsan_write##n(void *at) { emu_core->access(at, n, 1, __builtin_return_address(0)); }  \
  EMU_HOOK __tsan_unaligned_read##n(void *at) {                                                    \
    emu_core->access(at, n, 0, __builtin_return_address(0));                                       \
  }                                                                                                \
  EMU_HOOK __tsan_unaligned_write##n(void *at) {                                                   \
    emu_core->access(at, n, 1, __builtin_return_address(0));                                       \
  }
EMU_ACCESS(1)
EMU_ACCESS(2)
EMU_ACCESS(4)
EMU_ACCESS(8)
EMU_ACCESS(16)
EMU_HOOK __tsan_read_range(void *at, unsigned long n) {
  emu_core->access(at, n, 0, __builtin_return_address(0));
}
EMU_HOOK __tsan_write_range(void *at, unsigned long n) {
  emu_core->access(at, n, 1, __builtin_return_address(0));
}
EMU_HOOK __tsan_init(void) {}
EMU_HOOK __tsan_func_entry(void *pc) { (void)pc; }
EMU_HOOK __tsan_func_exit(void *pc) { (void)pc; }

/* Whole blocks of bytes: by name where the text calls them, since not all compilers instrument
 * that; small ones become plain accesses. */
EMU_MEMORY *__tsan_memcpy(void *to, const void *from, unsigned long n) {
  emu_core->access(from, n, 0, __builtin_return_address(0));
  emu_core->access(to, n, 1, __builtin_return_address(0));
  return __builtin_memcpy(to, from, n);
}
EMU_MEMORY *__tsan_memmove(void *to, const void *from, unsigned long n) {
  emu_core->access(from, n, 0, __builtin_return_address(0));
  emu_core->access(to, n, 1, __builtin_return_address(0));
  return __builtin_memmove(to, from, n);
}
EMU_MEMORY *__tsan_memset(void *to, int value, unsigned long n) {
  emu_core->access(to, n, 1, __builtin_return_address(0));
  return __builtin_memset(to, value, n);
}
#define memcpy(to, from, n)                                                                        \
  (__builtin_constant_p(n) && (n) <= 8 ? __builtin_memcpy(to, from, n) : __tsan_memcpy(to, from, n))
#define memset(to, value, n) __tsan_memset(to, value, n)

typedef struct EmuLocation {
  const char *file;
  unsigned line, column;
} EmuLocation;

EMU_HOOK __ubsan_handle_type_mismatch_v1(void *data, void *at) {
  const EmuLocation *where = (const EmuLocation *)data; /* the first member */
  EmuSite site = {where->file, (int)where->line};
  emu_core->misaligned(at, &site);
}
EMU_HOOK __ubsan_handle_out_of_bounds(void *data, void *index) {
  const EmuLocation *where = (const EmuLocation *)data;
  EmuSite site = {where->file, (int)where->line};
  emu_core->bounds(index, &site);
}
