#ifndef MLOC_CODEGEN_INSPECT_H
#define MLOC_CODEGEN_INSPECT_H

#include <jansson.h>

#include "codegen/codegen.h"
#include "ir/program.h"

/* The report as one JSON object: "program", "sources", "kernels", "memory", "schedule", "systems",
   "libraries"; for a device also "device", "blocks", "functions", "step". The text form is printed
   from it, so that both say the same. */
json_t *inspect_kernels(const Program *p, const char *source);
json_t *inspect_memory(const Program *p);
json_t *inspect_sources(const Program *p);
json_t *inspect_schedule(const Program *p);
json_t *inspect_systems(const Program *p);
json_t *inspect_libraries(const Program *p);
/* Adds to the report what the compiled kernels say. NULL, or what is wrong with the cubin. */
const char *inspect_cuda(const Program *p, const CgCompiled *code, json_t *report);
void inspect_print(const json_t *report, FILE *out);
void inspect_print_device(const json_t *device, FILE *out);
void inspect_print_kernel(const json_t *device, FILE *out); /* "device" of a kernel */
/* "blocks", "functions" and "step" of the report. */
void inspect_print_costs(const json_t *report, FILE *out);

#endif
