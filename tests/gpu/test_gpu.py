"""What must hold on a GPU; `FCN_DEVICE=cpu` tries the same on a CPU. No test here needs DVC, Prefect or MLflow."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets.samples import Samples
from fcn.errors import StageFailure
from fcn.nets import checkpoint
from fcn.nets.fcn import FCN
from fcn.shape import CHANNELS, Backbone, Net
from fcn.stages.device import chosen_device, name
from fcn.training import resume
from fcn.training.batches import Batch
from fcn.training.loop import Interrupted, train
from fcn.training.resume import Progress
from tests.training import pictures, processes, tiny
from tests.training.observing import Notes
from tests.training.processes import fcn, saved_iteration, start, until

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")
DATA = Path("data/tiny")
HEADS = {"semantic": 5, "geometric": 3}


@pytest.fixture(name="project")
def _project(tmp_path: Path, tiny_project: Path) -> Iterator[Path]:
    """A copy of the tiny project with nothing trained; what is started in it ends with the test."""
    yield shutil.copytree(tiny_project, tmp_path / "project")
    processes.end_all()


@pytest.fixture(name="done", scope="module")
def _done(tmp_path_factory: pytest.TempPathFactory, tiny_project: Path, run_fcn: tiny.RunFcn) -> Path:
    """The same with the coarse run trained on this device, by two loader processes beside the trainer."""
    folder = shutil.copytree(tiny_project, tmp_path_factory.mktemp("done") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCN_WORKERS", "2")
        ended = run_fcn(["train", tiny.COARSE], folder)
    assert ended.returncode == 0, ended.stderr
    return folder


def trained(
    samples: Samples,
    device: torch.device,
    *,
    dropout: float = 0,
    graphs: bool = False,
    workers: int = 0,
    **settings: Any,
) -> tuple[FCN, Progress, Notes]:
    """A small net after some iterations of a recipe with these settings."""
    net, notes = pictures.net(stride=8, dropout=dropout), Notes()
    made, recipe = pictures.batches(samples, **settings), pictures.recipe(**settings)
    progress = train(net, made, recipe=recipe, seed=0, device=device, workers=workers, observer=notes, graphs=graphs)
    return net.to(CPU), progress, notes


def assert_near(found: FCN, wanted: FCN, *, rtol: float = 1e-2, atol: float = 1e-3) -> None:
    for key, tensor in found.state_dict().items():
        torch.testing.assert_close(tensor.cpu(), wanted.state_dict()[key].cpu(), rtol=rtol, atol=atol, msg=key)


def test_float32_is_float32(device: torch.device) -> None:
    """A convolution and a matrix product in float32 are exact to six digits: no TF32, which has three."""
    random = torch.Generator().manual_seed(0)
    image, weight = torch.randn(1, 64, 32, 32, generator=random), torch.randn(64, 64, 3, 3, generator=random)
    matrix = torch.randn(512, 512, generator=random)
    for found, exact in (
        (torch.conv2d(image.to(device), weight.to(device)), torch.conv2d(image.double(), weight.double())),
        (matrix.to(device) @ matrix.to(device), matrix.double() @ matrix.double()),
    ):
        assert float((found.cpu() - exact).abs().max() / exact.abs().max()) < 1e-5


@pytest.mark.parametrize(("precision", "digits"), [("float32", 1e-3), ("bfloat16", 2e-2)])
def test_it_trains_as_a_cpu_does(samples: Samples, device: torch.device, precision: str, digits: float) -> None:
    """The losses of a training are a CPU's in float32, but for the digits that the precision has."""
    net, _, notes = trained(samples, device, iterations=8, rate=0.05, precision=precision)
    exact, _, wanted = trained(samples, CPU, iterations=8, rate=0.05)
    assert [row["loss"] for row in notes.rows] == pytest.approx([row["loss"] for row in wanted.rows], rel=digits)
    assert_near(net, exact, rtol=10 * digits, atol=digits)


