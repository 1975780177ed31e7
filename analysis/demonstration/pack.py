"""Packs the averaged weights of a training into a small file for the demonstration: in float16, without the other sets of
weights, and with 16 of the reference samples. lipscope opens it as any checkpoint that it trained.

    pip install numpy==2.4.6 safetensors==0.8.0
    python analysis/demonstration/pack.py FOLDER src/demonstration/ddpm.safetensors

FOLDER is a finished training's, with model.pt and training.safetensors.
"""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save_file

REFERENCE = "reference_samples"
SAMPLES = 16


def main(folder, packed):
    with zipfile.ZipFile(Path(folder) / "model.pt") as archive:
        description = json.loads(archive.read("archive/extra/lipscope.json"))
        samples = load(archive.read("archive/extra/lipscope.safetensors"))[REFERENCE]
    training = description["training"]
    training["all_weights"] = [training["weights"]]
    prefix = training["weights"] + "/"
    state = load((Path(folder) / "training.safetensors").read_bytes())
    tensors = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    tensors[REFERENCE] = samples[:: len(samples) // SAMPLES][:SAMPLES]
    half = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    assert all(np.isfinite(tensor).all() for tensor in half.values())
    save_file(half, packed, metadata={"lipscope": json.dumps(description)})


if __name__ == "__main__":
    main(*sys.argv[1:])
