"""What the program writes to stderr while it works, shown where the user looks.

In a terminal its progress bar is passed through, in a notebook it becomes a line every few seconds, and elsewhere there is no
bar. Errors are held back: they become exceptions.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
from typing import Any

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BAR = re.compile(r"[█░▏▎▍▌▋▊▉]+\s*(\d+/\d+ .*)")
ERROR = re.compile(r"(?:^|(?<=[\n\r]))(?:\x1b\[[0-9;]*[A-Za-z])*error(?:\x1b\[[0-9;]*m)*:")
SECONDS_BETWEEN_LINES = 5.0


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter."""
    shell = sys.modules.get("IPython")
    return shell is not None and hasattr(shell.get_ipython(), "kernel")


class Progress:
    """The reading end of the program's stderr. `writer` is the end to give to it."""

    def __init__(self, silent: bool = False) -> None:
        self._error = ""
        self._silent = silent or sys.stderr is None
        self._notebook = not self._silent and in_notebook()
        self._terminal = not self._silent and not self._notebook and sys.stderr.isatty()
        self._shown = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._stdout: list[bytes] = []
        self._thread: threading.Thread | None = None
        if self._notebook or self._terminal:
            self._reader, self.writer = pty.openpty()
            self._copy_size()
        else:
            self._reader, self.writer = os.pipe()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        self._close_writer()
        os.close(self._reader)

    def _copy_size(self) -> None:
        try:
            size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self.writer, termios.TIOCSWINSZ, size)
        except (OSError, ValueError):  # no terminal below a notebook
            pass

    def _close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def follow(self, process: subprocess.Popen[bytes]) -> tuple[int, str]:
        """Shows what comes until the program ends; its exit code and stdout. After an interrupt it may be called again."""
        self._close_writer()
        if self._thread is None:
            assert process.stdout is not None
            read = process.stdout.read
            self._thread = threading.Thread(target=lambda: self._stdout.append(read()), daemon=True)
            self._thread.start()
        while chunk := self._read():
            self._take(self._decoder.decode(chunk))
        self._show(self._rest)
        self._rest = ""
        self._thread.join()
        return process.wait(), b"".join(self._stdout).decode("utf-8", "replace")

    @property
    def error(self) -> str:
        """The program's error, without the word itself; empty where there is none."""
        return ESCAPES.sub("", self._error).replace("\r\n", "\n").partition("error:")[2].strip()

    def _read(self) -> bytes:
        try:
            return os.read(self._reader, 1 << 16)
        except OSError:  # a pseudo-terminal without a writer
            return b""

    def _take(self, text: str) -> None:
        """Shows text. From the word `error:` at the beginning of a line on it is the error, since nothing comes after it."""
        if self._error:
            self._error += text
            return
        text = self._rest + text
        error = ERROR.search(text)
        shown, self._rest = (text[: error.start()], "") if error else self._split(text)
        self._error = text[error.start() :] if error else ""
        self._show(shown)

    def _split(self, text: str) -> tuple[str, str]:
        """What can be shown, and an unfinished line that may yet become an error. A bar in a terminal is never finished."""
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        rest = text[end:]
        plain = ESCAPES.sub("", rest)
        is_open = "\x1b" in rest[-8:] or "error:".startswith(plain[:6]) or not self._terminal
        return (text[:end], rest) if is_open and rest else (text, "")

    def _show(self, text: str) -> None:
        if not text or self._silent:
            return
        if self._notebook:
            text = "".join(map(self._line, re.split(r"[\r\n]+", ESCAPES.sub("", text))))
        sys.stderr.write(text)
        sys.stderr.flush()

    def _line(self, line: str) -> str:
        """A line for a notebook; of a progress bar one every few seconds."""
        bar = BAR.search(line)
        if not bar:
            return line.rstrip() + "\n" if line.strip() else ""
        if time.monotonic() - self._shown < SECONDS_BETWEEN_LINES:
            return ""
        self._shown = time.monotonic()
        return bar.group(1).rstrip() + "\n"
