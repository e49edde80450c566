/* The reference evaluator: every node in doubles, rounded to its element type. Slow and plain on
   purpose, and separate from generated code, so that each can be checked against the other. */
#include "ir/eval.h"

#include <math.h>
#include <string.h>

#include <Random123/philox.h>

#include "ir/op.h"
#include "ir/op_bulk.h"

static double unit64(uint32_t hi, uint32_t lo) {
  return ((double)(((uint64_t)hi << 32 | lo) >> 12) + 0.5) * 0x1p-52;
}

static double draw(const philox4x32_ctr_t *w, bool f32, bool normal) {
  if (!normal) return f32 ? ((w->v[0] >> 9) + 0.5) * 0x1p-23 : unit64(w->v[0], w->v[1]);
  double u = f32 ? (double)(((float)w->v[0] + 0.5f) * 0x1p-32f) : unit64(w->v[0], w->v[1]);
  double v = f32 ? (double)(((float)w->v[2] + 0.5f) * 0x1p-32f) : unit64(w->v[2], w->v[3]);
  return sqrt(-2 * log(u)) * cos(6.283185307179586477 * v);
}

/* Element e of a draw is a function of Philox4x32-10 (Salmon et al. 2011) with key (seed, stream)
   and counter (e low, e high, step low, step high): uniform in (0, 1), or normal by Box and Muller.
 */
void eval_random(const Node *n, double *const *in, double *out) {
  philox4x32_key_t key = {{(uint32_t)(int32_t)in[0][0], (uint32_t)n->attr.i[1]}};
  uint64_t step = (uint64_t)(int64_t)in[1][0];
  for (int64_t e = 0; e < type_count(n->type); e++) {
    philox4x32_ctr_t c = {
        {(uint32_t)e, (uint32_t)((uint64_t)e >> 32), (uint32_t)step, (uint32_t)(step >> 32)}};
    philox4x32_ctr_t w = philox4x32(c, key);
    out[e] = draw(&w, n->type.dtype == DT_F32, n->attr.i[0] == RANDOM_NORMAL);
  }
}

/* Reference form of mlo_shuffle (runtime/mlo_random.h): a Feistel network of 8 rounds on the bits
   of the next power of two, halves of n / 2 and the rest of the bits, walked until it falls below n
   (Black and Rogaway 2002). */
static uint32_t feistel(uint32_t x, int bits, const uint32_t *key) {
  int half[2] = {bits / 2, bits - bits / 2};
  uint32_t part[2] = {(uint32_t)((uint64_t)x >> half[1]),
                      x & (uint32_t)(((uint64_t)1 << half[1]) - 1)};
  for (int round = 0; round < 8; round++) {
    int to = round & 1;
    uint32_t h = (part[1 - to] + 1) * 0x9e3779b1u ^ key[round];
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    part[to] ^= (h >> 15 ^ h) & (uint32_t)(((uint64_t)1 << half[to]) - 1);
  }
  return part[0] << half[1] | part[1];
}

void eval_shuffle(const Node *n, double *const *in, double *out) {
  uint32_t key[8], epoch = (uint32_t)(int32_t)in[1][0], rows = (uint32_t)n->attr.i[0];
  philox4x32_key_t k = {{(uint32_t)(int32_t)in[0][0], (uint32_t)n->attr.i[1]}};
  for (uint32_t half = 0; half < 2; half++) {
    philox4x32_ctr_t c = {{half, 0, epoch, 0}};
    philox4x32_ctr_t w = philox4x32(c, k);
    memcpy(key + 4 * half, w.v, sizeof w.v);
  }
  int bits = 0;
  while ((uint64_t)1 << bits < rows) bits++;
  for (int64_t e = 0; e < type_count(n->type); e++) {
    uint32_t x = (uint32_t)(int32_t)in[2][e];
    bool inside = x < rows;
    while (inside && (x = feistel(x, bits, key)) >= rows) continue;
    out[e] = (double)(int32_t)x;
  }
}

static double rounded(double x, DType d) {
  if (d == DT_F32) return (float)x;
  if (d == DT_I32 && fabs(x) < 0x1p62) return (double)(int32_t)(uint32_t)(int64_t)x;
  return x;
}

/* Products of integers may have more bits than a double. */
static double wrapped_product(double x, double z) {
  return (int32_t)((uint32_t)(int32_t)x * (uint32_t)(int32_t)z);
}

static void eval_map(const OpInfo *info, const Node *n, double *const *in, double *out) {
  if (n->op == OP_mul && n->type.dtype == DT_I32) {
    for (int64_t i = 0; i < type_count(n->type); i++) out[i] = wrapped_product(in[0][i], in[1][i]);
    return;
  }
  for (int64_t i = 0; i < type_count(n->type); i++)
    out[i] = info->map(in[0][i], n->nin > 1 ? in[1][i] : 0, n->nin > 2 ? in[2][i] : 0);
}

static void eval_node(const Node *n, double *const *in, double *out, EvalParam param, void *ctx) {
  const OpInfo *info = op_info(n->op);
  int64_t count = type_count(n->type);
  if (n->op == OP_param)
    memcpy(out, param(ctx, n), sizeof *out * (size_t)count);
  else if (n->op == OP_const)
    for (int64_t i = 0; i < count; i++) out[i] = n->attr.value;
  else if (info->emit == EMIT_MAP)
    eval_map(info, n, in, out);
  else
    info->eval(n, in, out);
  for (int64_t i = 0; i < count; i++) out[i] = rounded(out[i], n->type.dtype);
}

void ir_eval(Arena *a, const Graph *g, Node *const *root, int n, EvalParam param, void *ctx,
             const double **out) {
  Arena *scratch = arena_new();
  bool *need = arena_array(scratch, bool, g->nnode);
  double **value = arena_array(scratch, double *, g->nnode);
  ir_reach(g, root, n, need);
  for (int i = 0; i < g->nnode; i++) {
    if (!need[i]) continue;
    const Node *m = g->node[i];
    double **in = arena_array(scratch, double *, m->nin);
    for (int k = 0; k < m->nin; k++) in[k] = value[m->in[k]->id];
    value[i] = arena_array(a, double, (int)type_count(m->type));
    eval_node(m, in, value[i], param, ctx);
  }
  for (int i = 0; i < n; i++) out[i] = root[i] ? value[root[i]->id] : NULL;
  arena_free(scratch);
}
