"""K and D of the networks by plain PyTorch, on samples of its own, against lipscope's reports:

    python check.py cld/report.json mean-flow/report.json
"""

import json
import sys

import numpy
import torch
from cld import BETA, kernel

COUNT = 20_000


def compare(curve, t, norms, worst):
    point = next(point for point in curve["points"] if point["timestep"] == t)
    error = float(numpy.hypot(norms.std() / COUNT**0.5, point["std_error"]))
    z = (norms.mean() - point["mean"]) / error
    worst.append(abs(z))
    print(f"| {curve['quantity']} | {t:g} | {point['mean']:.4g} | {norms.mean():.4g} | {z:+.2f} |")


def langevin(report, clean, worst):
    net = torch.jit.load("cld.pt").eval()
    ratio = lambda u: (lambda root: root[1, 1] / (root[1, 0] ** 2 + root[1, 1] ** 2))(numpy.linalg.cholesky(kernel(BETA * u)[1]))
    for t in sorted(point["timestep"] for point in report["models"][0]["curves"][0]["points"]):
        unit = (t + 1) / 1000
        mean, covariance = kernel(BETA * unit)
        root = torch.tensor(numpy.linalg.cholesky(covariance), dtype=torch.float32)
        x0 = clean[torch.randint(len(clean), (COUNT,))]
        u = (torch.tensor(mean, dtype=torch.float32)[:, None] * x0[:, None] + root @ torch.randn(COUNT, 2, 2)).flatten(1)

        def noise(unit):
            return net(u, torch.full((COUNT,), unit)) + float(ratio(unit)) * u[:, 2:]

        with torch.no_grad():
            secant = (noise(unit + 1e-3) - noise(unit)).norm(dim=1).double().numpy() / 1e-3
        told = torch.full((COUNT,), unit)
        _, rate = torch.func.jvp(lambda told: net(u, told), (told,), (torch.ones(COUNT),))
        moving = (ratio(unit * (1 + 1e-5)) - ratio(unit * (1 - 1e-5))) / (2e-5 * unit)
        derivative = (rate + float(moving) * u[:, 2:]).norm(dim=1).detach().double().numpy()
        for curve, norms in zip(report["models"][0]["curves"], (secant, derivative), strict=True):
            compare(curve, t, norms, worst)


def mean_flow(report, clean, worst):
    net = torch.jit.load("mean_flow.pt").eval()
    for t in sorted(point["timestep"] for point in report["models"][0]["curves"][0]["points"]):
        unit = (t + 1) / 1000
        x = (1 - unit) * clean[torch.randint(len(clean), (COUNT,))] + unit * torch.randn(COUNT, 2)
        held, told = torch.full((COUNT,), unit / 2), torch.full((COUNT,), unit)
        with torch.no_grad():
            secant = (net(x, told + 1e-3, held) - net(x, told, held)).norm(dim=1).double().numpy()
        _, rate = torch.func.jvp(lambda told: net(x, told, held), (told,), (torch.ones(COUNT),))
        for curve, norms in zip(report["models"][0]["curves"], (secant, rate.norm(dim=1).detach().double().numpy() / 1000), strict=True):
            compare(curve, t, norms, worst)


def main():
    torch.manual_seed(7)
    clean, worst = torch.tensor(numpy.load("x0.npy")), []
    print("| quantity | t | lipscope | PyTorch | z |\n|---|---|---|---|---|")
    for path, check in zip(sys.argv[1:], (langevin, mean_flow), strict=True):
        with open(path, encoding="utf-8") as file:
            check(json.load(file), clean, worst)
    print(f"largest |z| of {len(worst)}: {max(worst):.2f}")


if __name__ == "__main__":
    main()
