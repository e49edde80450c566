#ifndef MLOC_CODEGEN_SCHEDULE_H
#define MLOC_CODEGEN_SCHEDULE_H

#include "codegen/unit_cuda.h"

/* The schedule as a table of that name to out (NULL: none); returns the number of its rows. device:
   NULL, or the device, whose functions it makes. */
int unit_schedule(Unit *u, Device *device, const char *name, Text *out);

#endif
