def part_shares(rows, kind, most=7):
    """Shares of the largest parts of d eps/dt, stacked in every column; those below 0 stand below."""
    rows = rows[rows["kind"] == kind]
    models = list(rows["model"].drop_duplicates())
    size = rows.assign(size=rows["share"].abs()).groupby("part", sort=False)["size"].sum()
    chosen = [part for part in size.index if part in set(size.nlargest(most).index)]
    figure, axes = plt.subplots(len(models), 1, figsize=(6, 3.2 * len(models)), squeeze=False)
    for axis, model in zip(axes[:, 0], models):
        table = rows[rows["model"] == model].pivot(index="timestep", columns="part", values="share")
        parts = [part for part in chosen if part in table]
        table = table[parts].assign(others=table.drop(columns=parts).sum(axis=1))
        top, bottom, places = 0 * table["others"], 0 * table["others"], [f"{t:g}" for t in table.index]
        for i, part in enumerate(table):
            share = table[part].fillna(0)
            colour = "0.75" if part == "others" else f"C{i}"
            axis.bar(places, share, bottom=top.where(share >= 0, bottom), color=colour, width=1.0, label=str(part))
            top, bottom = top + share.clip(lower=0), bottom + share.clip(upper=0)
        axis.axhline(0, color="black", linewidth=0.6)
        axis.axhline(1, color="black", linewidth=0.6)
        axis.set_ylim(max(bottom.min(), -1) - 0.03, min(top.max(), 2) + 0.03)
        axis.set_title(str(model), fontsize=10, loc="left")
        axis.set_ylabel("share of d eps/dt")
        axis.tick_params(axis="x", labelrotation=90, labelsize=7)
        axis.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    axes[-1, 0].set_xlabel("timestep t")
    figure.tight_layout()
    plt.show()


def part_map(rows, kind):
    """Norms of the parts of d eps/dt, a row per part, coloured by their logarithm."""
    rows = rows[rows["kind"] == kind]
    models = list(rows["model"].drop_duplicates())
    height = 1 + 0.18 * rows["part"].nunique() * len(models)
    figure, axes = plt.subplots(len(models), 1, figsize=(6, height), squeeze=False)
    for axis, model in zip(axes[:, 0], models):
        here = rows[rows["model"] == model]
        table = here.pivot(index="part", columns="timestep", values="norm").loc[here["part"].drop_duplicates()]
        positive = table.where(table > 0)
        low, high = max(positive.min().min(), positive.max().max() / 1e4), positive.max().max()
        image = axis.imshow(positive, aspect="auto", cmap="Blues", norm=plt.matplotlib.colors.LogNorm(low, high))
        axis.set_yticks(range(len(table)), [str(part) for part in table.index], fontsize=7)
        axis.set_xticks(range(table.shape[1]), [f"{t:g}" for t in table.columns], fontsize=7, rotation=90)
        axis.set_title(str(model), fontsize=10, loc="left")
        figure.colorbar(image, ax=axis, label="E|part|")
    axes[-1, 0].set_xlabel("timestep t")
    figure.tight_layout()
    plt.show()
