/* Parser of the textual IR: recursive descent over tokens into a Program. Levels, systems and
   functions may be named before they are defined, so their names are collected first. The first
   error ends it. */
#include <string.h>

#include "ir/op.h"
#include "ir/provider.h"
#include "ir/text.h"
#include "ir/text_names.h"
#include "ir/text_read.h"
#include "ir/verify.h"

enum { DEEPEST = 100 };

/* ---- storages and sources */

static void parse_view(Parser *q, Storage *s) {
  expect(q, "(");
  Storage *base = storage(q);
  if (base == s) fail(q, "E0602", "`%s` is a view of itself", s->name);
  s->base = base;
  expect(q, ",");
  s->base_offset = integer(q, 0, (int64_t)1 << 40);
  expect(q, ")");
}

static void parse_storage(Parser *q) {
  const char *n = q->at->text;
  if (q->at->kind == TEXT_NAME && program_find(q->p, n)) fail(q, "E0604", "storage `%s` exists", n);
  n = name(q);
  expect(q, ":");
  Type t = type(q);
  StorageKind kind = (StorageKind)word_of(q, text_storage_kind, "a kind of storage");
  Storage *s = program_storage(q->p, kind, t, "%s", n);
  if (accept_word(q, "view")) parse_view(q, s);
  if (accept(q, "=")) s->value = real(q);
  for (int c = 0; text_check[c]; c++) {
    if (!accept_word(q, text_check[c])) continue;
    s->check = (Check)c;
    expect(q, "(");
    s->lo = real(q);
    expect(q, ",");
    s->hi = real(q);
    expect(q, ")");
    break;
  }
  if (accept_word(q, "dims")) {
    expect(q, "(");
    for (int i = 0; i < t.rank; i++) {
      if (i) expect(q, ",");
      const char *dim = name(q);
      s->dim_name[i] = *dim ? dim : NULL;
    }
    expect(q, ")");
  }
  s->saved = accept_word(q, "saved");
  s->loaded = accept_word(q, "loaded");
  s->carried = accept_word(q, "carried");
  if (accept_word(q, "at")) {
    expect(q, "(");
    s->offset = integer(q, 0, (int64_t)1 << 50);
    expect(q, ",");
    s->born = (int)integer(q, -1, INT32_MAX);
    expect(q, ",");
    s->dies = (int)integer(q, -1, INT32_MAX);
    expect(q, ")");
  }
}

static void parse_split(Parser *q, Source *s) {
  int cap = 0;
  if (accept_word(q, "by")) s->by = storage(q);
  expect_word(q, "seed");
  s->split_seed = integer(q, 0, INT32_MAX);
  expect(q, "{");
  while (!accept(q, "}")) {
    if (s->npart) expect(q, ",");
    SourcePart part = {.name = name(q)};
    expect(q, "=");
    part.rows = storage(q);
    VEC_PUSH(q->arena, s->part, s->npart, cap, part);
  }
}

static void parse_source(Parser *q) {
  Source *s = arena_new_of(q->arena, Source);
  int cap_field = 0, cap_array = 0, n = 0;
  s->name = name(q);
  expect(q, "=");
  s->file = name(q);
  if (accept_word(q, "rows")) s->rows = integer(q, 1, INT32_MAX);
  if (accept_word(q, "batch")) s->batch = integer(q, 1, INT32_MAX);
  s->shuffled = accept_word(q, "shuffled");
  expect(q, "{");
  while (!accept(q, "}")) {
    if (s->nfield) expect(q, ",");
    Storage *field = storage(q);
    VEC_PUSH(q->arena, s->field, s->nfield, cap_field, field);
    expect(q, "=");
    const char *array = name(q);
    VEC_PUSH(q->arena, s->array, n, cap_array, array);
  }
  if (accept_word(q, "split")) parse_split(q, s);
  VEC_PUSH(q->arena, q->p->source, q->p->nsource, q->p->source_cap, s);
}

/* ---- functions */

