"""What `lipscope suggest` says about a curve."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Iterable, Mapping

from . import program
from .flags import flags


class Suggestion:
    """Shared sub-intervals near t = 0 and what they cost. `data` is the whole of suggest.json."""

    def __init__(self, data: dict[str, Any], text: str, snippet: str) -> None:
        self.data = data
        self.snippet = snippet
        """Python with f(t), a training loss and a sampler for a diffusers model, to paste."""
        self._text = text

    @classmethod
    def of(cls, report: Path, options: Mapping[str, Any]) -> Suggestion:
        """Runs `lipscope suggest` on the report in this folder."""
        with tempfile.TemporaryDirectory(prefix="lipscope-") as folder:
            out = Path(folder)
            text = program.run(["suggest", str(report), *flags({**options, "out": out}, out)])
            data = json.loads((out / "suggest.json").read_text(encoding="utf-8"))
            snippet = (out / "shared_timesteps.py").read_text(encoding="utf-8")
        return cls(data, text.partition("\n\nfiles in ")[0], snippet)  # they are gone, and all of them is here

    @property
    def boundaries(self) -> list[float]:
        """Where the sub-intervals begin, and where the last one ends."""
        return list(self.data["suggested"]["boundaries"])

    @property
    def intervals(self) -> list[dict[str, float]]:
        """Each sub-interval with the bounds of its sharing error and of the jump at its end."""
        return list(self.data["suggested"]["intervals"])

    @property
    def step_grid(self) -> list[float]:
        """With `steps=N`: timesteps with equal Lipschitz mass between them, for a sampler."""
        return list(self.data["step_grid"])

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<lipscope.Suggestion {boundaries(self)}>"


def boundaries(given: Suggestion | str | Iterable[float]) -> str:
    """The value of `--share` for a suggestion or for numbers; text is taken as it is."""
    if isinstance(given, str):
        return given
    numbers = given.boundaries if isinstance(given, Suggestion) else given
    return "boundaries=" + "-".join(f"{float(number):g}" for number in numbers)
