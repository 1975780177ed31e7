"""Train one small SongUNet by the classes of NVlabs/edm, on the CPU, under EDM's or DDPM's preconditioning.

    git clone https://github.com/NVlabs/edm && git -C edm checkout 008a4e5316c8e3bfe61a62f874bddba254295afb
    python ../mnist28.py
    python train.py edm EDM_CLONE STEPS OUT_FOLDER
    python train.py vp  EDM_CLONE STEPS OUT_FOLDER

The network, both preconditionings, both losses and the persistent classes of the pickle are imported from the clone. Only the loop is
here, because the clone's own asks for CUDA and a process group: batch, optimiser, warm-up, clean-up of gradients and averaging of the
weights as in its `training/training_loop.py` and `train.py`, with the number of images scaled to one core.

`edm` is EDMPrecond with EDMLoss. `vp` is VPPrecond with VPLoss: DDPM in continuous time. The network predicts ε, is told 999 t, sees
αx₀ + σε under the linear schedule (β from 0.1 to 20 per unit of time), and is trained by the unweighted ‖ε̂ − ε‖² at t ~ U(1e-5, 1).
Both runs begin with the same weights and see the same images in the same order.
"""

import copy
import csv
import pickle
import sys
import time
from pathlib import Path

import numpy
import torch

BATCH = 32
LEARNING_RATE = 1e-3  # train.py --lr
WARM_UP = 10_000  # images; training_loop.py: lr_rampup_kimg
HALF_LIFE, RAMP = 500_000, 0.05  # images, and the fraction of those seen; training_loop.py: ema_halflife_kimg, ema_rampup_ratio
NETWORK = dict(  # the DDPM++ of train.py --arch=ddpmpp, smaller, without dropout and augmentation
    model_type="SongUNet", embedding_type="positional", encoder_type="standard", decoder_type="standard", channel_mult_noise=1,
    resample_filter=[1, 1], model_channels=16, channel_mult=[1, 2, 2], num_blocks=1, attn_resolutions=[7], dropout=0,
)


def save(ema, loss_fn, path):
    """The dictionary that training_loop.py writes."""
    module = copy.deepcopy(ema).eval().requires_grad_(False)
    with open(path, "wb") as file:
        pickle.dump(dict(ema=module, loss_fn=loss_fn, augment_pipe=None, dataset_kwargs={}), file)


def main(kind, clone, steps, out):
    sys.path.insert(0, clone)
    from training import loss as losses
    from training import networks

    torch.set_num_threads(1)
    digits = numpy.load(Path(__file__).parent.parent / "mnist28.npy")
    images = torch.from_numpy(digits).to(torch.float32) / 127.5 - 1
    torch.manual_seed(0)
    precondition, loss_fn = {
        "edm": (networks.EDMPrecond, losses.EDMLoss()),
        "vp": (networks.VPPrecond, losses.VPLoss()),
    }[kind]
    net = precondition(img_resolution=28, img_channels=1, label_dim=0, **NETWORK).train().requires_grad_(True)
    ema = copy.deepcopy(net).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)
    print(kind, sum(p.numel() for p in net.parameters()), "parameters", flush=True)
    order = torch.Generator().manual_seed(1)
    torch.manual_seed(2)  # noise levels and noise
    start, seen, sums = time.time(), 0, []
    out.mkdir(parents=True, exist_ok=True)
    with open(out / f"{kind}-loss.csv", "w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["step", "loss", "seconds"])
        for step in range(1, steps + 1):
            batch = images[torch.randint(len(images), (BATCH,), generator=order)]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(net=net, images=batch, labels=None)
            loss.sum().mul(1 / BATCH).backward()
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(seen / WARM_UP, 1)
            for parameter in net.parameters():
                if parameter.grad is not None:
                    torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
            optimizer.step()
            beta = 0.5 ** (BATCH / max(min(HALF_LIFE, seen * RAMP), 1e-8))
            for averaged, current in zip(ema.parameters(), net.parameters()):
                averaged.copy_(current.detach().lerp(averaged, beta))
            seen += BATCH
            sums.append(loss.mean().item())
            if step % 100 == 0 or step == steps:
                log.writerow([step, f"{sum(sums) / len(sums):.5f}", f"{time.time() - start:.0f}"])
                file.flush()
                sums = []
            if step % 500 == 0 or step == steps:
                save(ema, loss_fn, out / f"{kind}-{step:06d}.pkl")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
