"""How fast a diffusion model's prediction changes in time, measured from Python.

    import lipscope

    report = lipscope.measure(pipe.unet, scheduler=pipe.scheduler, data=x0, quantity="both")
    report.curve                                   # a pandas.DataFrame
    report.plot()                                  # matplotlib Axes
    shared = lipscope.share(pipe.unet, report.suggestion)

Everything is computed by the program `lipscope`, which runs beside Python as a process of its own: numbers are those of the
command line, bit for bit, and every keyword argument is one of its flags (`rel_error=0.01` is `--rel-error 0.01`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .commands import compare, measure, suggest, theory
from .monitor import Monitor
from .program import Error
from .report import Report
from .suggestion import Suggestion

if TYPE_CHECKING:
    import torch

    from .sharing import Boundaries, Shared

__all__ = ["Error", "Monitor", "Report", "Suggestion", "compare", "measure", "share", "suggest", "theory"]


def share(model: torch.nn.Module, boundaries: Boundaries) -> Shared:
    """Wraps `model` so that it is told f(t): within each shared sub-interval the interval's first timestep.

    `boundaries` is a `Suggestion`, numbers such as `[0, 20, 50, 100]`, or text such as `"0-20-50-100"`. The wrapper takes the
    model's own arguments, and hands its attributes on (`config`, `dtype`), so that it can take the model's place in a diffusers
    pipeline or a training loop. t has to be the number of the step, which the model is told as it is.
    """
    from .sharing import Shared

    return Shared(model, boundaries)
