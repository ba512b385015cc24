"""Stage: bring a file of pretrained weights, whatever made it, into the project's one checkpoint format."""

import sys
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcn.config import Config
from fcn.datasets.manifests import archive_file
from fcn.errors import InputError
from fcn.files import sha256, whole_file
from fcn.nets import checkpoint, pretrained
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fitting import classes_of, layout
from fcn.nets.preprocessing import derived, preset
from fcn.shape import Backbone
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/weights/<name>.pt and say what it holds."""
    if name is None:
        raise InputError(
            f"weights: which entry? write `python -m fcn weights NAME`; there are {', '.join(config.weights) or 'none'}"
        )
    entry = config.weights_entry(name)
    preprocessing, reader = preset(entry.preprocessing), pretrained.reader(entry.kind)
    wanted = reader.preprocessing(entry.backbone)
    if wanted is not None and not preprocessing.has_units_of(preset(wanted)):
        raise InputError(
            f"weights.{name}: preprocessing is {entry.preprocessing!r}, but weights of kind {entry.kind} for this "
            f"backbone were trained with {wanted!r}; with another they are worth little. Write preprocessing: {wanted}"
        )
    path = archive_file(Path(entry.from_))
    state = reader.load(path, backbone=entry.backbone)
    net = reader.net(state, backbone=entry.backbone)
    inputs = ("rgb",) if net is None else net.inputs
    made = Checkpoint(
        backbone=entry.backbone,
        net=net,
        targets={},
        preprocessing={of: preprocessing if of == "rgb" else derived(of, preprocessing) for of in inputs},
        state=state,
        provenance={"weights": name, "kind": entry.kind, "from": entry.from_, "sha256": sha256(path)},
    )
    with whole_file(Places(config).weights(name)) as part:
        checkpoint.save(made, part)
    if net is not None:
        heads = ", ".join(f"{classes} classes" for classes in net.heads.values())
        line = f"{len(state)} tensors of an FCN-{net.stride}s with {heads} from {path}"
    else:
        line = _classifier_line(state, backbone=entry.backbone, path=path)
    print(f"weights {name}: {line}; input {preprocessing.describe()}", file=sys.stderr)


def _classifier_line(state: Mapping[str, Tensor], *, backbone: Backbone, path: Path) -> str:
    """How much of the classifier is there."""
    wanted = layout(backbone, state=state)
    names = [name for name in wanted.shapes if not name.endswith("num_batches_tracked")]
    missing = [name for name in names if name not in state]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in missing))
    random = f"{', '.join(layers)} start at random" if layers else "none starts at random"
    classes = classes_of(state, last=wanted.last)
    told = f" with {classes} classes" if classes else ""
    return (
        f"{len(names) - len(missing)} of the {len(names)} tensors of the {backbone.architecture}{told} "
        f"from {path}, {random}"
    )
