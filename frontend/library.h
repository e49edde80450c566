#ifndef MLOC_FRONTEND_LIBRARY_H
#define MLOC_FRONTEND_LIBRARY_H

/* library.mlo, whole; made of it when mloc is built. */
extern const char library_text[];

#endif
