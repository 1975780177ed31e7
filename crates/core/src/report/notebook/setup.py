import matplotlib.pyplot as plt
import pandas as pd

# Okabe and Ito's palette, which colour-blind readers tell apart.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000"]
MARKERS = ["o", "s", "D", "^", "v", "p"]


def table(file):
    """An empty field is a missing value; a word such as NA is a word."""
    return pd.read_csv(file, keep_default_na=False, na_values=[""])
