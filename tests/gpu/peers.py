"""What the peers share: data, the difference of the times of 2 k and of k rounds as in timing.c, rows.

A row of the output: what, how, seconds a round, how far the upper variables are from mloc's after ten steps.
"""

import argparse
import os
import statistics
import time

import numpy as np

STEPS = 10  # that are compared
KERNELS = ("gelu", "layernorm", "xent", "xent_grad", "adam")


def options():
    p = argparse.ArgumentParser()
    p.add_argument("folder", help="with kernels.npz, mlp_*.npz, logreg_*.npz and mloc's start-*.npz and end-*.npz")
    p.add_argument("--cpu", action="store_true", help="not on a GPU")
    p.add_argument("--slice", type=float, default=0.05, help="seconds that a measurement takes at least")
    p.add_argument("--only", default="", help="one of %s, mlp_sama, mlp_cg, logreg" % ", ".join(KERNELS))
    return p.parse_args()


def arrays(folder, name):
    """The arrays of a file, or None where there is no such file."""
    path = os.path.join(folder, name + ".npz")
    return dict(np.load(path)) if os.path.exists(path) else None


def seconds(ask, wait, slice):
    def rounds(k):
        begin = time.perf_counter()
        for _ in range(k):
            ask()
        wait()
        return time.perf_counter() - begin

    rounds(3)
    k = 1
    while rounds(k) < slice and k < 1 << 20:
        k *= 2
    one = statistics.median((rounds(2 * k) - rounds(k)) / k for _ in range(7))
    return one if one > 0 else rounds(2 * k) / (2 * k)


def apart(got, want):
    """The greatest distance relative to the greatest element; NaN where one of them is not finite."""
    return float(np.abs(got - want).max() / np.abs(want).max())


def row(what, how, seconds, apart=None):
    print("%s\t%s\t%.9g\t%s" % (what, how, seconds, "-" if apart is None else "%.1e" % apart), flush=True)


def failed(what, how, error):
    print("%s\t%s\tfailed\t%s" % (what, how, " ".join(str(error).split())[:120]), flush=True)
