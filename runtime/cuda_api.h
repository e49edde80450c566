#ifndef MLOC_RUNTIME_CUDA_API_H
#define MLOC_RUNTIME_CUDA_API_H

#include "runtime/error.h"

#include <stdint.h>

/* What the runtime uses of the CUDA driver (libcuda.so.1) and of cuBLAS. Both are opened at run
   time and declared here by hand, as of CUDA 12 and 13: the runtime is built without their headers.
 */

typedef uint64_t CuAddress; /* of device memory */
typedef struct CuContext *CuContext;
typedef struct CuModule *CuModule;
typedef struct CuFunction *CuFunction;
typedef struct CuStream *CuStream;
typedef struct CuEvent *CuEvent;
typedef struct CuGraph *CuGraph;
typedef struct CuGraphExec *CuGraphExec;
typedef struct CuGraphNode *CuGraphNode;

/* CUresult and arguments of cuda.h. */
enum {
  CU_SUCCESS = 0,
  CU_OUT_OF_MEMORY = 2,
  CU_NOT_READY = 600,
  CU_FAILED_FIRST = 700, /* CUDA_ERROR_ILLEGAL_ADDRESS and what else kernels can do */
  CU_OUT_OF_RESOURCES = 701,
  CU_FAILED_LAST = 719,
  CU_MAJOR = 75, /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
  CU_MINOR = 76,
  CU_PIN_FOR_DEVICE = 2, /* CU_MEMHOSTREGISTER_DEVICEMAP */
  CU_STREAM_NON_BLOCKING = 1,
  CU_EVENT_DISABLE_TIMING = 2,
  CU_CAPTURE_THREAD_LOCAL = 1,
  CU_CAPTURE_ACTIVE = 1,      /* CU_STREAM_CAPTURE_STATUS_ACTIVE */
  CU_NODE_CONDITIONAL = 13,   /* CU_GRAPH_NODE_TYPE_CONDITIONAL */
  CU_LOOP = 1,                /* CU_GRAPH_COND_TYPE_WHILE */
  CU_ASSIGN_AT_LAUNCH = 1,    /* CU_GRAPH_COND_ASSIGN_DEFAULT */
  CU_REPLACE_DEPENDENCIES = 1 /* CU_STREAM_SET_CAPTURE_DEPENDENCIES */
};

/* CUgraphNodeParams with its CUDA_CONDITIONAL_NODE_PARAMS: 256 bytes; what is unused is zero. */
typedef struct CuNodeParams {
  int type, reserved[3];
  uint64_t handle;
  int kind;
  unsigned size;
  CuGraph *body; /* the driver's, of `size` */
  CuContext context;
  uint64_t unused[26];
} CuNodeParams;

typedef struct RtCuda {
  void *library;
  int (*init)(unsigned flags);
  int (*version)(int *version);
  int (*error_name)(int result, const char **text);
  int (*error_text)(int result, const char **text);
  int (*device_count)(int *n);
  int (*device)(int *device, int number);
  int (*device_name)(char *text, int size, int device);
  int (*attribute)(int *value, int attribute, int device);
  int (*retain)(CuContext *c, int device);
  int (*release)(int device);
  int (*set_context)(CuContext c);
  int (*memory)(size_t *free, size_t *total);
  int (*allocate)(CuAddress *at, size_t n);
  int (*free)(CuAddress at);
  int (*pin)(void *at, size_t n, unsigned flags);
  int (*unpin)(void *at);
  int (*pinned)(CuAddress *device, void *at, unsigned flags);
  int (*to_device)(CuAddress to, const void *from, size_t n, CuStream s);
  int (*to_host)(void *to, CuAddress from, size_t n, CuStream s);
  int (*within)(CuAddress to, CuAddress from, size_t n, CuStream s);
  int (*fill)(CuAddress at, unsigned char byte, size_t n, CuStream s);
  int (*fill_words)(CuAddress at, unsigned word, size_t n, CuStream s);
  int (*stream)(CuStream *s, unsigned flags);
  int (*stream_free)(CuStream s);
  int (*wait)(CuStream s);
  int (*begin_capture)(CuStream s, int mode);
  int (*end_capture)(CuStream s, CuGraph *g);
  int (*instantiate)(CuGraphExec *x, CuGraph g, unsigned long long flags);
  int (*launch_graph)(CuGraphExec x, CuStream s);
  int (*graph_free)(CuGraph g);
  int (*graph_exec_free)(CuGraphExec x);
  int (*event)(CuEvent *e, unsigned flags);
  int (*event_free)(CuEvent e);
  int (*record)(CuEvent e, CuStream s);
  int (*query)(CuEvent e);
  int (*wait_event)(CuEvent e);
  int (*behind)(CuStream s, CuEvent e, unsigned flags); /* what s is told from now on waits for e */
  int (*load)(CuModule *m, const void *image);
  int (*unload)(CuModule m);
  int (*function)(CuFunction *f, CuModule m, const char *name);
  int (*launch)(CuFunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                unsigned bz, unsigned shared, CuStream s, void **parameter, void **extra);
  /* Loops in graphs: drivers before 12.3 lack some of these, which are NULL then. */
  int (*capture_info)(CuStream s, int *status, uint64_t *id, CuGraph *g, const CuGraphNode **tail,
                      size_t *ntail);
  int (*set_dependencies)(CuStream s, CuGraphNode *node, size_t n, unsigned flags);
  int (*capture_into)(CuStream s, CuGraph g, const CuGraphNode *before, const void *edge, size_t n,
                      int mode);
  int (*condition)(uint64_t *handle, CuGraph g, CuContext c, unsigned value, unsigned flags);
  int (*add_node)(CuGraphNode *node, CuGraph g, const CuGraphNode *before, size_t n,
                  CuNodeParams *p);
} RtCuda;

