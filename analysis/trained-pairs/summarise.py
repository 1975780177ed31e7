"""Over three trainings: the numbers of the README's table, as mean [95 % Student interval over seeds].

    python summarise.py digits mnist        (folders with seed-0, seed-1, seed-2, each a comparison by lipscope)
"""

import csv
import statistics
import sys
from pathlib import Path

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
UNTIL = 100


def curves(folder):
    found = {}
    with open(folder / "curve.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["mean"]:
                found.setdefault(row["model"], {})[int(float(row["timestep"]))] = float(row["mean"])
    return found


def numbers(folder):
    models = curves(folder)
    ddpm, shared, ideal = models["DDPM"], models["E-TSDM"], models["ideal denoiser"]
    near = range(UNTIL)
    total = {name: sum(curve[t] for t in near) for name, curve in models.items()}
    peak = max(near, key=lambda t: ddpm[t])
    beyond = statistics.median(value for t, value in ddpm.items() if t >= UNTIL)
    inside = [shared[t] for t in near if (t + 1) % 20]
    yield "DDPM: t of the peak", peak
    yield "DDPM: peak K [1/step]", ddpm[peak]
    yield "DDPM: peak over the median beyond 100", ddpm[peak] / beyond
    yield "DDPM: K(0, 1) [1/step]", ddpm[0]
    yield "ideal: K(0, 1) [1/step]", ideal[0]
    for start, end in [(0, 10), (10, 30), (30, UNTIL)]:
        part = sum(ddpm[t] for t in range(start, end)) / sum(ideal[t] for t in range(start, end))
        yield f"DDPM over ideal, mean K over t = {start} to {end - 1}", part
    yield "E-TSDM: largest K inside a sub-interval", max(inside)
    for boundary in range(20, UNTIL + 1, 20):
        yield f"E-TSDM: jump {boundary - 1} to {boundary} [1/step]", shared[boundary - 1]
    yield "E-TSDM: largest jump over DDPM's peak", max(shared[t] for t in near) / ddpm[peak]
    yield "total variation below 100, DDPM", total["DDPM"]
    yield "total variation below 100, E-TSDM", total["E-TSDM"]
    yield "total variation below 100, ideal", total["ideal denoiser"]
    yield "total variation, E-TSDM over DDPM", total["E-TSDM"] / total["DDPM"]
    beyond_ratio = [shared[t] / ddpm[t] for t in ddpm if t > UNTIL]
    yield "K beyond 100, E-TSDM over DDPM (median)", statistics.median(beyond_ratio)


def main(names):
    for name in names:
        seeds = sorted(Path(name).glob("seed-*"))
        print(f"\n## {name}, {len(seeds)} seeds\n")
        print("| quantity | " + " | ".join(seed.name for seed in seeds) + " | mean [95 % interval] |")
        print("|---|" + "---|" * (len(seeds) + 1))
        for rows in zip(*(numbers(seed) for seed in seeds)):
            values = [value for _, value in rows]
            text = f"{statistics.mean(values):.3g}"
            if len(values) > 1:
                half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
                text += f" [{statistics.mean(values) - half:.3g}, {statistics.mean(values) + half:.3g}]"
            print(f"| {rows[0][0]} | " + " | ".join(f"{value:.3g}" for value in values) + f" | {text} |")


if __name__ == "__main__":
    main(sys.argv[1:])
