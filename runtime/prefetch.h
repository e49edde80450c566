#ifndef MLOC_RUNTIME_PREFETCH_H
#define MLOC_RUNTIME_PREFETCH_H

#include "runtime/mlo.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* What the schedule has told of a level: the seed of the run (high half) and the number of its next
   draw; the thread has read the rows of draw `taken`. */
typedef struct RtDrawn {
  _Atomic uint64_t next;
  uint64_t taken;
} RtDrawn;

/* A thread that reads the rows of the next batches while the current ones are computed with. It
   looks at data alone, which nothing writes during a run. */
typedef struct RtPrefetch {
  const MloProgram *program;
  const unsigned char *arena;
  RtDrawn *drawn; /* by the level of the cursors */
  pthread_t thread;
  sem_t wake;
  atomic_bool quit;
  bool running;
  atomic_llong rows; /* read so far: for -v */
} RtPrefetch;

/* Row number of place i of the cursor's draw t (from 0): what the generated gathers compute. */
int64_t rt_cursor_row(const MloCursor *c, const unsigned char *arena, uint32_t seed, int32_t t,
                      int64_t i);

/* Starts the thread where the program has cursors and the process a processor beside those of its
   nthread threads; where either is missing, or no thread can be had, there is none and nothing is
   lost but time. The arena must stay until rt_prefetch_end. */
void rt_prefetch_begin(RtPrefetch *p, const MloProgram *program, const unsigned char *arena,
                       int nthread);
/* A level has drawn: the next time it will be draw t of the run with this seed. */
void rt_prefetch_post(RtPrefetch *p, int level, uint32_t seed, int32_t t);
void rt_prefetch_end(RtPrefetch *p);

#endif