static void parse_node(Parser *q, Func *f) {
  Op op;
  Attr attr = {0};
  Node **in = NULL;
  int nin = 0, cap = 0;
  if (integer(q, 0, INT32_MAX) != q->nnode) {
    q->at--;
    fail(q, "E0604", "nodes are numbered in order: this is %%%d", q->nnode);
  }
  expect(q, "=");
  TextToken *start = q->at;
  if (q->at->kind != TEXT_NAME || !op_parse(q->at->text, &op))
    fail(q, "E0602", "unknown operation `%s`", q->at->text);
  q->at++;
  if (op == OP_param) attr.sym = storage(q)->name;
  if (op == OP_const) attr.value = real(q);
  while (is_sign(q, "%")) {
    Node *operand = node(q);
    VEC_PUSH(q->arena, in, nin, cap, operand);
    if (!accept(q, ",")) break;
  }
  if (accept(q, "{")) {
    expect_word(q, text_attr_name(op));
    expect(q, "=");
    expect(q, "[");
    do {
      if (attr.n == MAX_RANK) fail(q, "E0605", "too many integers");
      attr.i[attr.n++] = integer(q, INT32_MIN, UINT32_MAX);
    } while (accept(q, ","));
    expect(q, "]");
    expect(q, "}");
  }
  expect(q, ":");
  Type want = type(q), got = want;
  if (want.dtype == DT_F32) attr.value = (float)attr.value; /* as ir_const has it */
  const char *wrong = ir_infer(q->arena, op, in, nin, &attr, &got);
  q->at = wrong || !type_eq(want, got) ? start : q->at;
  if (wrong) fail(q, "E0603", "%s: %s", op_info(op)->name, wrong);
  if (!type_eq(want, got))
    fail(q, "E0603", "%s gives %s", op_info(op)->name, type_str(q->arena, got));
  Node *n = ir_node(f->graph, op, want, in, nin, attr);
  VEC_PUSH(q->arena, q->node, q->nnode, q->node_cap, n);
}

static Store parse_dest(Parser *q) {
  Store s = {.dest = storage(q)};
  if (accept(q, "[")) {
    s.row = storage(q);
    expect(q, "]");
  }
  expect(q, "=");
  s.node = node(q);
  return s;
}

static void parse_return(Parser *q, Func *f) {
  TextToken *start = q->at, *end;
  Store s = parse_dest(q);
  Type t = s.dest->type;
  end = q->at;
  q->at = start;
  if (s.row && t.rank < 1) fail(q, "E0603", "`%s` has no rows", s.dest->name);
  if (s.row) t = type_make(t.dtype, t.rank - 1, t.dim + 1);
  if (!type_eq(t, s.node->type))
    fail(q, "E0603", "`%s` is %s, its result %s", s.dest->name, type_str(q->arena, t),
         type_str(q->arena, s.node->type));
  q->at = end;
  func_result(q->p, f, s.node, s.dest, s.row);
}

static void parse_kernel_item(Parser *q, Kernel *k, int *dead_cap) {
  if (accept_word(q, "store")) {
    Store s = parse_dest(q);
    VEC_PUSH(q->arena, k->store, k->nstore, k->store_cap, s);
  } else if (accept_word(q, "dead")) {
    Storage *s = storage(q);
    VEC_PUSH(q->arena, k->dead, k->ndead, *dead_cap, s);
  } else {
    Anchor a = {.cls = (AnchorClass)word_of(q, text_anchor_class, "an anchor, `store` or `dead`")};
    a.node = node(q);
    expect_word(q, "stage");
    a.stage = (int)integer(q, 0, 1000);
    a.keep = accept_word(q, "keep");
    VEC_PUSH(q->arena, k->anchor, k->nanchor, k->anchor_cap, a);
  }
}

