/* hoist: what a function computes from values that its loop does not change is computed once,
   before the loop, by a function of its own (NAME.hoisted) that leaves the values in temporary
   storages. In a solver's loop that is the linearization: everything of a Hessian-vector product
   that does not depend on the vector. The hoisted function stands in the next outer loop and is
   hoisted in turn: its calls move out as they are where nothing in it varies. Only what is dear is
   kept: reading a stored value costs as much as a few flops, so cheap maps are computed again, and
   of a large map over small dear values only those are stored. */
#include <string.h>

#include "ir/kernel.h"
#include "ir/op.h"
#include "passes/linear.h"
#include "passes/passes.h"

/* Where a function is called: the innermost loop around it (NULL: none) and the link that points to
   the statement before which a hoisted call would stand: the loop, else the call itself. */
typedef struct Site {
  Stmt *loop, **before;
} Site;

typedef struct Sites {
  Site *item;
  int n, cap;
} Sites;

static void find_sites(Arena *a, Stmt **at, const Func *f, Stmt *loop, Stmt **before, Sites *out) {
  for (; *at; at = &(*at)->next) {
    Stmt *s = *at;
    if (s->kind == STMT_CALL && s->func == f) {
      Site site = {loop, loop ? before : at};
      VEC_PUSH(a, out->item, out->n, out->cap, site);
    }
    bool loops = s->kind == STMT_REPEAT || s->kind == STMT_WHILE;
    find_sites(a, &s->body, f, loops ? s : loop, loops ? at : before, out);
  }
}

static const Storage *root_of(const Storage *s) { return s->base ? root_of(s->base) : s; }

static bool writes(const Stmt *s, const Storage *root) {
  for (; s; s = s->next) {
    if (s->counter == root) return true;
    for (int i = 0; s->kind == STMT_CALL && i < s->func->nresult; i++)
      if (root_of(s->func->dest[i]) == root) return true;
    if (writes(s->body, root)) return true;
  }
  return false;
}

/* Whether the param reads something that one of the sites' loops writes. */
static bool varies(const Program *p, const Sites *sites, const Node *param) {
  const Storage *root = root_of(program_find(p, param->attr.sym));
  for (int i = 0; i < sites->n; i++) {
    const Stmt *loop = sites->item[i].loop;
    if (loop && (loop->counter == root || writes(loop->body, root))) return true;
  }
  return false;
}

static bool is_dear(const Node *n) {
  Emission e = op_info(n->op)->emit;
  if (e == EMIT_MAP) return (op_info(n->op)->flags & OPF_HEAVY) != 0;
  return e != EMIT_LEAF &&
         (e != EMIT_INDEX || n->op == OP_gather || n->op == OP_random || n->op == OP_shuffle);
}

/* What splitting a function needs to know of each node, by id. */
typedef struct Split {
  bool *varying, *keep;
  int64_t *dear; /* elements of the largest dear node at or below it */
} Split;

/* Its operands are arrays: whatever computes them, f would store it in every round. */
static bool reads_arrays(const Node *n) {
  Emission e = op_info(n->op)->emit;
  return e == EMIT_GEMM || e == EMIT_CALL || e == EMIT_SCATTER;
}

/* A view that a library call cannot look through: for it f would copy the elements in every round.
 */
static bool is_copied(Node *n) {
  Operand o;
  kernel_operand(NULL, n, &o);
  return op_info(n->op)->emit == EMIT_INDEX && o.node == n;
}

/* Marks the hoisted nodes that f still reads. A map over dear values of its own size is kept whole,
   and so is every map, and every view that must be copied, that `array` says the reader needs in
   memory; other views and maps are left to f, and what they read is looked at. */
static void mark_kept(Node *n, bool array, const Split *s) {
  if (s->varying[n->id] || s->keep[n->id] || (!s->dear[n->id] && !array)) return;
  bool map = op_info(n->op)->emit == EMIT_MAP;
  if (is_dear(n) || (array && is_copied(n)) ||
      (map && (array || s->dear[n->id] >= type_count(n->type)))) {
    s->keep[n->id] = true;
    return;
  }
  for (int k = 0; k < n->nin; k++) mark_kept(n->in[k], array, s);
}

static Split survey(Arena *scratch, const Program *p, const Func *f, const Sites *sites) {
  int n = f->graph->nnode;
  Split s = {arena_array(scratch, bool, n), NULL, arena_array(scratch, int64_t, n)};
  for (int i = 0; i < n; i++) {
    const Node *x = f->graph->node[i];
    s.varying[i] = x->op == OP_param && varies(p, sites, x);
    s.dear[i] = is_dear(x) ? type_count(x->type) : 0;
    for (int k = 0; k < x->nin; k++) {
      s.varying[i] = s.varying[i] || s.varying[x->in[k]->id];
      if (s.dear[x->in[k]->id] > s.dear[i]) s.dear[i] = s.dear[x->in[k]->id];
    }
  }
  return s;
}

