"""What a profile needs of people's files, small enough to be carried to a machine without network, in parts.

    python -m benchmarks.gpu.pack --params profiles/voc-subset-gpu/params.yaml --base ../shared --out .gpu

Each part is a .zip of files below `base`; `python -m zipfile -e PART ../shared` on the other machine puts them where
the profile looks. Pictures are written again as JPEG of a lower quality, which is a departure: what is trained or
scored on them must say so. Only what the profile's lists name is packed.
"""

import argparse
import contextlib
import io
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from fcn.config import Config, load
from fcn.datasets import formats, lists
from fcn.errors import InputError

_ENTRY_BYTES = 200  # of a .zip, for each file beside its content and twice its name


def files(config: Config, quality: int) -> Iterator[tuple[Path, bytes]]:
    """Every file that the profile's datasets and weights need, and its bytes.

    Raises InputError where a listed image has fewer files than the others.
    """
    for weights in config.weights.values():
        yield Path(weights.from_), Path(weights.from_).read_bytes()
    for name, entry in config.datasets.items():
        origin, reader = Path(entry.from_), formats.reader(entry)
        members = sorted(path.relative_to(origin).as_posix() for path in origin.rglob("*") if path.is_file())
        folders = {origin.name: origin / reader.root(members)}
        known = reader.lists(folders)
        ids, labelled = set[str](), reader.ids(folders)
        for listed in config.lists.values():
            if listed.dataset == name:
                found = labelled if listed.list is None else known[listed.list]
                ids.update(lists.read(found, ids=labelled) if isinstance(found, Path) else found)
        wanted = [origin / member for member in reader.wanted(members)]
        counts = Counter(lists.same(path.stem) for path in wanted)
        each = max((counts[image_id] for image_id in ids), default=0)
        if lacking := sorted(image_id for image_id in ids if counts[image_id] < each):
            raise InputError(
                f"datasets.{name}: of {len(lacking)} listed images a picture or label isn't in {origin}, such as "
                f"{lacking[0]}: add it, or take them out of the lists"
            )
        for path in wanted:  # a format whose files aren't called by ids is packed whole
            if path.suffix == ".txt" or not each or lists.same(path.stem) in ids:
                yield path, _small(path, quality)


def _small(path: Path, quality: int) -> bytes:
    """A photograph at a lower quality; anything else as it is."""
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return path.read_bytes()
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, "JPEG", quality=quality, optimize=True, exif=image.getexif())
    return min(buffer.getvalue(), path.read_bytes(), key=len)


def pack(config: Config, *, base: Path, out: Path, quality: int, part_bytes: int) -> list[Path]:
    """Write the parts, each at most `part_bytes` long; their paths."""
    out.mkdir(parents=True, exist_ok=True)
    for older in out.glob("part-*.zip"):
        older.unlink()
    parts: list[Path] = []
    with contextlib.ExitStack() as stack:
        room = 0
        for path, content in files(config, quality):
            name = path.relative_to(base).as_posix()
            taken = len(content) + _ENTRY_BYTES + 2 * len(name)
            if taken > room:
                parts.append(out / f"part-{len(parts) + 1}.zip")
                part, room = stack.enter_context(zipfile.ZipFile(parts[-1], "w")), part_bytes
            part.writestr(name, content)
            room -= taken
    return parts


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True, help="the folder above the profile's data and weights")
    parser.add_argument("--out", type=Path, required=True, help="where the parts are written")
    parser.add_argument("--quality", type=int, default=40, help="of JPEG")
    parser.add_argument("--part-mib", type=int, default=56)
    given = parser.parse_args(arguments)
    if not 1 <= given.quality <= 95 or given.part_mib < 1:
        parser.error("--quality is 1 to 95, --part-mib 1 or more")
    room = given.part_mib << 20
    try:
        parts = pack(load(given.params), base=given.base, out=given.out, quality=given.quality, part_bytes=room)
    except (InputError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    for path in parts:
        print(f"{path}: {path.stat().st_size / (1 << 20):.1f} MiB")


if __name__ == "__main__":
    main()
