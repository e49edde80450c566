/* The command line. Each subcommand is a function over a Compilation, which goes from text to tree
   to program to C as far as the subcommand needs. With mloc_*.c, the only files that know all
   rooms; the only one that exits. */
#include "codegen/codegen.h"
#include "frontend/ast.h"
#include "frontend/builtins.h"
#include "frontend/driver.h"
#include "frontend/explain.h"
#include "frontend/mloc_cuda.h"
#include "frontend/mloc_data.h"
#include "frontend/options.h"
#include "frontend/phases.h"
#include "frontend/sema.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "runtime/cpu.h"

#include "mloc_config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct Compilation {
  Arena *arena;
  Diags *diags;
  const Options *o;
  const char *path, *dir,
      *name; /* the file, its folder ("" for none), its name without folder and ending */
  char *source;
  size_t size;
  bool is_ir, check_only, check_grad;
  const char *run; /* NULL: as the options say */
  bool more;       /* another run of the program is checked after this one */
  Ast *ast;
  Program *program;
  const char *hash; /* of the program before passes */
} Compilation;

typedef struct Command {
  const char *name, *usage, *text;
  unsigned bit;
  int (*call)(Compilation *c, int argc, char **argv);
} Command;

/* ---- text, tree, program ---- */

/* All of a stream, with a NUL after it. False after a read error. */
static bool read_all(Arena *a, FILE *f, char **text, size_t *n) {
  size_t cap = 1 << 16, got;
  char *s = malloc(cap + 1);
  *n = 0;
  while (s && (got = fread(s + *n, 1, cap - *n, f)) > 0) {
    *n += got;
    if (*n < cap) continue;
    char *more = realloc(s, 2 * cap + 1);
    if (!more) free(s);
    s = more;
    cap *= 2;
  }
  if (!s || ferror(f)) {
    free(s);
    return false;
  }
  s[*n] = 0;
  *text = arena_dup(a, s, *n + 1);
  free(s);
  return true;
}

/* Reads the file; 0 or an exit code. "-" is the standard input. */
static int open_source(Compilation *c, const char *path) {
  bool standard = !strcmp(path, "-");
  struct stat st;
  if (!standard && !stat(path, &st) && S_ISDIR(st.st_mode))
    return usage_error("%s is a directory", path);
  FILE *f = standard ? stdin : fopen(path, "rb");
  if (!f) return usage_error("cannot read %s: %s", path, strerror(errno));
  bool ok = read_all(c->arena, f, &c->source, &c->size);
  int e = errno;
  if (!standard) fclose(f);
  if (!ok) return usage_error("cannot read %s: %s", path, strerror(e));
  const char *slash = strrchr(path, '/');
  c->path = standard ? "<stdin>" : path;
  c->dir = slash ? arena_strndup(c->arena, path, (size_t)(slash - path + 1)) : "";
  const char *base = standard ? "program" : slash ? slash + 1 : path;
  const char *dot = strrchr(base, '.');
  c->name = dot && dot > base ? arena_strndup(c->arena, base, (size_t)(dot - base)) : base;
  c->is_ir = ends_with(path, ".ir");
  c->diags = diags_new(c->arena, c->path, c->source);
  return 0;
}

static bool json_diagnostics(const Compilation *c) {
  return c->o->diagnostics && !strcmp(c->o->diagnostics, "json");
}

/* Shows what was found so far; the exit code for it. */
static int report(const Compilation *c) {
  if (json_diagnostics(c))
    diags_print_json(c->diags, stdout);
  else
    diags_print(c->diags, stderr, isatty(STDERR_FILENO) && !getenv("NO_COLOR"));
  c->diags->ndiag = 0;
  return c->diags->nerror ? EXIT_PROGRAM : 0;
}

static int count(char *const *list) {
  int n = 0;
  while (list && list[n]) n++;
  return n;
}

