#ifndef MLOC_IR_VERIFY_H
#define MLOC_IR_VERIFY_H

#include "ir/program.h"

/* Checks the whole program: types, topological order, storages and views, functions' destinations,
   schedule, and each fact in p->facts. Returns NULL or a message that names function and node. */
const char *ir_verify(const Program *p);

#endif