/* Finds the driver and starts it. Errors: RT_DEVICE, which say what is missing. */
bool rt_cuda_api(RtCuda *c, RtErr *e);
void rt_cuda_api_close(RtCuda *c); /* a zeroed one is fine */
bool rt_cuda_has_loops(const RtCuda *c); /* all functions for them */
/* True where the result is success; else RT_DEVICE with what was being done, and the driver's name
   and words for it: "cannot load kernels: CUDA_ERROR_INVALID_IMAGE (device kernel image is
   invalid)". */
__attribute__((format(printf, 4, 5))) bool rt_cuda_ok(const RtCuda *c, int result, RtErr *e,
                                                      const char *format, ...);

typedef struct BlasHandle *BlasHandle;

/* Of cublas_api.h and library_types.h. */
enum {
  BLAS_N = 0,
  BLAS_T = 1,
  BLAS_R_32F = 0, /* cudaDataType */
  BLAS_R_64F = 1,
  BLAS_COMPUTE_32F = 68,
  BLAS_COMPUTE_64F = 70,
  BLAS_COMPUTE_32F_FAST_16BF = 75,
  BLAS_COMPUTE_32F_FAST_TF32 = 77,
  BLAS_ALGORITHM = -1 /* CUBLAS_GEMM_DEFAULT */
};

typedef struct RtCublas {
  void *library;
  BlasHandle handle;
  int (*create)(BlasHandle *h);
  int (*destroy)(BlasHandle h);
  int (*version)(BlasHandle h, int *version);
  int (*set_stream)(BlasHandle h, CuStream s);
  int (*set_workspace)(BlasHandle h, void *at, size_t n);
  const char *(*error)(int status);
  int (*gemm)(BlasHandle h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
              int atype, int lda, const void *b, int btype, int ldb, const void *beta, void *c,
              int ctype, int ldc, int compute, int algorithm);
  int (*gemm_batched)(BlasHandle h, int ta, int tb, int m, int n, int k, const void *alpha,
                      const void *a, int atype, int lda, long long stride_a, const void *b,
                      int btype, int ldb, long long stride_b, const void *beta, void *c, int ctype,
                      int ldc, long long stride_c, int batch, int compute, int algorithm);
} RtCublas;

/* Finds cuBLAS and makes a handle that works in the stream with the workspace (n bytes at `at`), in
   the context that is set. */
bool rt_cublas_open(RtCublas *b, CuStream s, CuAddress at, size_t n, RtErr *e);
/* It works in that stream from now on. The status of cuBLAS: 0 where that is well. */
int rt_cublas_turn(const RtCublas *b, CuStream s, CuAddress at, size_t n);
void rt_cublas_close(RtCublas *b); /* a zeroed one is fine */

#endif
