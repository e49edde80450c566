/* Generated C to a running executable: the system's compiler, a private cache of executables, exec.
   A cache entry is named by a hash of everything that it depends on: the text, the flags, the
   compiler, the processor, the runtime library and its headers. Entries appear by rename, so that
   two processes may build the same one at once. */
#define _GNU_SOURCE
#include "frontend/driver.h"

#include "mloc_config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { KEY_FORMAT = 1, KEEP_DAYS = 30 };

extern char **environ;

typedef struct Paths {
  const char *cc, *libdir, *includedir;
} Paths;

/* The compiler's file: as given, or by PATH. NULL: there is none. */
static const char *find_program(Arena *a, const char *name) {
  if (strchr(name, '/')) return access(name, X_OK) == 0 ? name : NULL;
  const char *path = getenv("PATH");
  for (const char *s = path ? path : "/usr/bin:/bin"; s;) {
    const char *end = strchrnul(s, ':');
    const char *file = arena_printf(a, "%.*s/%s", (int)(end - s), s, name);
    if (access(file, X_OK) == 0) return file;
    s = *end ? end + 1 : NULL;
  }
  return NULL;
}

/* The folder of mloc's own executable. */
static const char *own_folder(Arena *a) {
  char *self = arena_alloc(a, PATH_MAX + 1);
  ssize_t n = readlink("/proc/self/exe", self, PATH_MAX);
  if (n <= 0) return NULL;
  char *slash = strrchr(self, '/');
  if (slash) *slash = 0;
  return self;
}

static bool starts_with(const char *s, const char *prefix) {
  size_t n = strlen(prefix);
  return !strncmp(s, prefix, n) && (s[n] == 0 || s[n] == '/');
}

static DriverStatus find_paths(Arena *a, const DriverOptions *o, Paths *p, const char **error) {
  const char *cc = o->cc ? o->cc : getenv("MLOC_CC");
  if (!cc || !*cc) cc = MLOC_CC;
  p->cc = find_program(a, cc);
  if (!p->cc && !o->cc) p->cc = find_program(a, "cc");
  if (!p->cc) {
    *error = arena_printf(a, "no C compiler: `%s` was not found (set MLOC_CC)", cc);
    return DRIVER_NO_COMPILER;
  }
  const char *here = own_folder(a);
  p->libdir = MLOC_BUILD_LIBDIR;
  p->includedir = MLOC_BUILD_INCLUDEDIR;
  if (here && !starts_with(here, MLOC_BUILD_DIR)) {
    p->libdir = arena_printf(a, "%s/%s", here, MLOC_LIBDIR_FROM_BIN);
    p->includedir = arena_printf(a, "%s/%s", here, MLOC_INCLUDEDIR_FROM_BIN);
  }
  if (access(arena_printf(a, "%s/libmlo.a", p->libdir), R_OK)) {
    *error = arena_printf(a, "the runtime library is missing: %s/libmlo.a", p->libdir);
    return DRIVER_NO_COMPILER;
  }
  return DRIVER_OK;
}

typedef struct Argv {
  char **v;
  int n, cap;
} Argv;

static void push(Arena *a, Argv *argv, const char *s) {
  VEC_PUSH(a, argv->v, argv->n, argv->cap, s ? arena_strdup(a, s) : NULL);
}

/* The compiler's command, but for the names of the files. */
static Argv flags(Arena *a, const DriverOptions *o, const Paths *p) {
  static const char *const fixed[] = {"-std=gnu11", "-O2", "-fopenmp", "-fno-math-errno",
                                      "-fno-trapping-math"};
  Argv argv = {0};
  push(a, &argv, p->cc);
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) push(a, &argv, fixed[i]);
  push(a, &argv, arena_printf(a, "-march=%s", o->march ? o->march : "x86-64-v3"));
  push(a, &argv, arena_printf(a, "-I%s", p->includedir));
  return argv;
}

static void link_flags(Arena *a, Argv *argv, const Paths *p) {
  push(a, argv, arena_printf(a, "-L%s", p->libdir));
  char *rest = NULL, *copy = arena_strdup(a, MLOC_LINK_FLAGS);
  for (char *s = strtok_r(copy, " ", &rest); s; s = strtok_r(NULL, " ", &rest)) push(a, argv, s);
}

