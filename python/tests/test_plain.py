"""What needs neither torch nor a built lipscope: a script stands in for the program. `python3 -m unittest` runs it anywhere."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

import lipscope  # noqa: E402
from lipscope import program  # noqa: E402
from lipscope.flags import flags  # noqa: E402
from lipscope.monitor import scalars  # noqa: E402
from lipscope.progress import Progress  # noqa: E402
from lipscope.suggestion import boundaries  # noqa: E402

SUMMARY = {
    "quantity": "secant",
    "near_zero": {"from": 0, "until": 100, "mean": 2.0, "max": 3.0, "argmax": 0, "total_variation": None},
    "rest": {"mean": 1.0, "max": 1.5},
    "peak_ratio": None,
}
REPORT = {
    "complete": True,
    "command": "measure",
    "provenance": {"wall_seconds": 0.5},
    "models": [{"label": "net", "curves": [], "summary": [SUMMARY]}],
    "comparison": [],
    "warnings": [{"kind": "non-finite", "count": 2}],
}

# Writes a report where --out says and repeats its arguments.
WRITES = f"""
import json, pathlib, sys
out = next(word[6:] for word in sys.argv if word.startswith("--out="))
pathlib.Path(out).mkdir(parents=True, exist_ok=True)
pathlib.Path(out, "report.json").write_text({json.dumps(json.dumps(REPORT))})
print(json.dumps(sys.argv[1:]))
print("warning: a pinch of salt", file=sys.stderr)
"""


class WithFake(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        patched = mock.patch.dict(os.environ)
        patched.start()
        self.addCleanup(patched.stop)
        os.environ.pop("LIPSCOPE_PROGRAM", None)

    def fake(self, code):
        path = self.folder / "lipscope"
        path.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        os.environ["LIPSCOPE_PROGRAM"] = str(path)


class Flags(unittest.TestCase):
    def test_keywords_become_flags(self):
        options = {"quantity": "both", "rel_error": 0.01, "rounding": True, "plot": False, "seed": None, "data": Path("x.npy")}
        self.assertEqual(flags(options, Path()), ["--quantity=both", "--rel-error=0.01", "--rounding", "--data=x.npy"])

    def test_lists_have_commas_and_some_flags_are_repeated(self):
        options = {"timesteps": [0, 10], "shape": (3, 32, 32), "lora": ["a", "b:0.5"], "null": {"y": "z.npy"}}
        expected = ["--timesteps=0,10", "--shape=3,32,32", "--lora=a", "--lora=b:0.5", "--null=y=z.npy"]
        self.assertEqual(flags(options, Path()), expected)

    def test_boundaries_are_typed_as_the_command_line_takes_them(self):
        self.assertEqual(boundaries([0, 20.0, 50]), "boundaries=0-20-50")
        self.assertEqual(boundaries("n=5,until=100"), "n=5,until=100")


class Running(WithFake):
    def test_a_report_is_read_from_what_the_program_wrote(self):
        self.fake(WRITES)
        with redirect_stderr(StringIO()) as shown:
            report = lipscope.measure("net.pt", data="digits", samples=8)
        self.assertEqual(json.loads(str(report)), ["measure", "net.pt", "--data=digits", "--samples=8", f"--out={report.folder}"])
        self.assertEqual((report.warnings[0]["count"], report.summary[0]["model"]), (2, "net"))
        self.assertEqual(shown.getvalue(), "warning: a pinch of salt\n")
        kept = report.save(self.folder / "kept")
        self.assertEqual(lipscope.Report(kept).data, REPORT)
        temporary = report.folder
        del report
        self.assertFalse(temporary.exists(), "a temporary folder goes with its report")

    def test_scalars_leave_out_what_does_not_exist(self):
        self.fake(WRITES)
        with redirect_stderr(StringIO()):
            report = lipscope.theory("digits", out=self.folder / "out")
        names = {"near_zero_max": 3.0, "near_zero_mean": 2.0, "rest_mean": 1.0}
        expected = {f"lipscope/secant/{name}": number for name, number in names.items()}
        self.assertEqual(scalars(report), {**expected, "lipscope/seconds": 0.5})

    def test_the_programs_paragraph_is_the_exception(self):
        self.fake("import sys; sys.stderr.write('note\\nerror: no such flag.\\n\\n  tip\\n'); sys.exit(2)")
        with redirect_stderr(StringIO()) as shown, self.assertRaises(lipscope.Error) as raised:
            lipscope.theory("digits")
        self.assertEqual((str(raised.exception), raised.exception.code), ("no such flag.\n\n  tip", 2))
        self.assertEqual(shown.getvalue(), "note\n", "an error is raised, not printed")

    def test_a_program_that_dies_without_a_word_is_an_error(self):
        self.fake("import os; os.kill(os.getpid(), 9)")
        with self.assertRaisesRegex(lipscope.Error, "signal 9"):
            lipscope.theory("digits")

    def test_an_interrupt_is_one_sigint_and_waits_for_the_end(self):
        self.fake(
            "import pathlib, signal, sys, time\n"
            "here = pathlib.Path(__file__).parent\n"
            "def stop(*_):\n"
            "    with open(here / 'signals', 'a') as file: file.write('INT ')\n"
            "    time.sleep(0.3); (here / 'saved').touch(); sys.exit(130)\n"
            "signal.signal(signal.SIGINT, stop)\n"
            "(here / 'ready').touch()\n"
            "time.sleep(60)\n"
        )

        def interrupt():
            while not (self.folder / "ready").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with self.assertRaises(KeyboardInterrupt):
            lipscope.theory("digits")
        thread.join()
        self.assertTrue((self.folder / "saved").exists(), "the program ended before the exception was raised")
        self.assertEqual((self.folder / "signals").read_text(), "INT ")

    def test_a_program_that_is_not_there_is_said(self):
        os.environ["LIPSCOPE_PROGRAM"] = str(self.folder / "nothing")
        with self.assertRaisesRegex(lipscope.Error, "LIPSCOPE_PROGRAM is .*nothing, which is not a program"):
            lipscope.theory("digits")

    def test_the_folder_of_a_report_has_one(self):
        with self.assertRaisesRegex(lipscope.Error, "holds no report.json"):
            lipscope.Report(self.folder)


class Torch(WithFake):
    """The wheel's own program needs torch 2.13 in this Python."""

    def installed(self, version):
        package = self.folder / "torch"
        package.mkdir()
        (package / "__init__.py").write_text("raise SystemExit('torch must not be imported')")
        (package / "version.py").write_text(f"__version__ = '{version}'\n")
        engine = self.folder / "lipscope" / "bin" / "lipscope-engine"
        engine.parent.mkdir(parents=True)
        engine.touch()
        for patched in (mock.patch.object(program, "OWN", engine), mock.patch.object(sys, "path", [str(self.folder)])):
            patched.start()
            self.addCleanup(patched.stop)
        sys.path_importer_cache.pop(str(self.folder), None)
        hidden = mock.patch.dict(sys.modules)
        hidden.start()
        self.addCleanup(hidden.stop)
        sys.modules.pop("torch", None)

    def test_torch_beside_the_package_needs_no_library_path(self):
        os.environ.pop("LD_LIBRARY_PATH", None)
        os.environ.pop("OMP_WAIT_POLICY", None)
        self.installed("2.13.0+cpu")
        path, environment = program.program()
        self.assertEqual(path, self.folder / "lipscope" / "bin" / "lipscope-engine")
        self.assertNotIn("LD_LIBRARY_PATH", environment)
        self.assertIn("GOMP_SPINCOUNT", environment)

    def test_torch_elsewhere_is_named(self):
        self.installed("2.13.1")
        os.environ["LD_LIBRARY_PATH"] = "/mine"
        elsewhere = self.folder / "elsewhere" / "lipscope" / "bin" / "lipscope-engine"
        elsewhere.parent.mkdir(parents=True)
        elsewhere.touch()
        with mock.patch.object(program, "OWN", elsewhere):
            self.assertEqual(program.program()[1]["LD_LIBRARY_PATH"], f"{self.folder / 'torch' / 'lib'}:/mine")

    def test_another_version_is_one_sentence(self):
        self.installed("2.14.0")
        with self.assertRaisesRegex(lipscope.Error, r"torch of this Python is 2\.14\.0\. .*pip install 'torch==2\.13\.\*'"):
            program.program()

    def test_a_missing_torch_is_one_sentence(self):
        self.installed("2.13.0")
        with mock.patch.object(sys, "path", []), self.assertRaisesRegex(lipscope.Error, "has no torch"):
            program.program()

    def test_importing_lipscope_imports_nothing_heavy(self):
        code = "import sys, lipscope; print([name for name in ('torch', 'numpy', 'pandas', 'matplotlib') if name in sys.modules])"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        self.assertEqual(done.stdout, "[]\n")


class Showing(unittest.TestCase):
    def test_an_error_in_colour_and_in_pieces_is_held_back(self):
        with redirect_stderr(StringIO()) as shown, Progress() as progress:
            for piece in ("reading\n\x1b[1m\x1b[31mer", "ror\x1b[0m: it is", " broken.\r\nMend it."):
                progress._take(piece)
        self.assertEqual((shown.getvalue(), progress.error), ("reading\n", "it is broken.\nMend it."))

    def test_a_notebook_gets_a_line_now_and_then(self):
        with mock.patch("lipscope.progress.in_notebook", return_value=True):
            with redirect_stderr(StringIO()) as shown, Progress() as progress:
                progress._shown -= 60
                for done in range(3):
                    progress._take(f"\r\x1b[2K██░ {done}/9 timesteps  1s elapsed, 2s left  \r")
                progress._take("warning: mind\r\n")
        self.assertEqual(shown.getvalue(), "0/9 timesteps  1s elapsed, 2s left\nwarning: mind\n")


if __name__ == "__main__":
    unittest.main()
