/* Cubins on disk, each with a header that shows whether all of it is there and unchanged. */

#define _GNU_SOURCE
#include "runtime/cubin_cache.h"

#include "runtime/write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FORMAT = 1, KEEP_DAYS = 30, PATH_SIZE = 4096 };
static const uint64_t MOST = (uint64_t)1 << 30;

typedef struct Header {
  char magic[8];
  uint64_t n, hash; /* of the image, which follows */
} Header;

static const char magic[8] = "mlocubin";

void rt_cubin_key(char key[RT_CUBIN_KEY], const char *source, const char *arch, int nvrtc_version) {
  char head[100];
  XXH3_state_t h;
  XXH3_INITSTATE(&h);
  XXH3_128bits_reset(&h);
  snprintf(head, sizeof head, "%d %d %.60s\n", FORMAT, nvrtc_version, arch);
  XXH3_128bits_update(&h, head, strlen(head));
  for (const char *const *o = rt_nvrtc_options(); *o; o++)
    XXH3_128bits_update(&h, *o, strlen(*o) + 1);
  XXH3_128bits_update(&h, source, strlen(source));
  XXH128_hash_t d = XXH3_128bits_digest(&h);
  snprintf(key, RT_CUBIN_KEY, "%016llx%016llx", (unsigned long long)d.high64,
           (unsigned long long)d.low64);
}

static bool private_folder(const char *path, RtErr *why) {
  struct stat st;
  if ((mkdir(path, 0700) && errno != EEXIST) || lstat(path, &st))
    return rt_fail(why, RT_DATA, "%s: cannot be made: %s", path, strerror(errno));
  if (!S_ISDIR(st.st_mode)) return rt_fail(why, RT_DATA, "%s is no folder", path);
  if (st.st_uid != geteuid()) return rt_fail(why, RT_DATA, "%s is another user's", path);
  return (st.st_mode & 0022) == 0 ||
         rt_fail(why, RT_DATA, "%s: other users may write into it", path);
}

/* The folder, with its slash; false where there is no usable one. */
static bool folder(char path[PATH_SIZE], RtErr *why) {
  const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *under = "";
  if (!base || base[0] != '/') {
    if (!home || home[0] != '/')
      return rt_fail(why, RT_DATA, "neither XDG_CACHE_HOME nor HOME names a folder");
    base = home;
    under = "/.cache";
  }
  int n = snprintf(path, PATH_SIZE, "%s%s", base, under);
  if (n < 0 || n > PATH_SIZE - 100)
    return rt_fail(why, RT_DATA, "%.60s...: the path is too long", base);
  mkdir(path, 0700);
  strcpy(path + n, "/mloc");
  if (!private_folder(path, why)) return false;
  strcat(path, "/cubin");
  if (!private_folder(path, why)) return false;
  strcat(path, "/");
  return true;
}

static bool read_image(FILE *f, RtImage *out) {
  Header h;
  if (fread(&h, sizeof h, 1, f) != 1 || memcmp(h.magic, magic, sizeof magic) != 0) return false;
  if (h.n == 0 || h.n > MOST) return false;
  *out = (RtImage){.byte = malloc(h.n), .n = h.n};
  if (out->byte && fread(out->byte, 1, h.n, f) == h.n && fgetc(f) == EOF &&
      XXH3_64bits(out->byte, h.n) == h.hash)
    return true;
  rt_image_free(out);
  return false;
}

bool rt_cubin_find(const char *key, RtImage *out) {
  char path[PATH_SIZE];
  RtErr ignored = {0};
  *out = (RtImage){0};
  if (!folder(path, &ignored)) return false;
  strcat(path, key);
  struct stat st; /* a pipe, say, is none, and must not be waited for */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  FILE *f = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) ? fdopen(fd, "rb") : NULL;
  if (!f) {
    if (fd >= 0) close(fd);
    return false;
  }
  bool ok = read_image(f, out);
  if (ok) futimens(fd, NULL); /* it is in use: stays */
  fclose(f);
  return ok;
}

static void prune(const char *path) {
  DIR *d = opendir(path);
  time_t now = time(NULL);
  if (!d) return;
  for (struct dirent *f; (f = readdir(d));) {
    struct stat st;
    if (fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) continue;
    if (now - st.st_mtime > (time_t)KEEP_DAYS * 24 * 3600) unlinkat(dirfd(d), f->d_name, 0);
  }
  closedir(d);
}

bool rt_cubin_keep(const char *key, const RtImage *image, RtErr *why) {
  char path[PATH_SIZE];
  Header h = {.n = image->n, .hash = XXH3_64bits(image->byte, image->n)};
  if (!folder(path, why)) return false;
  memcpy(h.magic, magic, sizeof magic);
  prune(path);
  strcat(path, key);
  char *all = malloc(sizeof h + image->n);
  if (!all) return rt_fail(why, RT_DATA, "%s: out of memory", path);
  memcpy(all, &h, sizeof h);
  memcpy(all + sizeof h, image->byte, image->n);
  bool ok = rt_write_file(path, all, sizeof h + image->n, why);
  free(all);
  return ok;
}