static bool write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (!f) return false;
  bool ok = fputs(text, f) >= 0;
  return fclose(f) == 0 && ok;
}

/* Runs a command and waits; its exit code, 128 + signal, or -1 where it could not be started. */
static int run_and_wait(char *const *argv) {
  pid_t child;
  if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ)) return -1;
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Whether the compiler makes an executable of anything with these flags: asked after a failure, so
   that an unknown processor, a missing assembler or a full disk is not called a bug of ours. */
static bool compiler_works(Arena *a, const DriverOptions *o, const Paths *p, const char *dir) {
  const char *source = arena_printf(a, "%s/works.c", dir);
  if (!write_file(source, "int main(void) { return 0; }\n")) return false;
  Argv argv = flags(a, o, p);
  push(a, &argv, "-o");
  push(a, &argv, arena_printf(a, "%s/works", dir));
  push(a, &argv, source);
  link_flags(a, &argv, p);
  push(a, &argv, NULL);
  return run_and_wait(argv.v) == 0;
}

/* Compiles in directory `dir`, which is ours alone; the executable is dir/program. */
static DriverStatus compile(Arena *a, const char *text, const DriverOptions *o, const Paths *p,
                            const char *dir, const char **error) {
  const char *source = arena_printf(a, "%s/%s.c", dir, o->name ? o->name : "program");
  if (!write_file(source, text)) {
    *error = arena_printf(a, "cannot write %s: %s", source, strerror(errno));
    return DRIVER_IO;
  }
  Argv argv = flags(a, o, p);
  push(a, &argv, "-o");
  push(a, &argv, arena_printf(a, "%s/program", dir));
  push(a, &argv, source);
  link_flags(a, &argv, p);
  if (o->verbose) {
    for (int i = 0; i < argv.n; i++) fprintf(stderr, "%s%s", i ? " " : "", argv.v[i]);
    fputc('\n', stderr);
  }
  push(a, &argv, NULL);
  int code = run_and_wait(argv.v);
  if (code == 0) return DRIVER_OK;
  if (code > 0 && !compiler_works(a, o, p, dir)) {
    *error = arena_printf(a, "the C compiler `%s` compiles nothing with -march=%s: see above",
                          p->cc, o->march ? o->march : "x86-64-v3");
    return DRIVER_NO_COMPILER;
  }
  *error = code < 0 ? arena_printf(a, "the C compiler `%s` cannot be started", p->cc)
                    : arena_printf(a, "the C compiler `%s` failed on generated code (exit %d)",
                                   p->cc, code);
  return code < 0 ? DRIVER_NO_COMPILER : DRIVER_REJECTED;
}

/* Removes a directory of ours and the files in it. */
static void remove_folder(Arena *a, const char *dir) {
  DIR *d = opendir(dir);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));)
    if (e->d_name[0] != '.') unlink(arena_printf(a, "%s/%s", dir, e->d_name));
  closedir(d);
  rmdir(dir);
}

/* A new private folder below `parent`; NULL where that is not possible. */
static char *new_folder(Arena *a, const char *parent) {
  return mkdtemp(arena_printf(a, "%s/mloc-XXXXXX", parent));
}

