/* The tables that tell the runtime what the program's schedule, data, settings, arrays and metrics
   are, and the executable's main. */
#include <math.h>
#include <string.h>

#include "codegen/schedule.h"
#include "codegen/unit_cuda.h"

typedef struct Main {
  Unit *u;
  Text *out;
  const char *prefix; /* of the names of tables */
  int nstmt;          /* rows of the schedule */
  Device *device;     /* NULL: no code for CUDA devices */
  int ndevice_stmt;
} Main;

static const char *number(Unit *u, double x) {
  if (isnan(x)) return "(double)NAN";
  if (isinf(x)) return x > 0 ? "(double)INFINITY" : "-(double)INFINITY";
  char *s = arena_printf(u->arena, "%.17g", x);
  return strpbrk(s, ".e") ? s : arena_printf(u->arena, "%s.0", s);
}

static const char *quote_or_null(Unit *u, const char *s) {
  return s ? text_quote(u->arena, s) : "NULL";
}

/* ---- functions, and what CUDA devices run */

static void functions(Main *m) {
  Unit *u = m->u;
  const Device *d = m->device;
  if (!u->program->schedule || !(u->nfunc + (d ? d->nfunc : 0))) return;
  text_addf(m->out, "static const MloFunc %sfuncs[] = {\n", m->prefix);
  for (int i = 0; i < u->nfunc; i++)
    text_addf(m->out, "{%s, %s, 0, 0},\n", text_quote(u->arena, u->func[i]->name),
              cg_func_name(u->arena, u->options, u->func[i]));
  for (int i = 0; d && i < d->nfunc; i++)
    text_addf(m->out, "{%s, NULL, %d, %d},\n", text_quote(u->arena, d->func[i].name),
              d->func[i].first, d->func[i].n);
  text_add(m->out, "};\n\n");
}

/* A long text as an array of bytes: literals have a limit. */
static void bytes(Main *m, const char *type, const char *name, const unsigned char *b, size_t n) {
  text_addf(m->out, "static const %s %s%s[] = {", type, m->prefix, name);
  for (size_t i = 0; i < n; i++) text_addf(m->out, i % 24 ? "%u," : "\n%u,", b[i]);
  text_add(m->out, "};\n");
}

/* A table of images, `NAMEs`. */
static void cubins(Main *m, const char *name, const CgCubin *cubin, int n) {
  const char *x = m->prefix;
  for (int i = 0; i < n; i++)
    bytes(m, "unsigned char", arena_printf(m->u->arena, "%s%d", name, i), cubin[i].image,
          cubin[i].n);
  text_addf(m->out, "static const MloCubin %s%ss[] = {\n", x, name);
  for (int i = 0; i < n; i++)
    text_addf(m->out, "{\"%s\", %s%s%d, sizeof %s%s%d},\n", cubin[i].arch, x, name, i, x, name, i);
  text_add(m->out, "{0}};\n");
}

static void device_tables(Main *m) {
  Device *d = m->device;
  const CgOptions *o = m->u->options;
  const char *source = device_source(d);
  const char *x = m->prefix;
  if (!o->no_source)
    bytes(m, "char", "cuda_source", (const unsigned char *)source, strlen(source) + 1);
  text_addf(m->out, "static const char *const %skernels[] = {\n", x);
  for (int i = 0; i < d->nentry; i++) text_addf(m->out, "\"%s\",\n", d->entry[i]);
  text_addf(m->out, "NULL};\nstatic const MloLaunch %slaunches[] = {\n%s{0}};\n", x, d->launches.s);
  text_addf(m->out, "static const int64_t %sargs[] = {%s0};\n", x, d->args.s);
  cubins(m, "cubin", o->cubin, o->ncubin);
  if (o->ncheck) cubins(m, "check", o->check, o->ncheck);
  int nahead = device_aheads(d, x, m->out);
  text_addf(m->out, "static const MloDevice %scuda = {\n", x);
  text_addf(m->out, ".source = %s%s,\n.kernel = %skernels,\n.nkernel = %d,\n",
            o->no_source ? "NULL" : x, o->no_source ? "" : "cuda_source", x, d->nentry);
  text_addf(m->out, ".launch = %slaunches,\n.nlaunch = %d,\n.arg = %sargs,\n", x, d->nlaunch, x);
  text_addf(m->out, ".cubin = %scubins,\n.ncubin = %d,\n.scratch_bytes = %lld,\n", x, o->ncubin,
            (long long)d->scratch);
  if (o->ncheck) text_addf(m->out, ".check = %schecks,\n.ncheck = %d,\n", x, o->ncheck);
  if (m->ndevice_stmt) text_addf(m->out, ".stmt = %sdevice_stmts,\n", x);
  text_addf(m->out, ".nstmt = %d,\n", m->ndevice_stmt);
  if (nahead) text_addf(m->out, ".ahead = %saheads,\n.nahead = %d,\n", x, nahead);
  text_add(m->out, "};\n\n");
}

