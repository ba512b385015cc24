"""The shape of a network: all that decides which layers it has."""

from dataclasses import field, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]  # of files, too
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
# JSON, in which a checkpoint holds its net, has no numbers as keys.
Tap = Annotated[Literal[16, 8], BeforeValidator(lambda tap: int(tap) if tap in ("16", "8") else tap)]

# What a net can see, and the channels that it has: depth in mm, HHA as fcn/datasets/hha.py makes it.
CHANNELS = {"rgb": 3, "depth": 1, "hha": 3}


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
        if self.taps not in ((), (16,), (16, 8)):
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
