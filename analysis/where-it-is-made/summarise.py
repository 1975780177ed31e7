"""Tables of shares over seeds, for README.md: python summarise.py mnist"""

import csv
import statistics
import sys
from pathlib import Path

# Student's 97.5 % quantiles by number of seeds.
QUANTILE = {2: 12.71, 3: 4.303}
# The blocks at full resolution: the first, and the last two.
FULL = ("down_blocks.0.resnets.0", "up_blocks.2.resnets.0", "up_blocks.2.resnets.1")


def shares(path):
    """{(kind, part): {timestep: share}} of the rows that have one."""
    found = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["share"]:
                found.setdefault((row["kind"], row["part"]), {})[float(row["timestep"])] = float(row["share"])
    return found


def over_seeds(values):
    mean = statistics.fmean(values)
    half = QUANTILE[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]"


def rows(seeds, ranges):
    def mean(shares, keys, within):
        at = sorted(t for t in shares[keys[0]] if within[0] <= t <= within[1])
        return statistics.fmean(sum(shares[key].get(t, 0.0) for key in keys) for t in at)

    parts = {"first block": [("site", FULL[0])], "last two blocks": [("site", name) for name in FULL[1:]],
             "these three": [("site", name) for name in FULL], "fastest sinusoid (ω = 1)": [("frequency", "1")]}
    for name, keys in parts.items():
        yield [name] + [over_seeds([mean(seed, keys, within) for seed in seeds]) for within in ranges]


def main(folder):
    for variant, ranges in (("ddpm", [(0, 0), (1, 14), (20, 85), (121, 999)]), ("e-tsdm", [(121, 999)])):
        seeds = [shares(path) for path in sorted(Path(folder).glob(f"{variant}-*.csv"))]
        print(f"\n{variant}, {len(seeds)} seeds | " + " | ".join(f"t = {a} … {b}" for a, b in ranges))
        for row in rows(seeds, ranges):
            print(" | ".join(row))


main(sys.argv[1])
