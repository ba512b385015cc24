"""What dvc.lock says of results: from which stages they are, and the hash of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fcn.config import Config
from fcn.errors import InputError


def read(config: Config) -> dict[str, Any]:
    """The profile's dvc.lock; empty where there is none."""
    path = Path(config.params).with_name("dvc.lock")
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        message = f"{path} is not YAML ({' '.join(str(error).split())}); a merge may have left marks in it: mend it"
        raise InputError(message) from None


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
