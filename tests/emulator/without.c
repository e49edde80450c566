/* Barriers and fences as places of kernels: which ones a process has passed, and one of them left
 * out, to see whether anything needs it. A device function's barrier is another one in each kernel
 * that calls it. */

#include "tests/emulator/emu.h"

#include <stdlib.h>
#include <string.h>

enum { MANY = 4096 };

static const char *const kinds[] = {[PLACE_BARRIER] = "__syncthreads",
                                    [PLACE_SYNCWARP] = "__syncwarp",
                                    [PLACE_FENCE] = "__threadfence"};

typedef struct Place {
  const EmuKernel *kernel;
  const EmuSite *site;
  char line[512]; /* its name, what it is, file:line */
  bool left_out;
} Place;

static struct {
  const char *file, *without;
  Place place[MANY];
  int n, last;
} places;

/* "KERNEL@OFFSET KIND FILE:LINE", the same in every process that has this image. */
void places_start(void) {
  places.file = getenv("MLO_EMU_PLACES");
  places.without = getenv("MLO_EMU_WITHOUT");
}

static Place *add(const EmuSite *site, PlaceKind kind) {
  if (places.n == MANY) {
    fprintf(stderr, "emulator: more than %d barriers and fences\n", MANY);
    abort();
  }
  Place *p = &places.place[places.n++];
  *p = (Place){.kernel = emu.run.kernel, .site = site};
  int n = snprintf(p->line, sizeof p->line, "%s@%lx", p->kernel->name,
                   (unsigned long)module_offset(site));
  p->left_out = places.without && strcmp(p->line, places.without) == 0;
  snprintf(p->line + n, sizeof p->line - (size_t)n, " %s %s:%d", kinds[kind], site->file,
           site->line);
  FILE *f = places.file ? fopen(places.file, "a") : NULL;
  if (!f) return p;
  fprintf(f, "%s\n", p->line);
  fclose(f);
  return p;
}

bool place_left_out(const EmuSite *site, PlaceKind kind) {
  if (!places.file && !places.without) return false;
  Place *p = &places.place[places.last];
  if (p->site == site && p->kernel == emu.run.kernel) return p->left_out;
  int i = 0;
  while (i < places.n &&
         !(places.place[i].site == site && places.place[i].kernel == emu.run.kernel))
    i++;
  p = i < places.n ? &places.place[i] : add(site, kind);
  places.last = i;
  return p->left_out;
}
