"""Out of memory: advice, or smaller pieces that keep the effective batch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fcn.cli import main
from fcn.errors import StageFailure
from fcn.nets.fcn import FCN
from fcn.training import resume
from fcn.training.loop import Interrupted, train
from fcn.training.resume import Progress
from tests.training import pictures, tiny
from tests.training.observing import Notes

CPU = torch.device("cpu")


class Small(FCN):
    """A net on a machine with memory for `room` images at a time."""

    room, really = 1, False

    def coarse_scores(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As the net, or out of memory."""
        if self.training and len(inputs["rgb"]) > self.room:
            if self.really:
                torch.empty(1 << 60, dtype=torch.uint8)
            raise torch.OutOfMemoryError(f"no room for {len(inputs['rgb'])} images")
        return super().coarse_scores(inputs)


def small(room: int, **settings: Any) -> FCN:
    net = pictures.net(**settings)
    net.__class__ = Small
    assert isinstance(net, Small)
    net.room = room
    return net


def trained(net: FCN, tmp_path: Path, *, batch: int = 4, **settings: object) -> tuple[FCN, Progress, Notes]:
    """The net after six iterations on batches of four, or so many."""
    samples = pictures.write(tmp_path, [(32, 32), (32, 48), (40, 32)])
    notes = Notes()
    recipe = pictures.recipe(batch=batch, **settings)
    progress = train(
        net, pictures.batches(samples, batch=batch), recipe=recipe, seed=0, device=CPU, workers=0, observer=notes
    )
    return net, progress, notes


@pytest.mark.parametrize(("batch", "room", "pieces"), [(4, 1, 4), (4, 2, 2), (3, 1, 3)])
def test_pieces_keep_the_batch(tmp_path: Path, batch: int, room: int, pieces: int) -> None:
    """With on_oom: accumulate a pass that doesn't fit is cut until it does; weights end as with enough memory."""
    roomy, _, _ = trained(pictures.net(), tmp_path, batch=batch)
    net, progress, notes = trained(small(room), tmp_path, batch=batch, on_oom="accumulate")
    assert progress.split == pieces
    assert notes.rows[-1]["images"] == 6 * batch
    assert f"out of memory: from here on every pass is cut into {pieces}" in notes.warnings
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, roomy.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_a_stage_without_room_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where torch gets no memory outside of a pass's gradients, the command ends with a sentence and exit code 1."""
    backbone = {"architecture": "vgg16", "width": 1e5, "fc": 8, "input_px": 32, "dropout": 0.5}
    values = tiny.params() | {"runs": {}, "departures": {}}
    values["nets"] = {"huge": {**values["nets"]["fcn32s-vgg16"], "backbone": backbone}}
    tiny.write(tmp_path, values)
    monkeypatch.chdir(tmp_path)
    assert main(["timing", "huge"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: out of memory ([enforce fail at alloc_cpu.cpp")
    assert "end what else runs here, or where it was a GPU's, set FCN_DEVICE=cpu" in said


@pytest.mark.parametrize("room", [1, 2])
def test_a_cpu_runs_out_as_a_gpu_does(tmp_path: Path, room: int) -> None:
    """The error of the CPU's allocator cuts a pass into pieces as that of a GPU does."""
    net = small(room)
    assert isinstance(net, Small)
    net.really = True
    _, progress, _ = trained(net, tmp_path, on_oom="accumulate")
    assert progress.split == 4 // room


def test_the_pieces_survive_a_stop(tmp_path: Path) -> None:
    """A resumed training goes on in the pieces it had, and ends bit-equal to one that wasn't stopped."""
    samples = pictures.write(tmp_path, [(32, 32), (32, 48)])
    made, recipe = pictures.batches(samples, batch=4), pictures.recipe(batch=4, on_oom="accumulate")
    whole = small(1)
    train(whole, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes())
    states = tmp_path / "states"
    with pytest.raises(Interrupted):
        train(small(1), made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes(states, stop_after=3))
    saved = resume.load(states)
    assert saved is not None
    assert saved[0].split == 4
    notes, net = Notes(), small(1)
    train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes, saved=saved)
    assert not [warning for warning in notes.warnings if "memory" in warning]
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in net.state_dict().items())


def test_without_leave_it_ends_with_advice(tmp_path: Path) -> None:
    """With on_oom: stop the training ends, and says how many images didn't fit and which switch helps."""
    with pytest.raises(StageFailure, match=r"out of memory with 4 images in a pass; set on_oom: accumulate"):
        trained(small(1), tmp_path)


def test_one_image_too_many_ends_with_other_advice(tmp_path: Path) -> None:
    """Where not even one image fits, crops or bfloat16 are advised."""
    with pytest.raises(StageFailure, match=r"out of memory with 1 images in a pass; train on crops"):
        trained(small(0), tmp_path, on_oom="accumulate")
