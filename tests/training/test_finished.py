"""What a training has made is kept until DVC has it: where DVC fails to take it, nothing is trained again."""

import hashlib
from pathlib import Path

import pytest

from fcn.cli import main
from tests.training import tiny
from tests.training.conftest import outcome

NET = Path(f"data/tiny/nets/{tiny.COARSE}.pt")
MADE = (NET, Path(f"data/tiny/cost/{tiny.COARSE}.json"), Path(f"data/tiny/history/{tiny.COARSE}.jsonl"))
KEPT = Path(f".resume/tiny/finished/{tiny.COARSE}")


def begun_by_dvc(capsys: pytest.CaptureFixture[str]) -> str:
    """The training as DVC begins it, which removes its results first; what it said."""
    for path in MADE:
        path.unlink(missing_ok=True)
    assert main(["train", tiny.COARSE]) == 0
    return capsys.readouterr().err


def test_what_dvc_failed_to_take_is_put_back(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Begun again, it has its results at once, unless dvc.lock names the net, or settings changed; scored, all goes."""
    monkeypatch.chdir(project)
    tiny.write(project, tiny.params(iterations=2))
    assert "2 iterations of" in begun_by_dvc(capsys)
    made, cost = outcome(project), MADE[1].read_bytes()
    said = begun_by_dvc(capsys)
    assert "put back as it was" in said
    assert "iterations of" not in said
    assert (outcome(project), MADE[1].read_bytes()) == (made, cost)
    Path("dvc.lock").write_text(f"md5: {hashlib.md5(made['.pt'], usedforsecurity=False).hexdigest()}\n")
    assert "2 iterations of" in begun_by_dvc(capsys)
    assert outcome(project) == made
    Path("dvc.lock").unlink()
    tiny.write(project, tiny.params(iterations=3))
    assert "3 iterations of" in begun_by_dvc(capsys)
    assert len(list(KEPT.iterdir())) == len(MADE)
    assert main(["evaluate", tiny.COARSE]) == 0
    assert not KEPT.exists()