/* Text to tree; 0 or an exit code, with errors shown. */
static int parse(Compilation *c, const char *path) {
  int code = open_source(c, path);
  if (code) return code;
  c->ast = ast_parse(c->arena, c->diags, c->source, c->size);
  return c->diags->nerror ? report(c) : 0;
}

/* Whether any run comes after another. */
static bool has_phases(const Ast *ast) {
  for (const AstItem *it = ast->item; it; it = it->next)
    if (it->kind == AST_RUN && it->lower) return true;
  return false;
}

static int analyse(Compilation *c) {
  SemaOptions s = {.run = c->run ? c->run : c->o->run,
                   .phase = has_phases(c->ast),
                   .program = c->name,
                   .dir = c->dir,
                   .set = (const char *const *)c->o->set,
                   .nset = count(c->o->set),
                   .data = (const char *const *)c->o->data,
                   .ndata = count(c->o->data),
                   .pedantic = c->o->pedantic && !c->more,
                   .check_only = c->check_only,
                   .any_precision = c->check_grad,
                   .precision = DT_F64,
                   .probe = data_probe,
                   .probe_ctx = c->arena};
  c->program = sema_program(c->arena, c->diags, c->ast, &s);
  bool done = c->check_only && !c->more;
  return c->diags->nerror || c->diags->ndiag || done ? report(c) : 0;
}

/* File to program: a .mlo file, or the textual form of any stage (.ir). */
static int front(Compilation *c, const char *path) {
  int code;
  if (!ends_with(path, ".ir")) {
    code = parse(c, path);
    return code ? code : analyse(c);
  }
  code = open_source(c, path);
  if (code) return code;
  if (strlen(c->source) != c->size) return usage_error("%s is not text", path);
  c->program = ir_parse(c->arena, c->diags, c->name, c->source);
  return c->diags->nerror || c->check_only ? report(c) : 0;
}

/* Program to program, up to a pass (NULL: all). */
static int lower(Compilation *c, const char *last) {
  const Options *o = c->o;
  const char *unknown = pass_unknown(c->arena, o->passes);
  if (!unknown) unknown = pass_unknown(c->arena, o->dump_after);
  if (unknown) {
    const char *list = "";
    for (int i = 0; i < pass_count(); i++)
      list = arena_printf(c->arena, "%s %s", list, pass_name(i));
    return usage_error("there is no pass `%s`; the passes are:%s", unknown, list);
  }
  char *text = ir_print(c->program);
  XXH128_hash_t h = XXH3_128bits(text, strlen(text));
  c->hash = arena_printf(c->arena, "%016llx%016llx", (unsigned long long)h.high64,
                         (unsigned long long)h.low64);
  PassOptions p = {.passes = o->passes,
                   .stop_after = last,
                   .dump_after = o->dump_after,
                   .dump = stderr,
                   .time = o->time_passes,
                   .verify = o->verify,
                   .poison = o->poison,
                   .check_grad = c->check_grad};
#ifdef MLOC_HOSTILE
  p.verify = true;
#endif
  bool ok = pass_run(c->program, &p);
  if (c->diags->ndiag) report(c);
  return ok ? 0 : EXIT_PROGRAM;
}

static CgOptions cuda_options(const Compilation *c) {
  return (CgOptions){.source = c->path, .version = MLOC_VERSION, .cuda = true};
}

/* Program to C. dir: where relative data files will be looked for; target and archs: what --target
   and, for it, --arch say (NULL: this kind of CPU). 0 or an exit code after a message. */
static int generate(Compilation *c, const char *dir, const char *march, const char *target,
                    const char *archs, char **text) {
  const char *arch = march;
  if (!strcmp(march, "native")) {
    char cpu[1024];
    mlo_cpu_flags(cpu, sizeof cpu);
    arch = arena_printf(c->arena, "native:%s", cpu);
  }
  CgOptions o = {.source = c->path,
                 .dir = dir,
                 .hash = c->hash,
                 .arch = arch,
                 .version = MLOC_VERSION,
                 .poison = c->o->poison};
  int code = cuda_target(c->program, target, archs, &o);
  if (code == 0) *text = cg_c(c->program, &o);
  return code;
}

