#ifndef MLOC_RUNTIME_CUBIN_CACHE_H
#define MLOC_RUNTIME_CUBIN_CACHE_H

#include "runtime/nvrtc.h"

/* Compiled kernels on disk, in $XDG_CACHE_HOME/mloc/cubin ($HOME/.cache where that is not set).
   What is there will be executed: the folders must be the user's own and nobody else's to write
   into, else there is no cache. No run fails for it: without a cache kernels are compiled anew. */

enum { RT_CUBIN_KEY = 33 };

/* The file's name: a hash of all that decides what the compiler gives. */
void rt_cubin_key(char key[RT_CUBIN_KEY], const char *source, const char *arch, int nvrtc_version);
/* False where there is none, it is damaged, or what lies there is no file. */
bool rt_cubin_find(const char *key, RtImage *out);
/* Writes it, by rename, and drops what has not been written or used for 30 days. False where it is
   not kept; `why` names the place. */
bool rt_cubin_keep(const char *key, const RtImage *image, RtErr *why);

#endif
