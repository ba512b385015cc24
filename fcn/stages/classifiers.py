"""Stage: train a classifier on the sample's single-object crops, or leave a network to its random start."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor
from tqdm import tqdm

from fcn.config import Config
from fcn.errors import InputError
from fcn.files import whole_file
from fcn.nets import checkpoint
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.preprocessing import preset
from fcn.stages.places import Places
from fcn.training import classifier

_LINES = 5  # of progress, where there is no terminal


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/weights/<name>.pt and say what it holds."""
    if name is None:
        raise InputError(f"classifiers needs a name; there are {', '.join(config.classifiers)}")
    entry = config.classifier(name)
    provenance = {"weights": name, "kind": "none" if entry.training is None else "classifier"}
    state: dict[str, Tensor] = {}
    told = "no weights: every tensor starts at random"
    if entry.training is not None:
        with _shown(name) as progress:
            state, accuracy = classifier.train(
                entry.backbone,
                entry.training,
                seed=entry.seed,
                preprocessing=preset(entry.preprocessing),
                progress=progress,
            )
        provenance["top1"] = f"{accuracy:.4f}"
        told = (
            f"trained {entry.training.iterations} iterations, "
            f"top-1 accuracy {accuracy:.1%} on {entry.training.held_out} held-out crops"
        )
    made = Checkpoint(
        backbone=entry.backbone,
        net=None,
        targets={},
        preprocessing={"rgb": preset(entry.preprocessing)},
        state=state,
        provenance=provenance,
    )
    with whole_file(Places(config).weights(name)) as part:
        checkpoint.save(made, part)
    print(f"classifiers {name}: {told}; input {preset(entry.preprocessing).describe()}", file=sys.stderr)


@contextmanager
def _shown(name: str) -> Iterator[Callable[[int, int, float], None]]:
    """A callback (iteration, iterations, loss) that shows progress: a bar on a terminal, a few lines elsewhere."""
    with tqdm(desc=f"classifiers {name}", unit="it", disable=None, file=sys.stderr) as bar:

        def move(iteration: int, iterations: int, loss: float) -> None:
            bar.total = iterations
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(iteration - bar.n)
            if bar.disable and iteration % max(1, iterations // _LINES) == 0:
                print(f"classifiers {name}: iteration {iteration} of {iterations}, loss {loss:.3f}", file=sys.stderr)

        yield move
