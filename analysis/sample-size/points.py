"""The quantiles of N(0, 0.25) at (i − ½)/4096, as 4,096 samples of one number: every 4th, 16th, … are those of as many."""
from pathlib import Path
from statistics import NormalDist

import numpy

law = NormalDist(0, 0.5)
points = [law.inv_cdf((i + 0.5) / 4096) for i in range(4096)]
numpy.save(Path(__file__).parent / "points.npy", numpy.array(points, numpy.float32)[:, None])
