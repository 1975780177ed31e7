"""The program that computes: where it is, how it is run, and what its errors become.

The wheel holds `lipscope-engine` without libtorch. It runs on the libtorch inside the installed torch, which its runpath names
relative to itself; a torch that lies elsewhere is named by LD_LIBRARY_PATH.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, Sequence

from .progress import Progress

TORCH = "2.13"
OWN = Path(__file__).parent / "bin" / "lipscope-engine"

# What tells the threads of OpenMP how to wait for each other, as the program `lipscope` sets it where the user has not:
# GNU's default of 300,000 looks costs several times the work beside other busy processes.
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
LOOKS = "1000"


class Error(RuntimeError):
    """What the program says was wrong, what is allowed and what to do next; `code` is its exit code."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def torch_libraries() -> Path:
    """The folder of libtorch in the installed torch, found without importing it."""
    spec = importlib.util.find_spec("torch")
    folders = list(spec.submodule_search_locations or []) if spec else []
    needed = f"lipscope runs on the libtorch inside torch {TORCH}: run `pip install 'torch=={TORCH}.*'`."
    if not folders:
        raise Error(f"This Python ({sys.executable}) has no torch. {needed}")
    folder = Path(folders[0])
    stated = folder / "version.py"
    text = stated.read_text(encoding="utf-8") if stated.is_file() else ""
    found = re.search(r"^__version__ = ['\"]([^'\"]+)", text, re.MULTILINE)
    version = found.group(1) if found else "of an unknown version"
    if not version.startswith(f"{TORCH}."):
        raise Error(f"The torch of this Python is {version}. {needed}")
    return folder / "lib"


def program() -> tuple[Path, dict[str, str]]:
    """The program and the environment in which it is run. LIPSCOPE_PROGRAM names another, with a libtorch of its own."""
    environment = dict(os.environ)
    if not any(name in environment for name in WAITING):
        environment[WAITING[0]] = LOOKS
    named = environment.get("LIPSCOPE_PROGRAM")
    if named:
        if not os.access(named, os.X_OK):
            raise Error(f"LIPSCOPE_PROGRAM is {named}, which is not a program. Name the built lipscope, or unset it.")
        return Path(named).absolute(), environment
    if not OWN.is_file():
        raise Error(
            f"{OWN} is missing. Install the wheel that `./x wheel` writes in lipscope's sources, or set LIPSCOPE_PROGRAM to a "
            "lipscope that was built with `./x build`."
        )
    libraries = torch_libraries()
    beside = OWN.parent.parent.parent / "torch" / "lib"  # what the runpath names
    if os.path.realpath(libraries) != os.path.realpath(beside):
        before = environment.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = f"{libraries}:{before}" if before else str(libraries)
    return OWN, environment


def run(arguments: Sequence[str], silent: bool = False) -> str:
    """Runs the program to its end and returns what it printed on stdout.

    Progress, warnings and notes go to stderr as on the command line, and nowhere if `silent`. KeyboardInterrupt is handed on as
    one SIGINT, on which the program finishes what it is at and keeps it, and raised again when it has ended.

    Raises `Error` with the program's own paragraph.
    """
    path, environment = program()
    with Progress(silent) as progress, subprocess.Popen(
        [str(path), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=progress.writer,
        env=environment,
        # A session of its own: Ctrl-C in a terminal reaches Python alone, so that the program gets one signal and not two.
        start_new_session=True,
    ) as process:
        try:
            code, output = progress.follow(process)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            try:
                progress.follow(process)
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)  # the second one ends it at once
            raise
        except BaseException:
            process.terminate()
            raise
    if code == 0:
        return output
    if code in (130, -signal.SIGINT):
        raise KeyboardInterrupt
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    raise Error(progress.error or f"lipscope ended with {ended} and said nothing.", code)


def main() -> NoReturn:
    """The command `lipscope` of the wheel: becomes the program."""
    try:
        path, environment = program()
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
    os.execve(path, ["lipscope", *sys.argv[1:]], environment)
