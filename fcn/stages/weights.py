"""Stage: bring a weights entry, whatever it comes from, into the project's one checkpoint format."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from fcn.config import Backbone, Config, Weights
from fcn.datasets import download
from fcn.errors import InputError
from fcn.nets import checkpoint, pretrained
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fitting import classes_of, layout
from fcn.nets.preprocessing import Preprocessing, preset
from fcn.paper.downloads import DOWNLOADS
from fcn.stages import archives
from fcn.stages.places import Places, whole_file

_DOWNLOADS = Path("fcn/paper/downloads.py")
_SAMPLE_PREPROCESSING = "sample"
_LINES = 5  # of progress, where there is no terminal


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/weights/<name>.pt and say what it holds."""
    if name is None:
        raise InputError(
            f"weights: which entry? write `python -m fcn weights NAME`; there are {', '.join(config.weights)}"
        )
    entry = config.weights_entry(name)
    places = Places(config)
    preprocessing = preset(entry.preprocessing)
    if entry.kind == "classifier":
        made, line = _trained(name, entry, config=config, preprocessing=preprocessing)
    else:
        made, line = _read(name, entry, config=config, preprocessing=preprocessing)
    with whole_file(places.weights(name)) as part:
        checkpoint.save(made, part)
    print(f"weights {name}: {line}; input {preprocessing.describe()}", file=sys.stderr)


def _read(name: str, entry: Weights, *, config: Config, preprocessing: Preprocessing) -> tuple[Checkpoint, str]:
    """The tensors of a file, local or fetched."""
    if entry.training is not None:
        raise InputError(
            f"weights.{name}: training belongs to kind classifier; weights of kind {entry.kind} are read from a file"
        )
    backbone = config.backbones[entry.backbone]
    reader = pretrained.reader(entry.kind)
    _check_preprocessing(name, entry, wanted=reader.preprocessing(backbone))
    provenance = {"weights": name, "kind": entry.kind, "from": entry.from_}
    if entry.kind == "none":
        path = Path(entry.from_)
    else:
        path = _fetched(name, config=config) if Path(entry.from_) == _DOWNLOADS else Path(entry.from_)
    state = reader.load(path, backbone=backbone)
    if entry.kind != "none":
        provenance["sha256"] = _sha256(path)
    net = reader.net(state)
    if net is not None:
        classes = len(state["score_fr.weight"])
        line = f"{len(state)} tensors of an FCN-{net['stride']}s with {classes} classes from {path}"
    else:
        classes, line = _classifier_line(state, backbone=backbone, path=path)
    made = Checkpoint(
        kind="classifier" if net is None else "fcn",
        backbone=backbone,
        classes=classes,
        net=net,
        preprocessing=preprocessing,
        state=state,
        provenance=provenance,
    )
    return made, line


def _trained(name: str, entry: Weights, *, config: Config, preprocessing: Preprocessing) -> tuple[Checkpoint, str]:
    """A classifier, trained here on the sample's single-object crops."""
    from fcn.training import classifier  # no other kind needs the training room

    if entry.training is None:
        raise InputError(
            f"weights.{name}: kind classifier lacks training: {{crops, held_out, batch, iterations, rate}}"
        )
    _check_preprocessing(name, entry, wanted=_SAMPLE_PREPROCESSING)
    backbone = config.backbones[entry.backbone]
    with _shown(name) as progress:
        state, accuracy = classifier.train(
            backbone, entry.training, seed=config.seed, preprocessing=preprocessing, progress=progress
        )
    made = Checkpoint(
        kind="classifier",
        backbone=backbone,
        classes=classes_of(state, last=layout(backbone, state=state).last),
        net=None,
        preprocessing=preprocessing,
        state=state,
        provenance={"weights": name, "kind": entry.kind, "from": entry.from_, "top1": f"{accuracy:.4f}"},
    )
    shown = f"top-1 accuracy {accuracy:.1%} on {entry.training.held_out} held-out crops"
    return made, f"trained {entry.training.iterations} iterations, {shown}"


@contextmanager
def _shown(name: str) -> Iterator[Callable[[int, int, float], None]]:
    """A callback (iteration, iterations, loss) that shows progress: a bar on a terminal, a few lines elsewhere."""
    with tqdm(desc=f"weights {name}", unit="it", disable=None, file=sys.stderr) as bar:

        def move(iteration: int, iterations: int, loss: float) -> None:
            bar.total = iterations
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(iteration - bar.n)
            if bar.disable and iteration % max(1, iterations // _LINES) == 0:
                print(f"weights {name}: iteration {iteration} of {iterations}, loss {loss:.3f}", file=sys.stderr)

        yield move


def _check_preprocessing(name: str, entry: Weights, *, wanted: str | None) -> None:
    if wanted is not None and entry.preprocessing != wanted:
        raise InputError(
            f"weights.{name}: preprocessing is {entry.preprocessing!r}, but weights of kind {entry.kind} for this "
            f"backbone were trained with {wanted!r}; with another they are worth little. Write preprocessing: {wanted}"
        )


def _classifier_line(state: Mapping[str, Tensor], *, backbone: Backbone, path: Path) -> tuple[int, str]:
    """The class count, and how much of the classifier is there."""
    wanted = layout(backbone, state=state)
    names = [name for name in wanted.shapes if not name.endswith("num_batches_tracked")]
    missing = [name for name in names if name not in state]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in missing))
    if not state:
        return 0, f"none; all {len(names)} tensors of the {backbone.architecture} start at random"
    random = f"{', '.join(layers)} start at random" if layers else "none starts at random"
    line = (
        f"{len(names) - len(missing)} of the {len(names)} tensors of the {backbone.architecture} from {path}, {random}"
    )
    return classes_of(state, last=wanted.last), line


def _fetched(name: str, *, config: Config) -> Path:
    """The download of the entry's name. It stays in .resume: the stage runs again whenever fcn/nets changes."""
    if name not in DOWNLOADS:
        raise InputError(
            f"weights.{name}: {_DOWNLOADS} has no download of this name; it has {', '.join(DOWNLOADS)}. "
            "Use one of these names, or write the path of a local file after from:"
        )
    folder = Places(config).downloads
    folder.mkdir(parents=True, exist_ok=True)
    with archives.shown(DOWNLOADS[name].file) as progress:
        return download.fetch(DOWNLOADS[name], folder, progress=progress, instead=f"its path as weights.{name}.from")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
