"""A module that is told shared timesteps (E-TSDM, arXiv 2306.11251)."""

from __future__ import annotations

import inspect
from typing import Any, Iterable, Union

import torch

from .program import Error
from .suggestion import Suggestion, boundaries

Boundaries = Union[Suggestion, str, Iterable[float]]

# What diffusers and others call the timestep among the arguments of forward.
NAMES = ("timestep", "timesteps", "t", "time", "sigma", "noise_labels")


class Shared(torch.nn.Module):
    """`module`, told f(t): the first timestep of the sub-interval that holds t, and t itself from the last boundary on."""

    def __init__(self, module: torch.nn.Module, given: Boundaries) -> None:
        super().__init__()
        self.module = module
        numbers = _numbers(given)
        self.typed = boundaries(numbers)
        """The value of `--share` that does the same."""
        # Not a buffer: `.to(torch.bfloat16)` would round it, and state_dict() stays that of a wrapper without weights.
        self._edges = numbers
        self._place, self._name = _timestep(module)

    def shared(self, t: Any) -> Any:
        """f(t), of a tensor or a number."""
        if not isinstance(t, torch.Tensor):
            return type(t)(self.shared(torch.tensor(t, dtype=torch.float64)).item())
        kind = torch.float64 if t.dtype == torch.float64 else torch.float32
        edges = torch.tensor(self._edges, dtype=kind, device=t.device)
        start = edges[(torch.bucketize(t.to(kind), edges, right=True) - 1).clamp(min=0)]
        return torch.where((t >= edges[0]) & (t < edges[-1]), start.to(t.dtype), t)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        if self._name in named:
            named[self._name] = self.shared(named[self._name])
        elif len(arguments) > self._place:
            at = self._place
            arguments = (*arguments[:at], self.shared(arguments[at]), *arguments[at + 1 :])
        else:
            raise TypeError(f"{type(self.module).__name__} needs a timestep: argument {self._place + 1}, `{self._name}`")
        return self.module(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """The module's own attributes, such as `config` and `dtype`, for what expects it."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "module":
                raise
            return getattr(super().__getattr__("module"), name)


def _numbers(given: Boundaries) -> list[float]:
    if isinstance(given, str):
        text = given.removeprefix("boundaries=")
        try:
            numbers = [float(word) for word in text.split("-")]
        except ValueError:
            numbers = []
    else:
        numbers = [float(number) for number in (given.boundaries if isinstance(given, Suggestion) else given)]
    if len(numbers) < 2 or any(a >= b for a, b in zip(numbers, numbers[1:])) or numbers[0] < 0:
        raise Error(f"Boundaries are at least two numbers from 0 on, ascending, such as [0, 20, 50, 100]; these are {given!r}.")
    return numbers


def _timestep(module: torch.nn.Module) -> tuple[int, str]:
    """Place and name of the timestep among the arguments of forward: the one with a usual name, else the second."""
    names = list(inspect.signature(module.forward).parameters)
    found = next((name for name in NAMES if name in names), names[1] if len(names) > 1 else "t")
    return (names.index(found) if found in names else 1), found