static Kernel *parse_kernel(Parser *q) {
  Kernel *k = arena_new_of(q->arena, Kernel);
  int dead_cap = 0;
  k->name = name(q);
  k->kind = (KernelKind)word_of(q, text_kernel_kind, "a kind of kernel");
  expect(q, "[");
  int64_t count = 1;
  while (!is_sign(q, "]")) {
    if (k->rank == MAX_RANK) fail(q, "E0605", "more than %d axes", MAX_RANK);
    k->reduced[k->rank] = accept_word(q, "reduced");
    int64_t n = integer(q, 0, (int64_t)1 << 40);
    if (n > 0 && count > ((int64_t)1 << 40) / n)
      fail(q, "E0605", "domain of more than 2^40 elements");
    count *= n > 0 ? n : 1;
    k->dim[k->rank++] = n;
    if (!accept(q, ",")) break;
  }
  expect(q, "]");
  k->order = accept_word(q, "columns") ? ORDER_COLUMNS : ORDER_ROWS;
  for (int i = 0; i < NPROVIDER; i++)
    if (accept_word(q, provider_info((Provider)i)->name)) k->provider = (Provider)i;
  k->flat = accept_word(q, "flat");
  k->parallel = accept_word(q, "parallel");
  expect_word(q, "chunk");
  k->chunk = integer(q, 0, (int64_t)1 << 40);
  expect_word(q, "flops");
  k->flops = any_integer(q);
  expect_word(q, "bytes");
  k->bytes = any_integer(q);
  if (accept_word(q, "scratch")) k->scratch = storage(q);
  expect(q, "{");
  while (!accept(q, "}")) parse_kernel_item(q, k, &dead_cap);
  return k;
}

static void make_homes(Parser *q, Func *f) {
  f->home = arena_array(q->arena, Storage *, f->graph->nnode);
  for (int i = 0; i < f->graph->nnode; i++)
    if (f->graph->node[i]->op == OP_param)
      f->home[i] = program_find(q->p, f->graph->node[i]->attr.sym);
}

static void parse_func(Parser *q) {
  Func *f = func(q);
  int cap = 0;
  if (f->graph->nnode) fail(q, "E0604", "function `%s` is defined twice", f->name);
  f->role = (Role)word_of(q, text_role, "a role");
  expect(q, "{");
  q->nnode = 0;
  while (accept(q, "%")) parse_node(q, f);
  while (accept_word(q, "return")) parse_return(q, f);
  if (q->p->facts & F_FUSED) make_homes(q, f);
  while (f->home && accept_word(q, "home")) {
    Store s = parse_dest(q);
    f->home[s.node->id] = s.dest;
  }
  while (f->home && accept_word(q, "kernel")) {
    Kernel *k = parse_kernel(q);
    VEC_PUSH(q->arena, f->kernel, f->nkernel, cap, k);
  }
  expect(q, "}");
}

/* ---- levels and systems */

static Setting *parse_settings(Parser *q, const SettingInfo *info, int n) {
  Setting *s = arena_array(q->arena, Setting, n);
  expect(q, "(");
  for (int i = 0; i < n; i++) {
    s[i] = (Setting){&info[i], NULL};
    if (q->at->kind != TEXT_NAME || strcmp(q->at->text, info[i].name)) {
      if (!info[i].optional)
        fail(q, "E0601", "expected `%s`, found `%s`", info[i].name, q->at->text);
      continue;
    }
    q->at++;
    expect(q, "=");
    s[i].storage = storage(q);
    if (!accept(q, ",")) {
      for (i++; i < n; i++) {
        if (!info[i].optional) fail(q, "E0601", "the setting `%s` is missing", info[i].name);
        s[i] = (Setting){&info[i], NULL};
      }
    }
  }
  expect(q, ")");
  return s;
}

static const MethodInfo *method(Parser *q) {
  const MethodInfo *m = method_find(q->at->text);
  if (q->at->kind != TEXT_NAME || !m) fail(q, "E0602", "unknown method `%s`", q->at->text);
  q->at++;
  return m;
}

static void parse_edge(Parser *q, Level *l) {
  Edge *edge = arena_array(q->arena, Edge, l->nedge + 1);
  for (int i = 0; i < l->nedge; i++) edge[i] = l->edge[i];
  Edge *e = &edge[l->nedge];
  e->lower = level(q);
  expect_word(q, "via");
  e->method = method(q);
  e->setting = parse_settings(q, e->method->setting, e->method->nsetting);
  l->edge = edge;
  l->nedge++;
}