/* ---- tables */

static void type_fields(Main *m, Type t) {
  static const char *const names[NDTYPE] = {"MLO_BOOL", "MLO_I32", "MLO_F32", "MLO_F64"};
  text_addf(m->out, "%s, %d, {", names[t.dtype], t.rank);
  for (int i = 0; i < t.rank; i++) text_addf(m->out, "%s%lld", i ? ", " : "", (long long)t.dim[i]);
  text_add(m->out, t.rank ? "}" : "0}");
}

static void sources(Main *m) {
  Unit *u = m->u;
  const Program *p = u->program;
  static const char *const checks[] = {"MLO_ANY", "MLO_BOX", "MLO_RANGE"};
  for (int i = 0; i < p->nsource; i++) {
    const Source *s = p->source[i];
    text_addf(m->out, "static const MloField fields%d[] = {\n", i);
    for (int k = 0; k < s->nfield; k++) {
      const Storage *f = s->field[k];
      text_addf(m->out, "{%s, ", quote_or_null(u, s->array[k]));
      type_fields(m, f->type);
      text_add(m->out, ", {");
      for (int d = 0; d < f->type.rank; d++)
        text_addf(m->out, "%s%s", d ? ", " : "", quote_or_null(u, f->dim_name[d]));
      text_addf(m->out, "%s}, %s, %s, %s, %lld},\n", f->type.rank ? "" : "NULL", checks[f->check],
                number(u, f->lo), number(u, f->hi), (long long)emit_byte(f));
    }
    text_add(m->out, "};\n");
    if (s->npart) text_addf(m->out, "static const MloPart parts%d[] = {\n", i);
    for (int k = 0; k < s->npart; k++)
      text_addf(m->out, "{%s, %lld, %lld},\n", quote_or_null(u, s->part[k].name),
                (long long)type_count(s->part[k].rows->type),
                (long long)emit_byte(s->part[k].rows));
    if (s->npart) text_add(m->out, "};\n");
  }
  text_add(m->out, p->nsource ? "static const MloSource sources[] = {\n" : "");
  for (int i = 0; i < p->nsource; i++) {
    const Source *s = p->source[i];
    int by = s->nfield - 1;
    while (by >= 0 && s->field[by] != s->by) by--;
    text_addf(m->out, "{%s, %s, %d, fields%d, %d, %d, ", quote_or_null(u, s->name),
              quote_or_null(u, s->file), s->nfield, i, s->npart, by);
    text_add(m->out, s->npart ? arena_printf(u->arena, "parts%d", i) : "NULL");
    text_addf(m->out, ", %lld, %lld},\n", (long long)s->rows, (long long)s->split_seed);
  }
  text_add(m->out, p->nsource ? "};\n" : "");
}

