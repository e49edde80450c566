/* Printer of the textual IR: a whole program at any stage, in the order in which things were made,
   nodes renumbered in topological order. What only reports look at (spans, names of nodes) is left
   out. */
#include "ir/text.h"

#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "ir/provider.h"
#include "ir/text_names.h"

const char *const text_storage_kind[] = {"data", "var",     "grad",    "state",  "adjoint",
                                         "temp", "setting", "counter", "output", NULL};
const char *const text_role[] = {"init", "objective", "metric", "gradient", "update", "adjoint",
                                 "hvp",  "solve",     "hoist",  "check",    "draw",   NULL};
const char *const text_fact[] = {"ordered", "level_grads", "no_solve", "fused", "planned", NULL};
const char *const text_kernel_kind[] = {"loop", "gemm", "scatter", "call", NULL};
const char *const text_anchor_class[] = {"elem", "row", "reduce", NULL};
const char *const text_check[] = {"any", "box", "range", NULL};

const char *text_attr_name(Op op) {
  switch (op) {
  case OP_transpose: return "perm";
  case OP_slice:
  case OP_pad: return "at";
  case OP_skew: return "by";
  case OP_matmul: return "transposed";
  case OP_random:
  case OP_shuffle: return "stream";
  case OP_iota:
  case OP_concat:
  case OP_argmax: return "axis";
  default: return "axes";
  }
}

typedef struct Out {
  Arena *arena;
  char *text;
  int n, cap;
  const Program *p;
  int *number; /* by node id of the function being printed */
} Out;

