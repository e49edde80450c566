/* Nodes at an index become locals: the part of code generation that all targets share. Here are
   values: scalar operations, loads, anchors, and the memo that makes each (node, index) one local.
   What views do to indices is in expr_views.c, scopes and variables are in scope.c. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "codegen/expr_impl.h"
#include "ir/op.h"
#include "ir/op_bulk.h"

const Target cg_target_c = {
    .type = {"bool", "int32_t", "float", "double"},
    .inf = {"", "", "INFINITY", "(double)INFINITY"},
    /* gcc 12 vectorizes loops over bytes, not those that load a bool. */
    .element = {"uint8_t", "int32_t", "float", "double"},
    .nan = {"0", "0", "NAN", "(double)NAN"},
    .restricted = "restrict",
};

const Target cg_target_cuda = {
    .type = {"bool", "int32_t", "float", "double"},
    .inf = {"", "", "INFINITY", "(double)INFINITY"},
    .element = {"uint8_t", "int32_t", "float", "double"},
    .nan = {"0", "0", "NAN", "(double)NAN"},
    .restricted = "__restrict__",
};

/* Functions of the op table's text, by operand type; the sources are <math.h> and mlo_math.h. */
static const struct {
  const char *name, *i32, *f32, *f64;
} functions[] = {
    {"fabs", NULL, "fabsf", "fabs"},
    {"exp", NULL, "mlo_expf", "mlo_exp"},
    {"expm1", NULL, "mlo_expm1f", "mlo_expm1"},
    {"log", NULL, "mlo_logf", "mlo_log"},
    {"log1p", NULL, "mlo_log1pf", "mlo_log1p"},
    {"sqrt", NULL, "sqrtf", "sqrt"},
    {"tanh", NULL, "mlo_tanhf", "mlo_tanh"},
    {"sigmoid", NULL, "mlo_sigmoidf", "mlo_sigmoid"},
    {"softplus", NULL, "mlo_softplusf", "mlo_softplus"},
    {"sin", NULL, "mlo_sinf", "mlo_sin"},
    {"cos", NULL, "mlo_cosf", "mlo_cos"},
    {"erf", NULL, "mlo_erff", "mlo_erf"},
    {"floor", NULL, "floorf", "floor"},
    {"rint", NULL, "rintf", "rint"},
    {"pow", NULL, "mlo_powf", "mlo_pow"},
    {"maximum", "MLO_MAX_I32", "mlo_maxf", "mlo_max"},
    {"minimum", "MLO_MIN_I32", "mlo_minf", "mlo_min"},
    {"floordiv", "mlo_idiv_i32", "mlo_idivf", "mlo_idiv"},
    {"floormod", "mlo_mod_i32", "mlo_modf", "mlo_mod"},
};

static const char *function_name(const char *name, size_t n, DType d) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (strlen(functions[i].name) == n && !strncmp(functions[i].name, name, n)) {
      const char *by_type[] = {NULL, functions[i].i32, functions[i].f32, functions[i].f64};
      if (by_type[d]) return by_type[d];
    }
  compiler_bug("codegen", "no function `%.*s` of %s", (int)n, name, dtype_name(d));
}

const char *emit_literal(Emit *e, DType d, double value) {
  if (d == DT_BOOL) return value != 0 ? "true" : "false";
  if (d == DT_I32)
    return value <= -2147483648.0 ? "(-2147483647 - 1)"
           : value < 0            ? arena_printf(e->arena, "(%d)", (int)value)
                                  : arena_printf(e->arena, "%d", (int)value);
  if (isnan(value)) return e->target->nan[d];
  if (isinf(value))
    return value > 0 ? e->target->inf[d] : arena_printf(e->arena, "(-%s)", e->target->inf[d]);
  char *s = arena_printf(e->arena, d == DT_F32 ? "%.9g" : "%.17g", value);
  if (!strpbrk(s, ".e")) s = arena_printf(e->arena, "%s.0", s);
  const char *suffix = d == DT_F32 ? "f" : "";
  return arena_printf(e->arena, signbit(value) ? "(%s%s)" : "%s%s", s, suffix);
}

