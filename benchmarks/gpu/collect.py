"""A profile's results in a few small files: everything but data and nets, and one net in half precision, in pieces.

    python -m benchmarks.gpu.collect --params profiles/voc-subset-gpu/params.yaml --net voc-fcn8s-vgg16 --out OUT

`cat OUT/net.pt.* > NET.pt` puts the net together again; it is a checkpoint like any other, with float16 tensors.
"""

import argparse
import dataclasses
import tarfile
from collections.abc import Sequence
from pathlib import Path

from fcn.config import load
from fcn.nets import checkpoint
from fcn.stages.places import Places

PIECE_BYTES = 15 << 20
LEFT = {"archives", "datasets", "nets", "weights"}


def collect(places: Places, *, net: str, out: Path) -> None:
    """Write OUT/results.tar.gz and OUT/net.pt.1, .2, ..."""
    with tarfile.open(out / "results.tar.gz", "w:gz") as archive:
        for path in sorted(places.data.iterdir()):
            if path.name not in LEFT:
                archive.add(path, path.name)
    saved = checkpoint.load(places.net(net))
    small = {name: tensor.half() for name, tensor in saved.state.items()}
    whole = out / "net.pt"
    checkpoint.save(dataclasses.replace(saved, state=small), whole)
    content = whole.read_bytes()
    whole.unlink()
    for number, start in enumerate(range(0, len(content), PIECE_BYTES), 1):
        (out / f"net.pt.{number}").write_bytes(content[start : start + PIECE_BYTES])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--net", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    collect(Places(load(given.params)), net=given.net, out=given.out)


if __name__ == "__main__":
    main()
