#!/usr/bin/env python3
"""ridge_digits.mlo once more in NumPy, derivatives by hand, as an independent check:

    python3 reference.py data/0      (needs NumPy; prints the validation loss, test loss and test accuracy)"""

import sys

import numpy as np


def load(name):
    data = np.load(f"{sys.argv[1]}/{name}.npz")
    x = data["x"].astype(np.float32)
    return np.hstack([x, np.ones((len(x), 1), np.float32)]), np.eye(10, dtype=np.float32)[data["y"]]


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def loss(x, y):
    return -np.mean(np.log((softmax(x @ W) * y).sum(1)))


(train, label), (val, val_label), (test, test_label) = load("train"), load("val"), load("test")
features = train.shape[1] - 1
W = np.zeros((features + 1, 10), np.float32)  # the last row is the bias, which is not regularized
velocity = np.zeros_like(W)
rho = np.full(features, -4, np.float32)
mean, square = np.zeros_like(rho), np.zeros_like(rho)

for t in range(1, 301):
    strength = np.append(np.exp(rho), 0).astype(np.float32)[:, None]
    for _ in range(20):
        velocity = 0.9 * velocity + train.T @ (softmax(train @ W) - label) / len(train) + strength * W
        W = W - 0.3 * velocity

    p = softmax(train @ W)

    def hessian(v):
        z = p * (train @ v)
        return train.T @ (z - p * z.sum(1, keepdims=True)) / len(train) + (strength + 1e-4) * v

    residual = -val.T @ (softmax(val @ W) - val_label) / len(val)
    mu, direction, rr = np.zeros_like(W), residual, (residual**2).sum()
    for _ in range(15):
        h = hessian(direction)
        alpha = rr / (direction * h).sum()
        mu, residual = mu + alpha * direction, residual - alpha * h
        rr, old = (residual**2).sum(), rr
        direction = residual + rr / old * direction

    grad = (mu * strength * W)[:-1].sum(1)
    mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
    step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    rho = np.clip(rho - 0.05 * step, -12, 1)

print(loss(val, val_label), loss(test, test_label), np.mean((test @ W).argmax(1) == test_label.argmax(1)))
