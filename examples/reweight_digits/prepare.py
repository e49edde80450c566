#!/usr/bin/env python3
"""Makes data/digits.npz from the UCI optical digits. The repository holds the result; this script is needed only to make
it again:

    python3 -m venv venv && venv/bin/pip install numpy
    pip download --no-deps scikit-learn && unzip scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
    venv/bin/python prepare.py sklearn/datasets/data/digits.csv.gz

It has all 1797 images in the order of the source: x holds the 64 pixels, scaled to [0, 1], and y is the digit. wrong is one of
the nine other digits and u is uniform on [0, 1), both random: a program that takes wrong for y where u < r has label noise of
rate r."""

import gzip
import sys
from pathlib import Path

import numpy as np

table = np.loadtxt(gzip.open(sys.argv[1]), delimiter=",")
digit = table[:, 64].astype(np.uint8)
rng = np.random.default_rng(0)
wrong = (digit + rng.integers(1, 10, len(digit), dtype=np.uint8)) % 10
u = rng.integers(0, 1000, len(digit)) / 1000
np.savez_compressed(
    Path(__file__).parent / "data" / "digits.npz",
    x=(table[:, :64] / 16).astype(np.float16),  # sixteenths are exact in half precision
    y=digit,
    wrong=wrong,
    u=u.astype(np.float32),
)
