/* Preprocess, find the kernels, append tables, compile, link: four files in a temporary folder.
 * Compiling with -fsanitize=thread and linking without it leaves the hooks to hooks.h. */

#include "tests/emulator/compile.h"
#include "tests/emulator/core.h"
#include "tests/emulator/image.h"
#include "tests/emulator/scan.h"
#include "emulator_text.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMMAND = 8192, PATH = 1024, SHARED_LIMIT = 48 << 10 };

/* What nvcc refuses or takes as C++ does; -w would silence the errors, too. gcc contracts a * b + c
 * only with expensive optimizations, which clang does not know. */
static const char FLAGS[] =
    "-std=gnu11 -O1 -fexpensive-optimizations -Wno-ignored-optimization-argument -g1 -fPIC "
    "-march=native -fno-math-errno -fno-trapping-math "
    "-fno-strict-aliasing "
    "-Wno-attributes -Wno-unknown-pragmas "
    "-Werror=implicit-function-declaration -Werror=implicit-int -Werror=int-conversion "
    "-Werror=incompatible-pointer-types -Werror=return-type -Werror=c++-compat";
/* What the driver adds to each module. */
static const char DEVICE_RUNTIME[] =
    "\n__attribute__((visibility(\"hidden\"))) void cudaGraphSetConditional(unsigned long long h, "
    "unsigned v) {\n  emu_core->set_conditional(h, v);\n}\n";
static const char CHECKS[] = "-fsanitize=thread,alignment,bounds";

typedef struct Job {
  const Compile *in;
  char folder[PATH], command[COMMAND];
  FILE *log;
} Job;

static const char *compiler(void) {
  const char *cc = getenv("CC");
  return cc && *cc ? cc : "cc";
}

/* The file's bytes and a final 0, or NULL. */
static char *slurp(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  char *bytes = NULL;
  if (fseek(f, 0, SEEK_END) == 0 && (*n = (size_t)ftell(f), fseek(f, 0, SEEK_SET)) == 0 &&
      (bytes = malloc(*n + 1))) {
    *n = fread(bytes, 1, *n, f);
    bytes[*n] = '\0';
  }
  fclose(f);
  return bytes;
}

static char *in_folder(const Job *j, const char *name, char *path) {
  snprintf(path, PATH, "%.900s/%s", j->folder, name);
  return path;
}

/* Runs `cc <arguments> 2>messages` and appends the messages to the log. */
static bool run(Job *j, const char *arguments) {
  snprintf(j->command, sizeof j->command, "cd '%s' && LC_ALL=C %s %s 2>messages", j->folder,
           compiler(), arguments);
  int status = system(j->command);
  char path[PATH];
  size_t n = 0;
  char *said = slurp(in_folder(j, "messages", path), &n);
  if (said && n) fwrite(said, 1, n, j->log);
  free(said);
  if (status != 0) fprintf(j->log, "error: `%s` failed\n", compiler());
  return status == 0;
}

static bool write_text(Job *j) {
  char path[PATH];
  FILE *f = fopen(in_folder(j, "before.h", path), "w");
  if (!f) return false;
  fprintf(f, "%s%s%s%s", emulator_core_text, emulator_kernel_text, emulator_mathematics_text,
          j->in->check ? emulator_hooks_text : "");
  if (fclose(f) != 0 || !(f = fopen(in_folder(j, "text.c", path), "w"))) return false;
  fprintf(f, "# 1 \"%s\"\n%s\n", j->in->name, j->in->text);
  return fclose(f) == 0;
}

static bool preprocess(Job *j) {
  char arguments[COMMAND / 2];
  snprintf(arguments, sizeof arguments,
           "-std=gnu11 -E -nostdinc -DEMU_ARCH=%d0 %s -include ./before.h -x c text.c -o text.i",
           j->in->arch, j->in->defines);
  return run(j, arguments);
}

static bool append_tables(Job *j) {
  char path[PATH];
  size_t n;
  char *text = slurp(in_folder(j, "text.i", path), &n);
  Scan scan = {0};
  bool ok = text && scan_kernels(text, &scan);
  FILE *f = ok ? fopen(path, "w") : NULL;
  if (f) {
    fputs(text, f);
    if (strstr(text, "cudaGraphSetConditional")) fputs(DEVICE_RUNTIME, f);
    scan_tables(&scan, j->in->check, j->in->flush_denormals, f);
  }
  ok = f && fclose(f) == 0;
  scan_free(&scan);
  free(text);
  if (!ok) fprintf(j->log, "error: too many kernels or parameters\n");
  return ok;
}

static bool compile(Job *j) {
  char arguments[COMMAND / 2];
  snprintf(arguments, sizeof arguments, "%s %s -ffp-contract=%s -x cpp-output -c text.i -o text.o",
           FLAGS, j->in->check ? CHECKS : "", j->in->fmad ? "fast" : "off");
  return run(j, arguments) && run(j, "-shared -Wl,-z,defs text.o -o text.so -lm");
}

