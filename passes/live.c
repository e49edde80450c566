/* Liveness of storages: the schedule becomes a graph of steps, one a kernel, with edges around
   loops and past bodies that may be skipped; a backward dataflow says where each storage holds a
   value that is still read. Writes of a part keep the rest alive, but a call that replaces all
   parts without reading the old value ends its life at the first of them. */
#include "passes/live.h"

#include <string.h>

int live_item(const Live *l, const Storage *s) {
  s = storage_root(s);
  for (int i = 0; i < l->nitem; i++)
    if (l->item[i] == s) return i;
  return -1;
}

static uint64_t *new_set(Live *l) { return arena_array(l->arena, uint64_t, l->words); }

static int add_step(Live *l, const Func *f, Kernel *k) {
  Step s = {.func = f, .kernel = k, .next = l->nstep + 1, .jump = -1};
  s.use = new_set(l);
  s.write = new_set(l);
  s.kill = new_set(l);
  s.in = new_set(l);
  s.out = new_set(l);
  VEC_PUSH(l->arena, l->step, l->nstep, l->cap, s);
  return l->nstep - 1;
}

/* ---- one call */

typedef struct UseCtx {
  const Live *l;
  Step *step;
} UseCtx;

static void note_use(void *ctx, Node *n, const Index *at, int stage) {
  UseCtx *c = ctx;
  (void)at, (void)stage;
  const Kernel *k = c->step->kernel;
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].node == n && n->op != OP_param) return;
  const Storage *s = c->step->func->home[n->id];
  int item = s ? live_item(c->l, s) : -1;
  if (item >= 0) bit_set(c->step->use, item);
}

static int64_t stored_bytes(const Func *f, const Kernel *k, const Storage *root) {
  int64_t n = 0;
  for (int i = 0; i < k->nstore; i++) {
    const Storage *d = k->store[i].dest;
    bool twice = false;
    for (int j = 0; j < i; j++) twice = twice || k->store[j].dest == d;
    if (!twice && !k->store[i].row && storage_root(d) == root) n += type_bytes(d->type);
  }
  return (void)f, n;
}

/* Kills item at the first step of the call that writes it, if the call replaces it wholly and
 * unread. */
static void kill_in_call(Live *l, int from, int to, int item) {
  const Storage *root = l->item[item];
  int64_t bytes = 0;
  int first = -1;
  for (int i = from; i < to; i++) {
    Step *s = &l->step[i];
    if (first < 0 && bit_get(s->use, item)) return;
    if (!bit_get(s->write, item)) continue;
    if (first < 0) first = i;
    bytes += stored_bytes(s->func, s->kernel, root);
  }
  /* Reads of old values in later kernels of the call: params, since homes hold new values. */
  const Func *f = l->step[from].func;
  bool *mark = arena_array(l->arena, bool, f->graph->nnode);
  ir_reach(f->graph, f->result, f->nresult, mark);
  for (int i = 0; i < f->graph->nnode; i++) {
    const Node *n = f->graph->node[i];
    if (mark[i] && n->op == OP_param && f->home[i] && storage_root(f->home[i]) == root) return;
  }
  if (first >= 0 && bytes >= type_bytes(root->type)) bit_set(l->step[first].kill, item);
}

static void add_call(Live *l, const Func *f) {
  int from = l->nstep;
  for (int i = 0; i < f->nkernel; i++) {
    int at = add_step(l, f, f->kernel[i]);
    Step *s = &l->step[at];
    UseCtx c = {l, s};
    kernel_reads(f, s->kernel, note_use, &c);
    for (int k = 0; k < s->kernel->nstore; k++) {
      int item = live_item(l, s->kernel->store[k].dest);
      if (item >= 0) bit_set(s->write, item);
    }
    int scratch = s->kernel->scratch ? live_item(l, s->kernel->scratch) : -1;
    if (scratch < 0) continue;
    bit_set(s->write, scratch);
    bit_set(s->kill, scratch);
  }
  uint64_t *all = new_set(l);
  for (int i = from; i < l->nstep; i++)
    for (int w = 0; w < l->words; w++) all[w] |= l->step[i].write[w];
  for (int i = 0; i < l->nitem; i++)
    if (bit_get(all, i)) kill_in_call(l, from, l->nstep, i);
}

