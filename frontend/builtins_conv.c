/* Built-ins over windows: convolutions and pools of images [.., H, W, C] and of sequences [.., T,
   C]. A window is a view (the skew of the op table), so a pool reads its operand directly, and a
   convolution is a product of the windows, laid out once as rows, with the filters as columns. */
#include <math.h>

#include "frontend/builtins.h"

/* Windows along an axis: `size` elements, `dilation` apart, starting every `stride` elements, the
   axis taken to go on with `padding` zeros at both ends. */
typedef struct Window {
  int axis;
  SDim size, stride, dilation, padding, out;
} Window;

static const int64_t most_elements = (int64_t)1 << 40;

static Value as_float(Ops *o, Call *c, int i) { return v_float(o, v_tensor(o, c->arg[i], o->flt)); }

static bool read_size(Ops *o, Call *c, int i, int64_t least, SDim *out) {
  if (!call_size(o, c, i, out)) return false;
  if (out->value < 0 || (out->value >= least && out->value <= INT32_MAX)) return true;
  ops_error(o, c->source[i] ? c->source[i]->span : o->at, "E0221", "`%s` is too %s for %s here",
            out->text, out->value < least ? "small" : "large", o->what);
  return false;
}

/* Sizes at parameters i (size), i + 1 (stride) and so on; -1: there is none. */
static bool read_window(Ops *o, Call *c, int size, int stride, int dilation, int padding,
                        Window *w) {
  SDim one = dim_int(o->arena, 1);
  w->stride = w->dilation = one;
  w->padding = dim_int(o->arena, 0);
  if (size >= 0 && !read_size(o, c, size, 1, &w->size)) return false;
  if (stride >= 0 && !call_given(c, stride) && !c->arg[stride].lit)
    w->stride = w->size; /* `stride = size` */
  else if (stride >= 0 && !read_size(o, c, stride, 1, &w->stride))
    return false;
  if (dilation >= 0 && !read_size(o, c, dilation, 1, &w->dilation)) return false;
  return padding < 0 || read_size(o, c, padding, 0, &w->padding);
}

/* out = (n + 2 padding - (size - 1) dilation - 1) div stride + 1 */
static bool count_windows(Ops *o, SDim n, Window *w) {
  Arena *a = o->arena;
  SDim one = dim_int(a, 1), pad = dim_mul(a, dim_int(a, 2), w->padding);
  SDim span = dim_mul(a, dim_sub(a, w->size, one), w->dilation);
  SDim whole = dim_add(a, n, pad);
  if (w->size.value == 0 || (whole.value >= 0 && span.value >= whole.value)) {
    ops_error(o, o->at, "E0226", "a window over `%s` elements does not fit into `%s`",
              dim_add(a, span, one).text, whole.text);
    return false;
  }
  if (pad.value >= 0 && pad.value >= span.value)
    w->out = dim_add(a, n, dim_sub(a, pad, span));
  else
    w->out = dim_sub(a, n, dim_sub(a, span, pad));
  if (dim_is(w->stride, 1)) return true;
  w->out = dim_add(a, dim_intdiv(a, dim_sub(a, w->out, one), w->stride), one);
  return true;
}

static bool too_large(Ops *o, SType t) {
  int64_t n = 1;
  for (int i = 0; i < t.rank; i++) {
    int64_t d = t.dim[i].value;
    if (d <= 0) return false;
    n = d > most_elements / n ? most_elements + 1 : n * d;
  }
  if (n > most_elements)
    ops_error(o, o->at, "E0221", "the windows, a tensor of type %s, are too large",
              stype_str(o, t));
  return n > most_elements;
}

/* The node of windows: x repeated along the new axes, then skewed. What has size 1 needs neither.
 */
static Node *window_node(Ops *o, Value x, Type wide, const int64_t *kept, const Window *w, int n) {
  bool repeats = false;
  for (int i = 0; i < n; i++) repeats = repeats || w[i].size.value != 1;
  Node *r = repeats ? ir_broadcast(o->g, x.node, wide, kept) : ir_reshape_like(o->g, x.node, wide);
  for (int i = 0; i < n; i++) {
    int64_t axis = kept[w[i].axis];
    int64_t by[NSKEW] = {
        axis, axis + 1, w[i].stride.value, w[i].dilation.value, -w[i].padding.value, 1};
    if (w[i].size.value != 1 || w[i].stride.value != 1 || w[i].padding.value != 0)
      r = ir_skew(o->g, r, w[i].out.value, by);
  }
  return r;
}

