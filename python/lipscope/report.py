"""A finished measurement: what the program wrote, read; nothing is computed here."""

from __future__ import annotations

import csv
import html
import json
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import program
from .needed import needed
from .suggestion import Suggestion

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

REPORT = "report.json"
PAGE_HEIGHT = 700

# Columns of the tables that hold words, and those that count.
WORDS = frozenset({"model", "quantity", "estimator", "block"})
COUNTS = frozenset({"samples", "non_finite"})

# Okabe and Ito's palette, which colour-blind readers tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")


class Report:
    """The report of `measure`, `compare` or `theory`. `Report("lipscope-out/measure-ckpt")` reads one of the command line."""

    def __init__(self, folder: str | Path, text: str = "") -> None:
        path = Path(folder)
        self.folder = path if path.is_dir() else path.parent
        """Where its files are; a temporary folder lasts as long as this object."""
        file = self.folder / REPORT
        if not file.is_file():
            raise program.Error(f"{self.folder} holds no {REPORT}. Name the folder that --out or out=… named.")
        self.data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        """The whole of report.json."""
        self._text = text

    @cached_property
    def curve(self) -> pandas.DataFrame:
        """curve.csv: a row per model, quantity and timestep, with mean, standard error, 95 % interval and quantiles."""
        return self._table("curve.csv")

    @cached_property
    def comparison(self) -> pandas.DataFrame:
        """comparison.csv: baseline, candidate and their ratio with its interval, per timestep; of `compare` only."""
        if not self.data["comparison"]:
            raise program.Error("This report compares nothing. Use lipscope.compare(baseline, candidate) for ratios.")
        return self._table("comparison.csv")

    def _table(self, name: str) -> pandas.DataFrame:
        library = needed("pandas", f"tables ({name})")
        # Not read_csv, which rounds by version of pandas, and reads a label such as "NA" as missing.
        with open(self.folder / name, newline="", encoding="utf-8") as file:
            columns: list[tuple[str, ...]] = list(zip(*csv.reader(file)))
        table: pandas.DataFrame = library.DataFrame({name: _column(name, values) for name, *values in columns})
        return table

    @property
    def summary(self) -> list[dict[str, Any]]:
        """What each curve comes to, with the model's label: window near zero, rest, peak ratio, verdict on t → 0."""
        return [{"model": model["label"], **one} for model in self.data["models"] for one in model["summary"]]

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What to know before trusting the numbers, by `kind`; their sentences were printed, and stand on the page."""
        return list(self.data["warnings"])

    @cached_property
    def suggestion(self) -> Suggestion:
        """Shared sub-intervals by the first model's curve, of `lipscope suggest` as it is without flags."""
        return Suggestion.of(self.folder, {})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws every curve with its 95 % intervals over t, on a logarithmic axis on which exact zeros are missing."""
        pyplot = needed("matplotlib.pyplot", "figures", "matplotlib")
        axes: Axes = pyplot.subplots()[1] if ax is None else ax
        groups = list(self.curve.groupby(["model", "quantity", "block"], sort=False, dropna=False))
        several_quantities = self.curve["quantity"].nunique() > 1
        for i, ((model, quantity, block), rows) in enumerate(groups):
            rows, colour = rows.sort_values("timestep"), COLOURS[i % len(COLOURS)]
            words = [str(model)] + [str(quantity)] * several_quantities + [str(block)] * (block == block and block is not None)
            mean = rows["mean"].where(rows["mean"] > 0)
            axes.plot(rows["timestep"], mean, color=colour, linewidth=1.2, marker=".", markersize=3, label=": ".join(words))
            low, high = (rows[end].where(mean > 0) for end in ("ci_low", "ci_high"))
            axes.fill_between(rows["timestep"], low, high, color=colour, alpha=0.25, linewidth=0)
        axes.set_yscale("log", nonpositive="mask")
        axes.set_xlabel("timestep t")
        axes.set_ylabel(self._unit())
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        return axes

    def _unit(self) -> str:
        units = {(curve["quantity"], curve["unit"]) for model in self.data["models"] for curve in model["curves"]}
        return ", ".join(sorted(f"{quantity} [{unit}]" for quantity, unit in units))

    def save(self, out: str | Path) -> Path:
        """Copies its files into the folder `out`, from which the command line goes on (`lipscope export out`)."""
        return Path(shutil.copytree(self.folder, out, dirs_exist_ok=True))

    def _repr_html_(self) -> str:
        """lipscope's page of the report, in a frame of its own."""
        with tempfile.TemporaryDirectory(prefix="lipscope-") as folder:
            program.run(["export", str(self.folder), "--to=html", f"--out={folder}"], silent=True)
            page = (Path(folder) / "report.html").read_text(encoding="utf-8")
        style = f"width:100%;height:{PAGE_HEIGHT}px;border:0"
        return f'<iframe srcdoc="{html.escape(page)}" style="{style}" sandbox="allow-scripts allow-downloads"></iframe>'

    def __str__(self) -> str:
        """What the command line prints: tables and a one-line reading."""
        return self._text or repr(self)

    def __repr__(self) -> str:
        labels = ", ".join(model["label"] for model in self.data["models"])
        complete = "" if self.data["complete"] else ", incomplete"
        return f"<lipscope.Report {self.data['command']}: {labels}{complete}>"


def _column(name: str, values: list[str]) -> list[Any]:
    """Values of a column: text, whole numbers where all are, numbers to the last bit; a missing one is None or NaN."""
    if name in WORDS:
        return [value or None for value in values]
    if name in COUNTS and all(values):
        return [int(value) for value in values]
    return [float(value) if value else float("nan") for value in values]
