"""Makes the fuzzer's first inputs from the fixtures: python tests/fuzz/seeds.py FOLDER"""

import io
import pickletools
import struct
import sys
import zipfile
import zlib
from pathlib import Path

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tensor_file"
LONGEST = 6_000
# Takes half a second to be refused, and so would all that the fuzzer makes of it.
SLOW = ("doubling.pt",)


def seed(target, name, data):
    if len(data) <= LONGEST:
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


for path in sorted(FIXTURES.iterdir()):
    data = path.read_bytes()
    if path.suffix in (".py", ".json") or path.name in SLOW:
        continue
    seed("file", path.name, data)
    if path.suffix == ".safetensors" and len(data) > 8:
        length = struct.unpack("<Q", data[:8])[0]
        numbers = len(data) - 8 - length
        seed("safetensors", path.stem, bytes([numbers if 0 <= numbers < 256 else 0]) + data[8 : 8 + min(length, LONGEST)])
    if path.suffix == ".npy":
        seed("npy", path.stem, data)
    if data[:16].find(b"\x6c\xfc\x9c\x46\xf9\x20") > 0:
        file = io.BytesIO(data)
        try:
            for _header in ("magic", "protocol", "machine"):
                list(pickletools.genops(file))
        except ValueError:
            continue
        seed("legacy", path.stem, file.read())
    try:
        archive = zipfile.ZipFile(path)
        entries = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, ValueError, EOFError, OverflowError, OSError):
        continue
    for i, (name, entry) in enumerate(entries.items()):
        if name.endswith("data.pkl"):
            seed("pickle", path.stem, entry)
            seed("deflated", path.stem, struct.pack("<H", len(entry)) + zlib.compress(entry, wbits=-15))
        elif name.endswith(".npy"):
            seed("npy", f"{path.stem}{i}", entry)
    at = data.index(b"PK\x01\x02")
    seed("archive", path.stem, data[at:])
