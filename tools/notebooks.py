#!/usr/bin/env python3
"""Writes notebooks-export/: for every report.json under analysis/ a page, a notebook, and the CSV files that it reads."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANALYSIS = ROOT / "analysis"

HEAD = """# Notebooks and pages of the studies

Written by `./x notebooks` from the reports under [analysis](../analysis); never edited by hand. A page needs no network
and no server: open it in a browser. A notebook reads the CSV files beside it; its outputs are lipscope's own, and running it
draws the figures anew with pandas and matplotlib.

| study | page | notebook |
|---|---|---|
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the built lipscope")
    parser.add_argument("--out", type=Path, default=ROOT / "notebooks-export", help="folder to replace")
    options = parser.parse_args()
    out = options.out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the old folder, which stays as it was if a report cannot be exported.
    with tempfile.TemporaryDirectory(prefix=".notebooks-", dir=out.parent) as scratch:
        fresh = Path(scratch) / "new"
        write(options.program, fresh)
        if out.exists():
            out.rename(Path(scratch) / "old")
        fresh.rename(out)
    return 0


def write(program, out):
    rows = []
    for report in sorted(ANALYSIS.rglob("report.json")):
        folder = report.parent.relative_to(ANALYSIS)
        title = title_of(report.parent)
        arguments = ["export", str(report), "--to", "csv,html,notebook", "--title", title, "--out", str(out / folder), "--quiet"]
        done = subprocess.run([program, *arguments], check=False)
        if done.returncode != 0:
            shutil.rmtree(out, ignore_errors=True)
            sys.exit(f"notebooks: {report.relative_to(ROOT)} could not be exported; lipscope's message is above.")
        place = folder.as_posix()
        rows.append(f"| [{title}](../analysis/{place}) | [page]({place}/report.html) | [notebook]({place}/report.ipynb) |\n")
    out.mkdir(parents=True, exist_ok=True)
    (out / "README.md").write_text(HEAD + "".join(rows), encoding="utf-8")


def title_of(folder):
    """The heading of the study's README, and behind it which part of the study this is."""
    study = next(parent for parent in (folder, *folder.parents) if (parent / "README.md").exists())
    heading = (study / "README.md").read_text(encoding="utf-8").splitlines()[0].lstrip("# ").replace("`", "")
    part = folder.relative_to(study).parts
    return f"{heading} ({', '.join(part)})" if part else heading


if __name__ == "__main__":
    sys.exit(main())
