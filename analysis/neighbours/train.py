"""Trains two small networks on points in the plane and saves them as TorchScript, with the points:

    python train.py                 (writes x0.npy, cld.pt and mean_flow.pt)

cld.pt: f(u [B, 4], t [B]) of critically damped Langevin diffusion, the noise of v with a mixed score, as CLD-SGM trains it
(arXiv 2112.07068). mean_flow.pt: u(x, t, r), an average velocity (arXiv 2505.13447). torch 2.13.0, scipy; two minutes.
"""

import numpy
import torch
from cld import BETA, kernel

STEPS, BATCH = 4000, 512


def points():
    generator = numpy.random.default_rng(3)
    centres = numpy.array([[1.0, 0.4], [-0.8, 0.9], [-0.2, -1.1]])
    return (centres[generator.integers(3, size=4000)] + 0.2 * generator.standard_normal((4000, 2))).astype("float32")


class Perceptron(torch.nn.Module):
    def __init__(self, inputs: int, width: int = 128):
        super().__init__()
        self.first = torch.nn.Linear(inputs, width)
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(2))
        self.last = torch.nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.nn.functional.silu(self.first(x))
        for layer in self.hidden:
            h = h + torch.nn.functional.silu(layer(h))
        return self.last(h)


class Langevin(torch.nn.Module):
    """Told sinusoids of ln t."""

    def __init__(self):
        super().__init__()
        self.net = Perceptron(4 + 8)

    def forward(self, u: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        waves = t.log()[:, None] * torch.arange(1, 5, device=t.device, dtype=t.dtype) * 0.3
        return self.net(torch.cat([u, waves.sin().to(u.dtype), waves.cos().to(u.dtype)], 1))


class AverageVelocity(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Perceptron(2 + 16)

    def forward(self, x: torch.Tensor, t: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        waves = torch.stack([t, r], 1)[:, :, None] * torch.arange(1, 5, device=t.device, dtype=t.dtype)
        return self.net(torch.cat([x, waves.sin().flatten(1).to(x.dtype), waves.cos().flatten(1).to(x.dtype)], 1))


def train(network, loss):
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        value = loss(network)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        rate.step()
        if step % 1000 == 0:
            print(step, value.item(), flush=True)
    return network.eval()


def main():
    torch.manual_seed(0)
    x0 = points()
    numpy.save("x0.npy", x0)
    clean = torch.tensor(x0)
    grid = [(i + 1) / 1000 for i in range(1000)]
    kernels = [kernel(BETA * u) for u in grid]
    means = torch.tensor(numpy.array([mean for mean, _ in kernels]), dtype=torch.float32)
    roots = torch.tensor(numpy.array([numpy.linalg.cholesky(covariance) for _, covariance in kernels]), dtype=torch.float32)

    def langevin(network):
        rows, place = torch.randint(len(clean), (BATCH,)), torch.randint(1000, (BATCH,))
        noise = torch.randn(BATCH, 2, 2)  # variable, element
        state = means[place][:, :, None] * clean[rows][:, None] + roots[place] @ noise
        root = roots[place]
        ratio = root[:, 1, 1] / (root[:, 1, 0] ** 2 + root[:, 1, 1] ** 2)
        output = network(state.flatten(1), (place + 1) / 1000) + ratio[:, None] * state[:, 1]
        return (output - noise[:, 1]).square().mean()

    def average(network):
        rows, noise = torch.randint(len(clean), (BATCH,)), torch.randn(BATCH, 2)
        t, r = torch.rand(2, BATCH).sort(0, descending=True).values
        r = torch.where(torch.rand(BATCH) < 0.5, t, r)
        x, v = (1 - t[:, None]) * clean[rows] + t[:, None] * noise, noise - clean[rows]
        # u = v - (t - r) du/dt, du/dt = v . du/dx + du/dt at fixed r
        value, along = torch.func.jvp(lambda x, t: network(x, t, r), (x, t), (v, torch.ones(BATCH)))
        return (value - (v - (t - r)[:, None] * along).detach()).square().mean()

    torch.jit.script(train(Langevin(), langevin)).save("cld.pt")
    torch.jit.script(train(AverageVelocity(), average)).save("mean_flow.pt")


if __name__ == "__main__":
    main()
