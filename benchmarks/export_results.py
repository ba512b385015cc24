"""Small results of a profile into docs/results/<profile>/, where git keeps them.

    python -m benchmarks.export_results --params params.yaml

The scores, the papers' tables that have a number of ours, the report as Markdown, its figures in 256 colours, and what
each stage took, for `python -m fcn reproduce`.
"""

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from fcn.commands.reproduce import seconds
from fcn.config import load
from fcn.tables import is_filled

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 2_000_000  # git keeps every version for ever; each list that runs are scored on has its pictures


def export(data: Path, target: Path) -> int:
    """Fill `target` anew from a profile's data folder; its size in bytes. Refuses more than MOST_BYTES."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name) / target.name
        (folder / "figures").mkdir(parents=True)
        for suffix in ("json", "md", "csv"):
            shutil.copyfile(data / f"tables/scores.{suffix}", folder / f"scores.{suffix}")
        for file in sorted((data / "tables").glob("*.json")):
            table = json.loads(file.read_text(encoding="utf-8"))
            if "rows" in table and is_filled(table):
                for suffix in ("json", "md"):
                    shutil.copyfile(file.with_suffix(f".{suffix}"), folder / f"{file.stem}.{suffix}")
        report = (data / "report/report.md").read_text(encoding="utf-8")
        local = re.compile(r"^## In MLflow\n.*?(?=^## )", re.DOTALL | re.MULTILINE)  # links into the data folder
        (folder / "report.md").write_text(local.sub("", report), encoding="utf-8")
        index = json.loads((data / "figures/index.json").read_text(encoding="utf-8"))
        for file in sorted((data / "report/figures").glob("*.png")):
            _in_few_colours(file, folder / "figures" / file.name, exact=index["colours"])
        took = json.dumps(seconds(data / "cost"), indent=0, sort_keys=True)
        (folder / "seconds.json").write_text(took + "\n", encoding="utf-8")
        shown = [
            {"section": figure["section"], "file": Path(figure["file"]).name, "alt": figure["alt"]}
            for figure in index["figures"]
            if (folder / "figures" / Path(figure["file"]).name).exists()
        ]
        (folder / "figures.json").write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        assert size <= MOST_BYTES, f"{size} bytes are too much for git; at most {MOST_BYTES}"
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
    return size


def _in_few_colours(source: Path, target: Path, *, exact: Sequence[str]) -> None:
    """A third of the bytes: 256 colours, among them `exact`, the classes' own, so that maps and legends keep theirs."""
    with Image.open(source) as image:
        full = image.convert("RGB")
    own = b"".join(bytes.fromhex(colour.removeprefix("#")) for colour in exact)
    usual = full.quantize(256 - len(exact), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = Image.new("P", (1, 1))
    palette.putpalette(own + bytes(usual.getpalette() or []))
    full.quantize(palette=palette, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    """Export one profile."""
    parser = argparse.ArgumentParser(description="Copy a profile's small results to docs/results/.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml", help="the profile's params.yaml")
    profile = load(parser.parse_args().params).profile
    target = ROOT / "docs" / "results" / profile
    size = export(ROOT / "data" / profile, target)
    print(f"{target.relative_to(ROOT)}: {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
