"""Trains a network on the ratios q(y)/q(x) of bits that flip, by denoising score entropy (Lou et al., arXiv 2310.16834), and
saves it as TorchScript: python train.py SEED OUT.pt; and the data: python train.py data bits.npy.

torch 2.13.0, numpy. One core, about three minutes.
"""

import sys

import numpy
import torch

BITS, POINTS, STEPS, BATCH = 10, 16, 20_000, 256
SIGMA_MIN, SIGMA_MAX = 1e-3, 3.0


def data():
    """Sixteen words of ten bits, no two of them equal."""
    generator = numpy.random.default_rng(5)
    chosen = generator.choice(1 << BITS, POINTS, replace=False)
    return (chosen[:, None] >> numpy.arange(BITS)) & 1


class Ratios(torch.nn.Module):
    """ln q(y)/q(x) for the y that differ from x in one bit: [B, L], from x int64 [B, L] and the total noise sigma [B]."""

    def __init__(self, width: int = 256):
        super().__init__()
        self.first = torch.nn.Linear(BITS + 16, width)
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(2))
        self.last = torch.nn.Linear(width, BITS)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        log = sigma.log()[:, None]
        waves = log * torch.arange(1, 9, device=sigma.device, dtype=sigma.dtype) * 0.4
        h = torch.nn.functional.silu(self.first(torch.cat([x.to(sigma.dtype) * 2 - 1, waves.sin(), waves.cos()], 1)))
        for layer in self.hidden:
            h = h + torch.nn.functional.silu(layer(h))
        # A bit that flipped at a small sigma is flipped back at the rate 1/sigma.
        return self.last(h) + torch.log(1 / torch.tanh(sigma))[:, None] * 0.5


def main(seed, out):
    torch.manual_seed(seed)
    clean = torch.tensor(data())
    network = Ratios()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999))
    for step in range(STEPS):
        x0 = clean[torch.randint(POINTS, (BATCH,))]
        sigma = SIGMA_MIN * (SIGMA_MAX / SIGMA_MIN) ** torch.rand(BATCH)
        flipped = torch.rand(BATCH, BITS) < -0.5 * torch.expm1(-2 * sigma)[:, None]
        x = x0 ^ flipped.long()
        # q(y | x0)/q(x | x0): tanh sigma where bit i is still that of x0, else its inverse.
        small = torch.tanh(sigma)[:, None].expand(-1, BITS)
        truth = torch.where(flipped, 1 / small, small)
        logs = network(x, sigma)
        # Score entropy, weighted by the forward rate of the jump: s - r ln s + r (ln r - 1).
        entropy = logs.exp() - truth * logs + truth * (truth.log() - 1)
        loss = (entropy * torch.tanh(sigma)[:, None]).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        rate.step()
        averaged.update_parameters(network)
        if step % 2000 == 0:
            print(step, loss.item(), flush=True)
    torch.jit.script(averaged.module.eval()).save(out)


if __name__ == "__main__":
    if sys.argv[1] == "data":
        numpy.save(sys.argv[2], data().astype(numpy.uint8))
    else:
        main(int(sys.argv[1]), sys.argv[2])
