"""The Fréchet distance as pytorch-fid computes it: means and covariances with numpy, the square root of their product with scipy.

    python quality.py ONE.npy OTHER.npy

The last line is JSON: seconds for the statistics of one set and for the distance, and the distance. Needs numpy and scipy.
"""

import json
import sys
import time

import numpy as np
from scipy.linalg import sqrtm


def main():
    one, other = (np.load(path).astype(np.float64) for path in sys.argv[1:3])
    began = time.perf_counter()
    mu, sigma = one.mean(0), np.cov(one, rowvar=False)
    statistics = time.perf_counter() - began
    mu_other, sigma_other = other.mean(0), np.cov(other, rowvar=False)
    began = time.perf_counter()
    gap = mu - mu_other
    root = sqrtm(sigma @ sigma_other)
    distance = gap @ gap + np.trace(sigma) + np.trace(sigma_other) - 2 * np.trace(root).real
    seconds = time.perf_counter() - began
    print(json.dumps({"statistics": statistics, "distance": seconds, "value": float(distance)}))


main()
