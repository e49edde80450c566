#ifndef MLOC_RUNTIME_BLAS_H
#define MLOC_RUNTIME_BLAS_H

/* Weak: absent from an executable that calls no matrix product, which then links no OpenBLAS. Test
   the address before the call. */
__attribute__((weak)) void rt_blas_start(void);
__attribute__((weak)) const char *rt_blas_version(void);

#endif
