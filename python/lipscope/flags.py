"""Keyword arguments as flags of the command line, and arrays among them as files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, cast

if TYPE_CHECKING:
    import numpy

# Flags that are given once for each value; others take a list with commas between.
REPEATED = frozenset({"average", "config", "label", "lora", "null"})


def flags(options: Mapping[str, Any], folder: Path) -> list[str]:
    """`quantity="both"` is `--quantity=both`, True the bare flag, None and False nothing, a list its values with commas.

    A tensor or an array is written into `folder`, and the flag names its file. A dictionary is NAME=VALUE for each entry.
    """
    arguments = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(flag)
        elif isinstance(value, Mapping):
            arguments += [f"{flag}={key}={text(one, folder, f'{name}-{key}')}" for key, one in value.items()]
        elif isinstance(value, (list, tuple, range)):
            values = [text(one, folder, f"{name}-{i}") for i, one in enumerate(value)]
            arguments += [f"{flag}={one}" for one in values] if name in REPEATED else [f"{flag}={','.join(values)}"]
        else:
            arguments.append(f"{flag}={text(value, folder, name)}")
    return arguments


def text(value: Any, folder: Path, name: str) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    found = array(value)
    if found is None or found.ndim == 0:
        return str(value if found is None else found.item())
    import numpy

    path = folder / f"{name}.npy"
    folder.mkdir(parents=True, exist_ok=True)
    numpy.save(path, numpy.ascontiguousarray(found), allow_pickle=False)
    return str(path)


def array(value: Any) -> numpy.ndarray[Any, Any] | None:
    """A torch tensor, on any device, or a numpy array as a numpy array; anything else is None.

    numpy has no bfloat16: such a tensor becomes float32, which holds each of its numbers.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return cast("numpy.ndarray[Any, Any]", (value.float() if value.dtype == torch.bfloat16 else value).numpy())
    library = sys.modules.get("numpy")
    if library is not None and isinstance(value, (library.ndarray, library.generic)):
        return cast("numpy.ndarray[Any, Any]", library.asarray(value))
    return None
