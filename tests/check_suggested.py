"""Imports the shared_timesteps.py that `lipscope suggest` wrote into the folder that is given, and prints f(0) … f(999) as JSON.

Called by the test of suggestions where LIPSCOPE_PYTHON is set. Needs torch 2.13.0 and diffusers 0.42.1.
"""

import json
import sys

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel

sys.path.insert(0, sys.argv[1])
import shared_timesteps as module  # noqa: E402


class Asked(torch.nn.Module):
    """A network that remembers which timesteps it was asked about."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = UNet2DModel(8, 1, 1, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4,
                                   down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
        self.asked = []

    def forward(self, x, t):
        self.asked.append(t)
        return self.network(x, t)


timesteps = torch.arange(1000)
shared = module.shared(timesteps)
assert shared.dtype == timesteps.dtype
assert all(torch.equal(module.shared(t), shared[t]) for t in timesteps[:120]), "a single t of a scheduler"
assert torch.equal(module.shared(timesteps.float()), shared.float())

network = Asked()
for kind in ("epsilon", "v_prediction"):
    scheduler = DDPMScheduler(prediction_type=kind)
    torch.manual_seed(1)
    loss = module.training_loss(network, scheduler, torch.zeros(64, 1, 8, 8))
    torch.manual_seed(1)
    torch.randn(64, 1, 8, 8)
    drawn = torch.randint(0, 1000, (64,))
    assert loss.isfinite() and torch.equal(network.asked[-1], module.shared(drawn)), "asked at f(t)"
for scheduler in (DDIMScheduler(), DPMSolverMultistepScheduler()):
    network.asked.clear()
    x = module.sample(network, scheduler, torch.randn(2, 1, 8, 8), 50)
    true = scheduler.timesteps
    assert x.isfinite().all() and x.shape == (2, 1, 8, 8)
    assert torch.equal(torch.stack(network.asked), module.shared(true)) and not torch.equal(true, module.shared(true))
print(json.dumps(shared.tolist()))