static bool find_invariant(const Program *p, const Func *f, const Sites *sites, bool *keep) {
  Arena *scratch = arena_new();
  Split s = survey(scratch, p, f, sites);
  bool *varying = s.varying, any = false;
  s.keep = keep;
  for (int i = 0; i < f->graph->nnode; i++) {
    const Node *n = f->graph->node[i];
    for (int k = 0; varying[i] && k < n->nin; k++) mark_kept(n->in[k], reads_arrays(n), &s);
  }
  /* A result that does not vary at all is stored in the loop, once a round, so its computing
   * leaves, too. */
  for (int i = 0; i < f->nresult; i++) mark_kept(f->result[i], false, &s);
  for (int i = 0; i < f->graph->nnode; i++) any = any || keep[i];
  arena_free(scratch);
  return any;
}

static Func *split(Program *p, Func *f, const bool *keep) {
  Func *pre = program_func(p, ROLE_HOIST, "%s.hoisted", f->name);
  Graph *g = graph_new(p->arena);
  Arena *scratch = arena_new();
  Node **from = arena_array(scratch, Node *, f->graph->nnode);
  Node **into = arena_array(scratch, Node *, f->graph->nnode);
  int n = 0;
  for (int i = 0; i < f->graph->nnode; i++) {
    if (!keep[i]) continue;
    Storage *t = program_storage(p, ST_TEMP, f->graph->node[i]->type, "%s.h%d", f->name, n);
    Node *out;
    ir_subst(pre->graph, &f->graph->node[i], 1, NULL, NULL, 0, &out);
    func_result(p, pre, out, t, NULL);
    from[n] = f->graph->node[i];
    into[n++] = storage_read(g, t);
  }
  ir_subst(g, f->result, f->nresult, from, into, n, f->result);
  f->graph = g;
  func_compact(p, f);
  arena_free(scratch);
  return pre;
}

static void insert_calls(Program *p, Func *pre, const Sites *sites) {
  for (int i = sites->n - 1; i >= 0; i--) { /* last first: links before it stay valid */
    bool again = false;
    for (int k = 0; k < i; k++)
      again = again || (sites->item[i].loop && sites->item[k].loop == sites->item[i].loop);
    if (again) continue;
    Stmt *call = stmt_new(p, STMT_CALL);
    call->func = pre;
    call->next = *sites->item[i].before;
    *sites->item[i].before = call;
  }
}

static bool in_a_loop(const Sites *sites) {
  for (int i = 0; i < sites->n; i++)
    if (sites->item[i].loop) return true;
  return false;
}

/* Whether no result of f varies in the loops around its calls. */
static bool is_invariant(const Program *p, const Func *f, const Sites *sites) {
  for (int i = 0; i < f->graph->nnode; i++)
    if (f->graph->node[i]->op == OP_param && varies(p, sites, f->graph->node[i])) return false;
  return true;
}

/* Drops the old calls. */
static void remove_calls(Stmt **at, Stmt *const *old, int n) {
  while (*at) {
    Stmt *s = *at;
    bool drop = false;
    for (int i = 0; i < n; i++) drop = drop || s == old[i];
    if (drop) {
      *at = s->next;
      continue;
    }
    remove_calls(&s->body, old, n);
    at = &s->next;
  }
}

static int find_calls(Stmt *s, const Func *f, bool inside, Stmt **out, int n) {
  for (; s; s = s->next) {
    if (inside && s->kind == STMT_CALL && s->func == f) out[n++] = s;
    n = find_calls(s->body, f, inside || s->kind == STMT_REPEAT || s->kind == STMT_WHILE, out, n);
  }
  return n;
}

/* A hoisted function owns its temporary storages, so its calls may move to before their loops as
 * they are. */
static bool move_out(Program *p, Func *f, Arena *scratch, Sites *sites) {
  *sites = (Sites){0};
  find_sites(scratch, &p->schedule, f, NULL, NULL, sites);
  if (f->role != ROLE_HOIST || !in_a_loop(sites) || !is_invariant(p, f, sites)) return false;
  Stmt **old = arena_array(scratch, Stmt *, sites->n);
  int n = find_calls(p->schedule, f, false, old, 0);
  for (int i = 0; i < sites->n; i++) /* calls outside of loops stay */
    if (!sites->item[i].loop) sites->item[i--] = sites->item[--sites->n];
  insert_calls(p, f, sites);
  remove_calls(&p->schedule, old, n);
  return true;
}

bool pass_hoist(Program *p) {
  for (int i = 0; i < p->nfunc; i++) { /* functions made here are appended and seen in turn */
    Func *f = p->func[i];
    Arena *scratch = arena_new();
    Sites sites;
    while (move_out(p, f, scratch, &sites)) continue;
    if (in_a_loop(&sites) && f->role != ROLE_OBJECTIVE && f->role != ROLE_METRIC) {
      Split s = survey(scratch, p, f, &sites);
      if (linear_collect(f, s.varying, s.dear)) func_compact(p, f);
      bool *keep = arena_array(scratch, bool, f->graph->nnode);
      if (find_invariant(p, f, &sites, keep)) insert_calls(p, split(p, f, keep), &sites);
    }
    arena_free(scratch);
  }
  return true;
}
