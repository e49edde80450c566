/* Values with symbolic shapes and the elementwise part of lowering: numbers of the program text
   adapt, types and shapes are joined by the rules of the language, broadcasting becomes explicit
   nodes. */
#include "frontend/value.h"

#include <math.h>
#include <string.h>

Diag *ops_error(Ops *o, Span span, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(o->arena, fmt, ap);
  va_end(ap);
  bool called = o->call.hi > o->call.lo, placed = span.hi > span.lo;
  Diag *d = diag_error(o->diags, placed || !called ? span : o->call, code, "%s", text);
  if (called) diag_label(o->diags, d, o->call, "in this call of `%s`", o->callee);
  return d;
}

const char *stype_str(const Ops *o, SType t) {
  const char *s = dtype_name(t.dtype);
  if (t.rank == 0) return s;
  for (int i = 0; i < t.rank; i++)
    s = arena_printf(o->arena, "%s%s%s", s, i ? ", " : "[", t.dim[i].text);
  return arena_printf(o->arena, "%s]", s);
}

const char *value_str(const Ops *o, Value v) {
  if (v.lit == LIT_INT) return v.sized && !dim_is_int(v.size) ? "a size" : "an integer";
  if (v.lit == LIT_FLOAT) return "a number";
  return stype_str(o, v.type);
}

bool stype_concrete(SType t, Type *out) {
  *out = type_scalar(t.dtype);
  out->rank = t.rank;
  for (int i = 0; i < t.rank; i++) {
    if (t.dim[i].value < 0) return false;
    out->dim[i] = t.dim[i].value;
  }
  return true;
}

bool stype_same_shape(SType x, SType y) {
  if (x.rank != y.rank) return false;
  for (int i = 0; i < x.rank; i++)
    if (!dim_eq(x.dim[i], y.dim[i])) return false;
  return true;
}

SType stype_scalar(DType d) { return (SType){.dtype = d}; }

SDim stype_count(const Ops *o, SType t, int lo, int hi) {
  SDim n = dim_int(o->arena, 1);
  for (int i = lo; i < hi; i++) n = dim_mul(o->arena, n, t.dim[i]);
  return n;
}

Value value_bad(void) { return (Value){.bad = true}; }
Value value_new(SType t, Node *node) { return (Value){.type = t, .node = node}; }

Value value_float(Ops *o, double x) {
  return (Value){.lit = LIT_FLOAT, .num = x, .type = stype_scalar(o->flt)};
}

Value value_int(Ops *o, int64_t x) {
  Value v = {.lit = LIT_INT, .num = (double)x, .type = stype_scalar(DT_I32)};
  v.sized = x >= 0;
  if (v.sized) v.size = dim_int(o->arena, x);
  return v;
}

Value value_size(Ops *o, SDim d) {
  if (d.ragged && o->ragged) { /* as a number: how many rows there are */
    Node *valid = NULL, *count = NULL;
    o->ragged(o->ctx, d, &valid, &count);
    return value_new(stype_scalar(DT_I32), count);
  }
  return (Value){.lit = LIT_INT,
                 .num = dim_whole(d) >= 0 ? (double)dim_whole(d) : NAN,
                 .sized = true,
                 .size = d,
                 .type = stype_scalar(DT_I32)};
}

bool value_is_float(Value v) {
  return v.lit == LIT_FLOAT || (v.lit == LIT_NONE && dtype_is_float(v.type.dtype));
}

/* v with another shape or type, but the same place in the text. */
static Value with(Value v, SType t, Node *node) {
  Value r = value_new(t, node);
  r.span = v.span;
  return r;
}

static Value literal(Ops *o, Value x, SType t) {
  Type c;
  if (t.dtype == DT_I32 && !isnan(x.num) && !(fabs(x.num) <= 2147483647)) {
    ops_error(o, x.span.hi ? x.span : o->at, "E0219", "%.17g does not fit i32", x.num);
    return value_bad();
  }
  if (t.dtype == DT_I32) x.num = trunc(x.num);
  Node *n = stype_concrete(t, &c) ? ir_const(o->g, c, x.num) : NULL; /* NaN: unknown, or none */
  return with(x, t, n);
}

Value v_cast(Ops *o, Value x, DType d) {
  if (x.bad || (x.lit == LIT_NONE && x.type.dtype == d)) return x;
  SType t = x.type;
  t.dtype = d;
  if (x.lit) return literal(o, x, t);
  return with(x, t, x.node ? ir_cast(o->g, x.node, d) : NULL);
}

Value v_tensor(Ops *o, Value x, DType type) { return x.lit && !x.bad ? v_cast(o, x, type) : x; }

