"""Draws docs/images/power.png: ``python docs/powercurves.py``, after a change of tdro/evaluation/power.py."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tdro.evaluation.power import Design, least_gain

SEEDS, MIXTURES = (1, 3, 5, 8, 12, 20), (1, 12)


def main() -> None:
    """The least gain over the number of queries, a line a number of seeds, of one mixture and of several."""
    queries = np.geomspace(100, 3000, 25)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, mixtures in zip(figure.subplots(1, len(MIXTURES), sharey=True), MIXTURES, strict=True):
        for seeds in SEEDS:
            found = [least_gain(Design(number, seeds, mixtures)) for number in queries]
            axes.loglog(queries, found, label=f"{seeds} seeds" if seeds > 1 else "1 seed: two models")
        axes.set(title=f"{mixtures} mixtures compared" if mixtures > 1 else "one mixture compared", xlabel="queries")
        axes.set_xticks(ticks := (100, 300, 1000, 3000), map(str, ticks))
        axes.set_yticks(ticks := (0.005, 0.01, 0.02, 0.05, 0.1), map(str, ticks))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("gain found in 8 of 10 cases")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(Path(__file__).parent / "images/power.png", dpi=110)


if __name__ == "__main__":
    main()
