"""How every figure looks, and how it becomes a file that is the same each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 120
INK, PALE = "#222222", "#8a8a8a"
# Okabe and Ito's colours, which differ for the colour-blind too, without the yellow that is lost on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#555555")
FROM_COARSE_TO_FINE = ("#a6c8e4", "#4a90c8", "#0b3d74")

_STYLE: dict[str, object] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that letters are the same everywhere
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the project's settings, whatever a user's matplotlibrc says."""
    with mpl.style.context([_STYLE], after_reset=True):
        yield


def write(figure: Figure, path: Path) -> tuple[int, int]:
    """Write a PNG without a date or a version in it; width and height in px."""
    FigureCanvasAgg(figure)
    with mpl.rc_context({"savefig.facecolor": "white"}):
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return int(figure.get_figwidth() * DPI), int(figure.get_figheight() * DPI)


def colours(count: int, *, ordered: bool) -> list[str]:
    """One colour a run; light to dark where the runs have an order."""
    if ordered and count <= len(FROM_COARSE_TO_FINE):
        return list(FROM_COARSE_TO_FINE[-count:])
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