Value v_float(Ops *o, Value x) {
  if (x.bad) return x;
  if (x.lit || x.type.dtype == DT_I32) return v_cast(o, x, o->flt);
  if (x.type.dtype != DT_BOOL) return x;
  Diag *d = ops_error(o, o->at, "E0210", "%s needs numbers, and this is %s", o->what,
                      stype_str(o, x.type));
  if (x.span.hi) diag_label(o->diags, d, x.span, "%s", stype_str(o, x.type));
  diag_help(o->diags, d, "write `f32(...)` to count true as 1 and false as 0, or `where(...)`");
  return value_bad();
}

Value v_broadcast(Ops *o, Value x, SType shape) {
  shape.dtype = x.type.dtype;
  if (x.bad || (!x.lit && stype_same_shape(x.type, shape))) return x;
  if (x.lit) return literal(o, x, shape);
  Type to;
  Node *n = x.node;
  if (!n || !stype_concrete(shape, &to)) return with(x, shape, NULL);
  if (n->op == OP_const) return with(x, shape, ir_const(o->g, to, n->attr.value));
  int64_t axes[MAX_RANK], dim[MAX_RANK];
  int k = 0, skip = shape.rank - x.type.rank;
  for (int i = 0; i < x.type.rank; i++)
    if (dim_eq(x.type.dim[i], shape.dim[i + skip])) {
      dim[k] = n->type.dim[i];
      axes[k++] = i + skip;
    }
  if (k < x.type.rank) n = ir_reshape(o->g, n, k, dim);
  return with(x, shape, ir_broadcast(o->g, n, to, axes));
}

static void label_operands(Ops *o, Diag *d, Value a, Value b) {
  if (a.span.hi) diag_label(o->diags, d, a.span, "%s", value_str(o, a));
  if (b.span.hi) diag_label(o->diags, d, b.span, "%s", value_str(o, b));
}

bool v_join_shapes(Ops *o, Value a, Value b, SType *out) {
  SType x = a.type, y = b.type;
  out->rank = x.rank > y.rank ? x.rank : y.rank;
  for (int i = 0; i < out->rank; i++) {
    int ix = i - (out->rank - x.rank), iy = i - (out->rank - y.rank);
    if (ix < 0 || iy < 0) {
      out->dim[i] = ix < 0 ? y.dim[iy] : x.dim[ix];
      continue;
    }
    SDim p = x.dim[ix], q = y.dim[iy];
    if (dim_is(p, 1) || dim_eq(p, q)) {
      out->dim[i] = q;
    } else if (dim_is(q, 1)) {
      out->dim[i] = p;
    } else {
      Diag *d = ops_error(o, o->at, "E0201", "shapes of %s do not fit: %s and %s", o->what,
                          stype_str(o, x), stype_str(o, y));
      label_operands(o, d, a, b);
      diag_note(o->diags, d, "sizes are compared from the last to the first: `%s` is not `%s`",
                p.text, q.text);
      return false;
    }
  }
  return true;
}

static bool type_error(Ops *o, Value a, Value b) {
  bool floats = value_is_float(a) && value_is_float(b);
  Diag *d = ops_error(o, o->at, floats ? "E0211" : "E0210", "%s cannot combine %s and %s", o->what,
                      value_str(o, a), value_str(o, b));
  label_operands(o, d, a, b);
  if (floats)
    diag_help(o->diags, d, "convert one of them: `f64(...)` or `f32(...)`");
  else
    diag_help(o->diags, d, "write `f32(...)` to count true as 1 and false as 0, or `where(...)`");
  return false;
}

/* The element type in which a and b meet; -1 where they do not. Literals and consts adapt, integers
   become floats, bools meet bools only. */
static int join_dtype(Ops *o, Value a, Value b) {
  DType x = a.type.dtype, y = b.type.dtype;
  if (a.lit && b.lit) return a.lit == LIT_FLOAT || b.lit == LIT_FLOAT ? (int)o->flt : DT_I32;
  if (a.lit) {
    if (y == DT_BOOL) return -1;
    return y == DT_I32 && a.lit == LIT_FLOAT ? (int)o->flt : (int)y;
  }
  if (b.lit) return join_dtype(o, b, a);
  if (x == y) return (int)x;
  if (x == DT_BOOL || y == DT_BOOL) return -1;
  if (x == DT_I32) return (int)y;
  if (y == DT_I32) return (int)x;
  return a.soft ? (int)y : b.soft ? (int)x : -1;
}

