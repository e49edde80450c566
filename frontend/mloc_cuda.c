/* What the command line does with CUDA: NVRTC is the runtime's, the report is code generation's. */
#include "frontend/mloc_cuda.h"

#include "codegen/arch.h"
#include "runtime/loop_check.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_SPILLS = 1 };

int cuda_compile(Arena *a, const char *text, const char *program, const char *arch,
                 CudaImage *out) {
  RtErr e = {0};
  RtImage i = {0};
  RtNvrtc *n = rt_nvrtc_open(&e);
  bool ok = n && rt_nvrtc_compile(n, text, arena_printf(a, "%s.cu", program), arch, &i, &e);
  if (ok) *out = (CudaImage){arena_dup(a, i.byte, i.n), i.n, arena_strdup(a, i.log ? i.log : "")};
  if (!ok) fprintf(stderr, "mloc: %s\n", e.text);
  rt_image_free(&i);
  rt_nvrtc_close(n);
  return ok ? 0 : EXIT_DEVICE;
}

/* "sm_90", "sm_90a": what stands behind "sm_", or NULL. */
static const char *number_of(const char *arch) {
  const char *number = strncmp(arch, "sm_", 3) ? "" : arch + 3;
  size_t n = strspn(number, "0123456789");
  bool plain = !number[n] || ((number[n] == 'a' || number[n] == 'f') && !number[n + 1]);
  return (n == 2 || n == 3) && plain ? number : NULL;
}

static int add_cubin(Program *p, const char *text, const char *arch, CgCubin *out) {
  CudaImage image;
  if (!number_of(arch)) return usage_error("--arch is architectures like sm_90, not `%s`", arch);
  int code = cuda_compile(p->arena, text, p->name, arch, &image);
  if (code == 0) *out = (CgCubin){arch, image.byte, image.n};
  return code;
}

static bool has_loop(const Program *p, const Stmt *s) {
  bool found = false;
  for (; s && !found; s = s->next)
    found = (s->kind == STMT_WHILE && !stmt_is_top_loop(p, s)) || has_loop(p, s->body);
  return found;
}

/* Loops end early in graphs only where it is carried: where it does not compile, nothing is said.
 */
static bool add_check(Program *p, const char *arch, CgCubin *out) {
  RtErr e = {0};
  RtImage i = {0};
  RtNvrtc *n = rt_nvrtc_open(&e);
  bool ok = n && rt_loop_check(n, arch, &i, &e);
  if (ok) *out = (CgCubin){arch, arena_dup(p->arena, i.byte, i.n), i.n};
  rt_image_free(&i);
  rt_nvrtc_close(n);
  return ok;
}

int cuda_target(Program *p, const char *target, const char *archs, CgOptions *cg) {
  int code = 0;
  cg->cuda = target && strcmp(target, "cpu") != 0;
  cg->only_cuda = cg->cuda && !strcmp(target, "cuda");
  if (!cg->cuda && archs) return usage_error("--arch goes with --target=cuda");
  if (!archs) return 0;
  const char *text = cg_cuda(p, cg, NULL, NULL);
  char *list = arena_strdup(p->arena, archs), *rest = NULL;
  CgCubin *cubin = arena_array(p->arena, CgCubin, (int)strlen(archs) + 1),
          *check = arena_array(p->arena, CgCubin, (int)strlen(archs) + 1);
  if (!*archs || strstr(archs, ",,") || *archs == ',' || archs[strlen(archs) - 1] == ',')
    return usage_error("--arch=%s: architectures like sm_90, with commas between them", archs);
  for (char *s = strtok_r(list, ",", &rest); s && code == 0; s = strtok_r(NULL, ",", &rest)) {
    for (int i = 0; i < cg->ncubin && code == 0; i++)
      if (!strcmp(cubin[i].arch, s)) code = usage_error("--arch=%s: %s twice", archs, s);
    if (code == 0) code = add_cubin(p, text, s, &cubin[cg->ncubin++]);
    if (code == 0 && has_loop(p, p->schedule) && add_check(p, s, &check[cg->ncheck])) cg->ncheck++;
  }
  cg->cubin = cubin;
  cg->check = check;
  return code;
}

int cuda_ptx(Arena *a, const char *text, const char *program, const char *arch, const char **ptx) {
  CudaImage image;
  const char *number = number_of(arch);
  if (!number) return usage_error("--arch is an architecture like sm_90, not `%s`", arch);
  int code = cuda_compile(a, text, program, arena_printf(a, "compute_%s", number), &image);
  if (code == 0) *ptx = (const char *)image.byte;
  return code;
}

int cuda_check_options(Arena *a, const Options *o, const char *arch) {
  const char *list = "";
  bool given = o->arch || o->no_spills || o->bandwidth > 0 || o->flops > 0;
  if (o->target && strchr(o->target, ','))
    return usage_error("mloc inspect takes one target at a time: `cpu` or `cuda`");
  if (!arch && given)
    return usage_error("--arch, --no-spills, --bandwidth and --flops go with --target=cuda");
  if (!arch || arch_find(arch)) return 0;
  for (int i = 0; arch_at(i); i++) list = arena_printf(a, "%s %s", list, arch_at(i)->name);
  return usage_error("--arch=%s: mloc inspect knows devices of%s", arch, list);
}

int cuda_inspect(Program *p, const char *source, const CgOptions *cg, const char *arch,
                 const Options *o) {
  CudaImage image;
  CgCompiled made = {.bandwidth = 1e9 * o->bandwidth, .flops = 1e12 * o->flops};
  const char *text = cg_cuda(p, cg, &made.launch, &made.nlaunch);
  int loose = 0, code = cuda_compile(p->arena, text, p->name, arch, &image);
  if (code) return code;
  made.cubin = (CgCubin){arch, image.byte, image.n};
  made.log = image.log;
  const char *error = cg_inspect(p, source, &made, stdout, o->json, &loose);
  if (error) fprintf(stderr, "mloc: %s\n", error);
  if (error) return EXIT_DEVICE;
  if (!loose || !o->no_spills) return 0;
  fprintf(stderr, "mloc: of the kernels for %s, %d spill%s or keep%s arrays on the stack\n", arch,
          loose, loose == 1 ? "s" : "", loose == 1 ? "s" : "");
  return EXIT_SPILLS;
}
