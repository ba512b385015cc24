"""CUDA graphs: what a pass launches is recorded once a size, and launched as one from then on.

A GPU is done with a small pass before Python has told it all of it. A recording holds the addresses of everything, so
that whatever goes in, comes out or is added up lies where it lay, and nothing of it may wait for the host.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

_OFTEN = 3  # to be recorded takes as long as many passes: not what is seen once or twice
_MOST = 32  # the driver keeps some MiB of each; four in five of VOC's pictures have one of its 32 commonest sizes

Tensors = Mapping[str, Tensor]
Pass = Callable[[Tensors, Tensors], Tensor]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """A pass over tensors that stay where they are, inputs and labels by name, and what came of it at last."""

    images: dict[str, Tensor]
    truths: dict[str, Tensor]
    found: Tensor
    replay: Callable[[], object]


class Graphs:
    """The recordings of one training's passes by the shapes of inputs and labels, as long as they are `on`."""

    def __init__(self, device: torch.device, *, on: bool, warn: Callable[[str], None]) -> None:
        self.on = on
        self._device, self._warn = device, warn
        self._recorder = _OnCuda(device) if on and device.type == "cuda" else _OnCpu()
        self._seen: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, _Recorded] = {}

    def leave_off(self, why: str) -> None:
        """Free what is recorded, and record nothing any more."""
        self.on = False
        self._recorded.clear()
        self._warn(f"{why}: from here on without CUDA graphs")

    def run(self, pass_: Pass, images: Tensors, truths: Tensors) -> Tensor:
        """What `pass_` gives of inputs and labels, N ... each; what else it adds up, it has to add in place.

        A map that is given from a recording is overwritten by its next pass.
        """
        shapes = tuple((name, tensor.shape) for given in (images, truths) for name, tensor in given.items())
        recorded = self._recorded.get(shapes)
        if recorded is not None:
            for held, given in ((recorded.images, images), (recorded.truths, truths)):
                for name, tensor in given.items():
                    held[name].copy_(tensor, non_blocking=True)
            recorded.replay()
            return recorded.found
        self._seen[shapes] += 1
        if not self.on or self._seen[shapes] < _OFTEN or len(self._recorded) == _MOST:
            return pass_(images, truths)
        return self._record(shapes, pass_, images, truths)

    def _record(self, shapes: Hashable, pass_: Pass, images: Tensors, truths: Tensors) -> Tensor:
        """This pass, after which it is recorded: to record computes nothing."""
        held = {
            name: image.to(self._device, memory_format=torch.channels_last, copy=True) for name, image in images.items()
        }
        held_truths = {name: truth.to(self._device, copy=True) for name, truth in truths.items()}
        scores = self._recorder.aside(lambda: pass_(held, held_truths))
        found, failed = scores.clone(), ""

        def again() -> None:
            found.copy_(pass_(held, held_truths))

        try:
            replay = self._recorder.record(again)
        except RuntimeError as error:  # a bug in the pass itself had already been raised
            failed = str(error).partition("\n")[0]
        if failed:  # outside of the handler: the error holds what was allocated
            self.leave_off(f"a pass can't be recorded ({failed})")
        else:
            self._recorded[shapes] = _Recorded(images=held, truths=held_truths, found=found, replay=replay)
        return scores


class _OnCuda:
    """Records on a stream and in memory of its own, which all recordings share: they never run at once."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's stubs lack it
        self._memory = torch.cuda.graph_pool_handle()

    def aside(self, work: Callable[[], Found]) -> Found:
        """The work on that stream, where libraries so make what a recording can't: handles and workspaces."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            found = work()
        torch.cuda.current_stream().wait_stream(self._stream)
        return found

    def record(self, work: Callable[[], object]) -> Callable[[], object]:
        """What launches all that the work launches; random numbers are those of the seed at that time.

        Only this thread is watched, since others pin memory meanwhile. The stream is entered first, to be left too
        where a recording fails.
        """
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.stream(self._stream),
            torch.cuda.graph(graph, pool=self._memory, stream=self._stream, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay


class _OnCpu:
    """Stands in where there is no GPU: does the work again on the very tensors that a recording would have."""

    def aside(self, work: Callable[[], Found]) -> Found:
        """The work."""
        return work()

    def record(self, work: Callable[[], object]) -> Callable[[], object]:
        """The work, not done."""
        return work