/* x with a new axis of its size behind the axis of each of the windows (in the order of axes):
   y[.., o, j, ..] = x[.., o stride + j dilation - padding, ..], 0 outside. */
static Value windows(Ops *o, Value x, Window *w, int n) {
  if (!call_room(o, x, n)) return value_bad();
  SType t = {.dtype = x.type.dtype}, out = t;
  int64_t kept[MAX_RANK];
  for (int i = 0, k = 0; i < x.type.rank; i++) {
    kept[i] = t.rank;
    t.dim[t.rank++] = x.type.dim[i];
    out.dim[out.rank++] = x.type.dim[i];
    if (k == n || w[k].axis != i) continue;
    if (!count_windows(o, x.type.dim[i], &w[k])) return value_bad();
    out.dim[out.rank - 1] = w[k].out;
    out.dim[out.rank++] = t.dim[t.rank] = w[k].size;
    t.rank++;
    k++;
  }
  if (too_large(o, t) || too_large(o, out)) return value_bad();
  Type wide, known;
  bool have = x.node && stype_concrete(t, &wide) && stype_concrete(out, &known);
  for (int k = 0; k < n; k++) have = have && w[k].stride.value > 0 && w[k].padding.value >= 0;
  Value r = value_new(out, have ? window_node(o, x, wide, kept, w, n) : NULL);
  r.span = x.span;
  r.soft = x.soft;
  return r;
}

/* window(x, axis, size, stride = 1, dilation = 1) */
static Value fn_window(Ops *o, Call *c) {
  Value x = v_tensor(o, c->arg[0], o->flt);
  Window w;
  if (!call_axis(o, c, 1, x, &w.axis) || !read_window(o, c, 2, 3, 4, -1, &w)) return value_bad();
  return windows(o, x, &w, 1);
}

/* ---- images */

/* The leading axes of [.., H, W, C] made one, N. */
static Value as_images(Ops *o, Value x) {
  int lead = x.type.rank - 3;
  SDim dim[4] = {stype_count(o, x.type, 0, lead)};
  for (int i = 0; i < 3; i++) dim[1 + i] = x.type.dim[lead + i];
  return v_reshape(o, x, 4, dim);
}

/* N images' rows, columns and channels `y` (by rows) in the place of those of x. */
static Value like_images(Ops *o, Value y, Value x, SDim height, SDim width, SDim channels) {
  SType t = x.type;
  t.dim[t.rank - 3] = height;
  t.dim[t.rank - 2] = width;
  t.dim[t.rank - 1] = channels;
  return v_reshape(o, y, t.rank, t.dim);
}

/* Windows of [N, H, W, C] as rows, rows = N * OH * OW: [rows, KH * KW * C]; of several groups of
   channels, one block a group: [groups, rows, KH * KW * C / groups]. Rows stay together: what lies
   between them and their windows is one image's. */
static Value patch_rows(Ops *o, Value x, Window *w, SDim rows, SDim groups, SDim in) {
  Value p = windows(o, x, w, 2);
  if (p.bad) return p;
  SDim size = dim_mul(o->arena, w[0].size, w[1].size), taps = dim_mul(o->arena, size, in);
  p = v_transpose(o, p, (int[]){0, 1, 3, 2, 4, 5});
  if (dim_is(groups, 1)) return v_reshape(o, p, 2, (SDim[]){rows, taps});
  p = v_reshape(o, p, 4, (SDim[]){rows, size, groups, in});
  return v_reshape(o, v_transpose(o, p, (int[]){2, 0, 1, 3}), 3, (SDim[]){groups, rows, taps});
}

/* Each group of channels has filters of its own: one product a group. */
static Value conv_groups(Ops *o, Value x, Value f, Window *w, SDim groups, SDim rows) {
  bool exact;
  SDim out = dim_div(o->arena, f.type.dim[3], groups, &exact);
  Value p = patch_rows(o, x, w, rows, groups, f.type.dim[2]);
  SDim taps[3] = {stype_count(o, f.type, 0, 3), groups, out};
  f = v_transpose(o, v_reshape(o, f, 3, taps), (int[]){1, 0, 2});
  return v_transpose(o, v_matmul(o, p, f), (int[]){1, 0, 2});
}

