#!/usr/bin/env python3
"""Makes data/digits.npz and data/0 .. data/5 from the UCI optical digits. The repository holds the result; this script is
needed only to make it again:

    python3 -m venv venv && venv/bin/pip install numpy scikit-learn && venv/bin/python prepare.py

digits.npz holds the 1797 images, x of 64 pixels from 0 to 16. A mosaic is four numbers of images: top left, top right, bottom
left, bottom right; its label y is the digit of the first. Each folder is one random draw: from 1000 of the images
come 2000 mosaics without labels and 400 with, whose first images differ; the other 797 are each the first of one
mosaic of the test, and only there."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

UNLABELLED, LABELLED = 2000, 400


def mosaics(rng, first, pool):
    return np.concatenate([first[:, None], rng.choice(pool, (len(first), 3))], axis=1)


x, y = load_digits(return_X_y=True)
data = Path(__file__).parent / "data"
data.mkdir(exist_ok=True)
np.savez_compressed(data / "digits.npz", x=x.astype(np.uint8))
for seed in range(6):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    pool, held = order[:1000], order[1000:]
    sets = {
        "unlabelled": (rng.choice(pool, UNLABELLED), pool),
        "labelled": (pool[:LABELLED], pool),
        "test": (held, held),
    }
    (data / str(seed)).mkdir(exist_ok=True)
    for name, (first, others) in sets.items():
        tiles = mosaics(rng, first, others)
        labels = {} if name == "unlabelled" else {"y": y[first].astype(np.uint8)}
        np.savez_compressed(data / str(seed) / f"{name}.npz", tiles=tiles.astype(np.int16), **labels)
