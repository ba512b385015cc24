"""What the papers print for a run's network, for the marks in a chart."""

from fcn.entries import Run
from fcn.paper.table import every


def mean_iu(name: str, run: Run) -> tuple[float, str] | None:
    """The confirmed mean IU of the row that the run fills best, and the table that prints it; None where none does.

    Tables of the run's own regime come first, then those that name the run before others, then later ones.
    """
    found = []
    for key, table in every().items():
        if not key.startswith(("cvpr_table", "pami_table")):
            continue
        for row in table.rows:
            cell = row.cells.get("mean_iu")
            if name in row.runs and cell is not None and cell.confirmed:
                rank = (key.startswith(run.regime), -row.runs.index(name), key)
                found.append((rank, cell.value, f"{table.paper}, {table.number}"))
    return max(found)[1:] if found else None
