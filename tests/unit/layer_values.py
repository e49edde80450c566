"""Prints layer_values.h: built-ins of networks' layers, computed by JAX in doubles: the value f = sum_i cos(1 + i) e_i over
the elements e of the expression, sum_i cos(0.7 i + 0.2) g_i of the gradient g of f by all variables, and the same of the
Hessian times the direction cos(3.1 i + 0.5). Variable number v (from 0) starts at 1.1 sin(1.7 i + v + 1)."""
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def take_windows(x, axis, size, stride=1, dilation=1, pad=0, fill=0.0):
    """A new axis behind `axis`, by fancy indexing."""
    x = jnp.moveaxis(x, axis, 0)
    x = jnp.concatenate([jnp.full((pad,) + x.shape[1:], fill), x, jnp.full((pad,) + x.shape[1:], fill)])
    out = (x.shape[0] - (size - 1) * dilation - 1) // stride + 1
    index = np.arange(out)[:, None] * stride + np.arange(size)[None, :] * dilation
    return jnp.moveaxis(x[index], (0, 1), (axis, axis + 1))


def conv2d(x, w, stride=1, padding=0, dilation=1, groups=1):
    lead = x.shape[:-3]
    x = x.reshape((-1,) + x.shape[-3:])
    y = jax.lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2, rhs_dilation=(dilation, dilation),
                                     dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)
    return y.reshape(lead + y.shape[1:])


def conv1d(x, w, stride=1, padding=0, dilation=1, groups=1):
    return jax.lax.conv_general_dilated(x, w, (stride,), [(padding, padding)], rhs_dilation=(dilation,),
                                        dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=groups)


def pool(x, how, size, stride=None, padding=0, fill=0.0):
    axis = x.ndim - 3
    p = take_windows(x, axis, size, stride or size, 1, padding, fill)
    p = take_windows(p, axis + 2, size, stride or size, 1, padding, fill)
    return how(p, axis=(axis + 1, axis + 3))


def max_pool(x, size, stride=None, padding=0):
    return pool(x, jnp.max, size, stride, padding, -jnp.inf)


def avg_pool(x, size, stride=None, padding=0):
    return pool(x, jnp.mean, size, stride, padding)


def rope(x, base=10000.0):
    t, d = x.shape[-2:]
    z = x[..., 0::2] + 1j * x[..., 1::2]
    z = z * jnp.exp(1j * np.arange(t)[:, None] * base ** (-np.arange(0, d, 2) / d)[None, :])
    return jnp.stack([z.real, z.imag], -1).reshape(x.shape)


def attention(q, k, v, mask=None):
    s = jnp.einsum("...td,...sd->...ts", q, k) / np.sqrt(q.shape[-1])
    mask = jnp.broadcast_to(True if mask is None else mask, s.shape)
    e = jnp.where(mask, jnp.exp(s), 0)
    total = e.sum(-1, keepdims=True)
    return jnp.einsum("...ts,...sd->...td", e / jnp.where(total == 0, 1, total), v)


def batchnorm(x, scale, shift):
    return (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5) * scale + shift


def layernorm(x):
    c = x - x.mean(-1, keepdims=True)
    return c / jnp.sqrt((c ** 2).mean(-1, keepdims=True) + 1e-5)


