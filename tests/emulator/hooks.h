/* What -fsanitize=thread,alignment,bounds calls, compiled into instrumented kernels: each access goes
 * to the emulator, not to a sanitizer's library. Types as those compilers have them. */

#define EMU_HOOK                                                                                  \
  __attribute__((visibility("hidden"), noinline, no_sanitize("thread"), no_sanitize("alignment"), \
                 no_sanitize("bounds"))) void
#define EMU_ACCESS(n)                                                                             \
  EMU_HOOK __tsan_read##n(void *at) {                                                             \
    emu_core->access(at, n, 0, __builtin_return_address(0));                                      \
  }                                                                                               \
  EMU_HOOK __tsan_write##n(void *at) {                                                            \
    emu_core->access(at, n, 1, __builtin_return_address(0));                                      \
  }                                                                                               \
  EMU_HOOK __tsan_unaligned_read##n(void *at) {                                                   \
    emu_core->access(at, n, 0, __builtin_return_address(0));                                      \
  }                                                                                               \
  EMU_HOOK __tsan_unaligned_write##n(void *at) {                                                  \
    emu_core->access(at, n, 1, __builtin_return_address(0));                                      \
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

typedef struct EmuLocation {
  const char *file;
  unsigned line, column;
} EmuLocation;

EMU_HOOK __ubsan_handle_type_mismatch_v1(void *data, void *at) {
  const EmuLocation *where = data; /* the first member */
  EmuSite site = {where->file, (int)where->line};
  emu_core->misaligned(at, &site);
}
EMU_HOOK __ubsan_handle_out_of_bounds(void *data, void *index) {
  const EmuLocation *where = data;
  EmuSite site = {where->file, (int)where->line};
  emu_core->bounds(index, &site);
}
