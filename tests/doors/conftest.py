"""A project of quick stages with a real DVC, which the flows walk as they walk ours."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from flows import dag
from tests.conftest import ROOT, once
from tests.doors.servers import Site, site

SEED = [{"settings.yaml": ["seed"]}]  # a parameter of quick stages, beside our params.yaml
HEARTBEAT_SECONDS = "30"  # the shortest that Prefect takes
METHOD = "# a comment\nsum\n"  # the code of quick stages, of which `code` keeps what is no comment

# a and b are independent, c needs both, train@x needs a, and `end` needs all.
STAGES = {
    "a": {"cmd": "python -c \"open('a.txt', 'w').write('a')\"", "params": SEED, "outs": ["a.txt"]},
    "b": {"cmd": "python -c \"open('b.txt', 'w').write('b')\"", "outs": ["b.txt"]},
    "c": {"cmd": "cat a.txt b.txt > c.txt", "deps": ["a.txt", "b.txt"], "outs": ["c.txt"]},
    "end": {"cmd": "cat c.txt > end.txt", "deps": ["c.txt"], "outs": ["end.txt"]},
}


def sliced(**changed: str) -> dict[str, object]:
    """The shape of ours in quick stages: a run, one that starts from it, and one on its own; `train_one="exit 3"`."""
    says = "printf '{run}: 4 iterations of 2 from 8 images\\n{run}: iteration 4 of 4, 8 images, loss 0.5\\n'"
    trained = {"one": "weights.txt", "two": "net-one.txt", "other": "weights.txt"}
    training = {
        run: {
            "init": init,
            "cmd": changed.get(f"train_{run}", f"{says.format(run=run)}; cat {init} data.txt > net-{run}.txt"),
        }
        for run, init in trained.items()
    }
    weights = changed.get("weights_net", "echo weights > weights.txt")
    publishing = "cat scores/* > tables.txt; printf %s $PREFECT__FLOW_RUN_ID > flow_run.txt"
    return {
        "code": {
            "cmd": "mkdir code; grep -v '#' method.txt > code/all.json",
            "deps": ["method.txt"],
            "outs": ["code"],
        },
        "archives": {
            "foreach": {"data": {"cmd": changed.get("archives_data", "echo data > data.txt")}},
            "do": {"cmd": "${item.cmd}", "params": SEED, "deps": ["code/all.json"], "outs": ["${key}.txt"]},
        },
        "weights": {
            "foreach": {"net": {"cmd": weights}},
            "do": {"cmd": "${item.cmd}", "params": SEED, "deps": ["code/all.json"], "outs": ["weights.txt"]},
        },
        "train": {
            "foreach": training,
            "do": {
                "cmd": "${item.cmd}",
                "deps": ["${item.init}", "data.txt", "code/all.json"],
                "outs": ["net-${key}.txt"],
            },
        },
        "evaluate": {
            "foreach": list(trained),
            "do": {
                "cmd": "mkdir -p scores; wc -c net-${item}.txt > scores/${item}.txt",
                "deps": ["net-${item}.txt"],
                "outs": ["scores/${item}.txt"],
            },
        },
        "timing": {"cmd": "echo 1 > timing.txt", "params": SEED, "outs": ["timing.txt"]},
        "tables": {"cmd": publishing, "deps": ["scores", "timing.txt"], "outs": ["tables.txt"]},
    }


def fill(folder: Path, stages: dict[str, object]) -> None:
    """Make a folder a project of these stages, with our params.yaml and flows."""
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "flows", folder / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "settings.yaml").write_text("seed: 0\n", encoding="utf-8")
    (folder / "method.txt").write_text(METHOD, encoding="utf-8")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


Project = Callable[[dict[str, object]], Path]


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect home of the tests' own, so that no setting or server of the machine's user is touched."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a git and DVC repository with the stages that are given, and our params.yaml and flows."""

    def make(stages: dict[str, object]) -> Path:
        folder = tmp_path / f"project-{len(list(tmp_path.iterdir()))}"
        fill(folder, stages)
        return folder

    return make


@pytest.fixture(scope="session")
def graphs() -> Mapping[str, Sequence[dag.Stage]]:
    """The stages of every profile of ours, as the flows see them; DVC takes a second for each."""
    with chdir(ROOT):
        return {profile: dag.stages(profile) for profile in dag.profiles()}


@pytest.fixture(scope="session")
def prefect_homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make another Prefect home, whose database has its tables already: a server takes seconds to make them."""

    def fill(folder: Path) -> None:
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(command, cwd=folder, env=quiet(folder), check=True, capture_output=True)

    filled = once(tmp_path_factory, "prefect-home", fill)
    return lambda name: Path(shutil.copytree(filled, tmp_path_factory.mktemp(name), dirs_exist_ok=True))


@pytest.fixture(scope="module")
def prefect_site(prefect_homes: Callable[[str], Path]) -> Iterator[Site]:
    """A real Prefect server for a file's tests that only ask what it was told; idle it would cost the others."""
    home = prefect_homes("site")
    with site(home, quiet(home), PREFECT_FLOWS_HEARTBEAT_FREQUENCY=HEARTBEAT_SECONDS) as made:
        yield made


@pytest.fixture(scope="module")
def at_work(prefect_site: Site) -> Iterator[Site]:
    """The same with a worker of the pool `cpu`, for all tests that don't stop it."""
    with prefect_site.worker("cpu"):
        yield prefect_site


@pytest.fixture
def environment(prefect_home: Path) -> dict[str, str]:
    """The environment of a subprocess that runs a flow without a server, and without calling home."""
    return quiet(prefect_home)


def quiet(prefect_home: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's Prefect counts, and nothing calls home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
    }
