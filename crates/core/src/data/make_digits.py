"""Writes digits.bin beside it: 1,797 handwritten digits of 8x8 pixels, 0 (white) to 16 (black), one byte each, row by
row; then the 1,797 labels, one byte each.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
doi:10.24432/C50P49, licensed CC BY 4.0; the test set, as scikit-learn ships it (BSD-3-Clause).

Run with scikit-learn: python src/data/make_digits.py
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
assert digits.data.shape == (1797, 64) and digits.data.min() == 0 and digits.data.max() == 16
pixels = digits.data.astype(np.uint8)
assert (pixels == digits.data).all()
Path(__file__).with_name("digits.bin").write_bytes(pixels.tobytes() + digits.target.astype(np.uint8).tobytes())
