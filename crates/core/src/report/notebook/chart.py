def chart(rows, x, y, interval=None, series=None, panels=None, log_x=False, log_y=False, labels=("", ""), title=""):
    """Lines with 95 % intervals over numbers, dots over words; a colour per series, a panel per value of `panels`."""
    groups = [("", rows)] if panels is None else list(rows.groupby(panels, sort=False, dropna=False))
    figure, axes = plt.subplots(1, len(groups), figsize=(max(5, 3.6 * len(groups)), 3.4), sharey=True, squeeze=False)
    names = [""] if series is None else list(rows[series].drop_duplicates())
    words = not pd.api.types.is_numeric_dtype(rows[x])
    numbered = series is not None and pd.api.types.is_numeric_dtype(rows[series])
    ticks = sorted(rows[x].dropna().unique())
    for axis, (caption, group) in zip(axes[0], groups):
        places = {word: i for i, word in enumerate(group[x].drop_duplicates())}
        for i, name in enumerate(names):
            part = group if series is None else group[group[series] == name]
            part = part if words else part.sort_values(x)
            at = part[x].map(places) + 0.15 * (i - (len(names) - 1) / 2) if words else part[x]
            line = "none" if words or at.duplicated().any() else "-"
            colour, marker, label = COLOURS[i % 6], MARKERS[i % 6], f"{series} = {name}" if numbered else str(name)
            axis.plot(at, part[y], linestyle=line, color=colour, marker=marker, markersize=4, label=label)
            if interval is not None:
                axis.vlines(at, part[interval[0]], part[interval[1]], color=colour, linewidth=1)
        if words:
            axis.set_xticks(range(len(places)), places, rotation=30, ha="right")
        elif log_x and (group[x] > 0).all():
            axis.set_xscale("log")
            if len(ticks) <= 9:
                axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axis.minorticks_off()
        if log_y and (group[y] > 0).any():
            axis.set_yscale("log", nonpositive="mask")
        axis.set_xlabel(labels[0])
        axis.set_title(str(caption), fontsize=10, loc="left")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel(labels[1])
    if names != [""]:
        axes[0][0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    plt.show()