class _Drawn:
    """Batches of noise, of each input and each target."""

    def __getitem__(self, draw: int) -> Batch:
        random = torch.Generator().manual_seed(draw)
        inputs = {name: torch.randn(2, count, 64, 80, generator=random) for name, count in CHANNELS.items()}
        targets = {
            name: torch.randint(count, (2, 64, 80), generator=random, dtype=torch.uint8)
            for name, count in HEADS.items()
        }
        return inputs, targets


@pytest.mark.parametrize(
    "shape",
    [
        {"heads": HEADS},
        {"inputs": ("rgb", "depth")},
        {"inputs": ("rgb", "hha"), "fusion": "late", "taps": (16,)},
        {"architecture": "alexnet", "input_px": 63},
        {"architecture": "caffenet", "input_px": 67},
        {"architecture": "googlenet", "input_px": 64},
        {"architecture": "googlenet_published", "input_px": 64},
    ],
    ids=lambda shape: shape.get("architecture") or "+".join(shape.get("inputs", HEADS)),
)
def test_every_shape_trains_as_a_cpu_does(device: torch.device, shape: dict[str, Any]) -> None:
    """Nets of several heads or inputs, and of every backbone, have a CPU's losses and end as its nets do."""
    given: dict[str, Any] = {"architecture": "vgg16", "input_px": 32, "heads": {"semantic": 5}, "inputs": ("rgb",)}
    given |= {"taps": ()} | shape
    backbone = Backbone(
        architecture=given.pop("architecture"), input_px=given.pop("input_px"), width=0.125, fc=8, dropout=0
    )
    net, ends = Net(backbone=backbone, pad="same", upsampling="fixed", **given), list[FCN]()
    losses = list[list[float]]()
    for where in (device, CPU):
        torch.manual_seed(0)
        made, notes = FCN(net), Notes()
        recipe = pictures.recipe(iterations=4, rate=1e-3)
        train(made, cast(Any, _Drawn()), recipe=recipe, seed=0, device=where, workers=0, observer=notes)
        losses.append([row["loss"] for row in notes.rows])
        ends.append(made.to(CPU))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert_near(*ends)


def test_a_stopped_training_goes_on(samples: Samples, device: torch.device, tmp_path: Path) -> None:
    """Stopped and resumed from the disk, a training ends near one that nobody disturbed, dropout included."""
    recipe = pictures.recipe(iterations=8)
    made = pictures.batches(samples, iterations=8)

    def run(notes: Notes, saved: tuple[Progress, dict[str, torch.Tensor], dict[str, object]] | None = None) -> FCN:
        net = pictures.net(dropout=0.5)
        train(net, made, recipe=recipe, seed=0, device=device, workers=0, observer=notes, saved=saved)
        return net

    whole = run(Notes())
    with pytest.raises(Interrupted):
        run(Notes(tmp_path / "states", stop_after=3))
    saved = resume.load(tmp_path / "states")
    assert saved is not None
    assert saved[0].iteration == 3
    assert_near(run(Notes(), saved), whole)


def test_memory_that_runs_out_cuts_a_pass(samples: Samples, device: torch.device, tmp_path: Path) -> None:
    """A GPU without room for a batch gets it in pieces and ends near one with room; without leave it says so."""
    if device.type == "cpu":
        pytest.skip("a GPU's memory is what runs out here")
    large = pictures.write(tmp_path / "large", [(512, 512)])
    settings = {"batch": 8, "iterations": 3, "crop": 512}

    def peak(**more: Any) -> tuple[FCN, Progress, int]:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        net, progress, _ = trained(large, device, **{**settings, **more})
        return net, progress, torch.cuda.max_memory_reserved()

    _, _, least = peak(batch=1)
    roomy, progress, most = peak()
    assert progress.split == 1
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((least + most) / 2 / torch.cuda.get_device_properties(0).total_memory)
    try:
        net, progress, _ = peak(on_oom="accumulate")
        assert progress.split > 1
        assert_near(net, roomy)
        with pytest.raises(StageFailure, match=r"out of memory with 8 images in a pass; set on_oom: accumulate"):
            peak()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_the_stage_says_what_it_trained_on(done: Path, device: torch.device) -> None:
    """A training's cost names the device and its peak memory; its net is whole and can be read without a GPU."""
    cost = json.loads((done / DATA / f"cost/{tiny.COARSE}.json").read_text(encoding="utf-8"))
    assert (cost["device"], cost["tf32"]) == (name(device), False)
    assert cost["peak_memory_bytes"] > 1 << 20
    assert cost["cores"] >= 1
    assert cost["load_average"] >= 0
    saved = checkpoint.load(done / DATA / f"nets/{tiny.COARSE}.pt")
    assert {tensor.device for tensor in saved.state.values()} == {CPU}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in saved.state.values())