bool v_join(Ops *o, Value *a, Value *b) {
  if (a->bad || b->bad) return false;
  int dt = join_dtype(o, *a, *b);
  SType shape;
  if (dt < 0) return type_error(o, *a, *b);
  if (!v_join_shapes(o, *a, *b, &shape)) return false;
  shape.dtype = (DType)dt;
  *a = v_broadcast(o, v_cast(o, *a, (DType)dt), shape);
  *b = v_broadcast(o, v_cast(o, *b, (DType)dt), shape);
  return true;
}

Value v_map1(Ops *o, Op op, Value x) {
  if (x.bad) return x;
  return with(x, x.type, x.node ? ir_node(o->g, op, x.node->type, &x.node, 1, (Attr){0}) : NULL);
}

static Value map2_joined(Ops *o, Op op, Value a, Value b, DType result) {
  SType t = a.type;
  t.dtype = result;
  Node *in[2] = {a.node, b.node};
  return value_new(t, a.node && b.node ? ir_node(o->g, op, a.node->type, in, 2, (Attr){0}) : NULL);
}

Value v_map2(Ops *o, Op op, Value a, Value b) {
  if (!v_join(o, &a, &b)) return value_bad();
  if (a.type.dtype == DT_BOOL) {
    type_error(o, a, b);
    return value_bad();
  }
  return map2_joined(o, op, a, b, a.type.dtype);
}

/* Both literals: the result is one, so that sizes and settings are computed exactly. */
/* An integer as far as doubles hold them exactly; a number without fraction beyond. */
static Value integer(Ops *o, double x) {
  if (isnan(x)) return (Value){.lit = LIT_INT, .num = x, .type = stype_scalar(DT_I32)};
  return fabs(x) < 9e15 ? value_int(o, (int64_t)x) : value_float(o, x);
}

static bool fold(Ops *o, char op, Value a, Value b, Value *out) {
  if (a.bad || b.bad || !a.lit || !b.lit) return false;
  double x = a.num, y = b.num;
  double r = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : x / y;
  *out = value_float(o, r);
  if (a.lit != LIT_INT || b.lit != LIT_INT || op == '/') return true;
  *out = integer(o, r);
  if (!a.sized || !b.sized || out->lit != LIT_INT || (!isnan(r) && r < 0)) return true;
  out->sized = true;
  out->size = op == '+'   ? dim_add(o->arena, a.size, b.size)
              : op == '-' ? dim_sub(o->arena, a.size, b.size)
                          : dim_mul(o->arena, a.size, b.size);
  return true;
}

Value v_neg(Ops *o, Value x) {
  if (x.bad) return x;
  if (x.lit == LIT_FLOAT) return value_float(o, -x.num);
  if (x.lit == LIT_INT) return integer(o, -x.num);
  if (x.type.dtype != DT_BOOL) return v_map1(o, OP_neg, x);
  return v_float(o, x);
}

Value v_add(Ops *o, Value a, Value b) {
  Value r;
  return fold(o, '+', a, b, &r) ? r : v_map2(o, OP_add, a, b);
}

Value v_sub(Ops *o, Value a, Value b) {
  Value r;
  return fold(o, '-', a, b, &r) ? r : v_map2(o, OP_sub, a, b);
}

Value v_mul(Ops *o, Value a, Value b) {
  Value r;
  return fold(o, '*', a, b, &r) ? r : v_map2(o, OP_mul, a, b);
}

Value v_div(Ops *o, Value a, Value b) {
  Value r;
  if (fold(o, '/', a, b, &r)) return r;
  if (a.bad || b.bad) return value_bad();
  if (!value_is_float(a) && !value_is_float(b)) {
    a = v_float(o, a);
    b = v_float(o, b);
  }
  if (b.lit && b.num != 0 && !isnan(b.num)) return v_scale(o, v_float(o, a), 1 / b.num);
  return v_map2(o, OP_div, a, b);
}

static Value integer_op(Ops *o, Op op, Value a, Value b) {
  if (a.bad || b.bad) return value_bad();
  bool ok =
      !value_is_float(a) && !value_is_float(b) && a.type.dtype == DT_I32 && b.type.dtype == DT_I32;
  if (!ok) {
    Diag *d = ops_error(o, o->at, "E0212", "%s needs integers on both sides", o->what);
    label_operands(o, d, a, b);
    return value_bad();
  }
  if (b.lit && b.num == 0) {
    ops_error(o, o->at, "E0213", "division by zero");
    return value_bad();
  }
  if (!a.lit || !b.lit) return v_map2(o, op, a, b);
  if (a.sized && b.sized)
    return value_size(o, op == OP_idiv ? dim_intdiv(o->arena, a.size, b.size)
                                       : dim_mod(o->arena, a.size, b.size));
  double q = floor(a.num / b.num);
  return integer(o, op == OP_idiv ? q : a.num - q * b.num);
}

