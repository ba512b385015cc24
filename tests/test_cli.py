"""The command line: exit codes, and a sentence instead of a traceback, whatever is wrong."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fcn.cli import main, stage_names
from fcn.nets import checkpoint
from tests.training import processes, tiny

PER_NAME = {
    "archives": "archives",
    "datasets": "datasets",
    "classifiers": "classifiers",
    "timing": "nets",
    "train": "runs",
    "evaluate": "runs",
}


@pytest.fixture
def project(tmp_path: Path, tiny_project: Path) -> Iterator[Path]:
    """A copy of the tiny project, as the working directory."""
    yield shutil.copytree(tiny_project, tmp_path / "project")
    processes.end_all()


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with nothing but the tiny profile's params.yaml."""
    tiny.write(tmp_path, tiny.params())
    return tmp_path


def sentence(ended: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The last line of a command that had to fail, and that shows no traceback."""
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert "error: " in last
    return last.partition("error: ")[2]


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The same in this process, for errors that come after torch's import, which takes seconds."""
    code = main(arguments)
    captured = capsys.readouterr()
    return subprocess.CompletedProcess([], code, captured.out, captured.err)


def test_a_stage_that_succeeds_ends_with_0(project: Path, run_fcn: tiny.RunFcn) -> None:
    """A stage that did its work exits with 0."""
    assert run_fcn(["splits"], project).returncode == 0


def test_unknown_words_are_answered(empty: Path, run_fcn: tiny.RunFcn) -> None:
    """An unknown stage or flag exits with 2 and lists or shows what there is; so does no stage at all."""
    said = sentence(run_fcn(["trian"], empty), 2)
    assert "invalid choice: 'trian'; did you mean 'train'? there are" in said
    assert all(name in said for name in stage_names())
    assert "unrecognized arguments: --parms" in sentence(run_fcn(["splits", "--parms=x"], empty), 2)
    assert "arguments are required: " in sentence(run_fcn([], empty), 2)


def test_a_missing_params_file_is_named(tmp_path: Path, run_fcn: tiny.RunFcn) -> None:
    """Without a params.yaml, or with one that is wrong, the command exits with 2 and says which file it means."""
    assert sentence(run_fcn(["splits"], tmp_path), 2).startswith(f"{tmp_path} is in no project: go to its folder, or")
    assert "elsewhere/p.yaml: no such file" in sentence(
        run_fcn(["splits", "--params", "elsewhere/p.yaml"], tmp_path), 2
    )
    tiny.write(tmp_path, tiny.params() | {"threads": 0})
    assert "params.yaml: threads: Input should be greater than or equal to 1, found 0" in sentence(
        run_fcn(["splits"], tmp_path), 2
    )


def test_the_traceback_is_there_for_who_asks(empty: Path, run_fcn: tiny.RunFcn) -> None:
    """With --traceback the error arrives as Python shows it."""
    ended = run_fcn(["archives", "nonsense", "--traceback"], empty)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "InputError: archive: unknown name 'nonsense'" in ended.stderr


@pytest.mark.parametrize("stage", PER_NAME)
def test_stages_with_names_answer_a_wrong_one(
    stage: str, empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage that works on one archive, net or run lists those there are, with no name and with a wrong one."""
    monkeypatch.chdir(empty)
    config = tiny.params()
    for arguments in ((stage,), (stage, "nonsense")):
        said = sentence(here(capsys, *arguments), 2)
        assert all(name in said for name in config[PER_NAME[stage]])


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("datasets", "sbd"), "data/tiny/archives/sbd"),
        (("splits",), "data/tiny/datasets/"),
        (("train", tiny.COARSE), "data/tiny/weights/vgg16-sample.pt"),
        (("train", tiny.FINER), f"data/tiny/nets/{tiny.COARSE}.pt"),
        (("evaluate", tiny.COARSE), "data/tiny/datasets/voc2012"),
        (("tables",), "data/tiny/timing/"),
    ],
    ids=" ".join,
)
def test_a_stage_before_its_time_says_what_to_run(
    arguments: tuple[str, ...],
    missing: str,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A stage whose inputs aren't there yet names the first of them, and the command that makes it; nothing is left."""
    monkeypatch.chdir(empty)
    said = sentence(here(capsys, *arguments), 2)
    assert said.startswith(missing)
    of_any = "run `make reproduce` for the sample profile, `dvc repro profiles/NAME/dvc.yaml` for another"
    assert (of_any if arguments[0] != "datasets" else "run `dvc repro`") in said
    assert not [path for path in (empty / "data").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FCN_DEVICE", "tpu", "FCN_DEVICE is 'tpu'; cuda and cpu are possible"),
        ("FCN_DEVICE", "cuda", "FCN_DEVICE is cuda, but torch sees no GPU here"),
        ("FCN_WORKERS", "many", "FCN_WORKERS is 'many'; it is the number of loader processes, 0 to 999"),
        ("FCN_WORKERS", "-1", "FCN_WORKERS is '-1'"),
        ("FCN_WORKERS", "²", "FCN_WORKERS is '²'"),
        ("FCN_WORKERS", "9" * 5000, "FCN_WORKERS is '999"),
        ("FCN_CACHE_BYTES", "8GB", "FCN_CACHE_BYTES is '8GB'; it is the memory for decoded pictures in bytes"),
        ("FCN_SAVE_SECONDS", "often", "FCN_SAVE_SECONDS is 'often'; it is the time between two saved states"),
        ("FCN_SAVE_SECONDS", "nan", "FCN_SAVE_SECONDS is 'nan'"),
        ("FCN_SAVE_SECONDS", "-1", "FCN_SAVE_SECONDS is '-1'"),
    ],
)
def test_nonsense_in_the_environment_is_named(
    name: str,
    value: str,
    said: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A variable of the environment with a value that means nothing is quoted, with what is possible."""
    if value == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.chdir(project)
    monkeypatch.setenv(name, value)
    assert sentence(here(capsys, "train", tiny.COARSE), 2).startswith(said)
    assert not (project / "data/tiny/nets").exists()


def test_a_net_of_another_class_count_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A head with another class count than the data, or than the net that it starts from, names both and a way out."""
    monkeypatch.chdir(project)
    values = tiny.params(iterations=2)
    values["nets"]["fcn16s-vgg16"]["heads"] = {"semantic": 20}
    tiny.write(project, values)
    said = sentence(here(capsys, "train", tiny.FINER), 2)
    assert (
        f"'{tiny.COARSE}' has 21 classes for 'semantic', the run's net 20 classes; start from what was trained" in said
    )
    values["nets"]["fcn32s-vgg16"]["heads"] = {"semantic": 20}
    tiny.write(project, values)
    said = sentence(here(capsys, "train", tiny.COARSE), 2)
    assert said == (
        f"runs.{tiny.COARSE}.net has 20 classes for 'semantic', but sbd has 21; write heads: {{semantic: 21}}"
    )
    assert not (project / "data/tiny/nets").exists()


def test_a_net_of_other_classes_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finer net takes no score layers over that were trained on as many, but other classes: the first is named."""
    monkeypatch.chdir(project)
    tiny.write(project, tiny.params(iterations=2))
    assert main(["train", tiny.COARSE]) == 0
    capsys.readouterr()
    file = project / "data/tiny/datasets/sbd/dataset.json"
    file.write_text(
        file.read_text()
        .replace('"plain animal"', '"?"')
        .replace('"plain chair"', '"plain animal"')
        .replace('"?"', '"plain chair"')
    )
    said = sentence(here(capsys, "train", tiny.FINER), 2)
    assert (
        "its class 1 of 'semantic' is 'plain animal', here it is 'plain chair'; start from weights/NAME instead" in said
    )
    assert not (project / f"data/tiny/nets/{tiny.FINER}.pt").exists()


def test_a_damaged_net_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truncated init, and a file of something else under its name, are refused by their path."""
    monkeypatch.chdir(project)
    origin = project / "data/tiny/weights/vgg16-sample.pt"
    whole = origin.read_bytes()
    for content in (whole[:-2000], b"<html>not found</html>", b""):
        origin.write_bytes(content)
        assert "data/tiny/weights/vgg16-sample.pt" in sentence(here(capsys, "train", tiny.COARSE), 2)
    assert not (project / "data/tiny/nets").exists()


def test_a_training_that_diverges_ends_with_advice(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A diverging training exits with 1, names the rate, and leaves no net and no half-written file."""
    monkeypatch.chdir(project)
    values = tiny.params()
    values["recipes"]["coarse"] |= {"rate": 1e30, "clip": None, "precision": "float32"}
    tiny.write(project, values)
    from fcn.config import load
    from fcn.errors import StageFailure
    from fcn.stages import train

    with pytest.raises(StageFailure, match=r"the training diverged\. Lower .* The last good state is kept in \.resume"):
        train.run(load(project / "params.yaml"), tiny.COARSE)
    assert not (project / "data/tiny/nets").exists()


def test_nowhere_to_say_it(project: Path) -> None:
    """Where both streams are closed, what a training would have said is lost, and nothing else of it."""
    tiny.write(project, tiny.params(iterations=2))
    script = f"{sys.executable} -m fcn train {tiny.COARSE} >&- 2>&-"
    assert subprocess.run(["sh", "-c", script], cwd=project, env=processes.environment(), check=False).returncode == 0
    assert checkpoint.load(project / f"data/tiny/nets/{tiny.COARSE}.pt").net is not None


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from fcn.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("save_seconds", ["0", ""], ids=["a state", "the net"])
def test_a_full_disk_is_one_sentence(project: Path, save_seconds: str) -> None:
    """Where a saved state or the net doesn't fit, the training exits with 1, and leaves nothing half-written."""
    environment = processes.environment(FCN_SAVE_SECONDS=save_seconds)  # coverage's own file wouldn't fit, either
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, "30000", "train", tiny.COARSE],
        cwd=project,
        env={name: value for name, value in environment.items() if not name.startswith("COVERAGE")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = sentence(ended, 1)
    assert "nothing was half-written: free some space and run the same command again" in said
    left = [path.name for path in project.rglob("*") if "part" in path.name or path.name.startswith("state")]
    assert not left
    assert not (project / f"data/tiny/nets/{tiny.COARSE}.pt").exists()


def test_a_disk_that_is_really_full(project: Path, tmp_path: Path) -> None:
    """On a file system without room the sentence is that of the system, and the training goes on once there is some."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=200k tmpfs {disk} 2>/dev/null || exit 77; ln -s {disk} .resume; "
        f"{sys.executable} -m fcn train {tiny.COARSE}; code=$?; ls {disk}/*/* >&3; mount -o remount,size=20m {disk}; "
        f"{sys.executable} -m fcn train {tiny.COARSE} && exit $code"
    )
    out = project / "listing"
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", f"exec 3>{out}; {script}"]
    try:
        ended = subprocess.run(
            command,
            cwd=project,
            env=processes.environment(FCN_SAVE_SECONDS="0"),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("needs unshare, to mount a small disk")
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip("needs leave to mount a small disk")
    assert ended.returncode == 1, ended.stderr
    assert "error: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "state.part" not in out.read_text()
    assert checkpoint.load(project / f"data/tiny/nets/{tiny.COARSE}.pt").net is not None


# Root may write everywhere, unless it gives that up (CAP_DAC_OVERRIDE, PR_CAPBSET_DROP) before the command starts.
POWERLESS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1)
os.execv(sys.executable, [sys.executable, "-m", "fcn", *sys.argv[1:]])
"""


def test_a_folder_that_may_not_be_written(project: Path) -> None:
    """Where the data folder is read-only, the command exits with 1 and says which folder and what to check."""
    data = project / "data/tiny"
    data.chmod(0o555)
    ended = subprocess.run(
        [sys.executable, "-c", POWERLESS, "splits"],
        cwd=project,
        env=processes.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    data.chmod(0o755)
    said = sentence(ended, 1)
    assert said.startswith("Permission denied (data/tiny/")
    assert "check who may write there and run the same command again" in said


def test_an_interrupt_ends_with_130(project: Path) -> None:
    """Ctrl-C in a stage that saves nothing exits with 130 and leaves what was there before."""
    before = (project / "data/tiny/weights/vgg16-sample.pt").read_bytes()
    values = tiny.params()
    values["classifiers"]["vgg16-sample"]["training"]["iterations"] = 6000  # with a line after each 1200
    tiny.write(project, values)
    process = processes.start(processes.fcn("classifiers", "vgg16-sample"), project)
    processes.until(lambda: "iteration" in (project / "err").read_text(), doing="work")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    said = (project / "err").read_text()
    assert said.splitlines()[-1] == "interrupted; the same command goes on from here"
    assert "Traceback" not in said
    assert [path.name for path in (project / "data/tiny/weights").iterdir()] == ["vgg16-sample.pt"]
    assert (project / "data/tiny/weights/vgg16-sample.pt").read_bytes() == before