/* One filter a channel: a sum of as many products as a window has elements, nothing laid out. */
static Value conv_depthwise(Ops *o, Value x, Value f, Window *w) {
  SDim dim[4] = {w[0].size, dim_int(o->arena, 1), w[1].size, f.type.dim[3]};
  Value p = windows(o, x, w, 2);
  f = v_reshape(o, f, 4, dim);
  return v_sum(o, v_mul(o, p, f), (int[]){2, 4}, 2, false);
}

static bool channels_fit(Ops *o, Value x, Value f, SDim groups) {
  SDim in = x.type.dim[x.type.rank - 1], whole[2] = {in, f.type.dim[3]};
  for (int k = 0; k < 2; k++) {
    bool exact = groups.value != 0;
    if (exact) dim_div(o->arena, whole[k], groups, &exact);
    if (exact) continue;
    ops_error(o, o->at, "E0220", "`%s` does not divide `%s`: groups of channels are equal",
              groups.text, whole[k].text);
    return false;
  }
  SDim want = dim_mul(o->arena, f.type.dim[2], groups);
  if (dim_eq(want, in)) return true;
  Diag *d = ops_error(o, o->at, "E0201", "the filters of %s take `%s` channels, and `%s` are given",
                      o->what, want.text, in.text);
  if (x.span.hi) diag_label(o->diags, d, x.span, "%s", stype_str(o, x.type));
  if (f.span.hi) diag_label(o->diags, d, f.span, "%s", stype_str(o, f.type));
  diag_note(o->diags, d, "the channels are the last axis; filters are [.., I / groups, O]");
  return false;
}

/* x f32[.., H, W, I], f f32[KH, KW, I / groups, O]: f32[.., OH, OW, O]. */
static Value convolve(Ops *o, Value x, Value f, Window *w, SDim groups) {
  if (x.bad || f.bad || !channels_fit(o, x, f, groups)) return value_bad();
  SDim out = f.type.dim[3];
  for (int k = 0; k < 2; k++) {
    w[k].axis = 1 + k;
    w[k].size = f.type.dim[k];
    if (!count_windows(o, x.type.dim[x.type.rank - 3 + k], &w[k])) return value_bad();
  }
  Value images = as_images(o, x), y;
  SDim rows = dim_mul(o->arena, images.type.dim[0], dim_mul(o->arena, w[0].out, w[1].out));
  if (dim_is(groups, 1)) {
    SDim taps[2] = {stype_count(o, f.type, 0, 3), out};
    y = v_matmul(o, patch_rows(o, images, w, rows, groups, f.type.dim[2]),
                 v_reshape(o, f, 2, taps));
  } else if (dim_is(f.type.dim[2], 1) && dim_eq(out, groups)) {
    y = conv_depthwise(o, images, f, w);
  } else {
    y = conv_groups(o, images, f, w, groups, rows);
  }
  return like_images(o, y, x, w[0].out, w[1].out, out);
}

/* Operands of a convolution of `axes` axes, and stride, padding, dilation, groups behind them. */
static bool read_conv(Ops *o, Call *c, int axes, Value *x, Value *f, Window *w, SDim *groups) {
  *x = as_float(o, c, 0);
  *f = as_float(o, c, 1);
  if (x->bad || f->bad || !call_rank(o, c, 0, axes + 1) || !call_rank(o, c, 1, axes + 2))
    return false;
  if (f->type.rank != axes + 2) {
    ops_error(o, o->at, "E0202", "the filters of %s are a tensor of %d axes, and this is %s",
              o->what, axes + 2, stype_str(o, f->type));
    return false;
  }
  return read_window(o, c, -1, 2, 4, 3, w) && read_size(o, c, 5, 1, groups);
}

/* conv2d(x, w, stride = 1, padding = 0, dilation = 1, groups = 1): cross-correlation,
   y[n, a, b, o] = sum_{i, j, c} x[n, a stride + i dilation - padding, ..j.., c] w[i, j, c, o]. */
static Value fn_conv2d(Ops *o, Call *c) {
  Value x, f;
  SDim groups;
  Window w[2];
  if (!read_conv(o, c, 2, &x, &f, &w[0], &groups)) return value_bad();
  w[1] = w[0];
  return convolve(o, x, f, w, groups);
}