static int spans(Main *m, const Source *s, int number) {
  int n = 0;
  text_addf(m->out, "static const MloSpan spans%d[] = {", number);
  for (int i = 0; i < s->nfield; i++) {
    Type t = s->field[i]->type;
    if (t.rank && t.dim[0] == s->rows && type_bytes(t))
      text_addf(m->out, "%s{%lld, %lld}", n++ ? ", " : "", (long long)emit_byte(s->field[i]),
                (long long)(type_bytes(t) / s->rows));
  }
  text_add(m->out, n ? "};\n" : "{0, 0}};\n");
  return n;
}

static int cursors(Main *m) {
  const Program *p = m->u->program;
  Text table = {.arena = m->u->arena};
  int n = 0, level = 0;
  for (int i = 0; i < p->nlevel; i++) {
    const Level *l = p->level[i];
    for (int k = 0; k < l->ncursor; k++, n++) {
      const Cursor *c = &l->cursor[k];
      int nspan = spans(m, c->source, n);
      text_addf(&table, "{%d, %d, %d, %d, %lldu, %lld, %lld, %lld, %d, spans%d},\n", level,
                c->source->shuffled, c->keep, c->rows != NULL, (long long)c->stream,
                (long long)cursor_rows(c), (long long)c->source->batch,
                (long long)(c->rows ? emit_byte(c->rows) : 0), nspan, n);
    }
    level += l->ncursor > 0;
  }
  if (n) text_addf(m->out, "static const MloCursor cursors[] = {\n%s};\n", table.s);
  return n;
}

static int settings(Main *m) {
  static const char *const names[NDTYPE] = {"MLO_BOOL", "MLO_I32", "MLO_F32", "MLO_F64"};
  Unit *u = m->u;
  int n = 0;
  for (int i = 0; i < u->program->nstorage; i++) {
    const Storage *s = u->program->storage[i];
    if (s->kind != ST_SETTING) continue;
    if (!n++) text_add(m->out, "static const MloSetting settings[] = {\n");
    text_addf(m->out, "{%s, %s, %lld, %s, %s, %s},\n", quote_or_null(u, s->name),
              names[s->type.dtype], (long long)emit_byte(s), number(u, s->value), number(u, s->lo),
              number(u, s->hi));
  }
  text_add(m->out, n ? "};\n" : "");
  return n;
}

/* The flag of the level that would copy another level's values into s before its first step. */
static const Storage *begin_of(const Program *p, const Storage *s) {
  for (int i = 0; i < p->nlevel; i++)
    for (int k = 0; p->level[i]->copy && k < p->level[i]->copy->nresult; k++)
      if (p->level[i]->copy->dest[k] == s) return p->level[i]->begin;
  return NULL;
}

static int arrays(Main *m) {
  Unit *u = m->u;
  int n = 0;
  for (int i = 0; i < u->program->nstorage; i++) {
    const Storage *s = u->program->storage[i];
    if (!s->saved) continue;
    if (!n++) text_add(m->out, "static const MloArray arrays[] = {\n");
    text_addf(m->out, "{%s, ", quote_or_null(u, s->name));
    type_fields(m, s->type);
    text_addf(m->out, ", %lld", (long long)emit_byte(s));
    bool box = s->check == CHECK_BOX;
    if (s->kind == ST_VAR)
      text_addf(m->out, ", true, %d, %s, %s, %s", s->loaded, box ? "MLO_BOX" : "MLO_ANY",
                number(u, box ? s->lo : 0), number(u, box ? s->hi : 0));
    const Storage *begin = begin_of(u->program, s);
    if (begin) text_addf(m->out, ", true, %lld", (long long)emit_byte(begin));
    text_add(m->out, "},\n");
  }
  text_add(m->out, n ? "};\n" : "");
  return n;
}

/* What a checkpoint holds: all that lives for the whole run and is not loaded or set, and what one
 * step of the top level leaves to the next. */
static bool is_state(const Program *p, const Storage *s) {
  if (s->base || s == p->seed) return false;
  return s->carried || s->kind == ST_VAR || s->kind == ST_STATE || s->kind == ST_COUNTER ||
         s->kind == ST_OUTPUT;
}

