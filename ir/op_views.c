/* Leaves and views of the op table: shape rules, reference evaluation, derivatives. A view only
   changes indices; all are linear, so their forward derivative is the op on the tangent. */
#include "ir/op_bulk.h"

#include <math.h>
#include <string.h>

void type_strides(Type t, int64_t *stride) {
  int64_t s = 1;
  for (int i = t.rank - 1; i >= 0; i--) {
    stride[i] = s;
    s *= t.dim[i];
  }
}

/* Offset inside `big` of element `at` of `small` when small lies at `start` in it. */
static int64_t big_offset(Type small, Type big, const int64_t *start, int64_t at) {
  int64_t stride[MAX_RANK], off = 0;
  type_strides(big, stride);
  for (int i = small.rank - 1; i >= 0; i--) {
    off += (at % small.dim[i] + start[i]) * stride[i];
    at /= small.dim[i];
  }
  return off;
}

const char *infer_const(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  return (void)a, (void)in, (void)nin, (void)attr, (void)type, NULL;
}

const char *infer_param(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)in, (void)nin, (void)type;
  return attr->sym ? NULL : "names no storage";
}

const char *infer_iota(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)in, (void)nin;
  if (attr->n != 1 || attr->i[0] < 0 || attr->i[0] >= type->rank) return "axis out of range";
  return type->dtype == DT_I32 ? NULL : "counts in i32";
}

void eval_iota(const Node *n, double *const *in, double *out) {
  (void)in;
  int64_t stride[MAX_RANK], axis = n->attr.i[0];
  type_strides(n->type, stride);
  for (int64_t i = 0; i < type_count(n->type); i++)
    out[i] = (double)(i / stride[axis] % n->type.dim[axis]);
}

const char *infer_random(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a;
  for (int k = 0; k < nin; k++)
    if (!type_eq(in[k]->type, type_scalar(DT_I32))) return "seed and step are i32 scalars";
  if (attr->n != 2 || attr->i[0] < RANDOM_UNIFORM || attr->i[0] > RANDOM_NORMAL)
    return "unknown distribution";
  return dtype_is_float(type->dtype) ? NULL : "draws floats";
}

const char *infer_shuffle(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)nin;
  for (int k = 0; k < 2; k++)
    if (!type_eq(in[k]->type, type_scalar(DT_I32))) return "seed and epoch are i32 scalars";
  if (in[2]->type.dtype != DT_I32) return "positions are i32";
  if (attr->n != 2 || attr->i[0] < 1 || attr->i[0] > INT32_MAX) return "shuffles 1 to 2^31-1 rows";
  *type = in[2]->type;
  return NULL;
}

const char *infer_cast(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)nin, (void)attr;
  *type = type_with(in[0]->type, type->dtype);
  return NULL;
}

/* Towards zero, the nearest i32 for what lies outside, 0 for NaN. */
static double to_i32(double x) {
  if (x != x) return 0;
  return trunc(x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x);
}

/* Anything to bool asks for != 0. */
void eval_cast(const Node *n, double *const *in, double *out) {
  for (int64_t i = 0; i < type_count(n->type); i++)
    out[i] = n->type.dtype == DT_BOOL  ? in[0][i] != 0
             : n->type.dtype == DT_I32 ? to_i32(in[0][i])
                                       : in[0][i];
}

Node *vjp_cast(Graph *G, Node *n, Node *ct, int k) { return ir_cast(G, ct, n->in[k]->type.dtype); }

const char *infer_broadcast(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin;
  Type t = in[0]->type;
  if (attr->n != t.rank) return "needs one axis for each of its operand's";
  for (int k = 0; k < t.rank; k++) {
    if (attr->i[k] < 0 || attr->i[k] >= type->rank || (k && attr->i[k] <= attr->i[k - 1]))
      return "axes must ascend inside the result";
    if (t.dim[k] != type->dim[attr->i[k]])
      return arena_printf(a, "axis %d: %lld does not become %lld", k, (long long)t.dim[k],
                          (long long)type->dim[attr->i[k]]);
  }
  type->dtype = t.dtype;
  return NULL;
}

void eval_broadcast(const Node *n, double *const *in, double *out) {
  int64_t so[MAX_RANK], si[MAX_RANK];
  type_strides(n->type, so);
  type_strides(n->in[0]->type, si);
  for (int64_t i = 0; i < type_count(n->type); i++) {
    int64_t at = 0;
    for (int k = 0; k < n->attr.n; k++)
      at += i / so[n->attr.i[k]] % n->type.dim[n->attr.i[k]] * si[k];
    out[i] = in[0][at];
  }
}