/* conv1d: the same of images of one row. */
static Value fn_conv1d(Ops *o, Call *c) {
  Value x, f;
  SDim groups;
  Window w[2];
  if (!read_conv(o, c, 1, &x, &f, &w[1], &groups) || !call_room(o, x, 1)) return value_bad();
  read_window(o, c, -1, -1, -1, -1, &w[0]);
  int row = x.type.rank - 2;
  Value y = convolve(o, v_expand(o, x, row), v_expand(o, f, 0), w, groups);
  return y.bad ? y : v_squeeze(o, y, row);
}

/* ---- pools */

/* The windows of a pool as [N, OH, K, OW, K, C]. */
static Value read_pool(Ops *o, Call *c, Value *x, Window *w) {
  *x = as_float(o, c, 0);
  if (x->bad || !call_rank(o, c, 0, 3) || !read_window(o, c, 1, 2, -1, 3, &w[0]))
    return value_bad();
  if (w->padding.value >= 0 && w->size.value >= 0 && 2 * w->padding.value > w->size.value) {
    ops_error(o, o->at, "E0226",
              "a window of %s may lie in the padding: `%s` is more than half of `%s`", o->what,
              w->padding.text, w->size.text);
    return value_bad();
  }
  w[0].axis = 1;
  w[1] = w[0];
  w[1].axis = 2;
  return windows(o, as_images(o, *x), w, 2);
}

/* Padding counts as -inf: whether an element of a window [OH, K, OW, K] is one of x is a view of
   true, and false outside. */
static Value without_padding(Ops *o, Value p, Value x, Window *w) {
  SType t = {.dtype = DT_BOOL, .rank = 2};
  for (int k = 0; k < 2; k++) t.dim[k] = x.type.dim[x.type.rank - 3 + k];
  Type concrete;
  Value all = value_new(t, stype_concrete(t, &concrete) ? ir_const(o->g, concrete, 1) : NULL);
  Window flat[2] = {w[0], w[1]};
  flat[0].axis = 0;
  flat[1].axis = 1;
  Value inside = windows(o, all, flat, 2);
  if (inside.bad) return inside;
  return v_select(o, v_expand(o, inside, 4), p, value_float(o, -INFINITY));
}

/* max_pool(x, size, stride = size, padding = 0) */
static Value fn_max_pool(Ops *o, Call *c) {
  Value x, p;
  Window w[2];
  p = read_pool(o, c, &x, w);
  if (p.bad) return p;
  if (!dim_is(w->padding, 0)) p = without_padding(o, p, x, w);
  Value y = v_reduce_max(o, p, (int[]){2, 4}, 2, false);
  return y.bad ? y : like_images(o, y, x, w[0].out, w[1].out, x.type.dim[x.type.rank - 1]);
}

/* avg_pool(x, size, stride = size, padding = 0): padding counts as zeros. */
static Value fn_avg_pool(Ops *o, Call *c) {
  Value x, p;
  Window w[2];
  p = read_pool(o, c, &x, w);
  if (p.bad) return p;
  Value y = v_mean(o, p, (int[]){2, 4}, 2, false);
  return y.bad ? y : like_images(o, y, x, w[0].out, w[1].out, x.type.dim[x.type.rank - 1]);
}

static const Builtin row[] = {
    {"window", "window(x, axis, size, stride = 1, dilation = 1)",
     "all windows along an axis: element j of window o, at [.., o, j, ..], is x at o stride + j "
     "dilation",
     fn_window},
    {"conv2d", "conv2d(x, w, stride = 1, padding = 0, dilation = 1, groups = 1)",
     "x f32[.., H, W, I] correlated with filters f32[KH, KW, I/groups, O]: f32[.., OH, OW, O]; "
     "padding with zeros",
     fn_conv2d},
    {"conv1d", "conv1d(x, w, stride = 1, padding = 0, dilation = 1, groups = 1)",
     "the same along one axis: f32[.., T, I] with f32[K, I/groups, O]", fn_conv1d},
    {"max_pool", "max_pool(x, size, stride = size, padding = 0)",
     "maxima of the size by size windows of f32[.., H, W, C]; padding never wins, equal ones share "
     "the derivative",
     fn_max_pool},
    {"avg_pool", "avg_pool(x, size, stride = size, padding = 0)",
     "means of the size by size windows of f32[.., H, W, C]; padding counts as zeros", fn_avg_pool},
};

const BuiltinList builtins_conv = {row, sizeof row / sizeof *row};
