"""Prints builtin_values.h: what built-in functions give, computed by NumPy and SciPy alone.
Each value is sum_i cos(1 + i) e_i over the elements e of the expression, by rows."""
import numpy as np
from scipy import special

SHAPES = dict(A=(3, 4), B=(3, 4), V=(4,), U=(3,), P=(3, 4), Q=(3, 4), T=(2, 3, 4), M=(4, 5),
              H=(4, 4, 2), R=(2, 4, 3), W=(6, 4))


def variable(k, name):
    i = np.arange(np.prod(SHAPES[name]))
    x = 1.1 * np.sin(1.7 * i + k)
    if name in "PQ":
        x = 0.25 + 0.3 * (1 + x)
    return x.reshape(SHAPES[name])


for number, key in enumerate(SHAPES, 1):
    globals()[key] = variable(number, key)
y, e = np.array([2, 0, 3]), np.array([1, 0, 1])
k = np.array([[1, 3], [0, 0], [2, 1]])
k3 = np.array([[1, 2], [0, 2]])
s = np.array([2, 0, 0, 2, 1, 0])


def softmax(x, axis=-1):
    z = np.exp(x - x.max(axis=axis, keepdims=True))
    return z / z.sum(axis=axis, keepdims=True)


def lse(x, axis=None):
    return special.logsumexp(x, axis=axis)


def segments(x, ids, n, how):
    return np.stack([how(x[ids == j]) if (ids == j).any() else np.zeros(x.shape[1:]) for j in range(n)])


def segment_softmax(x, ids):
    r = np.zeros_like(x)
    for j in set(ids):
        r[ids == j] = softmax(x[ids == j], 0)
    return r


def norm(x, axis=-1):
    return np.sqrt((x * x).sum(axis, keepdims=True))


def layernorm(x, eps=1e-5):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)


def cosine(a, b):
    return ((a / norm(a)) * (b / norm(b))).sum(-1)


def infonce(a, b, t):
    z = (a / norm(a)) @ (b / norm(b)).T / t
    return np.mean(lse(z, 1) - np.diag(z))


def pdist2(a, b):
    return np.array([[np.dot(p - q, p - q) for q in b] for p in a])


def patches(h, p):
    return np.stack([h[i:i + p, j:j + p].ravel() for i in range(0, h.shape[0], p)
                     for j in range(0, h.shape[1], p)])


def xent(z, label):
    return np.array([-np.log(softmax(row)[int(j)]) for row, j in zip(z, label)])


def bce(p, t):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


