/* Reductions, gather and scatter, products, solve and select: shape rules, reference evaluation,
   derivatives. Each op's functions stand together; derivatives build IR, so they differentiate
   again. */
#include "ir/op_bulk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- select: the operand that is not taken passes nothing, not even a NaN */

const char *infer_select(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin, (void)attr;
  if (in[0]->type.dtype != DT_BOOL) return "the condition must be bool";
  if (!type_eq(in[1]->type, in[2]->type) || !type_same_shape(in[0]->type, in[1]->type))
    return arena_printf(a, "operands differ: %s, %s and %s", type_str(a, in[0]->type),
                        type_str(a, in[1]->type), type_str(a, in[2]->type));
  *type = in[1]->type;
  return NULL;
}

Node *vjp_select(Graph *G, Node *n, Node *ct, int k) {
  Node *zero = ir_num(G, n, 0);
  return k == 0 ? NULL : ir_select(G, n->in[0], k == 1 ? ct : zero, k == 1 ? zero : ct);
}

Node *jvp_select(Graph *G, Node *n, Node *const *t) {
  Node *zero = ir_num(G, n, 0);
  return ir_select(G, n->in[0], t[1] ? t[1] : zero, t[2] ? t[2] : zero);
}

/* ---- reductions */

static bool is_reduced(const Attr *attr, int axis) {
  for (int k = 0; k < attr->n; k++)
    if (attr->i[k] == axis) return true;
  return false;
}

static const char *infer_reduction(Node *const *in, const Attr *attr, Type *type) {
  Type t = in[0]->type, r = {.dtype = t.dtype};
  for (int k = 0; k < attr->n; k++)
    if (attr->i[k] < 0 || attr->i[k] >= t.rank || (k && attr->i[k] <= attr->i[k - 1]))
      return "axes must ascend inside the operand";
  for (int i = 0; i < t.rank; i++)
    if (!is_reduced(attr, i)) r.dim[r.rank++] = t.dim[i];
  *type = r;
  return NULL;
}

/* Offset in the result of element i of the operand. */
static int64_t reduced_offset(const Node *n, int64_t i) {
  Type t = n->in[0]->type;
  int64_t off = 0, scale = 1;
  for (int k = t.rank - 1; k >= 0; k--) {
    int64_t j = i % t.dim[k];
    i /= t.dim[k];
    if (is_reduced(&n->attr, k)) continue;
    off += j * scale;
    scale *= t.dim[k];
  }
  return off;
}

const char *infer_sum(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)nin;
  if (in[0]->type.dtype == DT_BOOL) return "does not take bool";
  return infer_reduction(in, attr, type);
}

void eval_sum(const Node *n, double *const *in, double *out) {
  memset(out, 0, sizeof *out * (size_t)type_count(n->type));
  for (int64_t i = 0; i < type_count(n->in[0]->type); i++) out[reduced_offset(n, i)] += in[0][i];
}

Node *vjp_sum(Graph *G, Node *n, Node *ct, int k) {
  return ir_unreduce(G, ct, n->in[k], n->attr.i, n->attr.n);
}

const char *infer_reduce_max(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  const char *wrong = infer_sum(a, in, nin, attr, type);
  if (!wrong && type_count(in[0]->type) == 0) return "there is no maximum of nothing";
  return wrong;
}

void eval_reduce_max(const Node *n, double *const *in, double *out) {
  for (int64_t i = 0; i < type_count(n->type); i++) out[i] = -INFINITY;
  for (int64_t i = 0; i < type_count(n->in[0]->type); i++) {
    double *m = &out[reduced_offset(n, i)], x = in[0][i];
    if (x != x || x > *m) *m = x;
  }
}

/* Equal maxima share: mask / (number of equal maxima), a constant wherever the maximum is smooth.
 */
static Node *max_share(Graph *G, Node *n) {
  Node *x = n->in[0];
  Node *top = ir_unreduce(G, n, x, n->attr.i, n->attr.n);
  Node *mask = ir_cast(G, ir_eq(G, x, top), x->type.dtype);
  Node *count = ir_sum(G, mask, n->attr.i, n->attr.n);
  return ir_div(G, mask, ir_unreduce(G, count, x, n->attr.i, n->attr.n));
}

Node *vjp_reduce_max(Graph *G, Node *n, Node *ct, int k) {
  Node *wide = ir_unreduce(G, ct, n->in[k], n->attr.i, n->attr.n);
  return ir_mul(G, max_share(G, n), wide);
}

Node *jvp_reduce_max(Graph *G, Node *n, Node *const *t) {
  return ir_sum(G, ir_mul(G, max_share(G, n), t[0]), n->attr.i, n->attr.n);
}

const char *infer_argmax(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  if (attr->n != 1) return "takes one axis";
  const char *wrong = infer_reduce_max(a, in, nin, attr, type);
  type->dtype = DT_I32;
  return wrong;
}

