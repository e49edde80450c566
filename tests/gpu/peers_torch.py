"""The steps of tests/bench/{mlp_sama,mlp_cg,logreg}.mlo and its kernels in PyTorch, and how long they take.

eager: as written. graph: the same kernels, captured once and launched as one CUDA graph. compiled: by torch.compile, on a
GPU in a CUDA graph, too. The algorithms are those of tests/bench/{mlp,logreg}.c; derivatives are torch.func's.
    python3 peers_torch.py FOLDER [--cpu]
"""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch.func import grad, jvp

import peers

B1, B2, EPS = 0.9, 0.999, 1e-8
DAMPING, RADIUS = 1.0, 0.01


def each(f, *trees):
    return tuple(f(*leaves) for leaves in zip(*trees))


def dot(a, b):
    return sum((x * y).sum() for x, y in zip(a, b))


def adam(z, g, m, v, t, rate):
    """One step; t counts from 1."""
    m = B1 * m + (1 - B1) * g
    v = B2 * v + (1 - B2) * g * g
    return z - rate / (1 - B1**t) * m / (v.sqrt() / (1 - B2**t).sqrt() + EPS), m, v


def cg(product, b, rounds):
    x, r, p, rr = each(torch.zeros_like, b), b, b, dot(b, b)
    for _ in range(rounds):
        q = product(p)
        pq = dot(p, q)
        alpha = torch.where(pq > 0, rr / pq, 0)
        x = each(lambda x, p: x + alpha * p, x, p)
        r = each(lambda r, q: r - alpha * q, r, q)
        new = dot(r, r)
        beta = torch.where(rr > 0, new / rr, 0)
        p = each(lambda r, p: r + beta * p, r, p)
        rr = new
    return x


# ---- a network 784-256-10 whose examples have weights


def losses(w, d):
    z = torch.relu(d.x @ w[0] + w[1]) @ w[2] + w[3]
    return torch.logsumexp(z, 1) - z.gather(1, d.y[:, None])[:, 0]


def shares(u):
    return torch.sigmoid(u) / torch.sigmoid(u).sum()


def lower_step(s, train):
    """Variables, moments and the gradient that they were moved by."""
    g = grad(lambda w: (shares(s.u) * losses(w, train)).sum())(s.w)
    t = s.t + 1
    moved = each(lambda *a: adam(*a, t, 1e-3), s.w, g, s.m, s.v)
    return *zip(*moved), t, g


def upper_step(s, along):
    """along: the derivative of each example's loss along the adjoint state."""
    share = shares(s.u)
    g = share * (1 - torch.sigmoid(s.u)) * (along - (share * along).sum())
    return adam(s.u, g, s.um, s.uv, s.t + 1, 1e-2)


def sama_step(s, train, val):
    w, m, v, t, g = lower_step(s, train)
    b = grad(lambda w: losses(w, val).mean())(w)

    def adapt(g, m, v, b):  # the derivative of the next step by its last gradient
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
        c1, c2 = 1e-3 / (1 - B1 ** (t + 1)), 1 / (1 - B2 ** (t + 1)).sqrt()
        root = v.sqrt()
        scale = 1 / (root * c2 + EPS)
        bend = torch.where(root > 0, m * c2 * (1 - B2) * g / root * scale, 0)
        return -c1 * scale * ((1 - B1) - bend) * b

    mu = each(adapt, g, m, v, b)
    size = dot(mu, mu).sqrt()
    h = torch.where(size > 0, RADIUS / size, 0)
    plus = losses(each(lambda w, mu: w + h * mu, w, mu), train)
    minus = losses(each(lambda w, mu: w - h * mu, w, mu), train)
    u, um, uv = upper_step(s, size / (2 * RADIUS) * (plus - minus))
    return SimpleNamespace(w=w, m=m, v=v, t=t, u=u, um=um, uv=uv)


def cg_step(s, train, val):
    w, m, v, t, _ = lower_step(s, train)
    b = grad(lambda w: -losses(w, val).mean())(w)
    share = shares(s.u)
    gradient = grad(lambda w: (share * losses(w, train)).sum())
    mu = cg(lambda p: each(lambda h, p: h + DAMPING * p, jvp(gradient, (w,), (p,))[1], p), b, 10)
    u, um, uv = upper_step(s, jvp(lambda w: losses(w, train), (w,), (mu,))[1])
    return SimpleNamespace(w=w, m=m, v=v, t=t, u=u, um=um, uv=uv)


def mlp_state(a, device):
    w = tuple(torch.tensor(a["classifier." + n], device=device) for n in ("W1", "b1", "W2", "b2"))
    u = torch.tensor(a["weights.u"], device=device)
    zero = torch.zeros((), device=device)
    return SimpleNamespace(w=w, m=each(torch.zeros_like, w), v=each(torch.zeros_like, w), t=zero, u=u,
                           um=torch.zeros_like(u), uv=torch.zeros_like(u))


# ---- logistic regression, a strength for each feature