static void parse_optimizer(Parser *q, Level *l) {
  l->optimizer = optimizer_find(q->at->text);
  if (q->at->kind != TEXT_NAME || !l->optimizer)
    fail(q, "E0602", "unknown optimizer `%s`", q->at->text);
  q->at++;
  l->setting = parse_settings(q, l->optimizer->setting, l->optimizer->nsetting);
}

static void parse_cursor(Parser *q, Level *l) {
  Cursor *list = arena_array(q->arena, Cursor, l->ncursor + 1), c = {0};
  for (int i = 0; i < q->p->nsource; i++)
    if (!strcmp(q->p->source[i]->name, q->at->text)) c.source = q->p->source[i];
  if (q->at->kind != TEXT_NAME || !c.source) fail(q, "E0602", "unknown source `%s`", q->at->text);
  q->at++;
  if (accept_word(q, "of")) c.rows = storage(q);
  expect_word(q, "stream");
  c.stream = integer(q, 0, INT32_MAX);
  c.keep = accept_word(q, "keep");
  for (int i = 0; i < l->ncursor; i++) list[i] = l->cursor[i];
  list[l->ncursor++] = c;
  l->cursor = list;
}

static void parse_level(Parser *q) {
  Level *l = level(q);
  int var_cap = 0, nstate = 0;
  if (l->flat) fail(q, "E0604", "level `%s` is defined twice", l->name);
  expect(q, "{");
  while (!accept(q, "}")) {
    if (accept_word(q, "flat"))
      l->flat = storage(q);
    else if (accept_word(q, "var")) {
      Storage *s = storage(q);
      VEC_PUSH(q->arena, l->var, l->nvar, var_cap, s);
    } else if (accept_word(q, "loss"))
      l->loss = storage(q);
    else if (accept_word(q, "init"))
      l->init = func(q);
    else if (accept_word(q, "minimize"))
      l->objective = func(q);
    else if (accept_word(q, "maximize"))
      l->objective = func(q), l->maximize = true;
    else if (accept_word(q, "argmin"))
      parse_edge(q, l);
    else if (accept_word(q, "optimizer"))
      parse_optimizer(q, l);
    else if (accept_word(q, "settings"))
      l->settings = func(q);
    else if (accept_word(q, "steps"))
      l->steps = (Setting){&steps_info, storage(q)};
    else if (accept_word(q, "grad"))
      l->grad = storage(q);
    else if (accept_word(q, "count"))
      l->count = storage(q);
    else if (accept_word(q, "restarts"))
      l->restarts = storage(q);
    else if (accept_word(q, "started"))
      l->started = storage(q);
    else if (accept_word(q, "restart"))
      l->restart = func(q);
    else if (accept_word(q, "advance"))
      l->advance = func(q);
    else if (accept_word(q, "copy"))
      l->copy = func(q);
    else if (accept_word(q, "begin"))
      l->begin = storage(q);
    else if (accept_word(q, "check"))
      l->check = func(q);
    else if (accept_word(q, "again"))
      l->again = func(q);
    else if (accept_word(q, "go"))
      l->go = storage(q);
    else if (accept_word(q, "draws"))
      l->draws = storage(q);
    else if (accept_word(q, "draw"))
      l->draw = func(q);
    else if (accept_word(q, "cursor"))
      parse_cursor(q, l);
    else if (accept_word(q, "gradient"))
      l->gradient = func(q);
    else if (accept_word(q, "update"))
      l->update = func(q);
    else if (accept_word(q, "state")) {
      if (!l->optimizer || nstate == l->optimizer->nstate)
        fail(q, "E0604", "more states than the optimizer has");
      if (!nstate) l->state = arena_array(q->arena, Storage *, MAX_STATE);
      l->state[nstate++] = storage(q);
    } else
      fail(q, "E0601", "unexpected `%s`", q->at->text);
    expect(q, ";");
  }
  if (nstate && nstate != l->optimizer->nstate) fail(q, "E0604", "a state is missing");
}