IDS = np.array([2, 0, 3, 2, 1, 2])
LOWER = np.tril(np.ones((4, 4), bool))
CASES = [
    ("A : 7, 2", "window(A, 0, 3)^2", lambda A: take_windows(A, 0, 3) ** 2),
    ("A : 2, 9", "window(A, -1, 3, stride = 2, dilation = 2)^2", lambda A: take_windows(A, 1, 3, 2, 2) ** 2),
    ("A : 5, 3", "window(A, axis = 0, size = 5)^2", lambda A: take_windows(A, 0, 5) ** 2),
    ("A : 2, 1, 3", "window(A, 1, 1)^2", lambda A: take_windows(A, 1, 1) ** 2),
    ("A : 6, 3", "window(A, 0, 1, stride = 4)^2", lambda A: take_windows(A, 0, 1, 4) ** 2),
    ("A : 6, 5", "window(window(tanh(A), 0, 2), 2, 3, 2)^2",
     lambda A: take_windows(take_windows(jnp.tanh(A), 0, 2), 2, 3, 2) ** 2),
    # convolutions
    ("X : 2, 4, 5, 2; K : 3, 2, 2, 3", "conv2d(X, K)^2", lambda X, K: conv2d(X, K) ** 2),
    ("X : 2, 6, 5, 2; K : 3, 3, 2, 2", "conv2d(X, K, stride = 2, padding = 1)^2",
     lambda X, K: conv2d(X, K, 2, 1) ** 2),
    ("X : 1, 7, 6, 1; K : 2, 3, 1, 2", "conv2d(tanh(X), K, stride = 3)", lambda X, K: conv2d(jnp.tanh(X), K, 3)),
    ("X : 1, 7, 6, 2; K : 3, 2, 2, 2", "conv2d(X, K, padding = 2, dilation = 2)^2",
     lambda X, K: conv2d(X, K, 1, 2, 2) ** 2),
    ("X : 1, 8, 8, 1; K : 3, 3, 1, 1", "tanh(conv2d(X, K, 2, 1, 3))", lambda X, K: jnp.tanh(conv2d(X, K, 2, 1, 3))),
    ("X : 2, 4, 4, 4; K : 2, 3, 2, 6", "conv2d(X, K, groups = 2, padding = 1)^2",
     lambda X, K: conv2d(X, K, 1, 1, 1, 2) ** 2),
    ("X : 2, 5, 4, 3; K : 3, 3, 1, 3", "conv2d(X, K, stride = 2, padding = 1, groups = 3)^2",
     lambda X, K: conv2d(X, K, 2, 1, 1, 3) ** 2),
    ("X : 2, 3, 4, 2; K : 2, 2, 1, 4", "conv2d(X, K, groups = 2)^2", lambda X, K: conv2d(X, K, 1, 0, 1, 2) ** 2),
    ("X : 2, 3, 4, 2; K : 3, 4, 2, 3", "conv2d(X, K)^2", lambda X, K: conv2d(X, K) ** 2),
    ("X : 2, 3, 4, 3; K : 1, 1, 3, 2", "conv2d(X, K)^2", lambda X, K: conv2d(X, K) ** 2),
    ("X : 2, 5, 4, 3; K : 1, 1, 3, 2", "conv2d(X, K, stride = 2)^2", lambda X, K: conv2d(X, K, 2) ** 2),
    ("X : 2, 3, 4, 3; K : 1, 1, 3, 2", "conv2d(X, K, padding = 1)^2", lambda X, K: conv2d(X, K, 1, 1) ** 2),
    ("X : 1, 1, 4, 1; K : 1, 3, 1, 1", "conv2d(X, K, padding = 1)^2", lambda X, K: conv2d(X, K, 1, 1) ** 2),
    ("X : 4, 5, 2; K : 2, 2, 2, 2", "conv2d(X, K)^2", lambda X, K: conv2d(X, K) ** 2),
    ("X : 2, 2, 3, 3, 2; K : 2, 2, 2, 2", "conv2d(X, K)^2", lambda X, K: conv2d(X, K) ** 2),
    ("X : 1, 4, 4, 2; K : 3, 3, 2, 2; L : 2, 2, 2, 2", "conv2d(sigmoid(conv2d(X, K, padding = 1)), L, 2)^2",
     lambda X, K, L: conv2d(jax.nn.sigmoid(conv2d(X, K, 1, 1)), L, 2) ** 2),
    ("X : 2, 7, 3; K : 3, 3, 2", "conv1d(X, K, stride = 2, padding = 2, dilation = 2)^2",
     lambda X, K: conv1d(X, K, 2, 2, 2) ** 2),
    ("X : 2, 6, 4; K : 2, 1, 4", "conv1d(X, K, groups = 4)^2", lambda X, K: conv1d(X, K, 1, 0, 1, 4) ** 2),
    # pools
    ("X : 2, 5, 4, 2", "max_pool(X, 2)^2", lambda X: max_pool(X, 2) ** 2),
    ("X : 2, 5, 6, 1", "max_pool(X, 3, stride = 2, padding = 1)^2", lambda X: max_pool(X, 3, 2, 1) ** 2),
    ("X : 1, 4, 4, 2", "max_pool(-X^2, 2, stride = 1, padding = 1)", lambda X: max_pool(-X ** 2, 2, 1, 1)),
    ("X : 1, 4, 4, 1", "max_pool(concat(X, X, axis = 2), 4, 2)^2",
     lambda X: max_pool(jnp.concatenate([X, X], 2), 4, 2) ** 2),
    ("X : 3, 3, 2", "max_pool(X, 3)^2", lambda X: max_pool(X, 3) ** 2),
    ("X : 2, 5, 4, 2", "avg_pool(X, 2)^2", lambda X: avg_pool(X, 2) ** 2),
    ("X : 2, 5, 6, 1", "avg_pool(X, 3, stride = 2, padding = 1)^2", lambda X: avg_pool(X, 3, 2, 1) ** 2),
    # sequences
    ("X : 2, 3, 4", "rope(X)^2", lambda X: rope(X) ** 2),
    ("X : 5, 6", "rope(tanh(X), base = 100)", lambda X: rope(jnp.tanh(X), 100.0)),
    ("X : 2, 1, 2, 3, 2", "rope(X)^3", lambda X: rope(X) ** 3),
    ("Q : 2, 3, 4; K : 2, 5, 4; V : 2, 5, 2", "attention(Q, K, V)", attention),
    ("Q : 4, 3; K : 4, 3; V : 4, 2", "attention(Q, K, V, causal = true)", lambda Q, K, V: attention(Q, K, V, LOWER)),
    ("Q : 2, 2, 4, 2; K : 2, 2, 4, 2; V : 2, 2, 4, 3", "attention(rope(Q), rope(K), V, causal = true)^2",
     lambda Q, K, V: attention(rope(Q), rope(K), V, LOWER) ** 2),
    ("Q : 3, 4; K : 5, 4; V : 5, 2", "attention(Q, K, V, mask = iota(5) != 2)",
     lambda Q, K, V: attention(Q, K, V, np.arange(5) != 2)),
    ("Q : 2, 3, 4; K : 2, 3, 4; V : 2, 3, 2", "attention(Q, K, V, true, expand_dims(iota(3) > 0, 1) and iota(3) < 2)",
     lambda Q, K, V: attention(Q, K, V, LOWER[:3, :3] & (np.arange(3) > 0)[:, None] & (np.arange(3) < 2))),
    ("H : 3, 2; S : 3, 2", "straight_through(f32(H > 0), sigmoid(S))^2 * H",
     lambda H, S: (jax.nn.sigmoid(S) + jax.lax.stop_gradient((H > 0) * 1.0 - jax.nn.sigmoid(S))) ** 2 * H),
    # expressions that layers are made of
    ("X : 6, 3; S : 3; B : 3", "(X - mean(X, 0)) / sqrt(variance(X, 0) + 1e-5) * S + B", batchnorm),
    ("X : 3, 2, 2, 2; S : 2; B : 2",
     "tanh((X - mean(X, 0, 1, 2)) / sqrt(variance(X, 0, 1, 2) + 1e-5) * S + B)",
     lambda X, S, B: jnp.tanh(batchnorm(X.reshape(-1, 2), S, B))),
    # its Hessian product is one kernel of five stages, whose first stage's rows are read up to the fourth
    ("X : 2, 3", "layernorm(X)^2", lambda X: layernorm(X) ** 2),
    ("W : 4, 3", "tanh(W[(5 * iota(6) * iota(6) + 2) mod 4])^2",
     lambda W: jnp.tanh(W[(5 * np.arange(6) ** 2 + 2) % 4]) ** 2),
    ("W : 5, 3; V : 3, 2", "(W[iota(7) * iota(7) mod 5] @ V)^2", lambda W, V: (W[np.arange(7) ** 2 % 5] @ V) ** 2),
]