static const char *parent_folder(Arena *a, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return ".";
  return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

DriverStatus driver_build(Arena *a, const char *text, const DriverOptions *o, const char *out,
                          const char **error) {
  Paths p;
  DriverStatus s = find_paths(a, o, &p, error);
  if (s != DRIVER_OK) return s;
  const char *parent = parent_folder(a, out);
  const char *dir = new_folder(a, parent);
  if (!dir) {
    *error = arena_printf(a, "cannot write into %s: %s", parent, strerror(errno));
    return DRIVER_IO;
  }
  s = compile(a, text, o, &p, dir, error);
  if (s == DRIVER_OK && rename(arena_printf(a, "%s/program", dir), out)) {
    *error = arena_printf(a, "cannot write %s: %s", out, strerror(errno));
    s = DRIVER_IO;
  }
  remove_folder(a, dir);
  return s;
}

/* ---- the cache ---- */

/* A file's identity: another file, or the same after a change, differs in one of these. */
static void hash_file(XXH3_state_t *h, Arena *a, const char *path) {
  struct stat st;
  const char *id = stat(path, &st)
                       ? arena_printf(a, "%s absent\n", path)
                       : arena_printf(a, "%s %lld %lld %ld %llu\n", path, (long long)st.st_size,
                                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                                      (unsigned long long)st.st_ino);
  XXH3_128bits_update(h, id, strlen(id));
}

static const char *key(Arena *a, const char *text, const DriverOptions *o, const Paths *p) {
  static const char *const headers[] = {"mlo.h",         "mlo_math.h",   "mlo_math64.h",
                                        "mlo_normal.h",  "mlo_random.h", "mlo_vector.h",
                                        "mlo_schedule.h"};
  XXH3_state_t *h = XXH3_createState();
  XXH3_128bits_reset(h);
  const char *head = arena_printf(a, "%d %s %s\n%s\n", KEY_FORMAT, MLOC_VERSION, MLOC_LINK_FLAGS,
                                  o->cpu ? o->cpu : "");
  XXH3_128bits_update(h, head, strlen(head));
  Argv argv = flags(a, o, p);
  for (int i = 0; i < argv.n; i++) XXH3_128bits_update(h, argv.v[i], strlen(argv.v[i]) + 1);
  hash_file(h, a, p->cc);
  hash_file(h, a, arena_printf(a, "%s/libmlo.a", p->libdir));
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    hash_file(h, a, arena_printf(a, "%s/runtime/%s", p->includedir, headers[i]));
  XXH3_128bits_update(h, text, strlen(text));
  XXH128_hash_t d = XXH3_128bits_digest(h);
  XXH3_freeState(h);
  return arena_printf(a, "%016llx%016llx", (unsigned long long)d.high64,
                      (unsigned long long)d.low64);
}

/* A folder that is ours, and that nobody else can write into: what is in it will be executed. */
static bool private_folder(const char *path) {
  struct stat st;
  if (mkdir(path, 0700) && errno != EEXIST) return false;
  if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) return false;
  return (st.st_mode & 0022) == 0 && access(path, W_OK | X_OK) == 0;
}

/* NULL where there is no usable cache. */
static const char *cache_folder(Arena *a) {
  const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (!base || base[0] != '/') {
    if (!home || home[0] != '/') return NULL;
    base = arena_printf(a, "%s/.cache", home);
  }
  mkdir(base, 0700);
  const char *dir = arena_printf(a, "%s/mloc", base);
  return private_folder(dir) ? dir : NULL;
}

/* Drops what has not been used for long: executables, and folders that a killed process left. The
   folder `cubin` is that of the executables themselves. */
static void prune(Arena *a, const char *cache) {
  DIR *d = opendir(cache);
  if (!d) return;
  time_t now = time(NULL);
  for (struct dirent *e; (e = readdir(d));) {
    struct stat st;
    const char *path = arena_printf(a, "%s/%s", cache, e->d_name);
    if (e->d_name[0] == '.' || !strcmp(e->d_name, "cubin") || lstat(path, &st)) continue;
    time_t keep = S_ISDIR(st.st_mode) ? 3600 : (time_t)KEEP_DAYS * 24 * 3600;
    if (now - st.st_mtime < keep) continue;
    if (S_ISDIR(st.st_mode))
      remove_folder(a, path);
    else
      unlink(path);
  }
  closedir(d);
}

static DriverStatus build_into(Arena *a, const char *text, const DriverOptions *o, const Paths *p,
                               const char *cache, const char *entry, const char **error) {
  const char *dir = new_folder(a, cache);
  if (!dir) {
    *error = arena_printf(a, "cannot write into %s: %s", cache, strerror(errno));
    return DRIVER_IO;
  }
  DriverStatus s = compile(a, text, o, p, dir, error);
  if (s == DRIVER_OK && rename(arena_printf(a, "%s/program", dir), entry)) {
    *error = arena_printf(a, "cannot write %s: %s", entry, strerror(errno));
    s = DRIVER_IO;
  }
  remove_folder(a, dir);
  if (s == DRIVER_OK) prune(a, cache);
  return s;
}

