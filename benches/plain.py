"""What lipscope is timed against: K(t, t+1), ∂ε/∂t and samples of a diffusers UNet2DModel in plain PyTorch, as one would
write it.

    python plain.py curve FOLDER DATA.npy --timesteps 0..1000/10 --samples 64 [--derivative]
    python plain.py derivative FOLDER --shape 3,32,32 --batch 16
    python plain.py sample FOLDER START.npy --nfe 50

Linear schedule, T = 1000, ε-prediction. The last line is JSON. Needs torch and diffusers.
"""

import argparse
import json
import time

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel


def load(folder):
    net = UNet2DModel.from_pretrained(folder).eval().requires_grad_(False)
    return lambda x, t: net(x, t).sample


def double_backward(f, x, t):
    """∂f/∂t of every row, by differentiating u·f by t and that by u."""
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        t = t.detach().requires_grad_(True)
        y = f(x, t)
        u = torch.zeros_like(y, requires_grad=True)
        (g,) = torch.autograd.grad((y * u).sum(), t, create_graph=True)
        (rate,) = torch.autograd.grad(g.sum(), u)
    return rate


def forward_mode(f, x, t):
    return torch.func.jvp(lambda s: f(x, s), (t,), (torch.ones_like(t),))[1]


def curve(a):
    f = load(a.folder)
    data = torch.from_numpy(np.load(a.data))
    data = data.float() / 127.5 - 1 if data.dtype == torch.uint8 else data.float()
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    generator = torch.Generator().manual_seed(a.seed)
    start, _, rest = a.timesteps.partition("..")
    end, _, step = rest.partition("/")
    rows, began = [], time.perf_counter()
    for t in range(int(start), int(end), int(step or 1)):
        norms = []
        for first in range(0, a.samples, a.batch):
            n = min(a.batch, a.samples - first)
            x0 = data[torch.randint(len(data), (n,), generator=generator)]
            noise = torch.randn(x0.shape, generator=generator)
            x = alpha_bar[t].sqrt().float() * x0 + (1 - alpha_bar[t]).sqrt().float() * noise
            now = torch.full((n,), float(t))
            if a.derivative:
                change = double_backward(f, x, now)
            else:
                with torch.no_grad():
                    change = f(x, now + 1) - f(x, now)
            norms += change.flatten(1).norm(dim=1).tolist()
        rows.append({"timestep": t, "mean": float(np.mean(norms))})
    evaluations = len(rows) * a.samples * (1 if a.derivative else 2)
    return {"curve": rows, "seconds": time.perf_counter() - began, "evaluations": evaluations}


def derivative(a):
    f = load(a.folder)
    x = torch.ones(a.batch, *map(int, a.shape.split(",")))
    t = torch.full((a.batch,), 37.0)

    def forward(f, x, t):
        with torch.no_grad():
            return f(x, t)

    ways = {"forward": forward, "torch.func.jvp": forward_mode, "double backward": double_backward}
    times = {name: [] for name in ways}
    failures = {}
    for round in range(a.rounds + 1):
        for name, way in ways.items():
            if name in failures:
                continue
            try:
                began = time.perf_counter()
                way(f, x, t)
                # The first round warms up.
                times[name] += [time.perf_counter() - began] if round else []
            except (RuntimeError, NotImplementedError) as e:
                failures[name] = str(e).splitlines()[0]
    return {"seconds": {name: values for name, values in times.items() if values}, "failures": failures}


@torch.no_grad()
def sample(a):
    """The loop of diffusers' DDIMPipeline, from given noise."""
    f = load(a.folder)
    scheduler = DDIMScheduler(clip_sample=True, timestep_spacing="leading")
    scheduler.set_timesteps(a.nfe)
    start = torch.from_numpy(np.load(a.data))
    seconds = []
    for round in range(a.rounds + 1):
        began, x = time.perf_counter(), start
        for t in scheduler.timesteps:
            x = scheduler.step(f(x, t), t, x, use_clipped_model_output=True).prev_sample
        # The first round warms up.
        seconds += [time.perf_counter() - began] if round else []
    np.save(a.data, x.numpy())
    return {"seconds": seconds}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("job", choices=["curve", "derivative", "sample"])
    p.add_argument("folder")
    p.add_argument("data", nargs="?")
    p.add_argument("--timesteps", default="0..1000/10")
    p.add_argument("--samples", type=int, default=64)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--derivative", action="store_true")
    p.add_argument("--shape", default="3,32,32")
    p.add_argument("--nfe", type=int, default=50)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    print(json.dumps({"curve": curve, "derivative": derivative, "sample": sample}[a.job](a)))


if __name__ == "__main__":
    main()
