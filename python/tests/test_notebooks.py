"""The notebooks under examples/ run from top to bottom, where Jupyter's parts and what they show are installed."""

from pathlib import Path

import pytest

import lipscope

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NEEDED = {"diffusers.ipynb": "diffusers", "lucidrains.ipynb": "denoising_diffusion_pytorch"}


@pytest.mark.parametrize("name", NEEDED)
def test_the_notebooks_run(name, tmp_path, monkeypatch):
    for package in ("pandas", "matplotlib", "nbformat", "nbclient", "ipykernel", NEEDED[name]):
        pytest.importorskip(package)
    import nbclient
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(Path(lipscope.__file__).parent.parent))
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
