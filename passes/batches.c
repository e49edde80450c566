/* batches: the rows that a level draws from a large source are gathered once, by the function that
   draws, into storages of their own (LEVEL.draw.FIELD); everything else reads those. So a source is
   read once a draw, by one function, which a device can run ahead while it computes with the draw
   before. */
#include <string.h>

#include "ir/op.h"
#include "passes/passes.h"

/* Rows of a field, as the first function found reads them, and where they will be. */
typedef struct Batch {
  Node *gather;
  Storage *to;
} Batch;

typedef struct Batches {
  Program *p;
  Arena *scratch;
  const Level *level;
  Batch *item;
  int n, cap;
} Batches;

/* Whether x and y, of two graphs, say the same. */
static bool same(const Node *x, const Node *y) {
  if (x->op != y->op || x->nin != y->nin || !type_eq(x->type, y->type) ||
      x->attr.value != y->attr.value || x->attr.n != y->attr.n || !x->attr.sym != !y->attr.sym ||
      (x->attr.sym && strcmp(x->attr.sym, y->attr.sym) != 0) ||
      memcmp(x->attr.i, y->attr.i, sizeof x->attr.i) != 0)
    return false;
  bool equal = true, swapped = op_info(x->op)->flags & OPF_COMM;
  for (int i = 0; i < x->nin; i++) equal = equal && same(x->in[i], y->in[i]);
  return equal || (swapped && same(x->in[0], y->in[1]) && same(x->in[1], y->in[0]));
}

/* Whether the index reads nothing but what the cursor's rows are a function of: then *draws too. */
static bool is_of(const Node *n, const Program *p, const Level *l, const Cursor *c, bool *draws) {
  if (n->op == OP_param) {
    const Storage *s = program_find(p, n->attr.sym);
    *draws = *draws || s == l->draws;
    return s == l->draws || s == p->seed || (c->rows && s == c->rows);
  }
  for (int i = 0; i < n->nin; i++)
    if (!is_of(n->in[i], p, l, c, draws)) return false;
  return true;
}

static bool is_field(const Cursor *c, const char *name) {
  for (int i = 0; i < c->source->nfield; i++)
    if (strcmp(c->source->field[i]->name, name) == 0) return true;
  return false;
}

/* Whether n gathers rows of what the level draws from. */
static bool is_drawn(const Batches *b, const Node *n) {
  if (n->op != OP_gather || n->in[0]->op != OP_param) return false;
  for (int i = 0; i < b->level->ncursor; i++) {
    const Cursor *c = &b->level->cursor[i];
    bool draws = false;
    if (is_field(c, n->in[0]->attr.sym) && is_of(n->in[1], b->p, b->level, c, &draws) && draws)
      return true;
  }
  return false;
}

static Storage *make_storage(Batches *b, const Node *n) {
  const char *field = n->in[0]->attr.sym;
  const char *name = arena_printf(b->scratch, "%s.draw.%s", b->level->name, field);
  for (int i = 2; program_find(b->p, name); i++) /* of another part */
    name = arena_printf(b->scratch, "%s.draw.%s.%d", b->level->name, field, i);
  return program_storage(b->p, ST_TEMP, n->type, "%s", name);
}

static Storage *storage_of(Batches *b, Node *n) {
  for (int i = 0; i < b->n; i++)
    if (same(b->item[i].gather, n)) return b->item[i].to;
  Batch made = {n, make_storage(b, n)};
  VEC_PUSH(b->scratch, b->item, b->n, b->cap, made);
  return made.to;
}

static void read_batches(Batches *b, Func *f) {
  int n = 0, all = f->graph->nnode;
  Node **from = arena_array(b->scratch, Node *, all), **into = arena_array(b->scratch, Node *, all);
  Graph *g = graph_new(b->p->arena);
  for (int i = 0; i < all; i++) {
    Node *x = f->graph->node[i];
    if (!is_drawn(b, x)) continue;
    from[n] = x;
    into[n++] = storage_read(g, storage_of(b, x));
  }
  if (n == 0) return;
  ir_subst(g, f->result, f->nresult, from, into, n, f->result);
  f->graph = g;
  func_compact(b->p, f);
}

static Node *param_of(Node *n, const char *name) {
  if (n->op == OP_param) return strcmp(n->attr.sym, name) == 0 ? n : NULL;
  Node *found = NULL;
  for (int i = 0; i < n->nin && !found; i++) found = param_of(n->in[i], name);
  return found;
}

/* The draw leaves what the counter's new value stands for. */
static void gather_batches(Batches *b) {
  Func *draw = b->level->draw;
  Node *next = NULL;
  for (int i = 0; i < draw->nresult; i++)
    if (draw->dest[i] == b->level->draws) next = draw->result[i];
  if (!next) compiler_bug("batches", "`%s` does not count", draw->name);
  for (int i = 0; i < b->n; i++) {
    Node *gather = b->item[i].gather, *draws = param_of(gather->in[1], b->level->draws->name), *out;
    ir_subst(draw->graph, &gather, 1, &draws, &next, 1, &out);
    func_result(b->p, draw, out, b->item[i].to, NULL);
  }
}

bool pass_batches(Program *p) {
  for (int i = 0; i < p->nlevel; i++) {
    Batches b = {.p = p, .scratch = arena_new(), .level = p->level[i]};
    if (b.level->ncursor && b.level->draw) {
      for (int k = 0; k < p->nfunc; k++)
        if (p->func[k] != b.level->draw) read_batches(&b, p->func[k]);
      gather_batches(&b);
    }
    arena_free(b.scratch);
  }
  return true;
}