static void parse_system(Parser *q) {
  System *s = system_(q);
  int cap = 0;
  if (s->level) fail(q, "E0604", "system `%s` is defined twice", s->name);
  expect_word(q, "of");
  s->level = level(q);
  expect_word(q, "size");
  s->size = integer(q, 0, (int64_t)1 << 40);
  expect(q, "{");
  while (!accept(q, "}")) {
    if (accept_word(q, "block")) {
      const char *b = name(q);
      VEC_PUSH(q->arena, s->block, s->nblock, cap, b);
    } else if (accept_word(q, "rhs_func"))
      s->rhs_func = func(q);
    else if (accept_word(q, "apply"))
      s->apply = func(q);
    else if (accept_word(q, "x"))
      s->x = storage(q);
    else if (accept_word(q, "rhs"))
      s->rhs = storage(q);
    else if (accept_word(q, "in"))
      s->in = storage(q);
    else if (accept_word(q, "out"))
      s->out = storage(q);
    else if (accept_word(q, "residual"))
      s->residual = storage(q);
    else if (accept_word(q, "method")) {
      s->method = method(q);
      s->setting = parse_settings(q, s->method->setting, s->method->nsetting);
    } else
      fail(q, "E0601", "unexpected `%s`", q->at->text);
    expect(q, ";");
  }
  Level *l = s->level;
  System **list = arena_array(q->arena, System *, l->nsystem + 1);
  for (int i = 0; i < l->nsystem; i++) list[i] = l->system[i];
  list[l->nsystem++] = s;
  l->system = list;
}

/* ---- run and schedule */

static void parse_metric(Parser *q, bool output) {
  Metric m = {.name = name(q), .output = output};
  expect(q, "=");
  m.value = storage(q);
  if (accept_word(q, "by")) m.func = func(q);
  if (accept_word(q, "start")) m.start = func(q);
  if (accept_word(q, "batch")) {
    m.batch = func(q);
    expect_word(q, "repeat");
    m.nbatch = integer(q, 1, INT32_MAX);
    expect_word(q, "with");
    m.counter = storage(q);
  }
  if (accept_word(q, "rest")) m.rest = func(q);
  if (accept_word(q, "of")) m.level = level(q);
  m.costly = accept_word(q, "costly");
  m.detail = accept_word(q, "detail");
  VEC_PUSH(q->arena, q->p->metric, q->p->nmetric, q->p->metric_cap, m);
}

static void parse_run(Parser *q) {
  Run *r = &q->p->run;
  r->name = name(q);
  if (accept_word(q, "of")) r->top = level(q);
  if (accept_word(q, "after")) r->after = name(q);
  expect(q, "{");
  expect_word(q, "seed");
  r->seed = any_integer(q);
  expect(q, ";");
  expect_word(q, "report");
  r->report_every = any_integer(q);
  r->csv = accept_word(q, "csv");
  expect(q, ";");
  expect_word(q, "precision");
  if (q->at->kind != TEXT_NAME || !precision_parse(q->at->text, &r->precision, &r->products))
    fail(q, "E0601", "expected a precision, found `%s`", q->at->text);
  q->at++;
  expect(q, ";");
  if (accept_word(q, "checkpoint")) {
    r->checkpoint_every = any_integer(q);
    expect_word(q, "keep");
    r->checkpoint_keep = any_integer(q);
    expect(q, ";");
  }
  if (accept_word(q, "eval")) {
    r->eval_every = any_integer(q);
    expect(q, ";");
  }
  if (accept_word(q, "best")) {
    r->best_max = accept_word(q, "max");
    if (!r->best_max) expect_word(q, "min");
    r->best = name(q);
    expect(q, ";");
  }
  expect(q, "}");
}

