"""Trains a class-conditional UNet2DModel on scikit-learn's 8x8 digits, with a tenth of the labels dropped (classifier-free
guidance), and writes a diffusers folder: python train.py SEED OUT.

torch 2.13.0, diffusers 0.39 or later, scikit-learn. One core, about ten minutes.
"""

import sys

import torch
from diffusers import DDPMScheduler, UNet2DModel
from sklearn.datasets import load_digits

STEPS, BATCH, NULL = 4000, 64, 10


def main(seed, out):
    torch.manual_seed(seed)
    digits = load_digits()
    x = torch.tensor(digits.images / 8 - 1, dtype=torch.float32)[:, None]
    labels = torch.tensor(digits.target)
    # Label 10 stands for no class.
    unet = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(16, 32), norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8, num_class_embeds=NULL + 1,
    )
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
    optimiser = torch.optim.AdamW(unet.parameters(), lr=1e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    averaged = torch.optim.swa_utils.AveragedModel(unet, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999))
    for step in range(STEPS):
        rows = torch.randint(len(x), (BATCH,))
        label = torch.where(torch.rand(BATCH) < 0.1, NULL, labels[rows])
        noise, t = torch.randn(BATCH, 1, 8, 8), torch.randint(1000, (BATCH,))
        output = unet(scheduler.add_noise(x[rows], noise, t), t, class_labels=label).sample
        loss = torch.nn.functional.mse_loss(output, noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        rate.step()
        averaged.update_parameters(unet)
        if step % 500 == 0:
            print(step, float(loss), flush=True)
    averaged.module.save_pretrained(out + "/unet")
    scheduler.save_pretrained(out + "/scheduler")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
