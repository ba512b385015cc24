"""What a printed table is, and the list of all of them: every module of fcn/paper that has TABLES."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fcn import paper

# The journal paper's full text was not at hand when its numbers were written down.
REPORTED = "arXiv 1605.06211, as reported; found in no text"

# Percent unless the unit says otherwise; the order is the order of columns.
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "pixel_acc": "pixel acc.",
        "mean_acc": "mean acc.",
        "mean_iu": "mean IU",
        "fw_iu": "f.w. IU",
        "geometric_pixel_acc": "geom. acc.",
        "mean_iu_voc2011": "mean IU VOC2011",
        "mean_iu_voc2012": "mean IU VOC2012",
        "mean_iu_upper_bound": "mean IU, upper bound",
        "mean_iu_excl_background": "mean IU without background",
        "percent": "percent",
        "forward_ms": "forward time (ms)",
        "backward_ms": "backward time (ms)",
        "inference_s": "inference (s)",
        "speedup_convnet_only": "times faster, network alone",
        "speedup_overall": "times faster, overall",
        "conv_layers": "conv. layers",
        "parameters_M": "parameters (M)",
        "rf_size": "rf size (px)",
        "max_stride": "max stride (px)",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A printed number. `confirmed` is False for one that was found in no text and no code: a hint, never a target."""

    value: float
    source: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A printed row. `runs` may fill it: the first of these names that a profile has.

    `architecture` is the full-size network (fcn/nets/backbones) whose structure the row prints, if it prints that.
    """

    label: str
    cells: Mapping[str, Printed]
    runs: tuple[str, ...] = ()
    architecture: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.cells) - set(METRICS)
        assert not unknown, f"{self.label}: no such metric: {unknown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A printed table, or numbers of a text. Rows and columns are in the printed order.

    `beside` is the key of the papers' table that this one, of somebody else, did again.
    """

    key: str
    paper: str
    number: str
    title: str
    dataset: str
    split: str
    rows: tuple[Row, ...]
    note: str = ""
    beside: str = ""
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        labels = [row.label for row in self.rows]
        assert len(set(labels)) == len(labels), f"{self.key}: a label stands twice"
        object.__setattr__(self, "columns", tuple(m for m in METRICS if any(m in row.cells for row in self.rows)))


def printed(source: str, *, confirmed: bool = True, **numbers: float) -> dict[str, Printed]:
    """Cells of one row that share a source, by metric."""
    return {metric: Printed(value=value, source=source, confirmed=confirmed) for metric, value in numbers.items()}


def scores(source: str, *numbers: float, confirmed: bool = True) -> dict[str, Printed]:
    """Pixel acc., mean acc., mean IU and f.w. IU, in the papers' order."""
    metrics = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
    return printed(source, confirmed=confirmed, **dict(zip(metrics, numbers, strict=True)))


def every() -> dict[str, Table]:
    """All printed tables by key, sorted by module: `cvpr_table1`, ..., `reproductions_pytorch_fcn`."""
    found: dict[str, Table] = {}
    for module in sorted(pkgutil.iter_modules(paper.__path__), key=lambda item: item.name):
        for table in getattr(importlib.import_module(f"{paper.__name__}.{module.name}"), "TABLES", ()):
            assert table.key not in found, f"two printed tables are called {table.key}"
            found[table.key] = table
    return found
