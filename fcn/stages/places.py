"""Where everything of a profile lies on disk."""

from dataclasses import dataclass
from pathlib import Path

from fcn.config import Config


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

    def first_hash(self, archive: str) -> Path:
        """The hash of a download that has no published one, by its name: beside params.yaml, to be committed."""
        return Path(self.config.params).with_name("downloads") / f"{archive}.sha256"

    def resume(self, run: str, settings_hash: str) -> Path:
        """Where an interrupted training finds itself again; outside of DVC for the same reason."""
        return Path(".resume") / self.config.profile / f"{run}-{settings_hash}"

    def finished(self, run: str) -> Path:
        """What a training has made, until it is scored: DVC has it by then."""
        return Path(".resume") / self.config.profile / "finished" / run

    def code(self, stage: str, name: str | None) -> Path:
        """The digest of what a stage can run, under the name that DVC has for the stage."""
        return self.data / "code" / f"{address(stage, name)}.json"

    def result(self, stage: str, name: str | None) -> Path | None:
        """What a stage writes for others to read, where that is one large file or folder."""
        if name is None:
            return {"splits": self.splits, "tables": self.tables}.get(stage)
        of_item = {
            "archives": self.archive,
            "datasets": self.dataset,
            "classifiers": self.weights,
            "weights": self.weights,
            "fusions": self.weights,
            "evaluate": self.histograms,
        }
        return of_item[stage](name) if stage in of_item else None

    @property
    def removed(self) -> Path:
        """Results of what params.yaml no longer has: DVC doesn't look there, and anybody may delete them."""
        return self.data / "removed"

    def archive(self, name: str) -> Path:
        """Folder of an archive and its manifest."""
        return self.data / "archives" / name

    def dataset(self, name: str) -> Path:
        """`<input>/<id>.*`, palette PNGs `<target>/<id>.png`, dataset.json."""
        return self.data / "datasets" / name

    def own_lists(self, name: str) -> Path:
        """A dataset's own lists, `<list>.txt`."""
        return self.data / "lists" / name

    def audit(self, name: str) -> Path:
        """Counts of a label audit, or the splits' counts and proofs."""
        return self.data / "audit" / f"{name}.json"

    @property
    def splits(self) -> Path:
        """One `<list>.txt` an image list, an id a line."""
        return self.data / "splits"

    def list_file(self, name: str) -> Path:
        """The ids of one image list."""
        return self.splits / f"{name}.txt"

    def init(self, init: str) -> Path:
        """The file that a run starts from: `weights/NAME` or `nets/RUN`."""
        return self.data / f"{init}.pt"

    def weights(self, name: str) -> Path:
        """A weights entry, a classifier or a fusion in the project's layout."""
        return self.data / "weights" / f"{name}.pt"

    def net(self, run: str) -> Path:
        """A trained run's checkpoint."""
        return self.data / "nets" / f"{run}.pt"

    def history(self, run: str) -> Path:
        """A run's loss, and its scores on the way, by iteration, one JSON object a line."""
        return self.data / "history" / f"{run}.jsonl"

    def cost(self, run: str) -> Path:
        """What a training took: seconds, memory, machine."""
        return self.data / "cost" / f"{run}.json"

    def stage_cost(self, stage: str, name: str | None) -> Path:
        """What another stage took, under the name that DVC has for it."""
        return self.data / "cost" / f"{address(stage, name)}.json"

    def histograms(self, run: str) -> Path:
        """Folder of a run's confusion histograms on its val list, one a target."""
        return self.data / "histograms" / run

    def histogram(self, run: str, target: str = "semantic") -> Path:
        """A confusion histogram, K K int64, rows = truth."""
        return self.histograms(run) / f"{target}.npy"

    def classes(self, run: str) -> Path:
        """A run's metrics by target and class."""
        return self.data / "classes" / f"{run}.json"

    def scores(self, run: str) -> Path:
        """A run's metrics over all classes: a small flat DVC metric."""
        return self.data / "scores" / f"{run}.json"

    def timing(self, net: str) -> Path:
        """Forward time of a network."""
        return self.data / "timing" / f"{net}.json"

    @property
    def tables(self) -> Path:
        """Tables as files."""
        return self.data / "tables"

    @property
    def figures(self) -> Path:
        """Figures in charts/, pictures one by one in layers/, losses in curves/, scores on the way in validation/.

        What figures show is in index.json.
        """
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


def address(stage: str, name: str | None) -> str:
    """A stage as DVC calls it: `splits`, `train@voc-fcn8s-vgg16`."""
    return stage if name is None else f"{stage}@{name}"