Value v_intdiv(Ops *o, Value a, Value b) { return integer_op(o, OP_idiv, a, b); }
Value v_mod(Ops *o, Value a, Value b) { return integer_op(o, OP_mod, a, b); }

/* x^n by repeated squaring, n >= 1. */
static Value power(Ops *o, Value x, int n) {
  Value r = x;
  bool have = false;
  for (; n; n >>= 1) {
    if (n & 1) r = have ? v_mul(o, r, x) : x;
    if (n & 1) have = true;
    if (n > 1) x = v_mul(o, x, x);
  }
  return r;
}

Value v_pow(Ops *o, Value a, Value b) {
  if (a.bad || b.bad) return value_bad();
  if (a.lit && b.lit) {
    double r = pow(a.num, b.num);
    if (a.lit != LIT_INT || b.lit != LIT_INT || b.num < 0) return value_float(o, r);
    if (b.num >= 1 && b.num <= 16) return power(o, a, (int)b.num);
    return integer(o, r);
  }
  if (b.lit && b.num == floor(b.num) && fabs(b.num) <= 16) {
    int n = (int)b.num;
    if (n < 0 || value_is_float(b)) a = v_float(o, a);
    if (a.bad || a.type.dtype == DT_BOOL) return v_float(o, a);
    if (n == 0) return v_broadcast(o, v_cast(o, value_int(o, 1), a.type.dtype), a.type);
    return n > 0 ? power(o, a, n) : v_map1(o, OP_recip, power(o, a, -n));
  }
  if (b.lit && fabs(b.num) == 0.5) {
    Value r = v_map1(o, OP_sqrt, v_float(o, a));
    return b.num > 0 ? r : v_map1(o, OP_recip, r);
  }
  if (!value_is_float(a)) a = v_float(o, a);
  return v_map2(o, OP_pow, a, b);
}

Value v_compare(Ops *o, Op op, Value a, Value b) {
  if (a.bad || b.bad) return value_bad();
  if (a.lit && b.lit) {
    a = v_float(o, a);
    b = v_float(o, b);
  }
  if (!v_join(o, &a, &b)) return value_bad();
  if (a.type.dtype == DT_BOOL && op != OP_eq && op != OP_ne) {
    type_error(o, a, b);
    return value_bad();
  }
  return map2_joined(o, op, a, b, DT_BOOL);
}

static bool need_bool(Ops *o, Value v) {
  if (v.bad || (!v.lit && v.type.dtype == DT_BOOL)) return !v.bad;
  Diag *d = ops_error(o, o->at, "E0214", "%s needs a truth value, and this is %s", o->what,
                      value_str(o, v));
  if (v.span.hi) diag_label(o->diags, d, v.span, "%s", value_str(o, v));
  diag_help(o->diags, d, "compare it with something, as in `x > 0`");
  return false;
}

Value v_logic(Ops *o, Op op, Value a, Value b) {
  if (!need_bool(o, a) || !need_bool(o, b) || !v_join(o, &a, &b)) return value_bad();
  return map2_joined(o, op, a, b, DT_BOOL);
}

Value v_not(Ops *o, Value x) { return need_bool(o, x) ? v_map1(o, OP_not, x) : value_bad(); }

Value v_select(Ops *o, Value c, Value a, Value b) {
  if (!need_bool(o, c)) return value_bad();
  if (a.lit && b.lit) {
    DType d = a.lit == LIT_FLOAT || b.lit == LIT_FLOAT ? o->flt : DT_I32;
    a = v_cast(o, a, d);
    b = v_cast(o, b, d);
  }
  if (!v_join(o, &a, &b)) return value_bad();
  SType shape;
  if (!v_join_shapes(o, c, a, &shape)) return value_bad();
  c = v_broadcast(o, c, shape);
  a = v_broadcast(o, a, shape);
  b = v_broadcast(o, b, shape);
  Node *in[3] = {c.node, a.node, b.node};
  bool have = c.node && a.node && b.node;
  return value_new(a.type, have ? ir_node(o->g, OP_select, a.node->type, in, 3, (Attr){0}) : NULL);
}

Value v_scale(Ops *o, Value x, double by) { return v_mul(o, x, value_float(o, by)); }
Value v_offset(Ops *o, Value x, double by) { return v_add(o, x, value_float(o, by)); }

Value v_stop(Ops *o, Value x) {
  if (x.bad || x.lit) return x;
  Value r = v_map1(o, OP_stop, x);
  r.soft = x.soft;
  return r;
}
