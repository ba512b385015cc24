"""Where everything of a profile lies on disk, and how a file comes to lie there whole."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn.config import Config
from fcn.errors import InputError


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of a profile, relative to the project's root, where DVC runs every stage."""

    config: Config

    @property
    def data(self) -> Path:
        """data/<profile>: everything that DVC tracks of the profile."""
        return Path("data") / self.config.profile

    @property
    def downloads(self) -> Path:
        """Part files of downloads: outside of DVC, which empties a stage's outputs before it runs."""
        return Path(".resume") / "downloads"

    def resume(self, run: str, settings_hash: str) -> Path:
        """Where an interrupted training finds itself again; outside of DVC for the same reason."""
        return Path(".resume") / self.config.profile / f"{run}-{settings_hash}"

    def archive(self, source: str) -> Path:
        """Folder of a source's archive and manifest."""
        return self.data / "archives" / source

    def raw(self, source: str) -> Path:
        """A source's extracted files, as its authors laid them out."""
        return self.data / "raw" / source

    def labels(self, source: str) -> Path:
        """Palette PNGs `<id>.png` and the source's own lists in `lists/<list>.txt`."""
        return self.data / "labels" / source

    def audit(self, name: str) -> Path:
        """Counts of a label audit, or the splits' counts and proofs."""
        return self.data / "audit" / f"{name}.json"

    @property
    def splits(self) -> Path:
        """One `<list>.txt` an image list, an id a line."""
        return self.data / "splits"

    def split(self, name: str) -> Path:
        """The ids of one image list."""
        return self.splits / f"{name}.txt"

    def init(self, init: str) -> Path:
        """The file that a run starts from: `weights/NAME` or `nets/RUN`."""
        return self.data / f"{init}.pt"

    def weights(self, name: str) -> Path:
        """A weights entry in the project's layout."""
        return self.data / "weights" / f"{name}.pt"

    def net(self, run: str) -> Path:
        """A trained run's checkpoint."""
        return self.data / "nets" / f"{run}.pt"

    def history(self, run: str) -> Path:
        """A run's loss by iteration, one JSON object a line."""
        return self.data / "history" / f"{run}.jsonl"

    def cost(self, run: str) -> Path:
        """What a training took: seconds, memory, machine."""
        return self.data / "cost" / f"{run}.json"

    def stage_cost(self, stage: str, name: str | None) -> Path:
        """What another stage took, under the name that DVC has for it."""
        return self.data / "cost" / f"{stage if name is None else f'{stage}@{name}'}.json"

    def histogram(self, run: str) -> Path:
        """A run's confusion histogram on its val list, K K int64, rows = truth."""
        return self.data / "histograms" / f"{run}.npy"

    def classes(self, run: str) -> Path:
        """A run's metrics class by class."""
        return self.data / "classes" / f"{run}.json"

    def scores(self, run: str) -> Path:
        """A run's metrics over all classes: a small flat DVC metric."""
        return self.data / "scores" / f"{run}.json"

    @property
    def timing(self) -> Path:
        """Forward times of all runs' nets."""
        return self.data / "timing.json"

    @property
    def tables(self) -> Path:
        """Tables as files."""
        return self.data / "tables"

    @property
    def figures(self) -> Path:
        """Figures in charts/, pictures one by one in layers/, losses in curves/, what figures show in index.json."""
        return self.data / "figures"

    @property
    def report(self) -> Path:
        """report.html, which is whole in itself, and report.md with the figures beside it."""
        return self.data / "report"

    @property
    def views(self) -> Path:
        """A page an experiment that leads on to its view in MLflow; the report links to them."""
        return self.data / "views"

    @property
    def published(self) -> Path:
        """What was published to MLflow: experiments, rows and their digests."""
        return self.data / "published.json"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is flushed to disk and takes the final name.

    If the body raises, nothing is left behind and what stood at `path` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # an orphan may be writing the same file
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder; on success it takes the final name, and an older one goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    part.chmod(0o755)
    try:
        yield part
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote."""
    return json.loads(existing(path).read_text(encoding="utf-8"))


def existing(path: Path) -> Path:
    """`path`, if it is there.

    Raises InputError saying which stage makes it.
    """
    if path.exists():
        return path
    raise InputError(f"{path} is missing; it is made by an earlier stage: run `dvc repro`, or `dvc pull` to fetch it")
