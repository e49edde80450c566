/* libnvrtc.so.13: programs, options and results around compile.c. */

#include "tests/emulator/compile.h"
#include "tests/emulator/image.h"
#include "tests/emulator/nvrtc_api.h"
#include "tests/emulator/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

enum { VERSION_MAJOR = 13, VERSION_MINOR = 0 };
static const int archs[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
enum { NARCH = sizeof archs / sizeof *archs };

struct _nvrtcProgram {
  char *text, *name, *ptx;
  Compiled compiled;
  bool cubin; /* for sm_..: the image itself; compute_..: PTX only */
};

/* Options of NVRTC that change nothing here; a final `=` or blank: with a value. */
static const char *const ignored[] = {
    "-lineinfo",
    "--generate-line-info",
    "-G",
    "--device-debug",
    "-default-device",
    "--device-as-default-execution-space",
    "-w",
    "--disable-warnings",
    "--restrict",
    "-restrict",
    "--no-cache",
    "-no-cache",
    "--minimal",
    "-minimal",
    "--extra-device-vectorization",
    "-extra-device-vectorization",
    "--std=",
    "-std=",
    "--ptxas-options=",
    "-Xptxas=",
    "--ptxas-options",
    "--prec-div=",
    "-prec-div=",
    "--prec-sqrt=",
    "-prec-sqrt=",
    "--maxrregcount=",
    "-maxrregcount=",
    "--split-compile=",
    "-split-compile=",
    "--diag-suppress=",
    "-diag-suppress=",
    "--dopt=",
    "-dopt=",
    "--display-error-number",
    "--no-display-error-number",
    "-no-display-error-number",
    "--Ofast-compile=",
};

static char *copy(const char *s) { return s ? strdup(s) : NULL; }

API const char *nvrtcGetErrorString(nvrtcResult result) {
  switch (result) {
  case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
  case NVRTC_ERROR_OUT_OF_MEMORY: return "NVRTC_ERROR_OUT_OF_MEMORY";
  case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
  case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
  case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
  case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
  default: return "NVRTC_ERROR unknown";
  }
}

API nvrtcResult nvrtcVersion(int *major, int *minor) {
  if (!major || !minor) return NVRTC_ERROR_INVALID_INPUT;
  *major = VERSION_MAJOR;
  *minor = VERSION_MINOR;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetNumSupportedArchs(int *n) {
  if (!n) return NVRTC_ERROR_INVALID_INPUT;
  *n = NARCH;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetSupportedArchs(int *arch) {
  if (!arch) return NVRTC_ERROR_INVALID_INPUT;
  memcpy(arch, archs, sizeof archs);
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcCreateProgram(nvrtcProgram *prog, const char *src, const char *name,
                                   int nheader, const char *const *header,
                                   const char *const *include_name) {
  (void)header, (void)include_name;
  if (!prog || !src || nheader != 0) return NVRTC_ERROR_INVALID_INPUT;
  if (!(*prog = calloc(1, sizeof **prog))) return NVRTC_ERROR_OUT_OF_MEMORY;
  (*prog)->text = copy(src);
  (*prog)->name = copy(name && *name ? name : "default_program");
  return NVRTC_SUCCESS;
}

static void forget(nvrtcProgram p) {
  free(p->compiled.image);
  free(p->compiled.log);
  free(p->ptx);
  p->ptx = NULL;
  memset(&p->compiled, 0, sizeof p->compiled);
}

API nvrtcResult nvrtcDestroyProgram(nvrtcProgram *prog) {
  if (!prog || !*prog) return NVRTC_ERROR_INVALID_PROGRAM;
  forget(*prog);
  free((*prog)->text);
  free((*prog)->name);
  free(*prog);
  *prog = NULL;
  return NVRTC_SUCCESS;
}

/* `option` without `prefix`, or NULL. */
static const char *behind(const char *option, const char *prefix) {
  size_t n = strlen(prefix);
  return strncmp(option, prefix, n) == 0 ? option + n : NULL;
}

static bool is_ignored(const char *option) {
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
    const char *rest = behind(option, ignored[i]);
    if (rest && (*rest == '\0') != (ignored[i][strlen(ignored[i]) - 1] == '=')) return true;
  }
  return false;
}

/* sm_90, sm_90a, compute_90. */
static bool read_arch(const char *value, nvrtcProgram p, Compile *in) {
  const char *sm = behind(value, "sm_"), *compute = behind(value, "compute_");
  if (!sm && !compute) return false;
  p->cubin = sm != NULL;
  in->arch = atoi(sm ? sm : compute);
  for (int i = 0; i < NARCH; i++)
    if (archs[i] == in->arch) return true;
  return false;
}

static bool read_define(const char *value, FILE *defines) {
  if (!*value || strchr(value, '\'')) return false;
  fprintf(defines, " '-D%s'", value);
  return true;
}

static bool read_switch(const char *option, Compile *in) {
  const char *value;
  while (*option == '-') option++;
  if (strcmp(option, "use_fast_math") == 0) return in->flush_denormals = true;
  if ((value = behind(option, "fmad=")))
    in->fmad = strcmp(value, "true") == 0;
  else if ((value = behind(option, "ftz=")))
    in->flush_denormals = strcmp(value, "true") == 0;
  return value && (strcmp(value, "true") == 0 || strcmp(value, "false") == 0);
}

/* Reads option i, and the next one where it is its value; false: no option of NVRTC's. */
static bool read_option(const char *const *option, int n, int *i, nvrtcProgram p, Compile *in,
                        FILE *defines) {
  static const char *const arch[] = {"--gpu-architecture=", "-arch=", "--gpu-architecture",
                                     "-arch"};
  const char *o = option[*i], *value;
  for (size_t k = 0; k < 4; k++) {
    if (!(value = behind(o, arch[k]))) continue;
    if (k >= 2) value = *i + 1 < n ? option[++*i] : "";
    return read_arch(value, p, in);
  }
  if ((value = behind(o, "--define-macro=")) || (value = behind(o, "-D")))
    return read_define(*value || *i + 1 == n ? value : option[++*i], defines);
  if (strcmp(o, "--ptxas-options") == 0 || strcmp(o, "-Xptxas") == 0) return ++*i < n;
  return read_switch(o, in) || is_ignored(o);
}

/* The image as text, which cuModuleLoadData takes too. */
static void write_ptx(nvrtcProgram p, int arch) {
  size_t n;
  FILE *f = open_memstream(&p->ptx, &n);
  fprintf(f, "%s%d%s", EMU_PTX, arch, EMU_PTX_DATA);
  for (size_t i = 0; i < p->compiled.n; i++) fprintf(f, "%02x", p->compiled.image[i]);
  fprintf(f, "\n");
  fclose(f);
}

API nvrtcResult nvrtcCompileProgram(nvrtcProgram prog, int noption, const char *const *option) {
  if (!prog) return NVRTC_ERROR_INVALID_PROGRAM;
  Compile in = {.text = prog->text,
                .name = prog->name,
                .arch = 75,
                .fmad = true,
                .check = setting_flag("MLO_EMU_CHECK", false)};
  char *defines;
  size_t ndefines;
  FILE *f = open_memstream(&defines, &ndefines);
  forget(prog);
  prog->cubin = false;
  bool ok = true;
  int i = 0;
  for (; i < noption && ok; i++) ok = read_option(option, noption, &i, prog, &in, f);
  fclose(f);
  if (!ok) {
    size_t nlog;
    FILE *log = open_memstream(&prog->compiled.log, &nlog);
    fprintf(log, "nvrtc: error: invalid value or unrecognized option '%s'\n",
            option[i < noption ? i - 1 : noption - 1]);
    fclose(log);
    free(defines);
    return NVRTC_ERROR_INVALID_OPTION;
  }
  in.defines = defines;
  compile_kernels(&in, &prog->compiled);
  free(defines);
  if (!prog->compiled.image) return NVRTC_ERROR_COMPILATION;
  write_ptx(prog, in.arch);
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetPTXSize(nvrtcProgram prog, size_t *n) {
  if (!prog || !prog->ptx) return NVRTC_ERROR_INVALID_PROGRAM;
  if (!n) return NVRTC_ERROR_INVALID_INPUT;
  *n = strlen(prog->ptx) + 1;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetPTX(nvrtcProgram prog, char *ptx) {
  if (!prog || !prog->ptx) return NVRTC_ERROR_INVALID_PROGRAM;
  if (!ptx) return NVRTC_ERROR_INVALID_INPUT;
  strcpy(ptx, prog->ptx);
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetCUBINSize(nvrtcProgram prog, size_t *n) {
  if (!prog || !prog->compiled.image) return NVRTC_ERROR_INVALID_PROGRAM;
  if (!n) return NVRTC_ERROR_INVALID_INPUT;
  *n = prog->cubin ? prog->compiled.n : 0;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetCUBIN(nvrtcProgram prog, char *cubin) {
  if (!prog || !prog->compiled.image) return NVRTC_ERROR_INVALID_PROGRAM;
  if (!cubin || !prog->cubin) return NVRTC_ERROR_INVALID_INPUT;
  memcpy(cubin, prog->compiled.image, prog->compiled.n);
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram prog, size_t *n) {
  if (!prog) return NVRTC_ERROR_INVALID_PROGRAM;
  if (!n) return NVRTC_ERROR_INVALID_INPUT;
  *n = (prog->compiled.log ? strlen(prog->compiled.log) : 0) + 1;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetProgramLog(nvrtcProgram prog, char *log) {
  if (!prog) return NVRTC_ERROR_INVALID_PROGRAM;
  if (!log) return NVRTC_ERROR_INVALID_INPUT;
  strcpy(log, prog->compiled.log ? prog->compiled.log : "");
  return NVRTC_SUCCESS;
}