static void put(Out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put_text(Out *o, const char *s) {
  for (; *s; s++) VEC_PUSH(o->arena, o->text, o->n, o->cap, *s);
}

static void put(Out *o, const char *fmt, ...) {
  char piece[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(piece, sizeof piece, fmt, ap);
  va_end(ap);
  put_text(o, piece);
}

static bool is_plain(const char *s) {
  bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_';
  if (!letter) return false;
  return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") ==
             strlen(s) &&
         strcmp(s, "inf") && strcmp(s, "nan");
}

static void put_name(Out *o, const char *s) {
  if (is_plain(s)) {
    put_text(o, s);
    return;
  }
  put_text(o, "\"");
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      put(o, "\\%c", c);
    else if (c < 32 || c == 127)
      put(o, "\\x%02x", c);
    else
      put(o, "%c", c);
  }
  put_text(o, "\"");
}

static void put_number(Out *o, double x, DType d) {
  if (isnan(x))
    put_text(o, "nan");
  else if (isinf(x))
    put_text(o, x > 0 ? "inf" : "-inf");
  else
    put(o, "%.*g", d == DT_F32 && (double)(float)x == x ? 9 : 17, x);
}

static void put_type(Out *o, Type t) {
  put(o, "%s[", dtype_name(t.dtype));
  for (int i = 0; i < t.rank; i++) put(o, "%s%lld", i ? ", " : "", (long long)t.dim[i]);
  put_text(o, "]");
}

/* ---- storages */

static void put_storage(Out *o, const Storage *s) {
  put_text(o, "storage ");
  put_name(o, s->name);
  put_text(o, " : ");
  put_type(o, s->type);
  put(o, " %s", text_storage_kind[s->kind]);
  if (s->base) {
    put_text(o, " view(");
    put_name(o, s->base->name);
    put(o, ", %lld)", (long long)s->base_offset);
  }
  if (s->kind == ST_SETTING || s->value != 0) {
    put_text(o, " = ");
    put_number(o, s->value, DT_F64);
  }
  if (s->check != CHECK_ANY || s->lo != 0 || s->hi != 0) {
    put(o, " %s(", text_check[s->check]);
    put_number(o, s->lo, DT_F64);
    put_text(o, ", ");
    put_number(o, s->hi, DT_F64);
    put_text(o, ")");
  }
  bool dims = false;
  for (int i = 0; i < s->type.rank; i++) dims = dims || s->dim_name[i];
  if (dims) {
    put_text(o, " dims(");
    for (int i = 0; i < s->type.rank; i++) {
      if (i) put_text(o, ", ");
      put_name(o, s->dim_name[i] ? s->dim_name[i] : "");
    }
    put_text(o, ")");
  }
  if (s->saved) put_text(o, " saved");
  if (s->loaded) put_text(o, " loaded");
  if (s->carried) put_text(o, " carried");
  if (s->offset >= 0) put(o, " at(%lld, %d, %d)", (long long)s->offset, s->born, s->dies);
  put_text(o, "\n");
}

static void put_split(Out *o, const Source *s) {
  put_text(o, " split");
  if (s->by) {
    put_text(o, " by ");
    put_name(o, s->by->name);
  }
  put(o, " seed %lld {", (long long)s->split_seed);
  for (int i = 0; i < s->npart; i++) {
    put_text(o, i ? ", " : " ");
    put_name(o, s->part[i].name);
    put_text(o, " = ");
    put_name(o, s->part[i].rows->name);
  }
  put_text(o, " }");
}

static void put_source(Out *o, const Source *s) {
  put_text(o, "source ");
  put_name(o, s->name);
  put_text(o, " = ");
  put_name(o, s->file);
  if (s->rows) put(o, " rows %lld", (long long)s->rows);
  if (s->batch) put(o, " batch %lld", (long long)s->batch);
  if (s->shuffled) put_text(o, " shuffled");
  put_text(o, " {");
  for (int i = 0; i < s->nfield; i++) {
    put_text(o, i ? ", " : " ");
    put_name(o, s->field[i]->name);
    put_text(o, " = ");
    put_name(o, s->array[i]);
  }
  put_text(o, " }");
  if (s->npart) put_split(o, s);
  put_text(o, "\n");
}

/* ---- functions */

static void put_node(Out *o, const Node *n) {
  put(o, "  %%%d = %s", o->number[n->id], op_info(n->op)->name);
  if (n->op == OP_param) {
    put_text(o, " ");
    put_name(o, n->attr.sym);
  }
  if (n->op == OP_const) {
    put_text(o, " ");
    put_number(o, n->attr.value, n->type.dtype);
  }
  for (int k = 0; k < n->nin; k++) put(o, "%s %%%d", k ? "," : "", o->number[n->in[k]->id]);
  if (n->attr.n) {
    put(o, " {%s=[", text_attr_name(n->op));
    for (int i = 0; i < n->attr.n; i++) put(o, "%s%lld", i ? ", " : "", (long long)n->attr.i[i]);
    put_text(o, "]}");
  }
  put_text(o, " : ");
  put_type(o, n->type);
  put_text(o, "\n");
}

static void put_dest(Out *o, const Storage *dest, const Storage *row, const Node *n) {
  put_name(o, dest->name);
  if (row) {
    put_text(o, "[");
    put_name(o, row->name);
    put_text(o, "]");
  }
  put(o, " = %%%d", o->number[n->id]);
}

static void put_kernel(Out *o, const Kernel *k) {
  put_text(o, "  kernel ");
  put_name(o, k->name);
  put(o, " %s [", text_kernel_kind[k->kind]);
  for (int i = 0; i < k->rank; i++)
    put(o, "%s%s%lld", i ? ", " : "", k->reduced[i] ? "reduced " : "", (long long)k->dim[i]);
  put_text(o, "]");
  if (k->order == ORDER_COLUMNS) put_text(o, " columns");
  if (k->provider != PROVIDER_LOOPS) put(o, " %s", provider_info(k->provider)->name);
  if (k->flat) put_text(o, " flat");
  if (k->parallel) put_text(o, " parallel");
  put(o, " chunk %lld flops %lld bytes %lld", (long long)k->chunk, (long long)k->flops,
      (long long)k->bytes);
  if (k->scratch) {
    put_text(o, " scratch ");
    put_name(o, k->scratch->name);
  }
  put_text(o, " {\n");
  for (int i = 0; i < k->nanchor; i++)
    put(o, "    %s %%%d stage %d%s\n", text_anchor_class[k->anchor[i].cls],
        o->number[k->anchor[i].node->id], k->anchor[i].stage, k->anchor[i].keep ? " keep" : "");
  for (int i = 0; i < k->nstore; i++) {
    put_text(o, "    store ");
    put_dest(o, k->store[i].dest, k->store[i].row, k->store[i].node);
    put_text(o, "\n");
  }
  for (int i = 0; i < k->ndead; i++) {
    put_text(o, "    dead ");
    put_name(o, k->dead[i]->name);
    put_text(o, "\n");
  }
  put_text(o, "  }\n");
}

/* Marks what results and kernels mention. */
static void mark_used(Out *o, const Func *f, bool *mark) {
  Node **root = NULL;
  int n = 0, cap = 0;
  for (int i = 0; i < f->nresult; i++) VEC_PUSH(o->arena, root, n, cap, f->result[i]);
  for (int i = 0; i < f->nkernel; i++) {
    const Kernel *k = f->kernel[i];
    for (int j = 0; j < k->nanchor; j++) VEC_PUSH(o->arena, root, n, cap, k->anchor[j].node);
    for (int j = 0; j < k->nstore; j++) VEC_PUSH(o->arena, root, n, cap, k->store[j].node);
  }
  ir_reach(f->graph, root, n, mark);
}

static void put_func(Out *o, const Func *f) {
  bool *mark = arena_array(o->arena, bool, f->graph->nnode);
  int count = 0;
  mark_used(o, f, mark);
  o->number = arena_array(o->arena, int, f->graph->nnode);
  for (int i = 0; i < f->graph->nnode; i++)
    if (mark[i]) o->number[i] = count++;
  put_text(o, "func @");
  put_name(o, f->name);
  put(o, " %s {\n", text_role[f->role]);
  for (int i = 0; i < f->graph->nnode; i++)
    if (mark[i]) put_node(o, f->graph->node[i]);
  for (int i = 0; i < f->nresult; i++) {
    put_text(o, "  return ");
    put_dest(o, f->dest[i], f->row[i], f->result[i]);
    put_text(o, "\n");
  }
  for (int i = 0; f->home && i < f->graph->nnode; i++)
    if (mark[i] && f->home[i] && f->graph->node[i]->op != OP_param) {
      put_text(o, "  home ");
      put_dest(o, f->home[i], NULL, f->graph->node[i]);
      put_text(o, "\n");
    }
  for (int i = 0; i < f->nkernel; i++) put_kernel(o, f->kernel[i]);
  put_text(o, "}\n");
}

/* ---- levels and systems */

static void put_item(Out *o, const char *word, const char *sigil, const char *name) {
  put(o, "  %s %s", word, sigil);
  put_name(o, name);
  put_text(o, ";\n");
}

static void put_func_item(Out *o, const char *word, const Func *f) {
  if (f) put_item(o, word, "@", f->name);
}

static void put_storage_item(Out *o, const char *word, const Storage *s) {
  if (s) put_item(o, word, "", s->name);
}

/* name(setting = storage, ...); */
static void put_settings(Out *o, const char *name, const Setting *s, int n) {
  put_name(o, name);
  put_text(o, "(");
  for (int i = 0, some = 0; i < n; i++) {
    if (!s[i].storage) continue;
    if (some++) put_text(o, ", ");
    put_name(o, s[i].info->name);
    put_text(o, " = ");
    put_name(o, s[i].storage->name);
  }
  put_text(o, ");\n");
}

static void put_cursor(Out *o, const Cursor *c) {
  put_text(o, "  cursor ");
  put_name(o, c->source->name);
  if (c->rows) {
    put_text(o, " of ");
    put_name(o, c->rows->name);
  }
  put(o, " stream %lld%s;\n", (long long)c->stream, c->keep ? " keep" : "");
}

static void put_level(Out *o, const Level *l) {
  put_text(o, "level ");
  put_name(o, l->name);
  put_text(o, " {\n");
  put_storage_item(o, "flat", l->flat);
  for (int i = 0; i < l->nvar; i++) put_storage_item(o, "var", l->var[i]);
  put_storage_item(o, "loss", l->loss);
  put_func_item(o, "init", l->init);
  put_func_item(o, l->maximize ? "maximize" : "minimize", l->objective);
  for (int i = 0; i < l->nedge; i++) {
    put_text(o, "  argmin ");
    put_name(o, l->edge[i].lower->name);
    put_text(o, " via ");
    put_settings(o, l->edge[i].method->name, l->edge[i].setting, l->edge[i].method->nsetting);
  }
  if (l->optimizer) {
    put_text(o, "  optimizer ");
    put_settings(o, l->optimizer->name, l->setting, l->optimizer->nsetting);
  }
  put_func_item(o, "settings", l->settings);
  put_storage_item(o, "steps", l->steps.storage);
  put_storage_item(o, "grad", l->grad);
  for (int i = 0; l->state && i < l->optimizer->nstate; i++)
    put_storage_item(o, "state", l->state[i]);
  put_storage_item(o, "count", l->count);
  put_storage_item(o, "restarts", l->restarts);
  put_storage_item(o, "started", l->started);
  put_func_item(o, "restart", l->restart);
  put_func_item(o, "advance", l->advance);
  put_func_item(o, "copy", l->copy);
  put_storage_item(o, "begin", l->begin);
  put_func_item(o, "check", l->check);
  put_func_item(o, "again", l->again);
  put_storage_item(o, "go", l->go);
  put_storage_item(o, "draws", l->draws);
  put_func_item(o, "draw", l->draw);
  for (int i = 0; i < l->ncursor; i++) put_cursor(o, &l->cursor[i]);
  put_func_item(o, "gradient", l->gradient);
  put_func_item(o, "update", l->update);
  put_text(o, "}\n");
}

static void put_system(Out *o, const System *s) {
  put_text(o, "system ");
  put_name(o, s->name);
  put_text(o, " of ");
  put_name(o, s->level->name);
  put(o, " size %lld {\n", (long long)s->size);
  for (int i = 0; i < s->nblock; i++) put_item(o, "block", "", s->block[i]);
  put_func_item(o, "rhs_func", s->rhs_func);
  put_func_item(o, "apply", s->apply);
  put_storage_item(o, "x", s->x);
  put_storage_item(o, "rhs", s->rhs);
  put_storage_item(o, "in", s->in);
  put_storage_item(o, "out", s->out);
  put_storage_item(o, "residual", s->residual);
  if (s->method) {
    put_text(o, "  method ");
    put_settings(o, s->method->name, s->setting, s->method->nsetting);
  }
  put_text(o, "}\n");
}

/* ---- run and schedule */

static void put_metric_func(Out *o, const char *word, const Func *f) {
  if (!f) return;
  put(o, " %s @", word);
  put_name(o, f->name);
}

static void put_metric(Out *o, const Metric *m) {
  put_text(o, m->output ? "output " : "metric ");
  put_name(o, m->name);
  put_text(o, " = ");
  put_name(o, m->value->name);
  if (m->func) {
    put_text(o, " by @");
    put_name(o, m->func->name);
  }
  put_metric_func(o, "start", m->start);
  put_metric_func(o, "batch", m->batch);
  if (m->batch) {
    put(o, " repeat %lld with ", (long long)m->nbatch);
    put_name(o, m->counter->name);
  }
  put_metric_func(o, "rest", m->rest);
  if (m->level) {
    put_text(o, " of ");
    put_name(o, m->level->name);
  }
  if (m->costly) put_text(o, " costly");
  if (m->detail) put_text(o, " detail");
  put_text(o, "\n");
}

static void put_run(Out *o, const Run *r) {
  put_text(o, "run ");
  put_name(o, r->name);
  if (r->top) {
    put_text(o, " of ");
    put_name(o, r->top->name);
  }
  if (r->after) {
    put_text(o, " after ");
    put_name(o, r->after);
  }
  put(o, " { seed %lld; report %lld%s; precision %s; ", (long long)r->seed,
      (long long)r->report_every, r->csv ? " csv" : "", run_precision(r));
  if (r->checkpoint_every)
    put(o, "checkpoint %lld keep %lld; ", (long long)r->checkpoint_every,
        (long long)r->checkpoint_keep);
  if (r->eval_every) put(o, "eval %lld; ", (long long)r->eval_every);
  if (r->best) {
    put_text(o, r->best_max ? "best max " : "best min ");
    put_name(o, r->best);
    put_text(o, "; ");
  }
  put_text(o, "}\n");
}

static void put_stmts(Out *o, const Stmt *s, int depth) {
  static const char *const words[] = {"step", "solve", "call", "repeat", "while", "report"};
  for (; s; s = s->next) {
    put(o, "%*s%s", 2 * depth, "", words[s->kind]);
    const char *what = s->kind == STMT_STEP    ? s->level->name
                       : s->kind == STMT_SOLVE ? s->system->name
                       : s->kind == STMT_CALL  ? s->func->name
                       : s->cond               ? s->cond->name
                                               : NULL;
    if (what) {
      put_text(o, s->kind == STMT_CALL ? " @" : " ");
      put_name(o, what);
    }
    if (s->eval) put_text(o, " eval");
    if (s->kind == STMT_REPEAT || s->kind == STMT_WHILE) put(o, " %lld", (long long)s->count);
    if (s->count_setting) {
      put_text(o, " from ");
      put_name(o, s->count_setting->name);
    }
    if (s->counter) {
      put_text(o, " with ");
      put_name(o, s->counter->name);
    }
    if (s->kind >= STMT_REPEAT) {
      put_text(o, " {\n");
      put_stmts(o, s->body, depth + 1);
      put(o, "%*s}\n", 2 * depth, "");
    } else {
      put_text(o, ";\n");
    }
  }
}

static char *finish(Out *o) {
  char *s = arena_strndup(o->p->arena, o->n ? o->text : "", (size_t)o->n);
  arena_free(o->arena);
  return s;
}

char *ir_print_func(const Program *p, const Func *f) {
  Out o = {.arena = arena_new(), .p = p};
  put_func(&o, f);
  return finish(&o);
}

char *ir_print(const Program *p) {
  Out o = {.arena = arena_new(), .p = p};
  put_text(&o, "program ");
  put_name(&o, p->name);
  put_text(&o, " {");
  for (int i = 0; text_fact[i]; i++)
    if (p->facts >> i & 1) put(&o, " %s;", text_fact[i]);
  if (p->facts & F_PLANNED) put(&o, " arena %lld;", (long long)p->arena_bytes);
  put_text(&o, " }\n");
  for (int i = 0; i < p->nstorage; i++) put_storage(&o, p->storage[i]);
  for (int i = 0; i < p->nsource; i++) put_source(&o, p->source[i]);
  for (int i = 0; i < p->nfunc; i++) put_func(&o, p->func[i]);
  for (int i = 0; i < p->nlevel; i++) put_level(&o, p->level[i]);
  for (int i = 0; i < p->nlevel; i++)
    for (int k = 0; k < p->level[i]->nsystem; k++) put_system(&o, p->level[i]->system[k]);
  for (int i = 0; i < p->nmetric; i++) put_metric(&o, &p->metric[i]);
  if (p->run.name) put_run(&o, &p->run);
  if (p->schedule) {
    put_text(&o, "schedule {\n");
    put_stmts(&o, p->schedule, 1);
    put_text(&o, "}\n");
  }
  return finish(&o);
}
