/* CUDA's libraries are opened when they are needed, so that one executable runs with and without
   them. This file knows where they are looked for; what to do with them, others know. */

#include "runtime/cuda_open.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* They keep memory and threads of their own that unloading would strand: they stay loaded. */
static const int mode = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;

/* Where it was looked for, and the first file that was found but did not load. */
typedef struct Search {
  const char *const *soname;
  char places[600], broken[400];
} Search;

static void append(char *text, size_t size, const char *s) {
  size_t n = strlen(text);
  snprintf(text + n, size - n, "%s%s", n ? ", " : "", s);
}

static void *open_in(Search *s, const char *folder) {
  char path[PATH_SIZE];
  append(s->places, sizeof s->places, folder);
  for (int i = 0; s->soname[i]; i++) {
    int n = snprintf(path, sizeof path, "%s/%s", folder, s->soname[i]);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK)) continue;
    void *library = dlopen(path, mode);
    if (library) return library;
    const char *why = dlerror();
    if (!*s->broken) append(s->broken, sizeof s->broken, why ? why : path);
  }
  return NULL;
}

static void *open_by_name(Search *s) {
  append(s->places, sizeof s->places, "the loader's folders");
  for (int i = 0; s->soname[i]; i++) {
    void *library = dlopen(s->soname[i], mode);
    if (library) return library;
  }
  return NULL;
}

static void *search(Search *s, const char *own) {
  static const char *const root[] = {"CUDA_HOME", "CUDA_PATH"};
  void *library = own ? open_in(s, own) : NULL;
  if (library || *s->broken) return library; /* who names a folder means what is in it */
  library = open_by_name(s);
  if (!library) library = open_in(s, "/usr/local/cuda/lib64");
  for (int i = 0; i < 2 && !library; i++) {
    char folder[PATH_SIZE];
    const char *value = getenv(root[i]);
    if (!value || !*value) continue;
    int n = snprintf(folder, sizeof folder, "%s/lib64", value);
    bool again = n < 0 || (size_t)n >= sizeof folder || strstr(s->places, folder);
    if (!again) library = open_in(s, folder);
  }
  return library;
}

void *rt_cuda_open(const char *what, const char *const *soname, RtErr *e) {
  Search s = {.soname = soname};
  struct stat st;
  char names[200] = "";
  const char *own = getenv("MLO_CUDA_PATH");
  if (own && !*own) own = NULL;
  if (own && (stat(own, &st) || !S_ISDIR(st.st_mode))) {
    rt_fail(e, RT_DEVICE, "cannot open %s: MLO_CUDA_PATH is %.300s, which is no folder", what, own);
    return NULL;
  }
  void *library = search(&s, own);
  if (library) return library;
  for (int i = 0; soname[i]; i++) append(names, sizeof names, soname[i]);
  if (*s.broken)
    rt_fail(e, RT_DEVICE, "cannot open %s: %s", what, s.broken);
  else
    rt_fail(e, RT_DEVICE, "cannot find %s: no %s in %s; MLO_CUDA_PATH=FOLDER says where else", what,
            names, s.places);
  return NULL;
}

bool rt_cuda_symbol(void *library, const char *what, const char *name, void *to, RtErr *e) {
  void *address = dlsym(library, name);
  if (!address) return rt_fail(e, RT_DEVICE, "%s has no function %s: is it too old?", what, name);
  memcpy(to, &address, sizeof address);
  return true;
}
