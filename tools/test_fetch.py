"""Downloads from an index on this machine, resumed and checked. Run: python3 -m unittest discover tools"""

import base64
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import threading
import unittest
import zipfile
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import fetch
import libtorch

NAME = "some_wheel-1.0-py3-none-any.whl"
BODY = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(BODY).hexdigest()
PASSWORD = "s3cret/@"


class IndexHandler(BaseHTTPRequestHandler):
    """Serves one file, with byte ranges. `seen` keeps the ranges asked for; `broken` cuts the first answer short."""

    seen, broken, as_json, body = [], False, True, BODY

    def do_GET(self):
        password = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {password}":
            return self.answer(401, b"")
        if self.path == "/simple/some-wheel/" and self.as_json:
            page = {"files": [{"filename": NAME, "url": f"../../files/{NAME}"}]}
            return self.answer(200, json.dumps(page).encode(), fetch.JSON_INDEX)
        if self.path == "/simple/some-wheel/":
            return self.answer(200, f'<a href="../../files/{NAME}#sha256=0">{NAME}</a>'.encode(), "text/html")
        if self.path != f"/files/{NAME}":
            return self.answer(404, b"")
        wanted = self.headers["Range"]
        self.seen.append(wanted)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        if start >= len(self.body):
            return self.answer(416, b"")
        return self.answer(206 if wanted else 200, self.body[start:])

    def answer(self, status, body, kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if type(self).broken and len(body) > 1000:
            type(self).broken = False
            body = body[:1_500_000]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.handler = type("Handler", (IndexHandler,), {"seen": []})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.part = self.folder / (NAME + ".part")
        port, quoted = self.server.server_port, "s3cret%2F%40"
        environment = {"PIP_INDEX_URL": f"http://user:{quoted}@127.0.0.1:{port}/simple/", "no_proxy": "127.0.0.1"}
        for patch in (mock.patch.dict(os.environ, environment), mock.patch.object(fetch.time, "sleep")):
            patch.start()
            self.addCleanup(patch.stop)

    def fetch(self):
        """Fetches the wheel, and checks it and that the password was not printed. Returns what was printed."""
        with redirect_stderr(io.StringIO()) as printed:
            path = fetch.wheel(NAME, SHA256, self.folder)
        self.assertEqual(path.read_bytes(), BODY)
        self.assertEqual([file.name for file in self.folder.iterdir()], [NAME])
        for secret in (PASSWORD, "s3cret"):
            self.assertNotIn(secret, printed.getvalue())
        return printed.getvalue()

    def test_whole_file_then_nothing(self):
        self.fetch()
        self.assertIn("downloaded already", self.fetch())
        self.assertEqual(self.handler.seen, [None])

    def test_html_index(self):
        self.handler.as_json = False
        self.fetch()

    def test_goes_on_from_a_part(self):
        self.part.write_bytes(BODY[:70_000])
        self.fetch()
        self.assertEqual(self.handler.seen, ["bytes=70000-"])

    def test_broken_connection_is_resumed(self):
        self.handler.broken = True
        self.assertIn("trying again", self.fetch())
        self.assertEqual(self.handler.seen, [None, "bytes=1500000-"])

    def test_corrupt_part_is_fetched_again(self):
        self.part.write_bytes(b"x" * 70_000)
        self.assertIn("was deleted", self.fetch())
        self.assertEqual(self.handler.seen, ["bytes=70000-", None])

    def test_part_that_is_whole_or_too_long(self):
        self.part.write_bytes(BODY)
        self.fetch()
        (self.folder / NAME).unlink()
        self.part.write_bytes(BODY + b"x")
        self.fetch()
        self.assertEqual(self.handler.seen, [f"bytes={len(BODY)}-", f"bytes={len(BODY) + 1}-", None])

    def test_wrong_file_goes_to_pip_after_one_download(self):
        self.handler.body = BODY[::-1]
        with mock.patch.object(fetch, "pip_download", side_effect=fetch.Failure("pip was asked")):
            with redirect_stderr(io.StringIO()), self.assertRaisesRegex(fetch.Failure, "pip was asked"):
                fetch.wheel(NAME, SHA256, self.folder)
        self.assertEqual(self.handler.seen, [None])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_wrong_password_goes_to_pip_and_is_not_printed(self):
        os.environ["PIP_INDEX_URL"] = os.environ["PIP_INDEX_URL"].replace("s3cret", "other-s3cret")
        with mock.patch.object(fetch, "pip_download", side_effect=fetch.Failure("pip was asked")):
            with redirect_stderr(io.StringIO()) as printed, self.assertRaises(fetch.Failure):
                fetch.wheel(NAME, SHA256, self.folder)
        self.assertNotIn("s3cret", printed.getvalue())


class UnpackTest(unittest.TestCase):
    CPU = {
        "torch/include/ATen/ATen.h": "include/ATen/ATen.h",
        "torch/lib/libtorch_cpu.so": "lib/libtorch_cpu.so",
        "torch/lib/libgomp.so.1": "lib/libgomp.so.1",
        "torch/lib/libnvpl_blas_core.so.0": "lib/libnvpl_blas_core.so.0",
        "torch/lib/libtorch.dylib": "lib/libtorch.dylib",
        "nvidia/cu13/lib/libcudart.so.13": "lib/libcudart.so.13",
        "nvidia/cu13/lib/libcupti.so.13": "lib/libcupti.so.13",
    }
    CUDA_ONLY = ["torch/lib/libtorch.so", "torch/lib/libtorch_cuda.so", "torch/lib/libc10_cuda.so",
                 "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cu13/lib/libnvperf_host.so",
                 "nvidia/cu13/include/cuda.h", "nvidia/nccl/include/nccl.h"]
    NEITHER = ["torch/__init__.py", "torch/lib/libshm/err.h", "nvidia/cu13/bin/ptxas", "torch-2.13.0.dist-info/x"]

    def test_each_set_takes_what_it_needs(self):
        for name, to in self.CPU.items():
            self.assertEqual((libtorch.place("cpu", name), libtorch.place("cuda", name)), (to, name))
        for name in self.CUDA_ONLY:
            self.assertEqual((libtorch.place("cpu", name), libtorch.place("cuda", name)), (None, name))
        for name in self.NEITHER:
            self.assertEqual((libtorch.place("cpu", name), libtorch.place("cuda", name)), (None, None))

    def test_nothing_is_written_outside(self):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("torch/include/../../escaped.h", "")
            archive.writestr("torch/include/here.h", "")
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer) as archive:
            for member in archive.infolist():
                libtorch.extract(archive, member, libtorch.place("cpu", member.filename), Path(folder, "to", "here"))
            found = [str(path.relative_to(folder)) for path in Path(folder).rglob("*.h")]
        self.assertEqual(found, ["to/here/include/here.h"])

    def test_every_wheel_is_pinned(self):
        for platform, wheels in libtorch.WHEELS.items():
            system, machine = platform.split()
            for name, sha256 in wheels.items():
                self.assertTrue(name.endswith(f"{machine}.whl"), name)
                self.assertRegex(sha256, "^[0-9a-f]{64}$")
            cpu = [name for name in wheels if name.startswith(libtorch.CPU_PROJECTS)]
            self.assertEqual(len(cpu), 3 if system == "Linux" else 1)


if __name__ == "__main__":
    sys.exit(unittest.main())
