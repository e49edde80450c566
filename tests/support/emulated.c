/* Generated CUDA on the emulated stack. */
#include "tests/support/emulated.h"

#include <stdio.h>

#include "runtime/run.h"
#include "tests/support/native.h"

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
    ok = d->type->clear(d) && d->type->put(d, 0, p->arena_bytes) &&
         d->type->run(d, 0, code.nstmt, MLO_NOWHERE, false) &&
         d->type->fetch(d, 0, p->arena_bytes) && d->type->wait(d);
    d->type->close(d);
  }
  if (!ok) fprintf(stderr, "%s: %s\n", p->name, e.text);
  return ok;
}

bool emulated_program(Program *p, const CgOptions *options, unsigned char *arena) {
  CgOptions o = *options;
  o.cuda = o.only_cuda = o.no_source = true;
  const char *source = cg_cuda(p, &o, NULL, NULL);
  Native *native = native_load(cg_c(p, &o), "-O0");
  const MloProgram *program = native_find(native, arena_printf(p->arena, "%sprogram", o.library));
  bool ok = program && emulated_run(program, source, arena);
  native_free(native);
  return ok;
}