/* The first of equal maxima. */
void eval_argmax(const Node *n, double *const *in, double *out) {
  Type t = n->in[0]->type;
  int64_t stride[MAX_RANK], axis = n->attr.i[0], d = t.dim[axis];
  type_strides(t, stride);
  for (int64_t i = 0; i < type_count(t); i++) {
    if (i / stride[axis] % d) continue;
    int64_t best = 0;
    for (int64_t j = 1; j < d; j++)
      if (in[0][i + j * stride[axis]] > in[0][i + best * stride[axis]]) best = j;
    out[reduced_offset(n, i)] = (double)best;
  }
}

/* ---- gather and scatter: transposes of each other */

const char *infer_gather(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)nin, (void)attr;
  Type x = in[0]->type, i = in[1]->type, t = {.dtype = x.dtype};
  if (i.dtype != DT_I32) return "the index must be i32";
  if (x.rank < 1 || i.rank + x.rank - 1 > MAX_RANK) return "rank out of range";
  for (int k = 0; k < i.rank; k++) t.dim[t.rank++] = i.dim[k];
  for (int k = 1; k < x.rank; k++) t.dim[t.rank++] = x.dim[k];
  *type = t;
  return NULL;
}

/* Elements of one row behind the first axis. */
static int64_t row_size(Type t) { return t.dim[0] ? type_count(t) / t.dim[0] : 0; }

void eval_gather(const Node *n, double *const *in, double *out) {
  Type x = n->in[0]->type;
  int64_t width = 1;
  for (int k = 1; k < x.rank; k++) width *= x.dim[k];
  for (int64_t i = 0; i < type_count(n->in[1]->type); i++) {
    double row = in[1][i];
    bool inside = row >= 0 && row < (double)x.dim[0];
    for (int64_t j = 0; j < width; j++)
      out[i * width + j] = inside                    ? in[0][(int64_t)row * width + j]
                           : dtype_is_float(x.dtype) ? NAN
                                                     : 0;
  }
}

Node *vjp_gather(Graph *G, Node *n, Node *ct, int k) {
  return k ? NULL : ir_scatter_add(G, n->in[1], ct, n->in[0]->type.dim[0]);
}

Node *jvp_gather(Graph *G, Node *n, Node *const *t) { return ir_gather(G, t[0], n->in[1]); }

static const char *infer_scatter(Arena *a, Node *const *in, Type *type) {
  Type i = in[0]->type, u = in[1]->type;
  if (i.dtype != DT_I32) return "the index must be i32";
  if (u.rank < i.rank || type->rank != u.rank - i.rank + 1) return "rank out of range";
  for (int k = 0; k < u.rank; k++) {
    int64_t want = k < i.rank ? i.dim[k] : type->dim[k - i.rank + 1];
    if (u.dim[k] != want)
      return arena_printf(a, "update %s does not fit index %s and result %s", type_str(a, u),
                          type_str(a, i), type_str(a, *type));
  }
  type->dtype = u.dtype;
  return dtype_is_float(u.dtype) ? NULL : "scatters floats";
}

static void eval_scatter(const Node *n, double *const *in, double *out, bool add) {
  int64_t width = row_size(n->type);
  for (int64_t i = 0; i < type_count(n->type); i++) out[i] = add ? 0 : -INFINITY;
  for (int64_t i = 0; i < type_count(n->in[0]->type); i++) {
    double row = in[0][i];
    if (!(row >= 0 && row < (double)n->type.dim[0])) continue;
    for (int64_t j = 0; j < width; j++) {
      double *o = &out[(int64_t)row * width + j], u = in[1][i * width + j];
      if (add)
        *o += u;
      else if (u != u || u > *o)
        *o = u;
    }
  }
}

const char *infer_scatter_add(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  return (void)nin, (void)attr, infer_scatter(a, in, type);
}

void eval_scatter_add(const Node *n, double *const *in, double *out) {
  eval_scatter(n, in, out, true);
}

Node *vjp_scatter_add(Graph *G, Node *n, Node *ct, int k) {
  return k ? ir_gather(G, ct, n->in[0]) : NULL;
}

Node *jvp_scatter_add(Graph *G, Node *n, Node *const *t) {
  return ir_scatter_add(G, n->in[0], t[1], n->type.dim[0]);
}

const char *infer_scatter_max(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  return (void)nin, (void)attr, infer_scatter(a, in, type);
}

void eval_scatter_max(const Node *n, double *const *in, double *out) {
  eval_scatter(n, in, out, false);
}

/* As for reduce_max: equal maxima of a row share. */
static Node *scatter_share(Graph *G, Node *n) {
  Node *index = n->in[0], *update = n->in[1];
  Node *mask = ir_cast(G, ir_eq(G, update, ir_gather(G, n, index)), update->type.dtype);
  Node *count = ir_scatter_add(G, index, mask, n->type.dim[0]);
  return ir_div(G, mask, ir_gather(G, count, index));
}

Node *vjp_scatter_max(Graph *G, Node *n, Node *ct, int k) {
  if (k == 0) return NULL;
  Node *wide = ir_gather(G, ct, n->in[0]);
  return ir_mul(G, scatter_share(G, n), wide);
}