def numbers(spec, fn):
    shapes = [tuple(int(d) for d in v.split(":")[1].split(",")) for v in spec.split(";")]
    sizes = [int(np.prod(s)) for s in shapes]
    x = jnp.concatenate([1.1 * jnp.sin(1.7 * jnp.arange(n) + k + 1) for k, n in enumerate(sizes)])
    total = sum(sizes)

    def f(flat):
        at = np.cumsum([0] + sizes)
        e = fn(*[flat[at[k]:at[k + 1]].reshape(s) for k, s in enumerate(shapes)]).ravel()
        return jnp.sum(jnp.cos(1 + jnp.arange(e.size)) * e)

    i = jnp.arange(total)
    w, t = jnp.cos(0.7 * i + 0.2), jnp.cos(3.1 * i + 0.5)
    count = int(np.prod(jax.eval_shape(fn, *[jax.ShapeDtypeStruct(s, jnp.float64) for s in shapes]).shape))
    return count, float(f(x)), float(w @ jax.grad(f)(x)), float(w @ jax.jvp(jax.grad(f), (x,), (t,))[1])


if __name__ == "__main__":
    print("/* Written by layer_values.py: variables, expression, number of elements, value, gradient, Hessian product, states. */")
    print("/* clang-format off */")
    for spec, text, fn in CASES:
        print('{"%s", "%s", %d, %.17g, %.17g, %.17g, 0},' % ((spec, text) + numbers(spec, fn)))
    print("/* clang-format on */")
