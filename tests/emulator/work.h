/* Work that streams and graphs do: kernels, copies, fills, calls of other libraries. */
#ifndef EMU_WORK_H
#define EMU_WORK_H

#include "tests/emulator/cuda_types.h"

#include <stdbool.h>

typedef enum WorkKind {
  WORK_EMPTY,
  WORK_KERNEL,
  WORK_COPY,
  WORK_FILL,
  WORK_CALL,
  WORK_GRAPH, /* all nodes of an instantiated graph */
  WORK_RECORD,
  WORK_LOOP, /* a conditional node */
  WORK_WAIT, /* until that record of the event is done */
} WorkKind;

/* A call of another library's: data is copied. Returns 0, else an error of CUresult. */
typedef int EmuCall(void *data);
/* Exported for libcublas: runs or captures the call as the stream does its own work. */
CUresult emu_stream_call(CUstream stream, EmuCall *call, const void *data, size_t n);
/* Exported likewise: are these n bytes within one buffer of the device? */
bool emu_on_device(const void *at, size_t n);

typedef enum CopyWay { COPY_IN, COPY_OUT, COPY_WITHIN } CopyWay;

typedef struct Work {
  WorkKind kind;
  CUfunction function; /* KERNEL */
  unsigned grid, block;
  void **parameter; /* pointers into bytes that lie behind them */
  char *to;         /* COPY, FILL: n bytes */
  const char *from; /* COPY */
  CopyWay way;
  size_t n;
  unsigned value, element;   /* FILL */
  EmuCall *call;             /* CALL */
  void *data;                /* CALL: arguments; COPY: its own copy of the source; owned */
  CUgraphExec exec;          /* GRAPH; LOOP: its body, in an instantiated graph; owned */
  unsigned long long handle; /* LOOP */
  CUevent event;             /* RECORD, WAIT */
  unsigned long ticket;      /* RECORD, WAIT: which record of the event */
} Work;

/* Does it now. In a graph, other counters count. */
CUresult work_run(const Work *w, bool in_graph);
void work_clear(Work *w);
Work work_copy(const Work *w);

struct CUgraphNode_st {
  Work work;
  CUgraph child;       /* a node that is a graph; owned */
  CUgraph body;        /* of a loop; owned */
  CUgraphNode *before; /* that must have run */
  int nbefore;
  int place;       /* in its graph */
  unsigned search; /* the last one that came here */
};

struct CUgraph_st {
  CUgraphNode *node;
  int n;
};

typedef struct Queued {
  Work work;
  struct Queued *next;
} Queued;

/* The nodes that what comes next on a capturing stream depends on. */
typedef struct Tail {
  CUgraphNode *node;
  int n;
} Tail;

struct CUstream_st {
  CUstream next;
  unsigned flags;
  Queued *first, *last; /* not done yet */
  CUstreamCaptureStatus capture;
  CUstreamCaptureMode mode;
  CUstream origin; /* where the capture was begun */
  CUgraph graph;   /* what is captured; the origin owns it unless.. */
  bool borrowed;   /* ..it was given */
  Tail tail;
};

struct CUevent_st {
  unsigned flags;
  double time;               /* ms, of its last record done */
  unsigned long asked, done; /* records */
  CUstream stream;           /* of its last record */
  CUstream origin;           /* if that was captured: in which capture */
  Tail tail;
};

/* stream.c. Takes over the work: captures it, or queues it and does it unless work waits for the
 * host (option.lazy). */
CUresult stream_submit(CUstream stream, Work *w);
/* Does all work of a stream (NULL: of all). */
CUresult stream_finish(CUstream stream);
CUstream stream_of(CUstream handle);                        /* NULL: the legacy stream */
CUresult event_finish(CUevent event, unsigned long ticket); /* does its stream up to that record */
/* An error where a capture forbids a call that waits for the device; then the capture is invalid.
 * unsafe: calls that only the relaxed mode allows. */
CUresult capture_forbids(CUstream stream);
CUresult capture_forbids_all(bool unsafe);
CUresult capture_forbids_legacy(void); /* a call on the stream NULL */

/* module.c: the arguments of a launch, copied: one allocation. */
void **parameters_copy(CUfunction f, void **parameter);
CUresult module_launch(const Work *w);
/* A launch checked as cuLaunchKernel checks it, as work. */
CUresult kernel_work(const CUDA_KERNEL_NODE_PARAMS_v2 *p, Work *out);

/* capture.c, graph.c */
CUresult capture_add(CUstream s, Work *w);
void tail_copy(Tail *to, const Tail *from);
void tail_join(Tail *to, const Tail *from);
CUgraph graph_new(void);
void graph_free(CUgraph g);
CUgraphNode graph_add(CUgraph g, Work *w, const CUgraphNode *before, size_t n);
CUresult graph_run(CUgraphExec exec);
bool graph_has(CUgraph g, CUgraphNode node);
/* conditional.c. Of a graph or an instance that is freed; of one that is launched; of a new one. */
void conditions_forget(CUgraph graph);
void conditions_release(CUgraphExec exec);
void conditions_assign(CUgraphExec exec);
bool condition_instantiate(unsigned long long handle, CUgraphExec exec);
CUresult condition_run(const Work *w);
void condition_set(unsigned long long handle, unsigned value); /* by a kernel */

#endif
