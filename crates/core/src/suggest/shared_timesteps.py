"""Shared timesteps near t = 0 (E-TSDM, arXiv 2306.11251) for a diffusers model: only the condition is shared.

Training noises with the true timestep and asks the network for the shared one. Sampling leaves the scheduler as it is and asks
the network for the shared timestep. Written by lipscope suggest; needs torch alone.
"""

import torch

BOUNDARIES = torch.tensor([0, 1])


def shared(t):
    """f(t): the first timestep of the sub-interval that holds t, and t itself from the last boundary on."""
    boundaries = BOUNDARIES.to(t.device)
    start = boundaries[(torch.bucketize(t, boundaries, right=True) - 1).clamp(min=0)]
    return torch.where(t < boundaries[-1], start.to(t.dtype), t)


def training_loss(unet, scheduler, x0):
    """One step's loss on clean samples x0 [B, C, H, W]."""
    noise = torch.randn_like(x0)
    t = torch.randint(0, scheduler.config.num_train_timesteps, x0.shape[:1], device=x0.device)
    x_t = scheduler.add_noise(x0, noise, t)  # noised at t
    target = scheduler.get_velocity(x0, noise, t) if scheduler.config.prediction_type == "v_prediction" else noise
    return torch.nn.functional.mse_loss(unet(x_t, shared(t)).sample, target)  # asked at f(t)


@torch.no_grad()
def sample(unet, scheduler, x, steps):
    """Samples from noise x [B, C, H, W] in so many steps of any scheduler of diffusers."""
    scheduler.set_timesteps(steps, device=x.device)
    for t in scheduler.timesteps:  # the true timesteps
        prediction = unet(scheduler.scale_model_input(x, t), shared(t)).sample
        x = scheduler.step(prediction, t, x).prev_sample
    return x
