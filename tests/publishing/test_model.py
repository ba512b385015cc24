"""The best 8s as a registered model: `mlflow models predict` and `serve` segment pictures with it, from the root."""

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fcn.config import load
from fcn.datasets.facts import Target
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import Preprocessing
from fcn.predict import pixels
from fcn.stages.places import Places
from tests.conftest import RunFcn
from tests.publishing import ledgers, results

# The deprecations are MLflow's own doing, in the client that these tests read with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BEST = "voc-fcn8s-vgg16-atonce"  # of the made-up results, which rise with the profile's order
MODEL = "models:/sample-fcn8s@best"
PATIENCE_SECONDS = 300.0
# Of no known dataset: the model has them from the checkpoint.
NAMES = tuple(f"thing {index}" for index in range(21))
COLOURS = tuple((index, 2 * index, 255 - index) for index in range(21))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, repository: Path, run_fcn: RunFcn) -> Path:
    """A published project whose best 8s is a net of random weights."""
    root = tmp_path_factory.mktemp("model")
    config = results.make(root, repository, "voc-fcn8s-vgg16", BEST)
    results.only(root, config)
    torch.manual_seed(0)
    net = FCN(config.net(BEST))
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
        else:
            torch.nn.init.zeros_(parameter)
    saved = checkpoint.Checkpoint(
        backbone=net.net.backbone,
        net=net.net,
        targets={"semantic": Target(classes=NAMES, background=0, average="seen", palette=COLOURS)},
        preprocessing={
            "rgb": Preprocessing(
                name="as-is", channels="RGB", scale=1.0, mean=(110.0, 110.0, 110.0), std=(60.0, 60.0, 60.0)
            )
        },
        state=net.state_dict(),
        provenance={},
    )
    path = Places(config).net(BEST)
    (root / path).parent.mkdir(parents=True)
    checkpoint.save(saved, root / path)
    lock = json.loads((root / "dvc.lock").read_text(encoding="utf-8"))
    md5 = hashlib.md5((root / path).read_bytes()).hexdigest()
    lock["stages"][f"train@{BEST}"]["outs"][0] = {"path": path.as_posix(), "md5": md5}
    (root / "dvc.lock").write_text(json.dumps(lock), encoding="utf-8")
    done = run_fcn(["publish"], root)
    assert done.returncode == 0, done.stderr
    return root


def pictures() -> tuple[np.ndarray[Any, np.dtype[np.uint8]], str]:
    """A picture as an array and as a file's bytes in base64."""
    coarse = np.random.default_rng(0).integers(256, size=(4, 5, 3), dtype=np.uint8)
    values = coarse.repeat(32, 0).repeat(32, 1)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return values, base64.b64encode(buffer.getvalue()).decode()


def question() -> str:
    """One picture in base64, and the same as numbers, as MLflow's commands take them."""
    values, text = pictures()
    return json.dumps({"dataframe_split": {"columns": ["image"], "data": [[text], [values.tolist()]]}})


def expected(root: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """What the net answers, asked without MLflow."""
    saved = checkpoint.load(root / Places(load(root / "params.yaml")).net(BEST))
    with torch.inference_mode():
        label: np.ndarray[Any, np.dtype[np.uint8]] = (
            trained(saved).predict({"rgb": saved.preprocessing["rgb"](pictures()[0])[None]})["semantic"][0].numpy()
        )
    return label


def check(answer: str, root: Path) -> None:
    """Both answers are palette PNGs of the net's classes, in the checkpoint's colours, with their shares by name."""
    label = expected(root)
    assert len(np.unique(label)) > 1
    predictions = json.loads(answer)["predictions"]
    assert len(predictions) == 2
    for item in predictions:
        with Image.open(io.BytesIO(base64.b64decode(item["png"]))) as image:
            assert image.mode == "P"
            assert np.array_equal(np.array(image), label)
            assert np.array_equal(np.array(image.convert("RGB")), np.array(COLOURS)[label])
        assert set(item["shares"]) == {NAMES[index] for index in np.unique(label)}
        assert sum(item["shares"].values()) == pytest.approx(1)


def environment(root: Path, repository: Path) -> dict[str, str]:
    """The project's environment, active; the code of a project is in its root, here elsewhere."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    uri = f"sqlite:///{root / 'mlflow.db'}"
    return {**os.environ, **ledgers.QUIET, "PATH": path, "PYTHONPATH": str(repository), "MLFLOW_TRACKING_URI": uri}


def predict(root: Path, repository: Path) -> "subprocess.CompletedProcess[str]":
    """`mlflow models predict` on a question, from the root."""
    (root / "question.json").write_text(question(), encoding="utf-8")
    command = ["mlflow", "models", "predict", "-m", MODEL, "-i", "question.json", "--env-manager", "local"]
    env = environment(root, repository)
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


def test_pictures_are_read_as_predict_reads_them() -> None:
    """What is transparent is white to the model, too, and not whatever colour hides below."""
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    file = io.BytesIO()
    image.save(file, format="PNG")
    assert pixels(file.getvalue()).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_the_command_predicts(published: Path, repository: Path) -> None:
    """`mlflow models predict` answers as the net does, to bytes and to numbers."""
    done = predict(published, repository)
    assert done.returncode == 0, done.stderr
    check(done.stdout, published)


def test_the_server_predicts(published: Path, repository: Path) -> None:
    """`mlflow models serve` answers over HTTP as the net does."""
    address = f"http://127.0.0.1:{ledgers.free_port()}"
    command = ["mlflow", "models", "serve", "-m", MODEL, "-p", address.rpartition(":")[2], "--env-manager", "local"]
    env = environment(published, repository)
    with (published / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=published, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert server.poll() is None, (published / "serve.log").read_text()
            assert time.monotonic() < deadline
            try:
                with urllib.request.urlopen(f"{address}/ping", timeout=5):
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        head = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{address}/invocations", question().encode(), head)
        with urllib.request.urlopen(asked, timeout=120) as answer:
            check(answer.read().decode(), published)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_version_a_content(published: Path, run_fcn: RunFcn) -> None:
    """Published twice there is one version; it has a card with the scores, and the checkpoint is not uploaded."""
    assert run_fcn(["publish"], published).returncode == 0
    reader = ledgers.client(ledgers.sqlite(published))
    (version,) = reader.search_model_versions("name = 'sample-fcn8s'")
    card = version.description or ""
    assert card.startswith(f"{BEST} is an FCN-8s on ")  # MLflow's lists show its first words as they are
    assert version.tags["run"] == BEST
    training = next(run for run in ledgers.held(reader)["sample / trainings"] if run.info.run_name == BEST)
    assert version.run_id == training.info.run_id
    assert f"| mean IU | {training.data.metrics['mean_iu']:.1f} |" in card
    assert all(words in card for words in ("## Data", "## Departures", "## Limits", "## Licence"))
    assert max(path.stat().st_size for path in published.glob("mlartifacts/models/**/*")) < 100_000


def test_a_missing_checkpoint_is_said(published: Path, repository: Path) -> None:
    """Without its checkpoint the model says which `dvc pull` fetches it, and it takes no other net for it."""
    path = published / Places(load(published / "params.yaml")).net(BEST)
    content = path.read_bytes()
    try:
        path.unlink()
        assert f"dvc pull {path.relative_to(published)}" in predict(published, repository).stderr
        path.write_bytes(content + b"\0")
        assert "is another net than this model's" in predict(published, repository).stderr
    finally:
        path.write_bytes(content)