CASES = [
    # elementwise
    ("exp(A)", np.exp(A)), ("expm1(A)", np.expm1(A)), ("log(P)", np.log(P)),
    ("log1p(P)", np.log1p(P)), ("sqrt(P)", np.sqrt(P)), ("rsqrt(P)", P ** -0.5),
    ("recip(P)", 1 / P), ("square(A)", A * A), ("abs(A)", abs(A)), ("sign(A)", np.sign(A)),
    ("floor(3 * A)", np.floor(3 * A)), ("round(3 * A)", np.rint(3 * A)),
    ("sin(A)", np.sin(A)), ("cos(A)", np.cos(A)), ("tanh(A)", np.tanh(A)),
    ("erf(A)", special.erf(A)), ("sigmoid(A)", special.expit(A)),
    ("softplus(A)", np.log1p(np.exp(A))), ("relu(A)", np.maximum(A, 0)),
    ("leaky_relu(A)", np.where(A > 0, A, 0.01 * A)),
    ("leaky_relu(A, slope = 0.2)", np.where(A > 0, A, 0.2 * A)),
    ("elu(A)", np.where(A > 0, A, np.expm1(A))),
    ("elu(A, 1.5)", np.where(A > 0, A, 1.5 * np.expm1(A))),
    ("gelu(A)", A * special.ndtr(A)),
    ("gelu_tanh(A)", A * special.expit(2 * np.sqrt(2 / np.pi) * (A + 0.044715 * A ** 3))),
    ("silu(A)", A / (1 + np.exp(-A))), ("clamp(A, -0.5, 0.6)", np.clip(A, -0.5, 0.6)),
    ("where(A > B, A, B^2)", np.where(A > B, A, B * B)),
    ("if A > 0 then exp(A) else B", np.where(A > 0, np.exp(A), B)),
    ("pow(P, Q)", P ** Q), ("P^1.5", P ** 1.5), ("A^3", A ** 3), ("A^-2", A ** -2.0),
    ("P^0.5", np.sqrt(P)), ("2^A", 2 ** A), ("A^7", A ** 7), ("A^0", A ** 0),
    ("max(A, B)", np.maximum(A, B)), ("min(A, B)", np.minimum(A, B)),
    ("max(A, 0.3)", np.maximum(A, 0.3)), ("stop(A) * B", A * B), ("A / B", A / B),
    ("A / 4", A / 4), ("2 - A", 2 - A), ("-A * B - V", -A * B - V), ("A * V", A * V),
    ("expand_dims(U, 1) + V", U[:, None] + V), ("T - A", T - A),
    ("f32(A > 0 and not (B > 0) or A < -1)", ((A > 0) & ~(B > 0) | (A < -1)) * 1.0),
    ("f32(d.y div 2) + f32(d.y mod 2) * A[.., 0]", y // 2 + (y % 2) * A[:, 0]),
    ("d.y / 2 + U", y / 2 + U), ("f32(d.y == d.e) * U", (y == e) * U),
    ("f32(d.y != 0) * U + f32(d.y >= 2) + f32(d.y <= 2)", (y != 0) * U + (y >= 2) + (y <= 2)),
    # reductions
    ("sum(A)", A.sum()), ("sum(T, axis = 1)", T.sum(1)), ("sum(T, 0, 2)", T.sum((0, 2))),
    ("sum(T, -1, keepdims = true)", T.sum(-1, keepdims=True)), ("sum(A > 0)", (A > 0).sum()),
    ("mean(A)", A.mean()), ("mean(T, 1)", T.mean(1)), ("mean(T, 2, 0)", T.mean((0, 2))),
    ("mean(A > B)", (A > B).mean()), ("variance(A)", A.var()), ("variance(T, 2)", T.var(2)),
    ("std(A, axis = 0)", A.std(0)), ("std(A)", A.std()),
    ("logsumexp(A)", lse(A)), ("logsumexp(3 * T, axis = 1)", lse(3 * T, 1)),
    ("logsumexp(100 * A, 1)", lse(100 * A, 1)),
    ("norm(A)", np.linalg.norm(A)), ("norm(A, axis = 0)", np.linalg.norm(A, axis=0)),
    ("norm2(A, 1)", (A * A).sum(1)), ("max(A)", A.max()), ("max(T, axis = 1)", T.max(1)),
    ("min(T, axis = -1, keepdims = true)", T.min(-1, keepdims=True)), ("min(A)", A.min()),
    ("f32(argmax(T))", T.argmax(-1)), ("f32(argmax(A, axis = 0))", A.argmax(0)),
    ("dist2(A, B)", ((A - B) ** 2).sum()), ("mse(A, B)", ((A - B) ** 2).mean()),
    # shapes
    ("reshape(T, 4, -1)", T), ("flatten(T, 1)", T), ("transpose(A)", A.T), ("A.T", A.T),
    ("transpose(T, 2, 0, 1)", T.transpose(2, 0, 1)), ("T.T", T.swapaxes(1, 2)),
    ("concat(A, B)", np.concatenate([A, B])), ("concat(A, B, 2 * A, axis = 1)", np.concatenate([A, B, 2 * A], 1)),
    ("stack(A, B)", np.stack([A, B])), ("stack(A, B, axis = -1)", np.stack([A, B], -1)),
    ("pad(A, 1, 2)", np.pad(A, ((1, 2), (0, 0)))),
    ("pad(A, 0, 1, axis = 1, value = -2)", np.pad(A, ((0, 0), (0, 1)), constant_values=-2)),
    ("roll(A, 1)", np.roll(A, 1, 0)), ("roll(A, -1, axis = 1)", np.roll(A, -1, 1)),
    ("roll(A, 9, 1)", np.roll(A, 9, 1)), ("reverse(A, axis = 1)", A[:, ::-1]),
    ("squeeze(expand_dims(A, 1), 1)", A), ("broadcast(V, 3, 4) * A", A * V),
    ("full(2.5, 2, 3)", np.full((2, 3), 2.5)), ("iota(4) * V", np.arange(4) * V),
    ("eye(4) @ V", V), ("patchify(H, 2)", patches(H, 2)),
    ("patchify(H[.., ..1], 2)", patches(H[..., :1], 2)),
    # indices
    ("A[1]", A[1]), ("A[-1, 2]", A[-1, 2]), ("A[.., 1]", A[..., 1]), ("A[0..2, 1..]", A[0:2, 1:]),
    ("T[.., ..2]", T[..., :2]), ("T[1, .., -3..-1]", T[1, :, -3:-1]), ("W[d.s]", W[[2, 0, 0, 2, 1, 0]]),
    ("V[d.y]", V[y]), ("A[.., d.y]", A[:, y]), ("T[.., d.k3, 0]", T[0:2, k3, 0]),
    ("take(A, d.y, axis = 1)", A[:, y]), ("take_along(A, d.k)", np.take_along_axis(A, k, 1)),
    ("take_along(M, d.k2, axis = 0)", np.take_along_axis(M, np.array([[3, 1, 0, 2, 3]]), 0)),
    ("scatter_add(U, d.y, 4)", np.bincount(y, U, 4)),
    ("segment_sum(W, d.s, 3)", segments(W, s, 3, lambda r: r.sum(0))),
    ("segment_mean(W, d.s, 4)", segments(W, s, 4, lambda r: r.mean(0))),
    ("segment_max(W, d.s, 3)", segments(W, s, 3, lambda r: r.max(0))),
    ("segment_softmax(W, d.s, 3)", segment_softmax(W, s)),
    ("one_hot(d.y, 4) * A", np.eye(4)[y] * A),
    # models
    ("softmax(A)", softmax(A)), ("softmax(T, axis = 1)", softmax(T, 1)),
    ("log_softmax(A)", np.log(softmax(A))), ("log_softmax(T, 0)", np.log(softmax(T, 0))),
    ("layernorm(A)", layernorm(A)), ("layernorm(A, V, shift = B, eps = 1e-2)", layernorm(A, 1e-2) * V + B),
    ("rmsnorm(A)", A / np.sqrt((A * A).mean(-1, keepdims=True) + 1e-6)),
    ("rmsnorm(T, V)", T / np.sqrt((T * T).mean(-1, keepdims=True) + 1e-6) * V),
    ("A @ V", A @ V), ("U @ A", U @ A), ("V @ V", V @ V), ("A @ M", A @ M), ("T @ M", T @ M),
    ("T @ V", T @ V), ("T @ R", T @ R), ("U @ T", U @ T), ("A @ B.T", A @ B.T), ("A.T @ B", A.T @ B), ("A @ R", A @ R),
    ("matmul(A, M)", A @ M), ("dot(A, B)", (A * B).sum()), ("outer(U, V)", np.outer(U, V)),
    ("pdist2(A, W)", pdist2(A, W)), ("rbf(A, W, 0.3)", np.exp(-0.3 * pdist2(A, W))),
    # losses
    ("xent(A, d.y)", xent(A, y)), ("xent(T, broadcast(d.y, 2, 3))", np.stack([xent(T[0], y), xent(T[1], y)])),
    ("xent(A, d.y, ignore_index = 0)", xent(A, y) * (y != 0)),
    ("xent(A, softmax(B))", -(softmax(B) * np.log(softmax(A))).sum(-1)),
    ("bce(P, Q)", bce(P, Q)), ("bce_logits(A, Q)", bce(special.expit(A), Q)),
    ("kl(softmax(A), softmax(B))", (softmax(A) * np.log(softmax(A) / softmax(B))).sum(-1)),
    ("cosine_similarity(A, B)", cosine(A, B)), ("cosine_similarity(A, B, axis = 0)", cosine(A.T, B.T)),
    ("infonce(A, B)", infonce(A, B, 0.1)), ("infonce(A, B, temperature = 0.5)", infonce(A, B, 0.5)),
]

if __name__ == "__main__":
    print("/* Written by builtin_values.py: expression, number of elements, sum of cos(1 + i) e_i. */")
    print("/* clang-format off */")
    for text, value in CASES:
        flat = np.asarray(value, dtype=float).ravel()
        total = float(np.sum(np.cos(1 + np.arange(flat.size)) * flat))
        print('{"%s", %d, %.17g},' % (text, flat.size, total))
    print("/* clang-format on */")