/* Integers wrap: sums, differences and products of theirs are taken in unsigned arithmetic, where C
   defines that. */
static bool wraps(const char *text, DType d) {
  return d == DT_I32 && !text[strspn(text, "xz +-*")];
}

void emit_add(Emit *e, DType d, const char *to, const char *v) {
  if (d == DT_I32)
    text_addf(emit_body(e), "%s = (int32_t)((uint32_t)%s + (uint32_t)%s);\n", to, to, v);
  else
    text_addf(emit_body(e), "%s += %s;\n", to, v);
}

/* The op table's text with operands and functions put in. */
static const char *scalar_text(Emit *e, const char *text, DType d, const Val *in) {
  Text t = {.arena = e->arena};
  bool wrap = wraps(text, d);
  text_add(&t, wrap ? "(int32_t)(" : "");
  while (*text) {
    size_t n = 0;
    while (isalnum((unsigned char)text[n])) n++;
    bool word = n && !isdigit((unsigned char)*text);
    if (!word) {
      n = n ? n : 1;
      text_addf(&t, "%.*s", (int)n, text);
    } else if (text[n] == '(') {
      text_add(&t, function_name(text, n, d));
    } else {
      text_addf(&t, "%s%s", wrap ? "(uint32_t)" : "",
                in[*text == 'x'   ? 0
                   : *text == 'z' ? 1
                                  : 2]
                    .text);
    }
    text += n;
  }
  if (wrap) text_add(&t, ")");
  return t.s;
}

static Val emit_map(Emit *e, const Node *n, const Pos *ix, int guard) {
  Val in[3];
  int depth = 0;
  const OpInfo *info = op_info(n->op);
  for (int k = 0; k < n->nin; k++) {
    in[k] = emit_node(e, n->in[k], ix, guard);
    if (in[k].depth > depth) depth = in[k].depth;
  }
  if (!strcmp(info->text, "x")) return in[0];
  DType d = n->in[n->nin - 1]->type.dtype;
  return emit_local(e, n->type.dtype, depth, scalar_text(e, info->text, d, in));
}

Val emit_local(Emit *e, DType d, int depth, const char *expression) {
  const char *name = emit_name(e, "v");
  text_addf(&e->scope[depth].body, "const %s %s = %s;\n", e->target->type[d], name, expression);
  return (Val){name, depth};
}

const Storage *emit_home(const Emit *e, const Node *n) {
  const Storage *s = e->func->home ? e->func->home[n->id] : NULL;
  if (!s && n->op == OP_param) s = program_find(e->program, n->attr.sym);
  return s;
}

const char *emit_load(const Emit *e, DType d, const char *array, const char *at) {
  return arena_printf(e->arena, "%s[%s]%s", array, at, d == DT_BOOL ? " != 0" : "");
}

static Val load(Emit *e, const Storage *s, DType d, Aff offset, int guard) {
  int depth = 0;
  const char *at = emit_aff(e, offset, &depth);
  const Guard *g = guard ? &e->guard[guard - 1] : NULL;
  if (g && g->depth > depth) depth = g->depth;
  int p = emit_access(e, s, NULL, false, &offset, depth);
  const char *value = emit_load(e, d, arena_printf(e->arena, "p%d", p), at);
  if (!g) return emit_local(e, d, depth, value);
  return emit_local(e, d, depth, arena_printf(e->arena, "%s ? %s : 0", g->text, value));
}

static bool index_eq(const Pos *a, const Pos *b) {
  if (a->rank != b->rank) return false;
  for (int k = 0; k < a->rank; k++)
    if (!aff_eq(&a->e[k], &b->e[k])) return false;
  return true;
}

Pos emit_canonical(const Emit *e, AnchorClass cls, const Node *n) {
  const Kernel *k = e->kernel;
  Pos r = {.rank = n->type.rank};
  int axis = 0;
  for (int i = 0; i < r.rank; i++) {
    if (n->type.dim[i] == 1) continue;
    while (axis < k->rank && (k->dim[axis] == 1 || (cls != ANCHOR_ELEM && k->reduced[axis])))
      axis++;
    if (axis == k->rank)
      compiler_bug("codegen", "kernel %s: node %u does not fit its domain", k->name, n->id);
    r.e[i] = e->axis[axis++];
  }
  return r;
}