static DriverStatus build_temporary(Arena *a, const char *text, const DriverOptions *o,
                                    const Paths *p, DriverProgram *out, const char **error) {
  const char *tmp = getenv("TMPDIR");
  const char *dir = new_folder(a, tmp && tmp[0] == '/' ? tmp : "/tmp");
  if (!dir) {
    *error = arena_printf(a, "no folder to build in: neither the cache nor a temporary one can be "
                             "written");
    return DRIVER_IO;
  }
  out->path = arena_printf(a, "%s/program", dir);
  out->temporary = true;
  DriverStatus s = compile(a, text, o, p, dir, error);
  if (s != DRIVER_OK) remove_folder(a, dir);
  return s;
}

DriverStatus driver_cached(Arena *a, const char *text, const DriverOptions *o, DriverProgram *out,
                           const char **error) {
  Paths p;
  *out = (DriverProgram){0};
  DriverStatus s = find_paths(a, o, &p, error);
  if (s != DRIVER_OK) return s;
  const char *cache = cache_folder(a);
  if (!cache) return build_temporary(a, text, o, &p, out, error);
  out->path = arena_printf(a, "%s/%s", cache, key(a, text, o, &p));
  if (!o->uncached && access(out->path, X_OK) == 0) {
    utimensat(AT_FDCWD, out->path, NULL, 0);
    out->cached = true;
    return DRIVER_OK;
  }
  s = build_into(a, text, o, &p, cache, out->path, error);
  return s == DRIVER_IO ? build_temporary(a, text, o, &p, out, error) : s;
}

/* Starts the child with the signals that `mask` blocks; 0 or an error's number. */
static int spawn_with_mask(pid_t *child, const char *path, char *const *argv,
                           const sigset_t *mask) {
  posix_spawnattr_t attr;
  int failed = posix_spawnattr_init(&attr);
  if (failed) return failed;
  posix_spawnattr_setsigmask(&attr, mask);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
  failed = posix_spawn(child, path, NULL, &attr, argv, environ);
  posix_spawnattr_destroy(&attr);
  return failed;
}

/* The child decides what an interrupt means: this process hands it on and waits. What the terminal
   sends, the child has got itself. The timeout is for a SIGCHLD that another thread took. */
static int wait_for(pid_t child, const sigset_t *set) {
  const struct timespec second = {.tv_sec = 1};
  siginfo_t info;
  int status = 0;
  pid_t got;
  while ((got = waitpid(child, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
    int number = sigtimedwait(set, &info, &second);
    if (number > 0 && number != SIGCHLD && info.si_code <= 0) kill(child, number);
  }
  return status;
}

void driver_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGHUP);
  sigaddset(set, SIGCHLD);
}

DriverStatus driver_spawn(Arena *a, const DriverProgram *p, char *const *argv, int *code,
                          const char **error) {
  sigset_t set, before;
  pid_t child;
  int status = 0;
  fflush(NULL);
  driver_signals(&set);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  int failed = spawn_with_mask(&child, p->path, argv, &before);
  if (!failed) status = wait_for(child, &set);
  /* After a child that ended badly only cleaning up is left, and a late copy of what ended it must
     not cut that short. */
  if (failed || !status) pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (p->temporary) remove_folder(a, parent_folder(a, p->path));
  if (failed) {
    *error = arena_printf(a, "cannot start %s: %s", p->path, strerror(failed));
    return DRIVER_IO;
  }
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return DRIVER_OK;
}

DriverStatus driver_exec(Arena *a, const DriverProgram *p, char *const *argv, int *code,
                         const char **error) {
  if (p->temporary) return driver_spawn(a, p, argv, code, error);
  fflush(NULL);
  execv(p->path, argv);
  *error =
      arena_printf(a, "cannot start %s: %s (it is built anew next time)", p->path, strerror(errno));
  unlink(p->path);
  return DRIVER_IO;
}

const char *driver_folder(Arena *a) {
  const char *tmp = getenv("TMPDIR");
  char *path = arena_printf(a, "%s/mloc-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  return mkdtemp(path);
}

void driver_remove_folder(Arena *a, const char *folder) { remove_folder(a, folder); }