static Stmt *parse_stmts(Parser *q) {
  static const char *const words[] = {"step", "solve", "call", "repeat", "while", "report", NULL};
  Stmt *first = NULL, **tail = &first;
  if (++q->depth > DEEPEST) fail(q, "E0605", "loops nested too deeply");
  expect(q, "{");
  while (!accept(q, "}")) {
    Stmt *s = stmt_new(q->p, (StmtKind)word_of(q, words, "a statement"));
    *tail = s;
    tail = &s->next;
    if (s->kind == STMT_STEP) s->level = level(q);
    if (s->kind == STMT_SOLVE) s->system = system_(q);
    if (s->kind == STMT_CALL) s->func = func(q);
    if (s->kind == STMT_WHILE) s->cond = storage(q);
    if (s->kind == STMT_REPORT) s->eval = accept_word(q, "eval");
    if (s->kind == STMT_REPEAT || s->kind == STMT_WHILE) s->count = any_integer(q);
    if (s->kind >= STMT_REPEAT && accept_word(q, "from")) s->count_setting = storage(q);
    if (s->kind >= STMT_REPEAT && accept_word(q, "with")) s->counter = storage(q);
    if (s->kind >= STMT_REPEAT)
      s->body = parse_stmts(q);
    else
      expect(q, ";");
  }
  q->depth--;
  return first;
}

/* ---- program */

static void declare_system(Parser *q, const char *s) {
  System *made = arena_new_of(q->arena, System);
  made->name = s;
  VEC_PUSH(q->arena, q->system, q->nsystem, q->system_cap, made);
}

/* Names of levels, systems and functions: words outside all braces. */
static void declare(Parser *q) {
  TextToken *start = q->at;
  int depth = 0;
  for (; q->at->kind != TEXT_END; q->at++) {
    if (is_sign(q, "{")) depth++;
    if (is_sign(q, "}")) depth--;
    if (depth || q->at->kind != TEXT_NAME || q->at->quoted) continue;
    bool f = !strcmp(q->at->text, "func") && q->at[1].kind == TEXT_SIGN && q->at[1].text[0] == '@';
    const TextToken *n = f ? q->at + 2 : q->at + 1, *after = n->kind == TEXT_END ? n : n + 1;
    if (n->kind != TEXT_NAME) continue;
    bool l = !strcmp(q->at->text, "level") && after->kind == TEXT_SIGN && after->text[0] == '{';
    bool s = !strcmp(q->at->text, "system") && after->kind == TEXT_NAME;
    if ((f && program_find_func(q->p, n->text)) || (l && program_find_level(q->p, n->text)) ||
        (s && find_system(q, n->text)))
      fail(q, "E0604", "`%s` is defined twice", n->text);
    if (f) program_func(q->p, ROLE_INIT, "%s", n->text);
    if (l) program_level(q->p, n->text);
    if (s) declare_system(q, n->text);
  }
  q->at = start;
}

static void parse_head(Parser *q) {
  expect_word(q, "program");
  q->p->name = name(q);
  expect(q, "{");
  while (!accept(q, "}")) {
    if (accept_word(q, "arena"))
      q->p->arena_bytes = integer(q, 0, (int64_t)1 << 50);
    else
      q->p->facts |= 1u << word_of(q, text_fact, "a fact");
    expect(q, ";");
  }
}

static void parse_program(Parser *q) {
  declare(q);
  parse_head(q);
  while (q->at->kind != TEXT_END) {
    if (accept_word(q, "storage"))
      parse_storage(q);
    else if (accept_word(q, "source"))
      parse_source(q);
    else if (accept_word(q, "func"))
      parse_func(q);
    else if (accept_word(q, "level"))
      parse_level(q);
    else if (accept_word(q, "system"))
      parse_system(q);
    else if (accept_word(q, "metric"))
      parse_metric(q, false);
    else if (accept_word(q, "output"))
      parse_metric(q, true);
    else if (accept_word(q, "run"))
      parse_run(q);
    else if (accept_word(q, "schedule"))
      q->p->schedule = parse_stmts(q);
    else
      fail(q, "E0601", "unexpected `%s`", q->at->text);
  }
  q->p->seed = program_find(q->p, "seed");
  const char *wrong = ir_verify(q->p);
  if (wrong) fail(q, "E0606", "%s", wrong);
}

Program *ir_parse(Arena *a, Diags *d, const char *name_, const char *text) {
  Parser *q = arena_new_of(a, Parser);
  q->arena = a;
  q->diags = d;
  q->p = program_new(a, d, name_);
  q->at = text_lex(a, d, text);
  if (!q->at || setjmp(q->bail)) return NULL;
  parse_program(q);
  return q->p;
}
