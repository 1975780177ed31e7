"""Gets libtorch out of the PyPI wheels of PyTorch, into a cache, for `./x`.

The Linux wheel is a CUDA build, but its CPU half works alone beside two small CUDA libraries: 0.5 GB instead of 4.5.
"""

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import fetch
from fetch import Failure, say

VERSION = "2.13.0"

# File and SHA-256 of PyTorch's wheel and of NVIDIA's that it names, by platform. libtorch is the same in the wheels for
# every Python version. Two of NVIDIA's are in the CPU set as well, because the CPU half names their libraries.
WHEELS = json.loads((Path(__file__).parent / "wheels.json").read_text(encoding="utf-8"))
CPU_PROJECTS = ("torch-", "nvidia_cuda_runtime-", "nvidia_cuda_cupti-")
GIGABYTES = {"cpu": 1.5, "cuda": 8.0}  # of disk, the wheels and what is unpacked together

# The CPU set: the headers, every library of the CPU half, and the two CUDA libraries, in one folder.
CPU_MEMBER = re.compile(r"torch/(include/.+)|(?:torch|nvidia/cu13)/(lib/lib[^/]+\.(?:so(?:\.\d+)*|dylib))")
CPU_LEFT_OUT = re.compile(
    r"lib/lib(torch\.so|torch_(cuda|python|nvshmem|global_deps)|c10_cuda|caffe2_nvrtc|shm|checkpoint|nvperf|pcsampling)"
)
# The CUDA set: all headers and libraries, laid out as in a Python installation, where they find each other. NVIDIA's headers, of
# which crt and cccl have no library, are there for c10d's group over NCCL.
CUDA_MEMBER = re.compile(r"(torch/include/.+|torch/lib/lib[^/]+|nvidia/[^/]+/(?:lib|include)/.+)")


def cache_folder():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "lipscope"


def folder_of(kind):
    """Where the `cpu` or `cuda` set is once it is complete: it is renamed into place as the last step."""
    folder = cache_folder() / f"libtorch-{VERSION}-{kind}"
    return folder / "torch" if kind == "cuda" else folder


def get(kind):
    """The folder of the `cpu` or `cuda` set, fetched if the cache does not have it."""
    folder, cache = folder_of(kind), cache_folder()
    if folder.exists():
        say(f"libtorch {VERSION} ({kind}) is in {folder}")
        return folder
    check_platform(kind)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / "lock"):
            if not folder.exists():
                check_space(cache, GIGABYTES[kind])
                with unpacking_folder(cache) as unpacked:
                    fetch_and_unpack(kind, cache / "downloads", unpacked)
                    os.rename(unpacked, cache / f"libtorch-{VERSION}-{kind}")
                shutil.rmtree(cache / "downloads")
                say(f"libtorch {VERSION} ({kind}) is now in {folder}")
    except OSError as error:
        raise Failure(f"Getting libtorch failed in {cache} ({error}). Make room there or check its permissions, or set "
                      "XDG_CACHE_HOME to another folder; what was downloaded is kept and used next time.") from error
    return folder


def fetch_and_unpack(kind, downloads, unpacked):
    pinned = WHEELS[platform_name()]
    names = [name for name in pinned if kind == "cuda" or name.startswith(CPU_PROJECTS)]
    wheels = [fetch.wheel(name, pinned[name], downloads) for name in names]
    say("unpacking headers and libraries")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                extract(archive, member, place(kind, member.filename), unpacked)
    top = unpacked / "torch" if kind == "cuda" else unpacked
    if kind == "cpu" and platform.system() == "Linux":
        # tch asks for -ltorch, which in the wheel is an empty library that would bring in the CUDA half.
        (top / "lib" / "libtorch.so").write_text("INPUT ( -ltorch_cpu )\n")
    (top / "build-version").write_text(VERSION + "\n")


