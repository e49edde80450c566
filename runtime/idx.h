#ifndef MLOC_RUNTIME_IDX_H
#define MLOC_RUNTIME_IDX_H

#include "runtime/npy.h"

/* The IDX format of MNIST and its kin: two zero bytes, the element type, the rank, big-endian sizes
   of 32 bits, then the elements by rows, big-endian as well. A file is one array without a name. */

/* True for names that end in .idx or -ubyte, and those with .gz after it (*gzip). */
bool rt_idx_name(const char *path, bool *gzip);

/* Reads and checks the header. Errors: another start, an unknown element type, too many dimensions,
   a size that overflows. */
bool rt_idx_read_header(const RtStream *s, RtNpy *out, RtErr *e);

/* A gzip file as a stream (the handle is zlib's). *most: no more bytes than that can be in it, as
   deflate never shrinks more than 1032-fold. */
bool rt_gzip_open(const char *path, RtStream *s, int64_t *most, RtErr *e);
void rt_gzip_close(void *handle);

#endif