static char *generate_cuda(const Compilation *c) {
  CgOptions o = cuda_options(c);
  return cg_cuda(c->program, &o, NULL, NULL);
}

static const char *absolute_dir(Compilation *c) {
  char *real = realpath(*c->dir ? c->dir : ".", NULL);
  const char *dir = real ? arena_strdup(c->arena, real) : c->dir;
  free(real);
  return dir;
}

/* ---- subcommands ---- */

static int one_file(int argc, char **argv, const char **path) {
  *path = NULL;
  if (argc < 1) return usage_error("which program? a .mlo file is missing (--help says more)");
  if (argc > 1) return usage_error("one program at a time: `%s` is too much", argv[1]);
  *path = argv[0];
  return 0;
}

/* Where the data's sizes are known, the levels are differentiated as well: missing paths, games,
 * methods. */
static int check_program(Compilation *c, int code) {
  bool whole = code == 0 && c->program && !(c->program->facts & F_LEVEL_GRADS);
  return whole ? lower(c, "differentiate") : code;
}

/* Without --run, all runs of a program. */
static int call_check(Compilation *c, int argc, char **argv) {
  const char *path;
  int code = one_file(argc, argv, &path), n = 0;
  c->check_only = true;
  if (code) return code;
  if (ends_with(path, ".ir")) return check_program(c, front(c, path));
  if ((code = parse(c, path))) return code;
  for (const AstItem *it = c->ast->item; it; it = it->next) n += it->kind == AST_RUN && it->name;
  if (c->o->run || n < 2) return check_program(c, analyse(c));
  for (const AstItem *it = c->ast->item; it && code == 0; it = it->next) {
    if (it->kind != AST_RUN || !it->name) continue;
    c->run = it->name;
    c->more = --n > 0;
    code = check_program(c, analyse(c));
  }
  return code;
}

static int driver_failed(DriverStatus s, const char *error) {
  fprintf(stderr, "mloc: %s\n", error);
  if (s == DRIVER_REJECTED)
    fputs("compiler bug: please report it, with the program and the command\n", stderr);
  return s == DRIVER_REJECTED ? EXIT_BUG : s == DRIVER_NO_COMPILER ? EXIT_DEVICE : EXIT_USAGE;
}

static DriverOptions driver_options(Compilation *c, const char *march) {
  char cpu[1024];
  mlo_cpu_flags(cpu, sizeof cpu);
  return (DriverOptions){.march = march,
                         .cpu = arena_strdup(c->arena, cpu),
                         .name = c->name,
                         .verbose = c->o->verbose};
}

/* The chosen run as an executable, for the device that --device names (NULL: a CPU). */
static int build_cached(Compilation *c, const char *device, DriverProgram *p) {
  const char *march = c->o->march ? c->o->march : "native", *error = NULL;
  const char *target = !device                   ? NULL
                       : !strcmp(device, "cuda") ? "cuda"
                       : !strcmp(device, "auto") ? "cpu,cuda"
                                                 : NULL;
  char *text;
  int code = lower(c, NULL);
  if (code == 0) code = generate(c, absolute_dir(c), march, target, NULL, &text);
  if (code) return code;
  DriverOptions o = driver_options(c, march);
  DriverStatus s = driver_cached(c->arena, text, &o, p, &error);
  return s == DRIVER_OK ? 0 : driver_failed(s, error);
}