static int states(Main *m) {
  Unit *u = m->u;
  int n = 0;
  for (int i = 0; i < u->program->nstorage; i++) {
    const Storage *s = u->program->storage[i];
    if (!is_state(u->program, s)) continue;
    if (!n++) text_add(m->out, "static const MloArray states[] = {\n");
    text_addf(m->out, "{%s, ", quote_or_null(u, s->name));
    type_fields(m, s->type);
    text_addf(m->out, ", %lld},\n", (long long)emit_byte(s));
  }
  text_add(m->out, n ? "};\n" : "");
  return n;
}

/* The level that messages name for a metric. */
static const char *level_of(const Program *p, const Metric *x) {
  if (x->level) return x->level->name;
  for (int i = 0; i < p->nlevel; i++)
    if (p->level[i]->loss == x->value) return p->level[i]->name;
  return NULL;
}

static int metrics(Main *m) {
  const Program *p = m->u->program;
  int n = 0;
  for (int i = 0; i < p->nmetric; i++) n += !p->metric[i].output;
  if (n) text_add(m->out, "static const MloMetric metrics[] = {\n");
  for (int i = 0; i < p->nmetric; i++) {
    const Metric *x = &p->metric[i];
    if (x->output) continue;
    text_addf(m->out, "{%s, %s, %lld, %s, %d, %d},\n", quote_or_null(m->u, x->name),
              x->value->type.dtype == DT_F64 ? "MLO_F64" : "MLO_F32",
              (long long)emit_byte(x->value), quote_or_null(m->u, level_of(p, x)), x->costly,
              x->detail);
  }
  if (n) text_add(m->out, "};\n");
  return n;
}

static const Storage *top_steps(const Program *p) {
  return p->run.top ? p->run.top->steps.storage : NULL;
}

static void schedule_fields(Main *m) {
  int n = m->u->nfunc + (m->device ? m->device->nfunc : 0);
  const char *x = m->prefix;
  text_addf(m->out, ".nfunc = %d,\n.nstmt = %d,\n", n, m->nstmt);
  if (n) text_addf(m->out, ".func = %sfuncs,\n", x);
  if (m->nstmt) text_addf(m->out, ".stmt = %sstmts,\n", x);
  if (m->device) text_addf(m->out, ".cuda = &%scuda,\n", x);
}

static void program(Main *m, int nsetting, int narray, int nmetric, int nstate, int ncursor) {
  Unit *u = m->u;
  const Program *p = u->program;
  const CgOptions *o = u->options;
  const Storage *steps = top_steps(p);
  Text *t = m->out;
  text_add(t, "static const MloProgram mlo_program = {\n");
  text_addf(t, ".abi = MLO_ABI,\n.name = %s,\n.run = %s,\n", quote_or_null(u, p->name),
            quote_or_null(u, p->run.name));
  text_addf(t, ".source = %s,\n.dir = %s,\n.hash = %s,\n", text_quote(u->arena, o->source),
            text_quote(u->arena, o->dir), text_quote(u->arena, o->hash));
  text_addf(t, ".version = %s,\n.arch = %s,\n.precision = \"%s\",\n",
            text_quote(u->arena, o->version), text_quote(u->arena, o->arch),
            run_precision(&p->run));
  text_addf(t, ".arena_bytes = %lld,\n", (long long)p->arena_bytes);
  text_addf(t, ".nsource = %d,\n.nsetting = %d,\n.narray = %d,\n.nmetric = %d,\n", p->nsource,
            nsetting, narray, nmetric);
  text_addf(t, ".nstate = %d,\n.state = %s,\n", nstate, nstate ? "states" : "NULL");
  text_addf(t, ".data = %s,\n.setting = %s,\n.array = %s,\n.metric = %s,\n",
            p->nsource ? "sources" : "NULL", nsetting ? "settings" : "NULL",
            narray ? "arrays" : "NULL", nmetric ? "metrics" : "NULL");
  text_addf(t, ".seed_offset = %lld,\n.top_steps_offset = %lld,\n",
            (long long)(p->seed ? emit_byte(p->seed) : 0),
            (long long)(steps ? emit_byte(steps) : 0));
  text_addf(t, ".seed = %lld,\n.steps = %lld,\n.report_every = %lld,\n.report_csv = %s,\n",
            (long long)p->run.seed, (long long)(steps ? steps->value : 0),
            (long long)p->run.report_every, p->run.csv ? "true" : "false");
  text_addf(t, ".checkpoint_every = %lld,\n.checkpoint_keep = %lld,\n",
            (long long)p->run.checkpoint_every, (long long)p->run.checkpoint_keep);
  text_addf(t, ".eval_every = %lld,\n.best = %s,\n.best_max = %d,\n", (long long)p->run.eval_every,
            quote_or_null(u, p->run.best), p->run.best_max);
  if (ncursor) text_addf(t, ".ncursor = %d,\n.cursor = cursors,\n", ncursor);
  text_addf(t, ".after = %s,\n", quote_or_null(u, p->run.after));
  text_addf(t, ".top_steps = %s,\n", quote_or_null(u, steps ? steps->name : NULL));
  schedule_fields(m);
  text_add(t, ".process = true,\n.schedule = mlo_schedule,\n};\n");
}