def place(kind, name):
    """Where this member of a wheel goes in the set, or None where it is not in the set."""
    found = (CPU_MEMBER if kind == "cpu" else CUDA_MEMBER).fullmatch(name)
    to = next(filter(None, found.groups())) if found else None
    return None if not to or (kind == "cpu" and CPU_LEFT_OUT.match(to)) else to


def extract(archive, member, to, folder):
    if to is None or member.is_dir() or ".." in to.split("/"):
        return
    target = folder / to
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)


def from_pytorch():
    """The folder of the PyTorch that LIBTORCH_USE_PYTORCH means: of the Python that torch-sys will ask."""
    python = "python" if os.environ.get("VIRTUAL_ENV") else "python3"
    code = "import torch; print(torch.__version__.split('+')[0]); print(torch.__path__[0])"
    try:
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"LIBTORCH_USE_PYTORCH is set, but `{python} -c 'import torch'` fails. Run `{python} -m "
                      f"pip install torch=={VERSION}`, or unset LIBTORCH_USE_PYTORCH to have libtorch downloaded.") from error
    if asked[0] != VERSION:
        raise Failure(f"LIBTORCH_USE_PYTORCH is set, but that PyTorch is {asked[0]} and {VERSION} is needed. Run "
                      f"`{python} -m pip install torch=={VERSION}`, or unset LIBTORCH_USE_PYTORCH to have libtorch "
                      "downloaded.")
    return Path(asked[1])


def check_folder(folder):
    """A libtorch that the user named: fails early, where the compiler's message would be about a missing header."""
    libraries = [folder / "lib" / f"libtorch_cpu.{ending}" for ending in ("so", "dylib")]
    if not any(library.exists() for library in libraries) or not (folder / "include").is_dir():
        raise Failure(f"LIBTORCH is {folder}, but that folder lacks include/ or lib/libtorch_cpu. Set it to an "
                      f"unpacked libtorch {VERSION}, or unset it to have libtorch downloaded.")


def has_cuda(folder):
    return (folder / "lib" / "libtorch_cuda.so").exists()


def gpu_present():
    """Whether there is an NVIDIA GPU with a driver. WSL has no /dev/nvidiactl, but nvidia-smi."""
    if Path("/dev/nvidiactl").exists():
        return True
    tool = shutil.which("nvidia-smi")
    return bool(tool) and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def platform_name():
    return f"{platform.system()} {platform.machine()}"


def check_platform(kind):
    system = platform.system()
    own = f"Build or download libtorch {VERSION} yourself and set LIBTORCH to its folder."
    if platform_name() not in WHEELS:
        raise Failure(f"There is no libtorch {VERSION} to download for {platform_name()}: it exists for Linux on "
                      f"x86_64 and aarch64 and for macOS (Darwin) on arm64. {own}")
    if system == "Darwin" and kind == "cuda":
        raise Failure("There is no CUDA for macOS. Leave out --cuda; the GPU of this machine is `--device mps`.")
    library, version = platform.libc_ver()
    old = library == "glibc" and tuple(map(int, version.split(".")[:2])) < (2, 28)
    if system == "Linux" and (library != "glibc" or old):
        raise Failure(f"libtorch {VERSION} needs glibc 2.28 or newer, and this system has {library or 'another libc'} "
                      f"{version}. Use a newer distribution or a container. {own}")


def check_space(folder, gigabytes):
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Failure(f"{folder} has {free:.1f} GB free, and getting libtorch takes {gigabytes:.1f} GB. Free some "
                      "space, or set XDG_CACHE_HOME to a folder on a larger disk.")


@contextlib.contextmanager
def unpacking_folder(cache):
    """A folder beside the final place, so that the rename is one step. Leftovers of a killed run go first."""
    for leftover in cache.glob(".unpack-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".unpack-", dir=cache))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(path):
    """One download at a time: a second ./x waits, and then finds the cache filled."""
    with open(path, "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another ./x that is getting libtorch")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
