"""The training loop that one would write in PyTorch with diffusers: what `lipscope train --variant ddpm` is timed against.

    python plain_loop.py CONFIG.json DATA.npy STEPS SEED OUT.csv

CONFIG.json is a UNet2DModel's, DATA.npy holds images [N, C, H, W] in [-1, 1]. Needs torch 2.13.0 and diffusers 0.42.1.
"""

import csv
import json
import sys
import time

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel

BATCH, RATE, WARMUP, LOG_EVERY = 64, 1e-3, 100, 50


def main(config_path, data_path, steps, seed, out):
    torch.manual_seed(int(seed))
    torch.set_num_threads(2)
    with open(config_path, encoding="utf-8") as file:
        config = {key: value for key, value in json.load(file).items() if not key.startswith("_")}
    model = UNet2DModel(**config).train()
    average = [parameter.detach().clone() for parameter in model.parameters()]
    scheduler = DDPMScheduler(beta_schedule="linear")
    data = torch.from_numpy(np.load(data_path)).float()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / WARMUP))
    order, place = torch.randperm(len(data)), 0
    rows, total, near, count_near, began = [], 0.0, 0.0, 0, time.perf_counter()
    for step in range(1, int(steps) + 1):
        if place + BATCH > len(data):
            order, place = torch.randperm(len(data)), 0
        x0 = data[order[place:place + BATCH]]
        place += BATCH
        noise = torch.randn_like(x0)
        t = torch.randint(0, 1000, (BATCH,))
        output = model(scheduler.add_noise(x0, noise, t), t).sample
        errors = (output - noise).square().flatten(1).mean(1)
        loss = errors.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        warmup.step()
        decay = min(0.9999, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, parameter in zip(average, model.parameters()):
                mean.lerp_(parameter, 1 - decay)
        total += loss.item()
        near += errors.detach()[t < 100].sum().item()
        count_near += (t < 100).sum().item()
        if step % LOG_EVERY == 0:
            seconds = time.perf_counter() - began
            rows.append([step, total / LOG_EVERY, near / max(1, count_near), BATCH * LOG_EVERY / seconds])
            total, near, count_near, began = 0.0, 0.0, 0, time.perf_counter()
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "mse", "mse_t0_100", "images_per_second"])
        writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