def logreg_step(s, train, val):
    strength = s.u.exp()

    def gradient(d, w):
        return d.x.T @ (torch.sigmoid(d.x @ w) - d.y) / d.x.shape[0]

    w, speed = s.w, s.speed
    for _ in range(100):
        speed = 0.9 * speed + gradient(train, w) + strength * w
        w = w - 0.5 * speed
    p = torch.sigmoid(train.x @ w)
    bend = p * (1 - p) / train.x.shape[0]
    (mu,) = cg(lambda v: (train.x.T @ (bend * (train.x @ v[0])) + strength * v[0] + 1e-4 * v[0],),
               (-gradient(val, w),), 20)
    t = s.t + 1
    u, um, uv = adam(s.u, strength * w * mu, s.um, s.uv, t, 0.05)
    return SimpleNamespace(w=w, speed=speed, t=t, u=u, um=um, uv=uv)


def logreg_state(a, device):
    w, u = torch.tensor(a["fit.w"], device=device), torch.tensor(a["tune.rho"], device=device)
    zero = torch.zeros((), device=device)
    return SimpleNamespace(w=w, speed=torch.zeros_like(w), t=zero, u=u, um=torch.zeros_like(u),
                           uv=torch.zeros_like(u))


# ---- running and timing


def flat(s):
    return [x for v in vars(s).values() for x in (v if isinstance(v, tuple) else (v,))]


def wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def captured(f):
    """f, launched as one CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            f()
    torch.cuda.current_stream().wait_stream(side)
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        f()
    return g.replay


def same(f):
    return f


def ways(o):
    """Names of ways, what makes the function of them, and what launches it."""
    plain = [("eager", same, same)] + ([] if o.cpu else [("graph", same, captured)])
    return plain, [("compiled", torch.compile, same if o.cpu else captured)]


def time_steps(o, device, name, step, make, upper, ways):
    data = [peers.arrays(o.folder, "%s_%s" % (name.split("_")[0], part)) for part in ("train", "val")]
    start, end = peers.arrays(o.folder, "start-" + name), peers.arrays(o.folder, "end-" + name)
    if None in (*data, start):
        return peers.failed(name, "eager", "no data")
    train, val = (SimpleNamespace(x=torch.tensor(d["x"], device=device), y=torch.tensor(d["y"], device=device)) for d in data)
    if name != "logreg":
        train.y, val.y = train.y.long(), val.y.long()
    for how, compiled, launched in ways:
        try:
            s, f = make(start, device), compiled(step)

            def ask():  # in place, as a graph needs it
                for old, new in zip(flat(s), flat(f(s, train, val))):
                    old.copy_(new)

            for _ in range(peers.STEPS):
                ask()
            far = None if end is None else peers.apart(s.u.cpu().numpy(), end[upper])
            peers.row(name, how, peers.seconds(launched(ask), wait, o.slice), far)
        except Exception as e:  # the next way may work
            peers.failed(name, how, e)


def time_kernels(o, device):
    a = peers.arrays(o.folder, "kernels")
    if a is None:
        return peers.failed("gelu", "eager", "no data")
    x, b, scale, shift, y = (torch.tensor(a[n], device=device) for n in ("x", "b", "scale", "shift", "y"))
    y = y.long()
    z, m, v, t = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x), torch.ones((), device=device)

    def adam_step():
        for old, new in zip((z, m, v), adam(z, x, m, v, t, 1e-3)):
            old.copy_(new)

    xent = lambda x: F.cross_entropy(x, y)
    kernels = {"gelu": lambda: F.gelu(x + b, approximate="tanh"),
               "layernorm": lambda: F.layer_norm(x, (x.shape[1],), scale, shift),
               "xent": lambda: xent(x),
               "xent_grad": lambda: grad(xent)(x),
               "adam": adam_step}
    for name, f in kernels.items():
        if o.only and o.only != name:
            continue
        for how, compiled, launched in ways(o)[0][:1] + ways(o)[1]:
            try:
                if (name, how) == ("adam", "eager"):
                    z.grad = x
                    f = torch.optim.Adam([z], lr=1e-3, fused=True).step
                g = compiled(kernels[name]) if how == "compiled" else f
                peers.row(name, how, peers.seconds(launched(g), wait, o.slice))
            except Exception as e:
                peers.failed(name, how, e)


def main():
    o = peers.options()
    device = "cpu" if o.cpu else "cuda"
    torch.backends.cuda.matmul.allow_tf32 = False
    if not o.cpu and not torch.cuda.is_available():
        return peers.failed("PyTorch %s" % torch.__version__, "-", "sees no GPU")
    if o.cpu:
        torch.set_num_threads(1)
    peers.row("PyTorch %s" % torch.__version__, "-", 0)
    plain, compiled = ways(o)
    steps = [("mlp_sama", sama_step, mlp_state, "weights.u"), ("mlp_cg", cg_step, mlp_state, "weights.u"),
             ("logreg", logreg_step, logreg_state, "tune.rho")]
    for s in steps:
        if o.only in ("", s[0]):
            time_steps(o, device, *s, plain)
    if o.only in ("", *peers.KERNELS):
        time_kernels(o, device)
    for s in steps[:2]:  # last, since it takes long; the third, unrolled, takes many minutes
        if o.only in ("", s[0]):
            time_steps(o, device, *s, compiled)


main()
