#!/usr/bin/env python3
"""Makes data/0 .. data/4 (train.npz, val.npz, test.npz) from the UCI optical digits. The repository holds the
result; this script is needed only to make it again:

    python3 -m venv venv && venv/bin/pip install numpy
    pip download --no-deps scikit-learn && unzip scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
    venv/bin/python prepare.py sklearn/datasets/data/digits.csv.gz

Each folder is one random split of the 1797 images: 300 to train, 700 to validate, 797 to test. x holds the 64 pixels,
scaled to [0, 1], then 64 probes: the same pixels, each column shuffled over the images, so that a probe is distributed
as its pixel is and knows nothing about the digit. y is the digit."""

import gzip
import sys
from pathlib import Path

import numpy as np

TRAIN, VAL = 300, 700


def split(pixels, digit, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pixels))
    probes = np.stack([rng.permutation(column) for column in pixels.T], axis=1)
    x = np.concatenate([pixels, probes], axis=1)
    cuts = {"train": order[:TRAIN], "val": order[TRAIN:TRAIN + VAL], "test": order[TRAIN + VAL:]}
    for name, rows in cuts.items():
        folder = Path(__file__).parent / "data" / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / f"{name}.npz", x=x[rows], y=digit[rows])


table = np.loadtxt(gzip.open(sys.argv[1]), delimiter=",")
for seed in range(5):  # sixteenths are exact in half precision
    split((table[:, :64] / 16).astype(np.float16), table[:, 64].astype(np.uint8), seed)
