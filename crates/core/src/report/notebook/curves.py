def curves(rows, until, label):
    """Every curve over all timesteps and near t = 0, with 95 % intervals.

    Exact zeros stand on the lower edge, and the jumps between them rise from it.
    """
    figure, axes = plt.subplots(2, 1, figsize=(6, 6.4))
    floor = 0.7 * rows.loc[rows["mean"] > 0, "mean"].min()
    several = rows["quantity"].nunique() > 1
    for axis, window in zip(axes, [rows, rows[rows["timestep"] <= until]]):
        for i, ((model, quantity), curve) in enumerate(window.groupby(["model", "quantity"], sort=False)):
            curve = curve.sort_values("timestep")
            colour, name = COLOURS[i % len(COLOURS)], f"{model}: {quantity}" if several else str(model)
            jumps = curve[(curve["mean"] > 0) & (curve["mean"].shift() == 0)]
            positive = curve["mean"].where((curve["mean"] > 0) & ~curve["timestep"].isin(jumps["timestep"]))
            axis.plot(curve["timestep"], positive, color=colour, linewidth=1.2, marker=".", markersize=3, label=name)
            low, high = curve["ci_low"].where(positive > 0), curve["ci_high"].where(positive > 0)
            axis.fill_between(curve["timestep"], low, high, color=colour, alpha=0.25, linewidth=0)
            axis.vlines(jumps["timestep"], floor, jumps["mean"], color=colour, linewidth=0.8)
            axis.plot(jumps["timestep"], jumps["mean"], "s", color=colour, markersize=3)
            zeros = curve.loc[curve["mean"] == 0, "timestep"]
            axis.plot(zeros, [0.01] * len(zeros), "|", color=colour, markersize=4, transform=axis.get_xaxis_transform())
        axis.set_yscale("log")
        axis.set_xlabel("timestep t")
        axis.grid(alpha=0.3)
    axes[0].set_title("all measured timesteps", fontsize=10, loc="left")
    axes[1].set_title("near t = 0", fontsize=10, loc="left")
    axes[0].legend(frameon=False, fontsize=8)
    figure.supylabel(label, fontsize=9)
    figure.tight_layout()
    plt.show()
