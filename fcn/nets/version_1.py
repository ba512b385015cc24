"""Checkpoints of the first format, read as those of the second: one head, whose classes had no names."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fcn.errors import InputError

_TAPS: Mapping[int, list[int]] = {32: [], 16: [16], 8: [16, 8]}
_AT_ONCE_SCALES = {16: 0.01, 8: 0.0001}


def converted(
    content: Mapping[str, Any], path: Path, *, digest: Callable[[Mapping[str, Tensor]], str]
) -> dict[str, Any]:
    """What version 2 would have written.

    Raises InputError for a damaged file.
    """
    try:
        about = json.loads(content["about"])
        state: dict[str, Tensor] = content["state"]
        if digest(state) != about["digest"]:
            raise InputError(f"{path} is damaged: its tensors are not those that were written; make or fetch it again")
        old, backbone = about["net"], about["backbone"]
        net = None
        if old is not None:
            taps = _TAPS[old["stride"]]
            scaled = old.get("skips") == "atonce"
            net = {
                "backbone": backbone,
                "inputs": ["rgb"],
                "heads": {"semantic": about["classes"]},
                "taps": taps,
                "scales": {tap: _AT_ONCE_SCALES[tap] for tap in taps if scaled},
                "pad": old["pad"],
                "upsampling": old["upsampling"],
            }
            state = {name if name.startswith("trunk.") else f"heads.semantic.{name}": state[name] for name in state}
        new = {
            "backbone": backbone,
            "net": net,
            "targets": {},
            "preprocessing": {"rgb": about["preprocessing"]},
            "provenance": about["provenance"],
            "digest": digest(state),
        }
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} doesn't say what its tensors are for; make it again with `dvc repro`") from None
    return {"version": 2, "about": json.dumps(new), "state": state}
