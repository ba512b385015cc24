"""A net made in a moment, and photos, for the tests of predict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fcn.datasets.facts import Target
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone, Net
from tests.training.tiny import FINER

Predict = Callable[..., tuple[int, str, str]]
NET = f"data/tiny/nets/{FINER}.pt"
SEMANTIC = Target(
    classes=("sky", "tree", "road"), background=None, average="seen", palette=((0, 0, 0), (9, 8, 7), (1, 2, 3))
)


def made(*, inputs: tuple[str, ...] = ("rgb",)) -> Checkpoint:
    """A net with heads of 3 and 2 classes; on the second it always answers the second class."""
    backbone = Backbone(architecture="alexnet", width=0.03125, fc=8, input_px=64, dropout=0.0)
    heads = {"semantic": 3, "surface": 2}
    net = Net(backbone=backbone, inputs=inputs, heads=heads, taps=(), pad="same", upsampling="fixed")
    torch.manual_seed(0)
    state = FCN(net).state_dict()
    state["heads.surface.score_fr.bias"][1] = 1.0
    torch.nn.init.normal_(state["heads.semantic.score_fr.weight"])
    return Checkpoint(
        backbone=backbone,
        net=net,
        targets={"semantic": SEMANTIC},
        preprocessing=dict.fromkeys(inputs, preset("sample")),
        state=state,
        provenance={"run": FINER, "profile": "tiny"},
    )


def photo(path: Path, width: int = 40, height: int = 30) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