/* One of several runs, as a child. */
static int run_phase(const Compilation *c, int argc, char **argv, Phase f) {
  Compilation k = *c;
  DriverProgram p;
  const char *error = NULL;
  k.run = f.name;
  k.program = NULL;
  int code = analyse(&k);
  if (code == 0) code = build_cached(&k, phase_option(argc, argv, "device"), &p);
  if (code) return code;
  const char **source = arena_array(c->arena, const char *, k.program->nsource);
  for (int i = 0; i < k.program->nsource; i++) source[i] = k.program->source[i]->name;
  f.source = source;
  f.nsource = k.program->nsource;
  if (!phase_quiet(argc, argv)) fprintf(stderr, "run %s\n", f.name);
  f.name = c->name;
  char **args = phase_arguments(c->arena, argc, argv, &f);
  DriverStatus s = driver_spawn(c->arena, &p, args, &code, &error);
  return s == DRIVER_OK ? code : driver_failed(s, error);
}

/* The runs before the chosen one into DIR/NAME, then that one into DIR: each begins with what the
   one before it left. Without --out, what they leave is in a temporary folder. */
static int run_phases(const Compilation *c, int argc, char **argv, const char **name, int n) {
  Arena *a = c->arena;
  const char *out = phase_option(argc, argv, "out"), *resume = phase_option(argc, argv, "resume");
  int code = 0;
  if (phase_option(argc, argv, "seeds"))
    return usage_error("--seeds: not offered for runs that come after others; build each run, and "
                       "give the seeds of the one before by --load");
  if (resume && strcmp(resume, "auto") != 0)
    return usage_error("--resume FILE: a file is of one run of several; expected auto");
  const char *folder = out ? out : driver_folder(a);
  if (!folder) return usage_error("cannot make a temporary folder: %s", strerror(errno));
  Phase f = {.load = NULL};
  for (int i = 0; i <= n && code == 0; i++) {
    f.last = i == n;
    f.name = f.last ? c->program->run.name : name[i];
    f.out = f.last ? out : arena_printf(a, "%s/%s", folder, name[i]);
    code = run_phase(c, argc, argv, f);
    f.load = arena_printf(a, "%s/final.npz", f.out ? f.out : folder);
  }
  for (int i = 0; i < n && !out; i++) {
    driver_remove_folder(a, arena_printf(a, "%s/%s/checkpoints", folder, name[i]));
    driver_remove_folder(a, arena_printf(a, "%s/%s", folder, name[i]));
  }
  if (!out) driver_remove_folder(a, folder);
  return code;
}

/* argv: the program, then what the executable gets. */
static int call_run(Compilation *c, int argc, char **argv) {
  if (argc < 1) return usage_error("which program? a .mlo file is missing (--help says more)");
  const char *error = NULL;
  DriverProgram p;
  int n = 0, code = front(c, argv[0]);
  if (code) return code;
  const char **before = c->ast ? phases_before(c->arena, c->ast, c->program->run.name, &n) : NULL;
  if (n && !phase_option(argc, argv, "load") && !phase_asks(argc, argv))
    return run_phases(c, argc, argv, before, n);
  if ((code = build_cached(c, phase_option(argc, argv, "device"), &p))) return code;
  char **args = arena_array(c->arena, char *, argc + 1);
  for (int i = 1; i < argc; i++) args[i] = argv[i];
  args[0] = arena_strdup(c->arena, c->name);
  DriverStatus s = driver_exec(c->arena, &p, args, &code, &error);
  return s == DRIVER_OK ? code : driver_failed(s, error);
}

/* ---- check-grad: an executable that checks, and a report of what it found ---- */

static int call_check_grad(Compilation *c, int argc, char **argv) {
  const char *path, *error = NULL;
  int code = one_file(argc, argv, &path);
  c->check_grad = true;
  if (code == 0 && ends_with(path, ".ir")) code = usage_error("check-grad takes a .mlo file");
  DriverProgram p;
  if (code == 0) code = front(c, path);
  if (code == 0) code = build_cached(c, c->o->device, &p);
  if (code) return code;
  const char *folder = driver_folder(c->arena);
  if (!folder) return usage_error("cannot make a temporary folder: %s", strerror(errno));
  char *args[] = {arena_strdup(c->arena, c->name),
                  "--quiet",
                  "--out",
                  arena_strdup(c->arena, folder),
                  "--device",
                  c->o->device ? c->o->device : "cpu",
                  NULL};
  DriverStatus s = driver_spawn(c->arena, &p, args, &code, &error);
  if (s == DRIVER_OK && code == 0)
    code = data_check_report(c->arena, c->program, arena_printf(c->arena, "%s/final.npz", folder),
                             c->o->json);
  driver_remove_folder(c->arena, folder);
  return s == DRIVER_OK ? code : driver_failed(s, error);
}