/* As ptxas: static shared arrays of at most 48 KiB a kernel. */
static bool shared_fits(Job *j) {
  char path[PATH];
  void *library = dlopen(in_folder(j, "text.so", path), RTLD_NOW | RTLD_LOCAL);
  const EmuImage *image = library ? dlsym(library, "emu_image") : NULL;
  bool ok = image != NULL;
  if (!ok) fprintf(j->log, "error: %s\n", dlerror());
  for (const EmuKernel *k = ok ? image->kernel : NULL; k && k->name; k++) {
    size_t bytes =
        (size_t)(k->shared_end - k->shared) + (size_t)(image->shared_end - image->shared);
    if (bytes <= SHARED_LIMIT) continue;
    fprintf(
        j->log,
        "ptxas error   : Entry function '%s' uses too much shared data (0x%zx bytes, 0x%x max)\n",
        k->name, bytes, SHARED_LIMIT);
    ok = false;
  }
  if (library) dlclose(library);
  return ok;
}

static void take_image(Job *j, Compiled *out) {
  char path[PATH];
  size_t n;
  char *library = slurp(in_folder(j, "text.so", path), &n);
  if (!library) return;
  EmuHeader h = {.arch = (uint32_t)j->in->arch, .checked = j->in->check, .bytes = n};
  memcpy(h.magic, EMU_MAGIC, sizeof h.magic);
  out->n = sizeof h + n;
  out->image = malloc(out->n);
  memcpy(out->image, &h, sizeof h);
  memcpy(out->image + sizeof h, library, n);
  free(library);
}

static void remove_folder(const Job *j) {
  static const char *const file[] = {"before.h", "text.c",  "text.i",
                                     "text.o",   "text.so", "messages"};
  char path[PATH];
  for (size_t i = 0; i < sizeof file / sizeof *file; i++) unlink(in_folder(j, file[i], path));
  rmdir(j->folder);
}

static uint64_t hash(uint64_t h, const void *bytes, size_t n) { /* FNV-1a */
  for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
  return h;
}

/* Where the image of this text would lie; false: nothing is cached. */
static bool cache_path(const Compile *in, char *path) {
  const char *own = getenv("MLO_EMU_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
  char folder[PATH / 2];
  if (own && *own)
    snprintf(folder, sizeof folder, "%s", own);
  else if (xdg && *xdg)
    snprintf(folder, sizeof folder, "%s/mloc-emulator", xdg);
  else
    return false;
  if (xdg && *xdg) mkdir(xdg, 0777);
  mkdir(folder, 0777);
  const char *part[] = {in->text,
                        in->name,
                        in->defines,
                        compiler(),
                        FLAGS,
                        CHECKS,
                        emulator_core_text,
                        emulator_kernel_text,
                        emulator_mathematics_text,
                        emulator_hooks_text};
  int number[] = {in->arch, in->check, in->fmad, in->flush_denormals};
  uint64_t h[2] = {0xcbf29ce484222325u, 0x9e3779b97f4a7c15u};
  for (int k = 0; k < 2; k++) {
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
      h[k] = hash(h[k], part[i], strlen(part[i]) + 1);
    h[k] = hash(h[k], number, sizeof number);
  }
  snprintf(path, PATH, "%s/%016llx%016llx", folder, (unsigned long long)h[0],
           (unsigned long long)h[1]);
  return true;
}

static void cache_write(const char *path, const Compiled *c) {
  char temporary[PATH + 32];
  snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
  FILE *f = fopen(temporary, "wb");
  if (!f) return;
  bool ok = fwrite(c->image, 1, c->n, f) == c->n;
  if (fclose(f) != 0 || !ok || rename(temporary, path) != 0) unlink(temporary);
}

void compile_kernels(const Compile *in, Compiled *out) {
  char path[PATH];
  bool cached = cache_path(in, path);
  memset(out, 0, sizeof *out);
  if (cached && (out->image = (unsigned char *)slurp(path, &out->n))) {
    out->log = strdup("");
    return;
  }
  Job j = {.in = in};
  size_t nlog;
  j.log = open_memstream(&out->log, &nlog);
  const char *tmp = getenv("TMPDIR");
  snprintf(j.folder, sizeof j.folder, "%.900s/mloc-emulator-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(j.folder)) {
    fprintf(j.log, "error: cannot make the folder %s\n", j.folder);
  } else {
    if (write_text(&j) && preprocess(&j) && append_tables(&j) && compile(&j) && shared_fits(&j))
      take_image(&j, out);
    remove_folder(&j);
  }
  fclose(j.log);
  if (cached && out->image) cache_write(path, out);
}