/* True if n is an anchor and ix its canonical index. */
static bool is_canonical(const Emit *e, const Node *n, const Pos *ix) {
  const Anchor *a = e->bound[n->id].anchor;
  if (!a) return false;
  Pos own = emit_canonical(e, a->cls, n);
  return index_eq(ix, &own);
}

static Val bound_value(Emit *e, const Node *n) {
  const Bound *b = &e->bound[n->id];
  if (!b->at) return (Val){b->name, b->depth};
  int depth = b->depth;
  const char *offset = emit_aff(e, b->at(e), &depth);
  return emit_local(e, n->type.dtype, depth, emit_load(e, n->type.dtype, b->name, offset));
}

/* What an earlier stage stored is read back: its operands may have been replaced since. */
static bool stored_before(const Emit *e, const Anchor *a) {
  return a->cls == ANCHOR_ELEM && a->stage < e->stage && emit_home(e, a->node);
}

static Val expand(Emit *e, const Node *n, const Pos *ix, int guard) {
  const Storage *home = emit_home(e, n);
  const Anchor *a = is_canonical(e, n, ix) ? e->bound[n->id].anchor : NULL;
  if (a && e->bound[n->id].name) return bound_value(e, n);
  if (home && (!a || n->op == OP_param || stored_before(e, a)))
    return load(e, home, n->type.dtype, emit_linear(n->type, ix), guard);
  if (op_info(n->op)->emit == EMIT_MAP) return emit_map(e, n, ix, guard);
  return emit_view(e, n, ix, guard);
}

Val emit_node(Emit *e, const Node *n, const Pos *ix, int guard) {
  if (n->op == OP_const) return (Val){emit_literal(e, n->type.dtype, n->attr.value), 0};
  for (Memo *m = e->memo[n->id]; m; m = m->next)
    if ((m->guard == guard || !m->guard) && m->value.depth <= e->depth &&
        e->scope[m->value.depth].serial == m->serial && index_eq(&m->ix, ix))
      return m->value;
  Val v = expand(e, n, ix, guard);
  Memo *m = arena_new_of(e->arena, Memo);
  *m = (Memo){*ix, guard, v, e->scope[v.depth].serial, n->id, e->memo[n->id], e->made};
  e->memo[n->id] = e->made = m;
  return v;
}

static void make_tables(NodeTables *x, Arena *a, const Func *f) {
  *x = (NodeTables){.func = f, .itype = "int32_t"};
  x->bound = arena_array(a, Bound, f->graph->nnode);
  x->memo = arena_array(a, Memo *, f->graph->nnode);
  for (int i = 0; i < f->graph->nnode; i++) {
    const Node *n = f->graph->node[i];
    bool far = n->op == OP_skew && skew_reach(n->in[0]->type, n->type, &n->attr) > INT32_MAX / 8;
    if (far || type_count(n->type) > INT32_MAX / 2) x->itype = "int64_t";
  }
}

void emit_begin(Emit *e, Arena *a, const Target *t, const Program *p, const Func *f,
                const Kernel *k, NodeTables *tables) {
  if (tables->func != f) make_tables(tables, a, f);
  *e = (Emit){.arena = a, .target = t, .program = p, .func = f, .kernel = k};
  e->itype = tables->itype;
  e->bound = tables->bound;
  e->memo = tables->memo;
  for (int i = 0; i < k->nanchor; i++) e->bound[k->anchor[i].node->id].anchor = &k->anchor[i];
  e->scope[0].body.arena = a;
  text_add(&e->scope[0].body, "");
  e->scope[0].serial = ++e->serial;
}

void emit_end(Emit *e) {
  for (int i = 0; i < e->kernel->nanchor; i++)
    e->bound[e->kernel->anchor[i].node->id] = (Bound){.anchor = NULL};
  for (; e->made; e->made = e->made->before) e->memo[e->made->id] = NULL;
}