static int call_build(Compilation *c, int argc, char **argv) {
  const char *path, *error = NULL, *march = c->o->march ? c->o->march : "x86-64-v3";
  int code = one_file(argc, argv, &path);
  if (code == 0) code = front(c, path);
  if (code == 0) code = lower(c, NULL);
  if (code) return code;
  char *text;
  if ((code = generate(c, absolute_dir(c), march, c->o->target, c->o->arch, &text))) return code;
  DriverOptions o = driver_options(c, march);
  DriverStatus s = driver_build(c->arena, text, &o, c->o->out ? c->o->out : c->name, &error);
  return s == DRIVER_OK ? 0 : driver_failed(s, error);
}

/* Where `emit` writes: the file of -o, or the standard output. */
static int put_text(const Compilation *c, const char *text) {
  FILE *f = c->o->out ? fopen(c->o->out, "w") : stdout;
  bool ok = f && fputs(text, f) >= 0;
  if (f) ok = (c->o->out ? fclose(f) : fflush(f)) == 0 && ok;
  return ok ? 0
            : usage_error("cannot write %s: %s", c->o->out ? c->o->out : "the output",
                          strerror(errno));
}

static bool is_pass(const char *name) {
  for (int i = 0; i < pass_count(); i++)
    if (!strcmp(pass_name(i), name)) return true;
  return false;
}

static int emit_ast(Compilation *c, const char *path) {
  if (ends_with(path, ".ir")) return usage_error("a .ir file has no stage `ast`");
  int code = parse(c, path);
  if (code) return code;
  char *text = NULL;
  size_t n;
  FILE *f = open_memstream(&text, &n);
  if (!f) return usage_error("out of memory");
  ast_print(c->ast, f);
  fclose(f);
  code = put_text(c, text);
  free(text);
  return code;
}

/* CUDA's architecture that kernels are for. */
static const char *cuda_arch(const Compilation *c) { return c->o->arch ? c->o->arch : "sm_90"; }

static int emit_ptx(Compilation *c) {
  const char *ptx;
  int code = cuda_ptx(c->arena, generate_cuda(c), c->name, cuda_arch(c), &ptx);
  return code ? code : put_text(c, ptx);
}

static int emit_c(Compilation *c) {
  const char *march = c->o->march ? c->o->march : "x86-64-v3", *target = c->o->target;
  char *text;
  int code = generate(c, c->dir, march, target, target ? c->o->arch : NULL, &text);
  return code ? code : put_text(c, text);
}
static int emit_cuda(Compilation *c) {
  CgOptions o = cuda_options(c);
  o.plain = true;
  return put_text(c, cg_cuda(c->program, &o, NULL, NULL));
}
static int emit_ir(Compilation *c) { return put_text(c, ir_print(c->program)); }

/* Stages that are no passes: all passes run before them, but for `ir`. */
static const struct Stage {
  const char *name;
  int (*emit)(Compilation *c);
} stages[] = {
    {"ir", emit_ir}, {"kernels", emit_ir}, {"c", emit_c}, {"cuda", emit_cuda}, {"ptx", emit_ptx}};
enum { NSTAGE = sizeof stages / sizeof *stages };

static int no_stage(const char *stage) {
  int code = usage_error("there is no stage `%s`; the stages are:", stage);
  fputs("  ast ir", stderr);
  for (int i = 0; i < pass_count(); i++) fprintf(stderr, " %s", pass_name(i));
  fputs(" c cuda ptx\n", stderr);
  return code;
}

