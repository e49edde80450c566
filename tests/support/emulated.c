/* Generated CUDA on the emulated stack. */
#include "tests/support/emulated.h"

#include <stdio.h>

#include "runtime/run.h"

bool emulated_run(const MloProgram *p, const char *source, unsigned char *arena) {
  MloProgram program = *p;
  MloDevice code = *p->cuda;
  RtErr e = {0};
  if (source) code.source = source;
  program.cuda = &code;
  MloRun run = {.program = &program, .arena = arena, .option.quiet = true};
  RtDevice *d = &run.device;
  bool ok = rt_device_cuda(d, &run, &e);
  if (ok) {
    d->err = &e;
    ok = d->type->put(d, 0, p->arena_bytes) && d->type->run(d, 0, code.nstmt, MLO_NOWHERE, false) &&
         d->type->fetch(d, 0, p->arena_bytes) && d->type->wait(d);
    d->type->close(d);
  }
  if (!ok) fprintf(stderr, "%s: %s\n", p->name, e.text);
  return ok;
}
