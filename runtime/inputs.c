/* What a run is given, as checksums of the values that it reads: what its results belong to. Names
   of files say both too much, for a folder may move, and too little, for a file may change. */

#include "runtime/run.h"

#include "runtime/npy.h"

#include <string.h>
#include <zlib.h>

static uint32_t field_sum(uint32_t sum, const MloField *f, const unsigned char *block) {
  size_t n = rt_array_bytes(f->dtype, f->rank, f->dim);
  sum = (uint32_t)crc32_z(sum, (const unsigned char *)f->name, strlen(f->name));
  return (uint32_t)crc32_z(sum, block + f->offset, n);
}

void rt_inputs_sum(MloRun *run) {
  const MloProgram *p = run->program;
  run->inputs = (RtInputs){0};
  for (int i = 0; i < p->nsource; i++)
    for (int k = 0; k < p->data[i].nfield; k++)
      run->inputs.data = field_sum(run->inputs.data, &p->data[i].field[k], run->arena);
  for (int i = 0; i < run->load.n; i++)
    run->inputs.load = field_sum(run->inputs.load, &run->load.field[i], run->load.block);
}
