"""A model in memory as a file that the program opens: a diffusers folder, or a TorchScript module traced on the CPU."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Union

from .flags import array
from .program import Error

if TYPE_CHECKING:
    import torch

    Model = Union[torch.nn.Module, str, "os.PathLike[str]", Any]
else:
    Model = Any

# Classes that lipscope opens as its own layers; any other is traced.
NATIVE = {
    "UNet2DModel": "unet",
    "UNet2DConditionModel": "unet",
    "SD3Transformer2DModel": "transformer",
    "FluxTransformer2DModel": "transformer",
    "DiTTransformer2DModel": "transformer",
}


@dataclass
class Saved:
    """Where a model is, and the flags that it brings with it."""

    path: str
    options: dict[str, Any] = field(default_factory=dict)
    needless: Path | None = None
    """A folder that would be saved again to the last bit, and need not outlast the run."""


def save(model: Model, folder: Path, scheduler: Any, options: Mapping[str, Any]) -> Saved:
    """Saves `model` below `folder`; a path is only handed on. The file has the name of the model's class."""
    if isinstance(model, (str, os.PathLike)):
        if scheduler is not None:
            raise Error("`scheduler` goes with a model in memory. For a checkpoint pass schedule=… and prediction=….")
        return Saved(os.fspath(model))
    import torch

    from .sharing import Shared

    if not isinstance(model, torch.nn.Module):
        model, scheduler = _of_pipeline(model, scheduler)
    model = _unwrapped(model)
    if isinstance(model, Shared):
        saved = save(model.module, folder, scheduler, options)
        return Saved(saved.path, {**saved.options, "share": model.typed}, saved.needless)
    name = type(model).__name__
    place = NATIVE.get(name)
    if place and hasattr(model, "save_pretrained"):
        path = folder / name
        model.save_pretrained(path / place)
        if scheduler is not None:
            scheduler.save_pretrained(path / "scheduler")
        return Saved(str(path), needless=folder)
    from .tracing import trace

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pt"
    trace(model, path, _sample_shape(name, options))
    return Saved(str(path), {} if scheduler is None else _scheduled(scheduler, folder.parent))


def _of_pipeline(pipeline: Any, scheduler: Any) -> tuple[torch.nn.Module, Any]:
    """The denoiser of a diffusers pipeline, and its scheduler."""
    for name in ("unet", "transformer"):
        if getattr(pipeline, name, None) is not None:
            return getattr(pipeline, name), scheduler or getattr(pipeline, "scheduler", None)
    raise Error(
        f"A {type(pipeline).__name__} is not a model. Pass an nn.Module f(x, t), a diffusers model, a diffusers pipeline with a "
        "unet or a transformer, or the path of a checkpoint."
    )


def _unwrapped(model: Any) -> Any:
    """The module inside torch.compile's and the wrappers for several devices."""
    import torch

    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def _sample_shape(name: str, options: Mapping[str, Any]) -> tuple[int, ...]:
    """Of one sample: from `shape`, from the data in memory, or from a .npy file."""
    shape, data = options.get("shape"), options.get("data")
    if isinstance(shape, str):
        return tuple(map(int, shape.split(",")))
    if shape is not None:
        return tuple(shape)
    samples = array(data)
    if samples is None and str(data).endswith(".npy"):
        import numpy

        samples = numpy.load(str(data), mmap_mode="r")
    if samples is None or samples.ndim < 2:
        raise Error(
            f"{name} is traced with an example, and the shape of a sample is not known. Pass data as an array [N, …] or the path "
            "of a .npy file, or pass shape=(3, 32, 32)."
        )
    return tuple(samples.shape[1:])


def _scheduled(scheduler: Any, folder: Path) -> dict[str, Any]:
    """Schedule and prediction of a diffusers scheduler as flags, for a module that has no folder of its own."""
    import numpy

    alphas = array(getattr(scheduler, "alphas_cumprod", None))
    if alphas is None:
        raise Error(
            f"A {type(scheduler).__name__} has no alphas_cumprod, so the schedule of a traced module cannot be taken from it. Pass "
            'schedule=…, such as schedule="flow", in its place.'
        )
    path = folder / "alpha_bar.npy"
    numpy.save(path, alphas.astype("float64"))
    kind = scheduler.config.get("prediction_type", "epsilon")
    return {"schedule": f"alpha-bar:file={path}", "prediction": {"v_prediction": "v", "sample": "x0"}.get(kind, kind)}