static void tables(Main *m) {
  sources(m);
  int nsetting = settings(m), narray = arrays(m), nstate = states(m);
  int ncursor = cursors(m), nmetric = metrics(m);
  program(m, nsetting, narray, nmetric, nstate, ncursor);
  text_add(m->out, "\nint main(int argc, char **argv) {\n"
                   "return mlo_main(argc, argv, &mlo_program);\n}\n");
}

/* The schedule of a program that others load: a function that has it interpreted and, with a
   device, a program of nothing else. */
static void library(Main *m) {
  if (m->device) {
    text_addf(m->out, "extern const MloProgram %sprogram;\nconst MloProgram %sprogram = {\n",
              m->prefix, m->prefix);
    text_addf(m->out, ".abi = MLO_ABI,\n.name = \"%s\",\n.source = \"\",\n.hash = \"\",\n",
              m->u->program->name);
    text_addf(m->out, ".version = \"\",\n.arena_bytes = %lld,\n",
              (long long)m->u->program->arena_bytes);
    schedule_fields(m);
    text_add(m->out, "};\n");
  }
  text_addf(m->out,
            "int %sschedule(MloRun *, unsigned char *);\n"
            "int %sschedule(MloRun *run, unsigned char *arena) {\n(void)run;\n",
            m->prefix, m->prefix);
  if (m->nstmt)
    text_addf(m->out, "mlo_statements(%sfuncs, %sstmts, %d, arena);\n", m->prefix, m->prefix,
              m->nstmt);
  else
    text_add(m->out, "(void)arena;\n");
  text_add(m->out, "return 0;\n}\n");
}

void unit_main(Unit *u, Text *out) {
  Text body = {.arena = u->arena}, stmts = {.arena = u->arena};
  const char *prefix = u->options->library;
  Device device;
  Main m = {.u = u, .out = &body, .prefix = prefix ? prefix : ""};
  text_add(&stmts, "");
  text_add(&body, "");
  if (!u->options->only_cuda)
    m.nstmt = unit_schedule(u, arena_printf(u->arena, "%sstmts", m.prefix), &stmts);
  if (u->options->cuda) {
    m.device = &device;
    device_begin(&device, u->arena, u->program, u->options);
    m.ndevice_stmt = device_schedule(&device, u->nfunc,
                                     arena_printf(u->arena, "%sdevice_stmts", m.prefix), &stmts);
  }
  functions(&m);
  text_add(&body, stmts.s);
  text_add(&body, "\n");
  if (m.device) device_tables(&m);
  if (prefix)
    library(&m);
  else
    tables(&m);
  text_add(out, text_indent(u->arena, body.s));
}
