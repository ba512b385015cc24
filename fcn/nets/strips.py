"""Fixed upsampling in strips of rows, straight to the class of every pixel: no map of all scores is ever held."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fcn.nets.upsampling import Upsampling

_TIE = 2**-20  # of a score: more than float32 loses over the few products of an interpolation


def numbers(scores: Tensor) -> int:
    """How many upsampled scores are held at once: few on a CPU, whose cache keeps them, more where launches cost."""
    return 2**18 if scores.device.type == "cpu" else 2**25


def strips(up: Upsampling, scores: Tensor, *, offset: int, size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Rows of the image, and the rows of N K h w scores that have a part in them, from the top to the bottom."""
    height = max(1, numbers(scores) // (len(scores) * scores.shape[1] * size[1]))
    for begin in range(0, size[0], height):
        rows = slice(begin, min(begin + height, size[0]))
        yield rows, _reaching(up, scores.shape[2], offset + rows.start, offset + rows.stop)


def inside(up: Upsampling, scores: Tensor, *, offset: int, size: tuple[int, int]) -> Tensor:
    """Those of N K h w scores that have a part in the image."""
    down, across = (
        _reaching(up, units, offset, offset + reach) for units, reach in zip(scores.shape[2:], size, strict=True)
    )
    return scores[:, :, down, across]


def _reaching(up: Upsampling, units: int, begin: int, end: int) -> slice:
    """Which of the units along an axis have a part in the pixels from `begin` to `end` of the uncropped output."""
    return slice(max(0, begin // up.factor - 1), min(units, (end - 1) // up.factor + 1))


@torch.no_grad()
def classes(up: Upsampling, scores: Tensor, *, offset: int, size: tuple[int, int]) -> Tensor:
    """N K h w finite scores -> N *size uint8: the class of the highest upsampled score, the first of equal ones.

    As of `up(scores).argmax(1)`: to the bit where the matrix product adds a pixel's terms one after the other;
    elsewhere classes that are equal but for the last bits of their scores may change places.
    """
    along_y, along_x = up.axes(scores, offset=offset, size=size)
    found = torch.empty((len(scores), *size), dtype=torch.uint8, device=scores.device)
    last = scores.shape[1] - 1
    for image, answer in zip(scores, found, strict=True):
        rank = torch.arange(last, -1, -1, dtype=scores.dtype, device=scores.device)
        if scores.device.type == "cpu":  # on a GPU, to ask for their number waits for it
            kept = _contenders(inside(up, image[None], offset=offset, size=size)[0])
            image, rank = image[kept], rank[kept]
        columns = (image.transpose(0, 1).contiguous() @ along_x.T).flatten(1)  # h K*W
        for rows, units in strips(up, image[None], offset=offset, size=size):
            upsampled = (along_y[rows, units] @ columns[units]).view(-1, len(rank), size[1])
            # torch's own argmax is twenty times as slow along any dimension but the last.
            highest = upsampled.eq_(upsampled.amax(1, keepdim=True)).mul_(rank[:, None]).amax(1)
            answer[rows] = last - highest
    return found


def _contenders(scores: Tensor) -> Tensor:
    """K h w -> the classes that can be a pixel's highest, ascending.

    Between four units a class is nowhere above the highest of its four scores, and nowhere below the lowest.
    """
    sure = _over_cells(scores, torch.minimum).amax(0)
    beaten = _over_cells(scores, torch.maximum) < sure - _TIE * sure.abs()
    return (~beaten.flatten(1).all(1)).nonzero()[:, 0]


def _over_cells(scores: Tensor, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """K h w -> K h-1 w-1: of the four units around each cell; along an axis of one unit, of that."""
    for axis in (1, 2):
        units = scores.shape[axis]
        cells = max(1, units - 1)
        scores = of(scores.narrow(axis, 0, cells), scores.narrow(axis, units - cells, cells))
    return scores
