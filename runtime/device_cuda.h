#ifndef MLOC_RUNTIME_DEVICE_CUDA_H
#define MLOC_RUNTIME_DEVICE_CUDA_H

#include "runtime/cuda_api.h"
#include "runtime/device.h"
#include "runtime/nvrtc.h"

/* What the files of the CUDA device share. */

/* Statements that are launched as one: `rounds` times those from first to end, each time after the
   counter at `advance` (unless MLO_NOWHERE) was advanced. The first time they are launched one by
   one, which loads what the driver and cuBLAS load late; then they are captured. */
typedef struct CudaPiece {
  int first, end;
  int64_t rounds, advance;
  CuGraphExec graph; /* NULL: not captured yet */
  CuGraph origin;    /* what it was made of, where that holds loops */
  int next;          /* another piece that begins with that statement; -1: none */
} CudaPiece;

/* Keeps the host from running far ahead, so that progress and signals are live: an event every
   `stride` steps, and never more than two of them not seen. */
typedef struct CudaPace {
  CuEvent event[2];
  bool recorded[2];
  int turn, since, stride;
  double last; /* when an event was seen */
} CudaPace;

/* Part of the arena that stays in the host's memory. */
typedef struct CudaHole {
  int64_t first, end; /* places, multiples of 64 */
  CuAddress at;       /* where the device sees it */
  bool pinned;
} CudaHole;

enum { CUDA_LOOPS = 8 /* with a condition, in one another */ };

/* Loops with a condition in graphs. */
typedef struct CudaLoops {
  bool on;        /* they are conditional nodes; else all their rounds are captured */
  bool capturing; /* a graph that may hold some */
  bool stale;     /* graphs were made for other ways: drop them */
  CuModule module;
  CuFunction check;
  CuAddress counter; /* an i32 for each statement, for loops without a counter */
  CuStream stream[CUDA_LOOPS];
  int depth; /* loops around what is captured */
} CudaLoops;

/* A level's draw that runs ahead: on copies of what it writes. */
typedef struct CudaDraw {
  CuAddress *copy; /* of each of its spans; NULL: it does not run ahead */
  CuEvent done;
  bool ready;   /* the copies are those of the next draw.. */
  bool pending; /* ..once `done`, which the stream does not wait for yet */
} CudaDraw;

/* Draws from sources that stay in the host's memory. */
typedef struct CudaAhead {
  CudaDraw *draw; /* of the program's `ahead`; NULL: none runs ahead */
  CuAddress buffer;
  CuStream stream; /* of its own, beside that where work goes */
  CuEvent begin;
  int now; /* the one whose copies stand for the arena, -1: none */
} CudaAhead;

typedef struct Cuda {
  RtCuda api;
  RtCublas blas;
  const MloDevice *code;
  int device;
  bool retained;
  CuContext context;
  CuStream stream; /* where work goes */
  CuModule module;
  CuFunction *kernel, advance;
  bool told_unkept; /* said that compiled kernels are not kept */
  CuAddress arena, scratch, workspace;
  CudaHole *hole; /* by place */
  int nhole;
  CuAddress *value; /* parameters of one launch, */
  void **parameter; /* and their places */
  CudaPiece *piece;
  int npiece, room;
  int *head; /* of each statement: the first piece that begins there; -1: none */
  CudaPace pace;
  CudaLoops loops;
  CudaAhead ahead;
} Cuda;

enum { CUDA_WORKSPACE = 32 << 20 /* what cuBLAS asks for on its largest devices */ };

/* What may stay in the host's memory becomes holes; how much that is; pins them. Errors: RT_DEVICE.
 */
bool cuda_find_holes(RtDevice *d, RtErr *e);
size_t cuda_hole_bytes(const Cuda *c);
bool cuda_map_holes(RtDevice *d, RtErr *e);
void cuda_free_holes(RtDevice *d);
bool cuda_is_host(const Cuda *c, int64_t at); /* in a hole */
/* The place, or where it lies in a hole, that hole's end. */
int64_t cuda_behind_hole(const Cuda *c, int64_t at);
/* A device's address of a place in the arena. */
CuAddress cuda_place(const Cuda *c, int64_t at);
/* A device's address of an argument, for the draw that runs ahead its copy. */
CuAddress cuda_address(const Cuda *c, int64_t arg);
/* Kernels and functions of the code: a cubin that fits, else from the cache, else compiled. */
bool cuda_load(RtDevice *d, RtErr *e);
/* Into the cache; with --verbose says the first time that it cannot, where and why. */
void cuda_keep(RtDevice *d, const char *key, const RtImage *image);
/* The one that a device of that architecture takes: the nearest, or NULL. */
const MloCubin *cuda_fitting(const MloCubin *cubin, int n, const char *arch);
/* Whether sources are to stay there although there may be room, as MLO_BATCHES asks for: `ahead`, or
   `late`, where batches are copied when they are drawn. */
bool cuda_keeps_data(void);
/* Where sources stay in the host's memory: has their draws run ahead, if there is room for that. */
void cuda_find_ahead(RtDevice *d);
void cuda_free_ahead(Cuda *c);
/* What was run ahead holds no longer: something was put onto the device. */
void cuda_drop_ahead(Cuda *c);
/* Nodes of a graph that a call is, beside its launches. */
int cuda_ahead_nodes(const RtDevice *d, const MloStmt *s);
/* Before statements are run or captured: the next draws are there. Behind them: they are done. */
bool cuda_begin_ahead(RtDevice *d);
bool cuda_end_ahead(RtDevice *d);
/* What was captured will not happen. */
void cuda_forget_ahead(Cuda *c);
/* A call that draws: what was run ahead becomes what the arena holds, and the next one begins. */
bool cuda_draw(RtDevice *d, const MloStmt *s);
/* Runs a function's launches. */
bool cuda_call(RtDevice *d, const MloFunc *f);
/* The copy of a place, for the draw that runs ahead; 0: it has none. */
CuAddress cuda_ahead_place(const Cuda *c, int64_t at);
/* Whether the program's loops with a condition can be nodes of graphs; with --verbose says so, or
   why not. */
void cuda_find_loops(RtDevice *d);
/* From now on they are not: graphs are made anew. */
void cuda_give_up_loops(RtDevice *d, const RtErr *why);
void cuda_free_loops(Cuda *c);
bool cuda_is_loop(const RtDevice *d, const MloStmt *s); /* that would be such a node */
bool cuda_capture_loop(RtDevice *d, int at);            /* into the graph that is being captured */
/* Statements one by one, or into that graph. */
bool cuda_statements(RtDevice *d, int first, int end);
/* As of RtDeviceType. */
bool cuda_run(RtDevice *d, int first, int end, int64_t advance, bool often);
void cuda_free_pieces(Cuda *c);

#endif
