"""The steps of tests/bench/{mlp_sama,mlp_cg,logreg}.mlo and its kernels in JAX under jit, and how long they take.

The algorithms are those of tests/bench/{mlp,logreg}.c; derivatives are JAX's.
    python3 peers_jax.py FOLDER [--cpu]
"""

import os
from functools import partial

import peers

o = peers.options()
if o.cpu:
    os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import tree_map

jax.config.update("jax_default_matmul_precision", "highest")  # no tf32

B1, B2, EPS = 0.9, 0.999, 1e-8
DAMPING, RADIUS = 1.0, 0.01


def dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


def adam(z, g, m, v, t, rate):
    """One step of a tree of variables; t counts from 1."""
    m = tree_map(lambda m, g: B1 * m + (1 - B1) * g, m, g)
    v = tree_map(lambda v, g: B2 * v + (1 - B2) * g * g, v, g)
    step = lambda z, m, v: z - rate / (1 - B1**t) * m / (jnp.sqrt(v) / jnp.sqrt(1 - B2**t) + EPS)
    return tree_map(step, z, m, v), m, v


def cg(product, b, rounds):
    def body(_, state):
        x, r, p, rr = state
        q = product(p)
        pq = dot(p, q)
        alpha = jnp.where(pq > 0, rr / pq, 0)
        x, r = tree_map(lambda x, p: x + alpha * p, x, p), tree_map(lambda r, q: r - alpha * q, r, q)
        new = dot(r, r)
        beta = jnp.where(rr > 0, new / rr, 0)
        return x, r, tree_map(lambda r, p: r + beta * p, r, p), new

    return lax.fori_loop(0, rounds, body, (tree_map(jnp.zeros_like, b), b, b, dot(b, b)))[0]


# ---- a network 784-256-10 whose examples have weights


