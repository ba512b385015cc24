"""An observer of trainings that keeps what it is told."""

from pathlib import Path

import torch

from fcn.nets.fcn import FCN
from fcn.training import resume
from fcn.training.resume import Progress


class Notes:
    """Rows and warnings; saves into `folder` whenever it may, and stops after iteration `stop_after`."""

    def __init__(self, folder: Path | None = None, *, stop_after: int | None = None) -> None:
        self.folder, self.stop_after = folder, stop_after
        self.rows: list[dict[str, float]] = []
        self.warnings: list[str] = []
        self.warned_at: list[int] = []
        self.saved: list[int] = []
        self.iteration = 0

    def report(self, row: dict[str, float]) -> None:
        """Note a row."""
        self.rows.append(row)

    def warn(self, message: str) -> None:
        """Note a warning."""
        self.warnings.append(message)
        self.warned_at.append(self.iteration)

    def save_is_due(self) -> bool:
        """Whenever there is a folder."""
        return self.folder is not None

    def save(self, progress: Progress, net: FCN, optimizer: torch.optim.SGD) -> None:
        """Save as the stage does."""
        assert self.folder is not None
        resume.save(self.folder, progress=progress, net=net.state_dict(), optimizer=optimizer.state_dict())
        self.saved.append(progress.iteration)

    def must_stop(self) -> bool:
        """Asked once an iteration."""
        self.iteration += 1
        return self.iteration == self.stop_after
