"""The curve of a model while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

from .commands import run
from .needed import needed
from .program import Error
from .report import Report

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from .model import Model

# Small by default: a curve that is measured again and again, at the same timesteps so that it can be laid over training.
DEFAULTS = {"timesteps": "log:24", "samples": 16}


class Monitor:
    """Measures a model every so many training steps and keeps the curves.

        monitor = lipscope.Monitor(data=x0, every=5000, schedule="cosine", device="cpu")
        for step in range(steps):
            ...
            logger.log(monitor(model, step), step)

    Keyword arguments are those of `measure`. All measurements share seed, timesteps and x_t, so that differences between steps
    are the model's. The call returns scalars by name, and nothing ({}) at the steps between.
    """

    def __init__(self, *, data: Any, every: int, scheduler: Any = None, **options: Any) -> None:
        if every < 1:
            raise Error(f"every is {every}; it is a number of training steps from 1 on.")
        self.every = every
        self.reports: list[tuple[int, Report]] = []
        """Training step and report of each measurement."""
        self._scheduler = scheduler
        self._options = {**DEFAULTS, "data": data, **options}
        if "out" in options:
            raise Error("Each measurement has a folder of its own. Leave out `out`, and save what you want to keep from `reports`.")
        if self._options["timesteps"] == "auto":
            raise Error('timesteps="auto" differs from step to step. Use "log:24" or a list: curves are laid side by side.')

    def __call__(self, model: Model, step: int) -> dict[str, float]:
        """Measures `model` if `step` is a multiple of `every`; scalars for a logger."""
        return self.measure(model, step) if step % self.every == 0 else {}

    def measure(self, model: Model, step: int) -> dict[str, float]:
        """Measures `model` now, whatever the step."""
        # What is to be said about the model is said once, and no bar is drawn into the loop's own.
        silent = bool(self.reports)
        report = run("measure", [model], self._scheduler, {**self._options, "quiet": True}, None, silent)
        self.reports.append((step, report))
        return scalars(report)

    @property
    def history(self) -> pandas.DataFrame:
        """All curves in one table, with the training step in the column `step`."""
        library = needed("pandas", "tables")
        if not self.reports:
            raise Error(f"Nothing is measured yet. Call the monitor at a step that is a multiple of {self.every}.")
        table: pandas.DataFrame = library.concat(
            [report.curve.assign(step=step) for step, report in self.reports], ignore_index=True
        )
        return table

    def plot(self, ax: Axes | None = None, quantity: str | None = None) -> Axes:
        """A heat map of the curve over training: timesteps upwards, training to the right, colours by their logarithm."""
        pyplot = needed("matplotlib.pyplot", "figures", "matplotlib")
        colours = needed("matplotlib.colors", "figures", "matplotlib")
        rows = self.history
        rows = rows[rows["quantity"] == (quantity or rows["quantity"].iloc[0])]
        if rows["block"].notna().any():
            rows = rows[rows["block"] == rows["block"].iloc[0]]
        table = rows.pivot_table(index="timestep", columns="step", values="mean", sort=True)
        positive = table.where(table > 0)
        axes: Axes = pyplot.subplots()[1] if ax is None else ax
        norm = colours.LogNorm(float(positive.min().min()), float(positive.max().max()))
        mesh = axes.pcolormesh(_edges(table.columns), _edges(table.index), positive.to_numpy(), norm=norm)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("training step")
        axes.set_ylabel("timestep t")
        curve = self.reports[0][1].data["models"][0]["curves"][0]
        axes.figure.colorbar(mesh, ax=axes, label=f"{rows['quantity'].iloc[0]} [{curve['unit']}]")
        return axes


def scalars(report: Report) -> dict[str, float]:
    """Numbers of a report's summary by name, such as `lipscope/secant/near_zero_max`; what does not exist is left out."""
    numbers: dict[str, float | None] = {}
    for one in report.summary:
        name = "/".join(filter(None, ["lipscope", one["quantity"], one.get("block")]))
        near = one["near_zero"]
        numbers[f"{name}/near_zero_max"] = near["max"]
        numbers[f"{name}/near_zero_mean"] = near["mean"]
        numbers[f"{name}/near_zero_total_variation"] = near["total_variation"]
        numbers[f"{name}/rest_mean"] = one["rest"]["mean"]
        numbers[f"{name}/peak_ratio"] = one["peak_ratio"]
    numbers["lipscope/seconds"] = report.data["provenance"]["wall_seconds"]
    return {name: float(number) for name, number in numbers.items() if number is not None}


def _edges(numbers: Iterable[Any]) -> list[float]:
    """Ends of the cells around these numbers: half-way between neighbours."""
    centres = [float(number) for number in numbers]
    if len(centres) == 1:
        return [centres[0] - 0.5, centres[0] + 0.5]
    middles = [(a + b) / 2 for a, b in zip(centres, centres[1:])]
    return [max(0.0, centres[0] - (middles[0] - centres[0])), *middles, centres[-1] + (centres[-1] - middles[-1])]