Node *jvp_scatter_max(Graph *G, Node *n, Node *const *t) {
  return ir_scatter_add(G, n->in[0], ir_mul(G, scatter_share(G, n), t[1]), n->type.dim[0]);
}

/* ---- products */

const char *infer_matmul(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin;
  Type x = in[0]->type, z = in[1]->type, t = x;
  int r = x.rank;
  if (r < 2 || z.rank != r || x.dtype != z.dtype || !dtype_is_float(x.dtype))
    return arena_printf(a, "no matrix product of %s and %s", type_str(a, x), type_str(a, z));
  for (int k = 0; k < r - 2; k++)
    if (x.dim[k] != z.dim[k]) return "batch axes differ";
  if (attr->n != 2) return "needs two transpose flags";
  int64_t inner = x.dim[attr->i[0] ? r - 2 : r - 1];
  if (inner != z.dim[attr->i[1] ? r - 1 : r - 2])
    return arena_printf(a, "inner dimensions of %s and %s differ", type_str(a, x), type_str(a, z));
  t.dim[r - 2] = x.dim[attr->i[0] ? r - 1 : r - 2];
  t.dim[r - 1] = z.dim[attr->i[1] ? r - 2 : r - 1];
  *type = t;
  return NULL;
}

void eval_matmul(const Node *n, double *const *in, double *out) {
  Type x = n->in[0]->type;
  int r = n->type.rank;
  bool ta = n->attr.i[0], tb = n->attr.i[1];
  int64_t m = n->type.dim[r - 2], p = n->type.dim[r - 1], k = x.dim[ta ? r - 2 : r - 1];
  int64_t plane = m * p, batch = plane > 0 ? type_count(n->type) / plane : 0;
  for (int64_t b = 0; b < batch; b++)
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < p; j++) {
        double s = 0;
        for (int64_t l = 0; l < k; l++)
          s += in[0][b * m * k + (ta ? l * m + i : i * k + l)] *
               in[1][b * k * p + (tb ? j * k + l : l * p + j)];
        out[b * m * p + i * p + j] = s;
      }
}

/* C = op(A) op(B): dA = g op(B)^T or its transpose, dB = op(A)^T g or its transpose. */
Node *vjp_matmul(Graph *G, Node *n, Node *ct, int k) {
  Node *a = n->in[0], *b = n->in[1];
  bool ta = n->attr.i[0], tb = n->attr.i[1];
  if (k == 0) return ta ? ir_matmul(G, b, ct, tb, true) : ir_matmul(G, ct, b, false, !tb);
  return tb ? ir_matmul(G, ct, a, true, ta) : ir_matmul(G, a, ct, !ta, false);
}

/* ---- solve */

const char *infer_solve(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin, (void)attr;
  Type m = in[0]->type, b = in[1]->type;
  if (m.rank != 2 || m.dim[0] != m.dim[1] || b.rank < 1 || b.rank > 2 || b.dim[0] != m.dim[0] ||
      m.dtype != b.dtype || !dtype_is_float(m.dtype))
    return arena_printf(a, "no system of %s and %s", type_str(a, m), type_str(a, b));
  *type = b;
  return NULL;
}

static void swap_rows(double *p, int64_t width, int64_t i, int64_t j) {
  for (int64_t c = 0; c < width; c++) {
    double t = p[i * width + c];
    p[i * width + c] = p[j * width + c];
    p[j * width + c] = t;
  }
}

void eval_solve(const Node *n, double *const *in, double *out) {
  int64_t s = n->type.dim[0], w = row_size(n->type);
  double *m = malloc(sizeof *m * (size_t)(s * s) + 1);
  if (!m) compiler_bug("solve", "out of memory");
  memcpy(m, in[0], sizeof *m * (size_t)(s * s));
  memcpy(out, in[1], sizeof *out * (size_t)(s * w));
  for (int64_t c = 0; c < s; c++) {
    int64_t pivot = c;
    for (int64_t i = c + 1; i < s; i++)
      if (fabs(m[i * s + c]) > fabs(m[pivot * s + c])) pivot = i;
    swap_rows(m, s, c, pivot);
    swap_rows(out, w, c, pivot);
    for (int64_t i = c + 1; i < s; i++) {
      double f = m[i * s + c] / m[c * s + c];
      for (int64_t j = c; j < s; j++) m[i * s + j] -= f * m[c * s + j];
      for (int64_t j = 0; j < w; j++) out[i * w + j] -= f * out[c * w + j];
    }
  }
  bool singular = false;
  for (int64_t i = s - 1; i >= 0; i--) {
    singular = singular || m[i * s + i] == 0;
    for (int64_t j = 0; j < w; j++) {
      for (int64_t c = i + 1; c < s; c++) out[i * w + j] -= m[i * s + c] * out[c * w + j];
      out[i * w + j] /= m[i * s + i];
    }
  }
  for (int64_t i = 0; singular && i < s * w; i++) out[i] = NAN;
  free(m);
}