def test_scores_are_a_cpus(done: Path, run_fcn: tiny.RunFcn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net is scored the same on this device as on a CPU, but for one pixel in a thousand."""
    hists = []
    for where in (str(chosen_device()), "cpu"):
        monkeypatch.setenv("FCN_DEVICE", where)
        ended = run_fcn(["evaluate", tiny.COARSE], done)
        assert ended.returncode == 0, ended.stderr
        hists.append(np.load(done / DATA / f"histograms/{tiny.COARSE}/semantic.npy"))
    assert hists[0].sum() == hists[1].sum() > 0
    assert np.abs(hists[0] - hists[1]).sum() <= 2e-3 * hists[0].sum()


def test_predictions_are_a_cpus(
    done: Path, run_fcn: tiny.RunFcn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A picture is segmented the same on this device as on a CPU, but for one pixel in a thousand."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    labels: list[NDArray[np.uint8]] = []
    for where in (str(chosen_device()), "cpu"):
        monkeypatch.setenv("FCN_DEVICE", where)
        out = tmp_path / f"on-{len(labels)}"
        ended = run_fcn(["predict", tiny.COARSE, str(tmp_path / "a.png"), "--out", str(out)], done)
        assert ended.returncode == 0, ended.stderr
        (label,) = out.glob("*-label.png")
        labels.append(np.array(Image.open(label)))
    assert labels[0].shape == (90, 130)
    assert (labels[0] == labels[1]).mean() >= 0.999


def test_forward_times_name_their_precision(done: Path, run_fcn: tiny.RunFcn, device: torch.device) -> None:
    """A GPU's forward time is that of bfloat16, and says so, as it says the device."""
    ended = run_fcn(["timing", "fcn32s-vgg16"], done)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((done / DATA / "timing/fcn32s-vgg16.json").read_text(encoding="utf-8"))
    assert found["precision"] == ("bfloat16" if device.type == "cuda" else "float32")
    assert found["seconds_per_image"] > 0


def test_a_signal_saves_and_the_same_command_goes_on(project: Path) -> None:
    """A terminated training leaves a state, and the same command ends it from there."""
    process = start(fcn("train", tiny.COARSE), project, FCN_SAVE_SECONDS="0")
    until(lambda: saved_iteration(project, tiny.COARSE) >= 3 or process.poll() is not None, doing="a saved state")
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    process = start(fcn("train", tiny.COARSE), project)
    assert process.wait() == 0
    assert "going on after iteration" in (project / "err").read_text(encoding="utf-8")
    assert (project / DATA / f"nets/{tiny.COARSE}.pt").is_file()


def test_two_trainings_share_a_device(tiny_project: Path, tmp_path: Path) -> None:
    """Two processes train on one device at a time, and each ends as the other does, near enough."""
    folders = [shutil.copytree(tiny_project, tmp_path / side) for side in ("one", "two")]
    running = [start(fcn("train", tiny.COARSE), folder) for folder in folders]
    try:
        assert [process.wait() for process in running] == [0, 0]
    finally:
        processes.end_all()
    rows = [(folder / DATA / f"history/{tiny.COARSE}.jsonl").read_text().splitlines()[-1] for folder in folders]
    first, second = (json.loads(row)["loss"] for row in rows)
    assert first == pytest.approx(second, rel=0.05)