/* ---- the schedule */

static void add_stmts(Live *l, const Stmt *first) {
  for (const Stmt *s = first; s; s = s->next) {
    if (s->kind == STMT_CALL) {
      add_call(l, s->func);
      continue;
    }
    if (s->kind != STMT_REPEAT && s->kind != STMT_WHILE && s->kind != STMT_REPORT)
      compiler_bug("plan_memory", "a step or a solve is left in the schedule");
    int head = add_step(l, NULL, NULL);
    int cond = s->cond ? live_item(l, s->cond) : -1;
    if (cond >= 0) bit_set(l->step[head].use, cond);
    add_stmts(l, s->body);
    int end = add_step(l, NULL, NULL);
    if (s->kind != STMT_REPORT) l->step[end].next = head;
    if (stmt_is_top_loop(l->program, s)) {
      l->top_head = head;
      l->top_end = end;
    }
    l->step[head].jump = end + 1;
  }
}

static bool scheduled(const Live *l, const Func *f) {
  for (int i = 0; i < l->nstep; i++)
    if (l->step[i].func == f) return true;
  return false;
}

/* Functions for other uses than the run: what they share with it keeps its bytes for itself. */
static void add_others(Live *l) {
  int end = l->nstep;
  for (int i = 0; i < l->program->nfunc; i++) {
    if (scheduled(l, l->program->func[i])) continue;
    int from = l->nstep;
    add_call(l, l->program->func[i]);
    for (int k = from; k < l->nstep; k++)
      for (int j = 0; j < l->nitem; j++)
        if (bit_get(l->step[k].use, j) || bit_get(l->step[k].write, j)) {
          bool own =
              l->item[j]->kind == ST_TEMP &&
              !strncmp(l->item[j]->name, l->step[k].func->name, strlen(l->step[k].func->name));
          l->pinned[j] = l->pinned[j] || !own;
        }
  }
  if (end > 0) l->step[end - 1].next = l->step[end - 1].next == end ? -1 : l->step[end - 1].next;
  for (int i = 0; i < end; i++)
    if (l->step[i].jump == end) l->step[i].jump = -1;
  if (l->nstep > end) l->step[l->nstep - 1].next = -1;
}

static bool flow(Live *l, Step *s) {
  bool changed = false;
  for (int w = 0; w < l->words; w++) {
    uint64_t out = 0;
    if (s->next >= 0 && s->next < l->nstep) out |= l->step[s->next].in[w];
    if (s->jump >= 0 && s->jump < l->nstep) out |= l->step[s->jump].in[w];
    uint64_t in = s->use[w] | (out & ~s->kill[w]);
    changed = changed || in != s->in[w] || out != s->out[w];
    s->in[w] = in;
    s->out[w] = out;
  }
  return changed;
}

bool live_busy(const Live *l, const Step *s, int i) {
  (void)l;
  return bit_get(s->in, i) || bit_get(s->out, i) || bit_get(s->write, i) || bit_get(s->use, i);
}

Live *live_new(Arena *scratch, Program *p) {
  Live *l = arena_new_of(scratch, Live);
  l->arena = scratch;
  l->program = p;
  l->item = arena_array(scratch, Storage *, p->nstorage);
  for (int i = 0; i < p->nstorage; i++)
    if (!p->storage[i]->base && !storage_permanent(p->storage[i]))
      l->item[l->nitem++] = p->storage[i];
  l->words = (l->nitem + 63) / 64;
  l->pinned = arena_array(scratch, bool, l->nitem);
  l->top_head = l->top_end = -1;
  add_stmts(l, p->schedule);
  add_others(l);
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = l->nstep - 1; i >= 0; i--) changed = flow(l, &l->step[i]) || changed;
  }
  return l;
}
