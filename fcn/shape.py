"""The shape of a network: what decides which layers it has, and from which other it can start."""

import re
from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from fcn.errors import InputError

STRICT = ConfigDict(extra="forbid")


def spelt(pattern: str, words: str) -> AfterValidator:
    """A text that fits the pattern; of another one, the words say what it may look like."""

    def check(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ValueError(words)
        return given

    return AfterValidator(check)


Name = Annotated[  # of files, too
    str,
    spelt(
        "[a-z0-9][a-z0-9._-]{0,99}",
        "a name is of small letters, digits, `.`, `_` and `-`, at most 100, a letter or digit first",
    ),
]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
# JSON, in which a checkpoint holds its net, has no numbers as keys.
Tap = Annotated[Literal[16, 8], BeforeValidator(lambda tap: int(tap) if tap in ("16", "8") else tap)]

# What a net can see, and the channels that it has: depth in mm, HHA as fcn/datasets/hha.py makes it.
CHANNELS = {"rgb": 3, "depth": 1, "hha": 3}
# The skips of a net, by its stride in px.
TAPS: Mapping[int, tuple[Literal[16, 8], ...]] = {32: (), 16: (16,), 8: (16, 8)}


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Backbone:
    """A classification network's shape.

    `width` multiplies every convolution's channels, `fc` is the width of fc6 and fc7, `dropout` acts on both,
    `input_px` is the side of the square image that the classifier takes, which decides the size of fc6's kernel.
    """

    architecture: Name
    width: Positive
    fc: Count
    input_px: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Net:
    """A fully convolutional network: all that decides its layers (CVPR section 4, figure 3).

    `inputs` are, by `fusion`, the channels of one trunk side by side (early), or have a trunk and score layers each,
    whose scores are averaged before the last upsampling (late; CVPR section 5, RGB-HHA). `heads` has the number of
    classes of each target. `taps` are the strides of the skips, coarse to fine: none for 32s, [16] for 16s, [16, 8]
    for 8s. `scales` multiplies a skip's map before it is scored; without an entry, by 1. `pad` is in pixels around the
    image, or "same" at every layer.
    """

    backbone: Backbone
    inputs: tuple[Name, ...]
    heads: dict[Name, Annotated[int, Field(ge=2, le=255)]]
    taps: tuple[Literal[16, 8], ...]
    scales: dict[Tap, Positive] = field(default_factory=dict)
    pad: Literal[100, "same"]
    upsampling: Literal["fixed", "intermediate", "all"]
    fusion: Annotated[Literal["early", "late"], Field(exclude_if=lambda fusion: fusion == "early")] = "early"

    def __post_init__(self) -> None:
        if self.taps not in TAPS.values():
            raise ValueError(f"taps are {list(self.taps)}; [] makes a net of stride 32, [16] of 16, [16, 8] of 8")
        if extra := [tap for tap in self.scales if tap not in self.taps]:
            raise ValueError(f"scales has an entry for {extra[0]}, which is not among the taps {list(self.taps)}")
        if not self.heads or not self.inputs:
            raise ValueError("heads and inputs: a net has at least one of each, such as {semantic: 21} and [rgb]")
        if unknown := [name for name in self.inputs if name not in CHANNELS]:
            raise ValueError(f"inputs has {unknown[0]!r}; a net can take {', '.join(CHANNELS)}")
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"inputs are {', '.join(self.inputs)}; each can be there once")
        if self.fusion == "late" and len(self.inputs) < 2:
            raise ValueError("fusion: late has a trunk for each of several inputs; with one, leave it out")
        if self.fusion == "late" and self.upsampling == "all":
            raise ValueError("fusion: late has one last upsampling for all trunks, which is fixed; write intermediate")

    @property
    def stride(self) -> Literal[32, 16, 8]:
        """Pixels between two cells of the finest map that is scored."""
        return self.taps[-1] if self.taps else 32

    @property
    def streams(self) -> "dict[str, Net]":
        """Of late fusion, the net of each input; none otherwise."""
        if self.fusion == "early":
            return {}
        return {name: replace(self, inputs=(name,), fusion="early") for name in self.inputs}


def fused(first: Net, second: Net) -> Net:
    """The net that has the trunks of both, and averages their scores.

    Raises InputError, to be put behind what they are called, for two that are not of one input each, or not alike.
    """
    if len(first.inputs) > 1 or len(second.inputs) > 1 or first.inputs == second.inputs:
        taken = " and ".join("+".join(net.inputs) for net in (first, second))
        raise InputError(f"take {taken}; late fusion is of two nets of one input each, such as rgb and hha")
    alike = replace(second, inputs=first.inputs)
    if others := [item.name for item in fields(Net) if getattr(first, item.name) != getattr(alike, item.name)]:
        raise InputError(f"differ in {', '.join(others)}; nets that are joined are alike but for their inputs")
    return replace(first, inputs=(*first.inputs, *second.inputs), fusion="late")


def misfit(net: Net, parent: Net, *, scaled: bool = True) -> str | None:
    """What forbids a net of this shape to start from a trained one of the shape `parent`; None where nothing does.

    It takes over every layer of its parent, but for a last upsampling of another stride. Where one would be lost,
    or act otherwise than it was trained to, the sentence says so, to be put behind the parent's name. `scaled`:
    whether the parent's scales are known.
    """
    for target, classes in parent.heads.items():
        if net.heads.get(target) != classes:
            ours = f"{net.heads[target]} classes" if target in net.heads else f"no head {target!r}"
            return (
                f"has {classes} classes for {target!r}, the run's net {ours}; start from what was trained on the "
                "same classes, or, with one trunk, from a classifier"
            )
    if parent.inputs != net.inputs:
        return f"takes {', '.join(parent.inputs)}, the run's net {', '.join(net.inputs)}; both must take the same"
    if parent.fusion != net.fusion:
        return f"has fusion {parent.fusion}, the run's net {net.fusion}; both must have the same"
    if parent.taps != net.taps[: len(parent.taps)]:
        return (
            f"has a stride of {parent.stride} px, the run's net {net.stride}: its finer skips would be lost; "
            "start from a net of the same stride or a larger one"
        )
    if parent.pad != net.pad:
        return f"was trained with pad {parent.pad}, the run's net has {net.pad}; write pad: {parent.pad}"
    for tap in parent.taps if scaled else ():
        theirs, own = parent.scales.get(tap, 1.0), net.scales.get(tap, 1.0)
        if theirs != own:
            return f"scales the skip of stride {tap} by {theirs:g}, the run's net by {own:g}; use the same scales"
    learned = ("fixed", "intermediate", "all")
    if learned.index(parent.upsampling) > learned.index(net.upsampling) and (parent.upsampling == "all" or parent.taps):
        return (
            f"has learned its upsampling ({parent.upsampling}), which a net with upsampling {net.upsampling} "
            f"would lose; write upsampling: {parent.upsampling}"
        )
    return None
