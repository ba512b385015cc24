"""From dvc.lock to tags: which stages' results a run of MLflow shows, and the hash of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tags(lock: Mapping[str, Any], *stages: str) -> dict[str, str]:
    """`dvc.stage`, and `dvc.lock`: a hash of the stages' outputs as dvc.lock has them, whatever their order there.

    Stages that dvc.lock doesn't have, such as those that were run by hand, are left out.
    """
    known = [stage for stage in stages if stage in lock.get("stages", {})]
    if not known:
        return {}
    lines = sorted(f"{path} {md5}" for stage in known for path, md5 in _outputs(lock, stage).items())
    digest = hashlib.md5("\n".join(lines).encode())  # noqa: S324 - as DVC does
    return {"dvc.stage": ", ".join(known), "dvc.lock": digest.hexdigest()}


def checkpoint(lock: Mapping[str, Any], stage: str, path: str) -> dict[str, str]:
    """Where the stage's checkpoint lies and its hash in DVC; it is not uploaded."""
    md5 = _outputs(lock, stage).get(path)
    return {"checkpoint": path, **({"checkpoint.md5": md5} if md5 else {})}


def md5(path: Path) -> str:
    """A file's hash as dvc.lock has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _outputs(lock: Mapping[str, Any], stage: str) -> dict[str, str]:
    """The hashes of a stage's outputs by path; files that DVC doesn't hash are left out."""
    entry = lock.get("stages", {}).get(stage, {})
    return {out["path"]: out["md5"] for out in entry.get("outs", []) if "md5" in out}
