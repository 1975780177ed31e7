"""What of the change of ε̂ in σ comes through the number that the network is told, and what through the scalings.

    python parts.py EDM_CLONE edm-STEPS.pkl vp-STEPS.pkl

At a few σ, over 32 draws of x = x₀ + σε from ../mnist28.npy: E‖∂ε̂/∂λ‖ at fixed x (all), with only c_noise moving (told), and with only
c_skip, c_out and c_in moving (scaled). Central differences of ±0.0005 in ln σ, over which the fastest sinusoid of the DDPM turns by 0.1 radians at most, by the clone's own networks in float64; 95 % intervals.
"""

import pickle
import sys
from pathlib import Path

import numpy
import torch

STEP, DRAWS = 0.0005, 32
SIGMAS = [0.002, 0.01, 0.1, 1]


class Epsilon:
    """ε̂(x; σ of the scalings, σ of the told number), after the rows of networks.py's VPPrecond and EDMPrecond."""

    def __init__(self, net):
        self.net, self.kind = net, type(net).__name__

    def __call__(self, x, scaled, told):
        if self.kind == "EDMPrecond":
            data = self.net.sigma_data
            root = (scaled**2 + data**2) ** 0.5
            answer = self.net.model(x / root, torch.full([len(x)], numpy.log(told) / 4), None)
            return scaled / root**2 * x - data / root * answer
        time = float(self.net.sigma_inv(torch.tensor(told, dtype=torch.float64)))
        return self.net.model(x / (scaled**2 + 1) ** 0.5, torch.full([len(x)], (self.net.M - 1) * time), None)


def main(clone, *paths):
    sys.path.insert(0, clone)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.float32 = torch.float64  # of the embedding's frequencies
    torch.set_default_dtype(torch.float64)
    digits = torch.from_numpy(numpy.load(Path(__file__).parent.parent / "mnist28.npy")) / 127.5 - 1
    print("| σ | model | all | told | scaled |\n|---|---|---|---|---|")
    models = [Epsilon(pickle.loads(Path(path).read_bytes())["ema"].double()) for path in paths]
    for sigma in SIGMAS:
        torch.manual_seed(0)
        x = digits[torch.randint(len(digits), (DRAWS,))] + sigma * torch.randn(DRAWS, 1, 28, 28)
        up, down = sigma * numpy.exp(STEP), sigma * numpy.exp(-STEP)
        for epsilon in models:
            cells = []
            for scaled, told in [((up, down), (up, down)), ((sigma, sigma), (up, down)), ((up, down), (sigma, sigma))]:
                change = epsilon(x, scaled[0], told[0]) - epsilon(x, scaled[1], told[1])
                # λ = −2 ln σ: ±STEP in ln σ is 4 STEP in λ.
                norms = change.flatten(1).norm(dim=1) / (4 * STEP)
                half = 2.0 * norms.std().item() / DRAWS**0.5
                cells.append(f"{norms.mean().item():.3g} ± {half:.2g}")
            print(f"| {sigma} | {epsilon.kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
