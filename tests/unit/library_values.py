"""Prints library_values.h: modules of the library, computed by JAX in doubles as layer_values.py says, and the sum of
cos(0.7 i + 0.2) s_i over the elements s of what the states become next. Parameters are variables in the order in which the
modules declare them. State number k (from 0) is 0.6 + 0.3 sin(1.3 i + k)."""
import jax
import jax.numpy as jnp
import numpy as np

from layer_values import attention, conv1d, conv2d, rope

CASES = []


def case(spec, text, shapes, fn, states=()):
    """fn(variables.., *states) gives the expression's value, and with states also their next values."""
    CASES.append((spec, text, shapes, fn, states))


def linear(x, W, b):
    return jnp.einsum("...i,io->...o", x, W) + b


def mlp(x, W1, b1, W2, b2):
    return linear(jax.nn.relu(linear(x, W1, b1)), W2, b2)


def layernorm(x, scale, shift):
    c = x - x.mean(-1, keepdims=True)
    return c / jnp.sqrt((c ** 2).mean(-1, keepdims=True) + 1e-5) * scale + shift


def rmsnorm(x, scale):
    return x / jnp.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-6) * scale


def batch_train(x, scale, shift, mean_seen, var_seen):
    """The value, and what the moving averages become: torch.nn.BatchNorm with momentum 0.1."""
    rows = x.reshape(-1, x.shape[-1])
    m, v = jnp.mean(rows, 0), jnp.var(rows, 0)
    unbiased = jnp.var(rows, 0, ddof=1)
    y = (x - m) / jnp.sqrt(v + 1e-5) * scale + shift
    return y, (mean_seen + 0.1 * (m - mean_seen), var_seen + 0.1 * (unbiased - var_seen))


def batch_eval(x, scale, shift, mean_seen, var_seen):
    return (x - mean_seen) / jnp.sqrt(var_seen + 1e-5) * scale + shift


def self_attention(x, W, b, Wo, bo, heads, causal=False, rotary=False):
    """Head by head, on the columns of W that make its queries, keys and values."""
    n, t, d = x.shape
    size = d // heads
    all = linear(x, W, b)
    out = []
    for h in range(heads):
        q, k, v = (all[:, :, j * d + h * size:j * d + (h + 1) * size] for j in range(3))
        if rotary:
            q, k = rope(q), rope(k)
        out.append(attention(q, k, v, np.tril(np.ones((t, t), bool)) if causal else None))
    return linear(jnp.concatenate(out, -1), Wo, bo)


def transformer(x, s1, t1, W, b, Wo, bo, s2, t2, Ww, bw, Wn, bn, **how):
    h = x + self_attention(layernorm(x, s1, t1), W, b, Wo, bo, **how)
    g = linear(layernorm(h, s2, t2), Ww, bw)
    return h + linear(g * 0.5 * (1 + jax.lax.erf(g / np.sqrt(2))), Wn, bn)


def attention_shapes(d):
    return [(d, 3 * d), (3 * d,), (d, d), (d,)]


def transformer_shapes(d, f):
    return [(d,), (d,)] + attention_shapes(d) + [(d,), (d,), (d, f), (f,), (f, d), (d,)]


tanh = jnp.tanh
case("X : 4, 3; net = linear[3, 2]", "tanh(net(X))", [(4, 3), (3, 2), (2,)], lambda X, W, b: tanh(linear(X, W, b)))
case("X : 2, 2, 3; net = linear[3, 2]", "net(X)^2", [(2, 2, 3), (3, 2), (2,)], lambda X, W, b: linear(X, W, b) ** 2)
case("X : 4, 3; net[2] = linear[3, 3]", "net[1](tanh(net[0](X)))", [(4, 3)] + 2 * [(3, 3), (3,)],
     lambda X, W, b, V, c: linear(tanh(linear(X, W, b)), V, c))
case("X : 5, 3; net = mlp[3, 4, 2]", "net(X)^2", [(5, 3), (3, 4), (4,), (4, 2), (2,)], lambda *v: mlp(*v) ** 2)
case("X : 3; net = mlp[3, 5, 1]", "net(X)^2", [(3,), (3, 5), (5,), (5, 1), (1,)], lambda *v: mlp(*v) ** 2)
case("net = embedding[4, 3]", "tanh(net((5 * iota(6) * iota(6) + 2) mod 4))^2", [(4, 3)],
     lambda W: tanh(W[(5 * np.arange(6) ** 2 + 2) % 4]) ** 2)
case("net = embedding[5, 2]; out = linear[2, 3]", "out(net(reshape(iota(6) * iota(6) mod 5, 2, 3)))^2",
     [(5, 2), (2, 3), (3,)], lambda W, V, b: linear(W[np.arange(6).reshape(2, 3) ** 2 % 5], V, b) ** 2)
case("X : 3, 4; net = layernorm[4]", "tanh(net(X))", [(3, 4), (4,), (4,)], lambda *v: tanh(layernorm(*v)))
case("X : 2, 3, 2; net = layernorm[2]", "net(X)^2", [(2, 3, 2), (2,), (2,)], lambda *v: layernorm(*v) ** 2)
case("X : 3, 4; net = rmsnorm[4]", "tanh(net(X))", [(3, 4), (4,)], lambda *v: tanh(rmsnorm(*v)))
case("X : 2, 3, 2; net = rmsnorm[2]", "net(X)^2", [(2, 3, 2), (2,)], lambda *v: rmsnorm(*v) ** 2)


def trained(after):
    def fn(X, scale, shift, *seen):
        y, seen = batch_train(X, scale, shift, *seen)
        return after(y), seen
    return fn


def twice(X, scale, shift, *seen):
    y, seen = batch_train(X, scale, shift, *seen)
    z, seen = batch_train(tanh(y), scale, shift, *seen)
    return z ** 2, seen