static int call_emit(Compilation *c, int argc, char **argv) {
  const char *path, *stage = c->o->stage ? c->o->stage : "c";
  const struct Stage *s = NULL;
  int code = one_file(argc, argv, &path);
  if (code) return code;
  if (!strcmp(stage, "ast")) return emit_ast(c, path);
  for (int i = 0; i < NSTAGE; i++)
    if (!strcmp(stages[i].name, stage)) s = &stages[i];
  if (!s && !is_pass(stage)) return no_stage(stage);
  if (c->o->target && strcmp(stage, "c")) return usage_error("--target goes with --stage=c");
  code = front(c, path);
  if (code == 0 && strcmp(stage, "ir")) code = lower(c, s ? NULL : stage);
  if (code) return code;
  return s ? s->emit(c) : emit_ir(c);
}

static int call_inspect(Compilation *c, int argc, char **argv) {
  const char *path, *arch = cuda_arch(c);
  bool cuda = c->o->target && !strcmp(c->o->target, "cuda");
  int code = one_file(argc, argv, &path);
  if (code == 0) code = cuda_check_options(c->arena, c->o, cuda ? arch : NULL);
  if (code == 0) code = front(c, path);
  if (code == 0) code = lower(c, NULL);
  if (code) return code;
  const char *source = c->is_ir ? NULL : c->source;
  CgOptions text = cuda_options(c);
  if (cuda) return cuda_inspect(c->program, source, &text, arch, c->o);
  cg_inspect(c->program, source, NULL, stdout, c->o->json, NULL);
  return 0;
}

/* Replaces a file at once; its permissions stay. */
static int replace_file(Compilation *c, const char *path, const char *text) {
  char *real = realpath(path, NULL);
  const char *target = real ? arena_strdup(c->arena, real) : path;
  free(real);
  char *temporary = arena_printf(c->arena, "%s.XXXXXX", target);
  struct stat st;
  int fd = mkstemp(temporary);
  FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
  bool ok = f && stat(target, &st) == 0 && fchmod(fd, st.st_mode & 07777) == 0;
  ok = ok && fputs(text, f) >= 0;
  if (f) ok = fclose(f) == 0 && ok;
  ok = ok && rename(temporary, target) == 0;
  int e = errno;
  if (!ok && fd >= 0) unlink(temporary);
  return ok ? 0 : usage_error("cannot write %s: %s", path, strerror(e));
}

static int format_one(Compilation *c, const char *path) {
  int code = parse(c, path);
  if (code) return code;
  const char *text = ast_format(c->arena, c->ast);
  bool same = strlen(text) == c->size && !memcmp(text, c->source, c->size);
  if (c->o->check) {
    if (!same) printf("%s\n", c->path);
    return same ? 0 : EXIT_PROGRAM;
  }
  if (!strcmp(path, "-")) return fputs(text, stdout) >= 0 ? 0 : EXIT_USAGE;
  return same ? 0 : replace_file(c, path, text);
}

static int call_fmt(Compilation *c, int argc, char **argv) {
  if (argc < 1) return usage_error("which programs? (--help says more)");
  int worst = 0;
  for (int i = 0; i < argc; i++) {
    int code = format_one(c, argv[i]);
    if (code > worst) worst = code;
  }
  return worst;
}

static int call_explain(Compilation *c, int argc, char **argv) {
  (void)c;
  if (argc == 0) explain_list(stdout);
  for (int i = 0; i < argc; i++) {
    if (!strcmp(argv[i], "builtins")) {
      builtins_print(stdout);
      continue;
    }
    const Explanation *e = explain_find(argv[i]);
    if (!e) return usage_error("there is no error `%s`; `mloc explain` lists all", argv[i]);
    if (i) fputc('\n', stdout);
    explain_print(e, stdout);
  }
  return 0;
}