/* Sums over the axes that the broadcast added. */
Node *vjp_broadcast(Graph *G, Node *n, Node *ct, int k) {
  (void)k;
  int64_t added[MAX_RANK];
  int nadded = 0;
  for (int i = 0; i < n->type.rank; i++) {
    bool had = false;
    for (int j = 0; j < n->attr.n; j++) had = had || n->attr.i[j] == i;
    if (!had) added[nadded++] = i;
  }
  return ir_sum(G, ct, added, nadded);
}

const char *infer_reshape(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin, (void)attr;
  if (type_count(in[0]->type) != type_count(*type))
    return arena_printf(a, "%s has another number of elements than %s", type_str(a, in[0]->type),
                        type_str(a, *type));
  type->dtype = in[0]->type.dtype;
  return NULL;
}

void eval_reshape(const Node *n, double *const *in, double *out) {
  memcpy(out, in[0], sizeof *out * (size_t)type_count(n->type));
}

Node *vjp_reshape(Graph *G, Node *n, Node *ct, int k) {
  return ir_reshape_like(G, ct, n->in[k]->type);
}

const char *infer_transpose(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)nin;
  Type t = in[0]->type;
  unsigned seen = 0;
  *type = t;
  if (attr->n != t.rank) return "needs a permutation of all axes";
  for (int k = 0; k < t.rank; k++) {
    if (attr->i[k] < 0 || attr->i[k] >= t.rank) return "axis out of range";
    seen |= 1u << attr->i[k];
    type->dim[k] = t.dim[attr->i[k]];
  }
  return seen + 1 == 1u << t.rank ? NULL : "names an axis twice";
}

void eval_transpose(const Node *n, double *const *in, double *out) {
  int64_t so[MAX_RANK], si[MAX_RANK];
  type_strides(n->type, so);
  type_strides(n->in[0]->type, si);
  for (int64_t i = 0; i < type_count(n->type); i++) {
    int64_t at = 0;
    for (int k = 0; k < n->type.rank; k++) at += i / so[k] % n->type.dim[k] * si[n->attr.i[k]];
    out[i] = in[0][at];
  }
}

Node *vjp_transpose(Graph *G, Node *n, Node *ct, int k) {
  (void)k;
  int64_t inverse[MAX_RANK];
  for (int i = 0; i < n->attr.n; i++) inverse[n->attr.i[i]] = i;
  return ir_transpose(G, ct, inverse);
}

static const char *infer_window(Arena *a, Type small, Type big, const Attr *attr) {
  if (small.rank != big.rank || attr->n != big.rank) return "needs an offset for every axis";
  for (int k = 0; k < big.rank; k++)
    if (attr->i[k] < 0 || attr->i[k] + small.dim[k] > big.dim[k])
      return arena_printf(a, "axis %d: %lld..%lld lies outside 0..%lld", k, (long long)attr->i[k],
                          (long long)(attr->i[k] + small.dim[k]), (long long)big.dim[k]);
  return NULL;
}

const char *infer_slice(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin;
  type->dtype = in[0]->type.dtype;
  return infer_window(a, *type, in[0]->type, attr);
}

void eval_slice(const Node *n, double *const *in, double *out) {
  for (int64_t i = 0; i < type_count(n->type); i++)
    out[i] = in[0][big_offset(n->type, n->in[0]->type, n->attr.i, i)];
}

Node *vjp_slice(Graph *G, Node *n, Node *ct, int k) {
  return ir_pad(G, ct, n->attr.i, n->in[k]->type);
}

const char *infer_pad(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin;
  type->dtype = in[0]->type.dtype;
  return infer_window(a, in[0]->type, *type, attr);
}

void eval_pad(const Node *n, double *const *in, double *out) {
  memset(out, 0, sizeof *out * (size_t)type_count(n->type));
  for (int64_t i = 0; i < type_count(n->in[0]->type); i++)
    out[big_offset(n->in[0]->type, n->type, n->attr.i, i)] = in[0][i];
}

Node *vjp_pad(Graph *G, Node *n, Node *ct, int k) {
  return ir_slice(G, ct, n->attr.i, n->in[k]->type);
}

double skew_reach(Type from, Type to, const Attr *attr) {
  const int64_t *s = attr->i, axis = s[SKEW_AXIS];
  double to_last = fmax(0, (double)to.dim[axis] - 1), along = (double)to.dim[s[SKEW_ALONG]] - 1;
  double from_last = fmax(0, (double)from.dim[axis] - 1);
  double reach = (double)s[SKEW_STEP] * to_last + fabs((double)s[SKEW_SLANT]) * fmax(0, along) +
                 fabs((double)s[SKEW_OFFSET]);
  return fmax(reach, (double)s[SKEW_DIVISOR] * (from_last + 1));
}