def losses(w, d):
    z = jax.nn.relu(d["x"] @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    return jax.nn.logsumexp(z, 1) - jnp.take_along_axis(z, d["y"][:, None], 1)[:, 0]


def shares(u):
    return jax.nn.sigmoid(u) / jax.nn.sigmoid(u).sum()


def lower_step(s, train):
    g = jax.grad(lambda w: (shares(s["u"]) * losses(w, train)).sum())(s["w"])
    w, m, v = adam(s["w"], g, s["m"], s["v"], s["t"] + 1, 1e-3)
    return dict(s, w=w, m=m, v=v, t=s["t"] + 1), g


def upper_step(s, along):
    """along: the derivative of each example's loss along the adjoint state."""
    share = shares(s["u"])
    g = share * (1 - jax.nn.sigmoid(s["u"])) * (along - (share * along).sum())
    u, um, uv = adam(s["u"], g, s["um"], s["uv"], s["t"], 1e-2)
    return dict(s, u=u, um=um, uv=uv)


@partial(jax.jit, donate_argnums=0)
def sama_step(s, train, val):
    s, g = lower_step(s, train)
    w, t = s["w"], s["t"]
    b = jax.grad(lambda w: losses(w, val).mean())(w)

    def adapt(g, m, v, b):  # the derivative of the next step by its last gradient
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
        c1, c2 = 1e-3 / (1 - B1 ** (t + 1)), 1 / jnp.sqrt(1 - B2 ** (t + 1))
        root = jnp.sqrt(v)
        scale = 1 / (root * c2 + EPS)
        bend = jnp.where(root > 0, m * c2 * (1 - B2) * g / root * scale, 0)
        return -c1 * scale * ((1 - B1) - bend) * b

    mu = tree_map(adapt, g, s["m"], s["v"], b)
    size = jnp.sqrt(dot(mu, mu))
    h = jnp.where(size > 0, RADIUS / size, 0)
    plus = losses(tree_map(lambda w, mu: w + h * mu, w, mu), train)
    minus = losses(tree_map(lambda w, mu: w - h * mu, w, mu), train)
    return upper_step(s, size / (2 * RADIUS) * (plus - minus))


@partial(jax.jit, donate_argnums=0)
def cg_step(s, train, val):
    s, _ = lower_step(s, train)
    w, share = s["w"], shares(s["u"])
    b = jax.grad(lambda w: -losses(w, val).mean())(w)
    gradient = jax.grad(lambda w: (share * losses(w, train)).sum())
    product = lambda p: tree_map(lambda h, p: h + DAMPING * p, jax.jvp(gradient, (w,), (p,))[1], p)
    mu = cg(product, b, 10)
    return upper_step(s, jax.jvp(lambda w: losses(w, train), (w,), (mu,))[1])


def mlp_state(a):
    w = {n: jnp.array(a["classifier." + n]) for n in ("W1", "b1", "W2", "b2")}
    u, zeros = jnp.array(a["weights.u"]), partial(tree_map, jnp.zeros_like)
    return {"w": w, "m": zeros(w), "v": zeros(w), "t": jnp.zeros(()), "u": u, "um": zeros(u), "uv": zeros(u)}


# ---- logistic regression, a strength for each feature


@partial(jax.jit, donate_argnums=0)
def logreg_step(s, train, val):
    strength = jnp.exp(s["u"])

    def gradient(d, w):
        return d["x"].T @ (jax.nn.sigmoid(d["x"] @ w) - d["y"]) / d["x"].shape[0]

    def descend(_, state):
        w, speed = state
        speed = 0.9 * speed + gradient(train, w) + strength * w
        return w - 0.5 * speed, speed

    w, speed = lax.fori_loop(0, 100, descend, (s["w"], s["speed"]))
    p = jax.nn.sigmoid(train["x"] @ w)
    bend = p * (1 - p) / train["x"].shape[0]
    product = lambda v: train["x"].T @ (bend * (train["x"] @ v)) + strength * v + 1e-4 * v
    mu = cg(product, -gradient(val, w), 20)
    u, um, uv = adam(s["u"], strength * w * mu, s["um"], s["uv"], s["t"] + 1, 0.05)
    return {"w": w, "speed": speed, "t": s["t"] + 1, "u": u, "um": um, "uv": uv}


def logreg_state(a):
    w, u = jnp.array(a["fit.w"]), jnp.array(a["tune.rho"])
    return {"w": w, "speed": jnp.zeros_like(w), "t": jnp.zeros(()), "u": u, "um": jnp.zeros_like(u), "uv": jnp.zeros_like(u)}


# ---- running and timing


class Rounds:
    """state = f(state, ..) again and again."""

    def __init__(self, f, state, *more):
        self.f, self.state, self.more = f, state, more

    def ask(self):
        self.state = self.f(self.state, *self.more)

    def wait(self):
        jax.block_until_ready(self.state)


def time_steps(name, step, make, upper):
    data = [peers.arrays(o.folder, "%s_%s" % (name.split("_")[0], part)) for part in ("train", "val")]
    start, end = peers.arrays(o.folder, "start-" + name), peers.arrays(o.folder, "end-" + name)
    if None in (*data, start):
        return peers.failed(name, "jit", "no data")
    r = Rounds(step, make(start), *({n: jnp.array(d[n]) for n in ("x", "y")} for d in data))
    for _ in range(peers.STEPS):
        r.ask()
    far = None if end is None else peers.apart(jax.device_get(r.state["u"]), end[upper])
    peers.row(name, "jit", peers.seconds(r.ask, r.wait, o.slice), far)


def time_kernels():
    a = peers.arrays(o.folder, "kernels")
    if a is None:
        return peers.failed("gelu", "jit", "no data")
    x, b, scale, shift, y = (jnp.array(a[n]) for n in ("x", "b", "scale", "shift", "y"))

    def layernorm(_, x):
        mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + 1e-5) * scale + shift

    def xent(x):
        return (jax.nn.logsumexp(x, 1) - jnp.take_along_axis(x, y[:, None], 1)[:, 0]).mean()

    zeros = lambda: jnp.zeros_like(x)  # each is given away
    kernels = {"gelu": (lambda _, x: jax.nn.gelu(x + b, approximate=True), zeros),
               "layernorm": (layernorm, zeros),
               "xent": (lambda _, x: xent(x), lambda: jnp.zeros(())),
               "xent_grad": (lambda _, x: jax.grad(xent)(x), zeros),
               "adam": (lambda s, x: adam(s[0], x, s[1], s[2], 1.0, 1e-3), lambda: (zeros(), zeros(), zeros()))}
    for name, (f, make) in kernels.items():
        if o.only not in ("", name):
            continue
        r = Rounds(jax.jit(f, donate_argnums=0, keep_unused=True), make(), x)
        peers.row(name, "jit", peers.seconds(r.ask, r.wait, o.slice))


def main():
    if not o.cpu and jax.default_backend() != "gpu":
        return peers.failed("JAX %s" % jax.__version__, "-", "sees no GPU")
    peers.row("JAX %s" % jax.__version__, "-", 0)
    for name, step, make, upper in (("mlp_sama", sama_step, mlp_state, "weights.u"), ("mlp_cg", cg_step, mlp_state, "weights.u"),
                                    ("logreg", logreg_step, logreg_state, "tune.rho")):
        if o.only in ("", name):
            time_steps(name, step, make, upper)
    if o.only in ("", *peers.KERNELS):
        time_kernels()


main()
