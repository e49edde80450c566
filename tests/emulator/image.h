/* What the emulated NVRTC calls a cubin: this header, then a shared library that exports
 * `emu_image` (core.h). Its PTX is text that carries the same bytes in hexadecimal. */
#ifndef EMU_IMAGE_H
#define EMU_IMAGE_H

#include <stdint.h>

#define EMU_MAGIC "EMUCUBIN"
#define EMU_PTX "// of the emulator\n.target sm_"
#define EMU_PTX_DATA "\n// image "

typedef struct EmuHeader {
  char magic[8];
  uint32_t arch; /* 90 */
  uint32_t checked;
  uint64_t bytes; /* of the library that follows */
} EmuHeader;

#endif
