"""Packages that only some results need."""

from __future__ import annotations

import importlib
from typing import Any

from .program import Error


def needed(module: str, purpose: str, package: str | None = None) -> Any:
    """The module, or one sentence about what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = package or module
        raise Error(f"{package} is needed for {purpose} and is not installed: run `pip install {package}`.") from error
