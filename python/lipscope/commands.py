"""`measure`, `compare`, `theory` and `suggest`: from arguments to the command line and from its files to results."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Sequence

from . import program
from .flags import flags
from .model import Model, save
from .report import Report
from .suggestion import Suggestion, boundaries

INPUTS = "inputs"


def measure(
    model: Model, *, scheduler: Any = None, data: Any = None, shape: Any = None, out: str | Path | None = None, **options: Any
) -> Report:
    """Measures the Lipschitz curve of one model over timesteps, as `lipscope measure` does.

    `model`: a diffusers model or pipeline, any other nn.Module f(x, t), or the path of a checkpoint. A module is saved for the
    run from a copy on the CPU and is not changed. `scheduler`: a diffusers scheduler, which says what x_t and the prediction
    are; otherwise `schedule="cosine"` and `prediction="v"` do. `data`: clean samples [N, …] as a tensor or an array, or what
    `--data` takes. `shape`: of one sample, where `data` does not tell a traced module's. `out`: a folder to keep, in which the
    same call goes on after an interrupt; by default a temporary one that goes with the report. All other keyword arguments are
    flags of the command line (`quantity="both"`, `rel_error=0.01`, `timesteps=[0, 10, 100]`).

    Raises `Error` with what lipscope says was wrong.
    """
    return run("measure", [model], scheduler, {"data": data, "shape": shape, **options}, out)


def compare(
    baseline: Model, *candidates: Model, scheduler: Any = None, data: Any = None, shape: Any = None,
    out: str | Path | None = None, **options: Any
) -> Report:  # fmt: skip
    """Measures several models on identical x_t, with paired ratios to the first, as `lipscope compare` does.

    Arguments are those of `measure`; `label=["base", "mine"]` names the models. `share` is laid over the candidates.
    """
    return run("compare", [baseline, *candidates], scheduler, {"data": data, "shape": shape, **options}, out)


def theory(data: Any = None, *, out: str | Path | None = None, **options: Any) -> Report:
    """The ideal denoiser's curve in closed form, for a data set and a schedule, as `lipscope theory` does."""
    return run("theory", [], None, {"data": data, **options}, out)


def suggest(report: Report | str | Path, **options: Any) -> Suggestion:
    """From a measured curve to shared sub-intervals and a step grid, as `lipscope suggest` does.

    `report`: a `Report`, or the folder of one. Keyword arguments are flags: `intervals=3`, `max_jump=0.2`, `steps=20`.
    """
    folder = report.folder if isinstance(report, Report) else Path(report)
    return Suggestion.of(folder, options)


def run(
    command: str, models: Sequence[Model], scheduler: Any, options: dict[str, Any], out: str | Path | None, silent: bool = False
) -> Report:
    """Saves the models, runs the command and reads its report. `silent`: nothing is shown on stderr."""
    program.program()  # what is missing is said before anything is saved
    folder = Path(tempfile.mkdtemp(prefix="lipscope-")) if out is None else Path(out)
    inputs = folder / INPUTS
    if options.get("share") is not None:
        options["share"] = boundaries(options["share"])
    saved = []
    try:
        saved += [save(model, inputs / str(i), scheduler, options) for i, model in enumerate(models)]
        for one in saved:
            _merge(options, one.options)
        arguments = [command, *(one.path for one in saved), *flags({**options, "out": folder}, inputs)]
        text = program.run(arguments, silent)
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        for one in saved:
            if one.needless:
                shutil.rmtree(one.needless, ignore_errors=True)
        if inputs.is_dir() and not any(inputs.iterdir()):
            inputs.rmdir()
    report = Report(folder, text)
    if out is None:
        weakref.finalize(report, shutil.rmtree, folder, ignore_errors=True)
    return report


def _merge(options: dict[str, Any], more: dict[str, Any]) -> None:
    """Flags that a model brings with it; one that the caller gave counts more."""
    for name, value in more.items():
        if options.get(name) is None:
            options[name] = value
