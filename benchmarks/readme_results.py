"""The README's results, from what is committed in docs/results/.

    python -m benchmarks.readme_results

Rewrites what stands between the two marks in README.md; no number there is typed by hand.
"""

import json
from pathlib import Path

from fcn.report.readme import Results, block, with_block

ROOT = Path(__file__).resolve().parent.parent
# The first with committed results is the README's; the others are folded away.
TITLES = {
    "paper": "What came out, at full size (profile paper)",
    "sample": "What came out, on generated pictures (profile sample)",
    "sample-all": "NYUDv2, SIFT Flow and PASCAL-Context, on generated scenes (profile sample-all)",
    "voc-subset-gpu": "On real pictures, a part of VOC and SBD, in minutes on a GPU (profile voc-subset-gpu)",
    "voc-subset": "On real pictures, a part of VOC and SBD (profile voc-subset)",
}


def committed(results: Path) -> list[Results]:
    """What was committed of each profile."""
    found = []
    for profile, title in TITLES.items():
        folder = results / profile
        if not (folder / "scores.json").exists():
            continue
        files = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
        shown = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        figure = next((entry for entry in shown if entry["section"] == "segmentations"), None)
        found.append(
            Results(
                folder=f"docs/results/{profile}",
                title=title,
                scores=json.loads((folder / "scores.json").read_text(encoding="utf-8")),
                tables=[file for file in files if isinstance(file, dict) and "rows" in file],
                picture=(f"figures/{figure['file']}", figure["alt"]) if figure else None,
            )
        )
    return found


def main() -> None:
    """Rewrite the block."""
    readme = ROOT / "README.md"
    text = with_block(readme.read_text(encoding="utf-8"), block(committed(ROOT / "docs" / "results")))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
