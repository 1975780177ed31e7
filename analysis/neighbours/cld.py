"""The kernel of critically damped Langevin diffusion by matrix exponentials, with nothing taken from lipscope."""

import numpy
from scipy.linalg import expm

MASS, GAMMA, BETA, EPS, DAMPING = 0.25, 0.04, 4.0, 1e-9, 1.0  # DAMPING = 2 sqrt(MASS)
DRIFT = numpy.array([[0, 1 / MASS], [-1, -DAMPING / MASS]])
DIFFUSION = numpy.diag([0.0, 2 * DAMPING])


def kernel(integral):
    """Factors of x0 in the means of (x, v), and their covariance given x0 with v0 ~ N(0, GAMMA MASS) integrated out."""
    flow = expm(DRIFT * integral)
    # Van Loan: the integral of exp(A s) D exp(A' s) from one exponential.
    block = expm(numpy.block([[-DRIFT, DIFFUSION], [numpy.zeros((2, 2)), DRIFT.T]]) * integral)
    noise = block[2:, 2:].T @ block[:2, 2:]
    return flow[:, 0], noise + flow @ numpy.diag([0.0, GAMMA * MASS]) @ flow.T + EPS * numpy.eye(2)
