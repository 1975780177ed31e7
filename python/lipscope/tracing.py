"""An nn.Module f(x, t) as a TorchScript file."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch

from .program import Error

# Two batch sizes that are not the example's: a trace in which one was baked in fails at them.
BATCHES = (1, 3)

# torch 2.13 reads and writes TorchScript, and says at each call that it will not for ever.
DEPRECATED = r"`torch\.jit\.\w+` is deprecated"

# What may differ between a module and its trace, relatively: the order of sums, in the dtype of the answer.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}


class _Function(torch.nn.Module):
    """f(x, t) with a tensor for an answer, of a module that may answer with diffusers' or transformers' output classes."""

    def __init__(self, module: torch.nn.Module, whole: bool) -> None:
        super().__init__()
        self.module = module
        self.whole = whole

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> Any:
        output = self.module(x, t.round().long() if self.whole else t)
        return getattr(output, "sample", output)


def trace(module: torch.nn.Module, path: Path, shape: tuple[int, ...]) -> None:
    """Traces a copy of `module` on the CPU in eval mode and in its own dtype, for samples of this shape, into `path`.

    The module itself stays as it is. A file that is there already and is a trace of the same module stays too: two traces in one
    process differ in the names of their classes, and the program would take them for two models.

    Raises `Error` where the module cannot be traced, or its trace answers otherwise than it does.
    """
    name = type(module).__name__
    copied = cpu_copy(module).eval()
    kind = next((p.dtype for p in copied.parameters() if p.is_floating_point()), torch.float32)
    function, problem = None, ""
    with torch.no_grad():
        for whole in (False, True):  # an embedding takes whole timesteps only
            try:
                function = _Function(copied, whole)
                function(*example(2, shape, kind))
                break
            except Exception as error:  # whatever the user's module raises
                problem = problem or f"{type(error).__name__}: {error}"
                function = None
        if function is None:
            raise Error(
                f"{name} does not answer to f(x, t) on the CPU, with x {[2, *shape]} and t [2]: {problem} Pass a module whose "
                "forward takes x and one t per sample, such as one that wraps yours and adds the other arguments."
            )
        examples = [example(batch, shape, kind) for batch in BATCHES]
        if path.is_file() and _is_of(path, function, examples):
            return
        script = _traced(function, example(2, shape, kind), name)
        for inputs in examples:
            _check(function, script, inputs, name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DEPRECATED)
        torch.jit.save(script, str(path))


def cpu_copy(module: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU. Weights that are there already are shared with the module, others are copied to it once."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = torch.nn.Parameter(parameter.detach().cpu(), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.detach().cpu()
    copied = copy.deepcopy(module, memo)
    for part in copied.modules():  # tensors that are neither, such as tables of frequencies
        for key, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                setattr(part, key, value.detach().cpu())
    return copied


def example(batch: int, shape: tuple[int, ...], kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """x [B, …] in the module's dtype, and t [B]. Small timesteps, which every table of embeddings has."""
    generator = torch.Generator().manual_seed(batch)
    x = torch.randn(batch, *shape, generator=generator).to(kind)
    return x, torch.arange(1, batch + 1, dtype=torch.float64 if kind == torch.float64 else torch.float32)


def _traced(function: torch.nn.Module, inputs: tuple[torch.Tensor, ...], name: str) -> torch.jit.ScriptModule:
    try:
        # The tracer's own check runs at the example's batch size only; ours runs at others.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", DEPRECATED)
            script: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call, unused-ignore]
                function, inputs, check_trace=False, strict=False
            )
        return script
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise Error(f"{name} cannot be traced ({problem}). Save it as TorchScript and pass its path.") from error


def _check(function: torch.nn.Module, script: torch.jit.ScriptModule, inputs: tuple[torch.Tensor, ...], name: str) -> None:
    batch = len(inputs[0])
    advice = "Pass a module whose forward does not depend on the batch size or branch on values."
    own = _first(function(*inputs))
    try:
        traced = _first(script(*inputs))
    except Exception as error:
        raise Error(f"The trace of {name} fails with a batch of {batch} ({type(error).__name__}). {advice}") from error
    scale = own.abs().max()
    if own.shape != traced.shape or not (own - traced).abs().max() <= TOLERANCE.get(own.dtype, 1e-4) * scale.clamp(min=1e-30):
        raise Error(f"The trace of {name} answers otherwise than {name} with a batch of {batch}. {advice}")


def _is_of(path: Path, function: torch.nn.Module, examples: list[tuple[torch.Tensor, torch.Tensor]]) -> bool:
    """Whether the file has the same weights and gives the same answers, bit for bit."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", DEPRECATED)
            script = torch.jit.load(str(path))  # type: ignore[no-untyped-call, unused-ignore]
        own, stored = dict(function.state_dict()), dict(script.state_dict())
        same = own.keys() == stored.keys() and all(torch.equal(own[name], stored[name]) for name in own)
        return same and all(torch.equal(_first(script(*inputs)), _first(function(*inputs))) for inputs in examples)
    except Exception:  # a file of anything else
        return False


def _first(output: Any) -> torch.Tensor:
    """The tensor that is compared: the answer, or its first part."""
    while not isinstance(output, torch.Tensor):
        output = next(iter(output.values() if hasattr(output, "values") else output))
    return output