static const Command commands[] = {
    {"check", "p.mlo", "Checks a program, and its data files if they are there.", CHECK,
     call_check},
    {"run", "p.mlo [NAME] [options of the program]",
     "Builds a program into the cache and runs it, after the runs that it comes after.\n"
     "Options that mloc does not know go to the program: see `mloc run p.mlo -- --help`.",
     RUN, call_run},
    {"build", "p.mlo -o p", "Builds an executable that runs without mloc.", BUILD, call_build},
    {"emit", "p.mlo --stage=STAGE", "Prints a program as it is at a stage. Takes .ir files too.",
     EMIT, call_emit},
    {"inspect", "p.mlo",
     "Shows kernels, memory and schedule; with --target=cuda what kernels use of a GPU.", INSPECT,
     call_inspect},
    {"check-grad", "p.mlo",
     "Compares each level's hypergradient with central differences of the solved program.\n"
     "It is taken by the level's methods and by dense solves, in double precision.",
     CHECK_GRAD, call_check_grad},
    {"fmt", "p.mlo ...", "Brings programs into the one canonical format, in place.", FMT, call_fmt},
    {"explain", "[E0123 | builtins]",
     "Explains an error, or lists all; lists the built-in functions.", EXPLAIN, call_explain},
};
enum { NCOMMAND = sizeof commands / sizeof *commands };

/* Parses the options of a subcommand and calls it. */
static int dispatch(Arena *a, const Command *k, int argc, char **argv, Options *o) {
  char **rest;
  int n, code = options_parse(a, k->bit, k->name, k->usage, k->text, argc, argv, o, &rest, &n);
  if (code) return code < 0 ? 0 : code;
  Compilation c = {.arena = a, .o = o};
  return k->call(&c, n, rest);
}

static void help(FILE *out) {
  fputs("mloc compiles multilevel optimization problems to native executables.\n\n"
        "Usage: mloc COMMAND ...        mloc COMMAND --help says more\n\n",
        out);
  for (int i = 0; i < NCOMMAND; i++)
    fprintf(out, "  %-10s %.*s\n", commands[i].name, (int)strcspn(commands[i].text, "\n"),
            commands[i].text);
}

/* compiler_bug aborts, and so does glibc when memory is damaged. */
static void on_abort(int signal_number) {
  (void)signal_number;
  _exit(EXIT_BUG);
}

/* Long chains of expressions are walked by recursion: the work has a stack of its own, of which
   only what is used costs memory. */
enum { STACK_BYTES = 1 << 29 };

typedef struct Work {
  int argc, code;
  char **argv;
} Work;

static void *work(void *p) {
  Work *w = p;
  Arena *a = arena_new();
  Options o = {0};
  w->code = -1;
  for (int i = 0; i < NCOMMAND && w->code < 0; i++)
    if (!strcmp(commands[i].name, w->argv[1]))
      w->code = dispatch(a, &commands[i], w->argc - 2, w->argv + 2, &o);
  if (w->code < 0)
    w->code = usage_error("there is no command `%s`; `mloc --help` lists them", w->argv[1]);
  if (fflush(stdout) && w->code == 0)
    w->code = usage_error("cannot write the output: %s", strerror(errno));
  arena_free(a);
  return NULL;
}

static int work_on_large_stack(int argc, char **argv) {
  Work w = {.argc = argc, .argv = argv};
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t set;
  driver_signals(&set);
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  if (pthread_create(&thread, &attr, work, &w) == 0) {
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* signals are the working thread's */
    pthread_join(thread, NULL);
  } else {
    work(&w);
  }
  pthread_attr_destroy(&attr);
  return w.code;
}

int main(int argc, char **argv) {
  signal(SIGABRT, on_abort);
  const char *name = argc > 1 ? argv[1] : "";
  if (!strcmp(name, "--version")) {
    puts("mloc " MLOC_VERSION);
    exit(EXIT_SUCCESS);
  }
  bool asked = !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help");
  if (asked || argc < 2) {
    help(asked ? stdout : stderr);
    exit(asked ? EXIT_SUCCESS : EXIT_USAGE);
  }
  exit(work_on_large_stack(argc, argv));
}
