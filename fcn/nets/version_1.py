"""Checkpoints of the first format, read as those of the second: one head, whose classes had no names."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from fcn.shape import TAPS

_AT_ONCE_SCALES = {16: 0.01, 8: 0.0001}


def converted(content: Mapping[str, Any], *, digest: Callable[[Mapping[str, Tensor]], str]) -> dict[str, Any]:
    """What version 2 would have written; a file whose tensors are not those of its digest stays such a one.

    Raises errors of many kinds where the description isn't whole.
    """
    about = json.loads(content["about"])
    state: dict[str, Tensor] = content["state"]
    whole = digest(state) == about["digest"]
    old, backbone = about["net"], about["backbone"]
    net = None
    if old is not None:
        taps = TAPS[old["stride"]]
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
        "digest": digest(state) if whole else about["digest"],
    }
    return {"about": json.dumps(new), "state": state}
