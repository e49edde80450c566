#ifndef MLOC_CODEGEN_INSPECT_H
#define MLOC_CODEGEN_INSPECT_H

#include <jansson.h>

#include "ir/program.h"

/* The report as one JSON object: "program", "sources", "kernels", "memory", "schedule", "systems",
   "libraries". The text form is printed from it, so that both say the same. */
json_t *inspect_kernels(const Program *p, const char *source);
json_t *inspect_memory(const Program *p);
json_t *inspect_sources(const Program *p);
json_t *inspect_schedule(const Program *p);
json_t *inspect_systems(const Program *p);
json_t *inspect_libraries(const Program *p);
void inspect_print(const json_t *report, FILE *out);

#endif