case("X : 6, 3; net = batchnorm[3]", "tanh(net(X))", [(6, 3), (3,), (3,)], trained(tanh), 2 * [(3,)])
case("X : 2, 3, 2, 2; net = batchnorm[2]", "net(X)^2", [(2, 3, 2, 2), (2,), (2,)], trained(lambda y: y ** 2), 2 * [(2,)])
case("X : 5, 2; net = batchnorm[2]", "net(tanh(net(X)))^2", [(5, 2), (2,), (2,)], twice, 2 * [(2,)])
case("X : 6, 3; net = batchnorm[3]", "tanh(net(X, mode = eval))", [(6, 3), (3,), (3,)],
     lambda *v: (tanh(batch_eval(*v)), ()), 2 * [(3,)])
case("X : 2, 3, 2, 2; net = batchnorm[2]", "net(X, mode = eval)^3", [(2, 3, 2, 2), (2,), (2,)],
     lambda *v: (batch_eval(*v) ** 3, ()), 2 * [(2,)])

for sizes, x, i, o, k, s, p, g in (("2, 3", (2, 4, 5, 2), 2, 3, 3, 1, 1, 1), ("2, 2, S = 2", (2, 5, 4, 2), 2, 2, 3, 2, 1, 1),
                                   ("2, 4, K = 2, S = 2, P = 1, G = 2", (1, 4, 5, 2), 2, 4, 2, 2, 1, 2),
                                   ("3, 3, P = 0, G = 3", (1, 4, 4, 3), 3, 3, 3, 1, 0, 3),
                                   ("3, 2, K = 1", (2, 2, 3, 3), 3, 2, 1, 1, 0, 1)):
    case("X : %s; net = conv2d[%s]" % (str(x)[1:-1], sizes), "net(X)^2", [x, (k, k, i // g, o), (o,)],
         lambda X, W, b, s=s, p=p, g=g: (conv2d(X, W, s, p, 1, g) + b) ** 2)
for sizes, x, i, o, k, s, p, g in (("2, 3", (2, 5, 2), 2, 3, 3, 1, 1, 1), ("2, 2, S = 2", (2, 6, 2), 2, 2, 3, 2, 1, 1),
                                   ("2, 4, K = 2, S = 3, P = 1, G = 2", (2, 6, 2), 2, 4, 2, 3, 1, 2),
                                   ("3, 3, K = 4, P = 0, G = 3", (1, 6, 3), 3, 3, 4, 1, 0, 3)):
    case("X : %s; net = conv1d[%s]" % (str(x)[1:-1], sizes), "net(X)^2", [x, (k, i // g, o), (o,)],
         lambda X, W, b, s=s, p=p, g=g: (conv1d(X, W, s, p, 1, g) + b) ** 2)
for sizes, x, how in (("4, 2", (2, 3, 4), dict(heads=2)), ("4, 1, causal = 1", (1, 4, 4), dict(heads=1, causal=True)),
                      ("4, 2, rotary = 1", (2, 3, 4), dict(heads=2, rotary=True)),
                      ("6, 3, 1, 1", (1, 4, 6), dict(heads=3, causal=True, rotary=True))):
    case("X : %s; net = attention[%s]" % (str(x)[1:-1], sizes), "net(X)^2", [x] + attention_shapes(x[-1]),
         lambda *v, how=how: self_attention(*v, **how) ** 2)
case("X : 2, 3, 4; net = transformer[4, 2]", "tanh(net(X))", [(2, 3, 4)] + transformer_shapes(4, 16),
     lambda *v: tanh(transformer(*v, heads=2)))
case("X : 1, 4, 4; net = transformer[4, 2, F = 6, causal = 1, rotary = 1]", "net(X)^2",
     [(1, 4, 4)] + transformer_shapes(4, 6), lambda *v: transformer(*v, heads=2, causal=True, rotary=True) ** 2)


def numbers(shapes, fn, states):
    sizes = [int(np.prod(s)) for s in shapes]
    x = jnp.concatenate([1.1 * jnp.sin(1.7 * jnp.arange(n) + k + 1) for k, n in enumerate(sizes)])
    seen = [0.6 + 0.3 * np.sin(1.3 * np.arange(np.prod(s)) + k).reshape(s) for k, s in enumerate(states)]
    at = np.cumsum([0] + sizes)
    i = jnp.arange(sum(sizes))
    w, t = jnp.cos(0.7 * i + 0.2), jnp.cos(3.1 * i + 0.5)

    def both(flat):
        y = fn(*[flat[at[k]:at[k + 1]].reshape(s) for k, s in enumerate(shapes)], *seen)
        return y if states else (y, ())

    def f(flat):
        e = both(flat)[0].ravel()
        return jnp.sum(jnp.cos(1 + jnp.arange(e.size)) * e)

    @jax.jit
    def all(x):
        next = jnp.concatenate([jnp.ravel(s) for s in both(x)[1]] or [jnp.zeros(0)])
        return (f(x), w @ jax.grad(f)(x), w @ jax.jvp(jax.grad(f), (x,), (t,))[1],
                jnp.cos(0.7 * jnp.arange(next.size) + 0.2) @ next)

    count = jax.eval_shape(lambda v: both(v)[0], x).size
    return (count,) + tuple(float(v) for v in all(x))


if __name__ == "__main__":
    print("/* Written by library_values.py: variables, expression, number of elements, value, gradient, Hessian product, next "
          "states. */")
    print("/* clang-format off */")
    for spec, text, shapes, fn, states in CASES:
        print('{"%s", "%s", %d, %.17g, %.17g, %.17g, %.17g},' % ((spec, text) + numbers(shapes, fn, states)))
    print("/* clang-format on */")