const char *infer_skew(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)nin;
  Type t = in[0]->type;
  const int64_t *s = attr->i, axis = s[SKEW_AXIS], along = s[SKEW_ALONG];
  type->dtype = t.dtype;
  if (attr->n != NSKEW) return arena_printf(a, "needs %d attributes", NSKEW);
  if (axis < 0 || along < 0 || axis >= t.rank || along >= t.rank || axis == along)
    return "needs two axes of its operand";
  if (s[SKEW_STEP] < 1 || s[SKEW_DIVISOR] < 1) return "step and divisor are positive";
  for (int k = 0; k < t.rank; k++)
    if (type->rank != t.rank || (k != axis && type->dim[k] != t.dim[k]))
      return arena_printf(a, "%s does not become %s", type_str(a, t), type_str(a, *type));
  if (skew_reach(t, *type, attr) > (double)((int64_t)1 << 42)) return "reaches too far";
  return NULL;
}

void eval_skew(const Node *n, double *const *in, double *out) {
  const int64_t *s = n->attr.i, axis = s[SKEW_AXIS], along = s[SKEW_ALONG], q = s[SKEW_DIVISOR];
  int64_t so[MAX_RANK], si[MAX_RANK], size = n->in[0]->type.dim[axis];
  type_strides(n->type, so);
  type_strides(n->in[0]->type, si);
  for (int64_t i = 0; i < type_count(n->type); i++) {
    int64_t at = 0, ix[MAX_RANK];
    for (int k = 0; k < n->type.rank; k++) {
      ix[k] = i / so[k] % n->type.dim[k];
      at += k == axis ? 0 : ix[k] * si[k];
    }
    int64_t e = s[SKEW_STEP] * ix[axis] + s[SKEW_SLANT] * ix[along] + s[SKEW_OFFSET];
    bool inside = e >= 0 && e % q == 0 && e / q < size;
    out[i] = inside ? in[0][at + e / q * si[axis]] : 0;
  }
}

/* step i + slant j + offset = divisor i' relates i and i' alike: the transpose solves it for i. */
Node *vjp_skew(Graph *G, Node *n, Node *ct, int k) {
  const int64_t *s = n->attr.i;
  int64_t back[NSKEW] = {s[SKEW_AXIS],   s[SKEW_ALONG],   s[SKEW_DIVISOR],
                         -s[SKEW_SLANT], -s[SKEW_OFFSET], s[SKEW_STEP]};
  return ir_skew(G, ct, n->in[k]->type.dim[s[SKEW_AXIS]], back);
}

const char *infer_reverse(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  (void)a, (void)nin;
  *type = in[0]->type;
  for (int k = 0; k < attr->n; k++)
    if (attr->i[k] < 0 || attr->i[k] >= type->rank || (k && attr->i[k] <= attr->i[k - 1]))
      return "axes must ascend inside the operand";
  return NULL;
}

void eval_reverse(const Node *n, double *const *in, double *out) {
  int64_t stride[MAX_RANK];
  type_strides(n->type, stride);
  for (int64_t i = 0; i < type_count(n->type); i++) {
    int64_t at = i;
    for (int k = 0; k < n->attr.n; k++) {
      int64_t axis = n->attr.i[k], d = n->type.dim[axis], j = i / stride[axis] % d;
      at += (d - 1 - 2 * j) * stride[axis];
    }
    out[i] = in[0][at];
  }
}

Node *vjp_reverse(Graph *G, Node *n, Node *ct, int k) {
  (void)k;
  return ir_reverse(G, ct, n->attr.i, n->attr.n);
}

const char *infer_concat(Arena *a, Node *const *in, int nin, const Attr *attr, Type *type) {
  Type t = in[0]->type;
  int64_t axis = attr->i[0];
  if (attr->n != 1 || axis < 0 || axis >= t.rank) return "axis out of range";
  for (int k = 1; k < nin; k++) {
    Type u = in[k]->type;
    t.dim[axis] += u.rank == t.rank ? u.dim[axis] : 0;
    for (int i = 0; i < t.rank; i++)
      if (u.rank != t.rank || u.dtype != t.dtype || (i != axis && u.dim[i] != t.dim[i]))
        return arena_printf(a, "%s does not continue %s", type_str(a, u), type_str(a, in[0]->type));
  }
  *type = t;
  return NULL;
}

static int64_t concat_start(const Node *n, int k) {
  int64_t start = 0;
  for (int j = 0; j < k; j++) start += n->in[j]->type.dim[n->attr.i[0]];
  return start;
}

void eval_concat(const Node *n, double *const *in, double *out) {
  for (int k = 0; k < n->nin; k++) {
    int64_t start[MAX_RANK] = {0};
    start[n->attr.i[0]] = concat_start(n, k);
    for (int64_t i = 0; i < type_count(n->in[k]->type); i++)
      out[big_offset(n->in[k]->type, n->type, start, i)] = in[k][i];
  }
}

Node *vjp_concat(Graph *G, Node *n, Node *ct, int k) {
  int64_t start[MAX_RANK] = {0};
  start[n->attr.i[0]] = concat_start(n, k);
  return ir_slice(G, ct, start, n->in[k]->type);
}
