"""A sample profile over several seeds, each in a clone of its own: docs/results/sample-seeds.md, sample-all-seeds.md.

    python -m benchmarks.seeds --seeds 0 1 2 --jobs 2 --output docs/results/sample-seeds.md
    python -m benchmarks.seeds --params profiles/sample-all/params.yaml --runs nyud-fcn32s-vgg16-rgb ...

What is measured is HEAD: changes that aren't committed stay out. A seed decides the generated data, the classifiers'
and the networks' starts, and the order of training. Scores are read from the files that the graph leaves. Seeds that
run side by side share the cores: with fewer threads each than the profile asks for, sums differ in the last digits.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

from fcn.config import Config, load
from fcn.machine import processor

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "torchvision", "numpy", "dvc")
_LAST_LINES = 15  # of a failed seed's log


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One seed's way through the graph: mean IU by run, as far as it came, and why it came no further."""

    seed: int
    seconds: float
    mean_iu: dict[str, float]
    failure: str | None = None


def measure(seed: int, *, config: Config, runs: Sequence[str], folder: Path, threads: int) -> Result:
    """Clone HEAD into `folder`, score these runs there with `seed` and this interpreter, and read the scores."""
    began = time.monotonic()
    log = folder.with_suffix(".log")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": str(threads)}
    failure = None
    with log.open("w", encoding="utf-8") as output:
        try:
            _call(["git", "clone", "--quiet", str(ROOT), str(folder)], output=output)
            params = folder / config.params
            set_numbers(params, {"seed": seed, "threads": threads})
            targets = [f"{params.with_name('dvc.yaml')}:evaluate@{run}" for run in runs]
            _call([sys.executable, "-m", "dvc", "repro", *targets], output=output, cwd=folder, environment=environment)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            failure = str(error)
    if failure is not None:
        failure = "\n".join([failure, *log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]])
    mean_iu = scores(folder / "data" / config.profile)
    return Result(seed=seed, seconds=time.monotonic() - began, mean_iu=mean_iu, failure=failure)


def _call(
    command: list[str], *, output: TextIO, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    subprocess.run(command, check=True, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, env=environment)


def set_numbers(params: Path, numbers: dict[str, int]) -> None:
    """Change numbers of a params.yaml, wherever their names stand, and nothing else of it.

    Raises ValueError where there is no such name.
    """
    text = params.read_text(encoding="utf-8")
    for name, number in numbers.items():
        text, changed = re.subn(rf"(?<![\w-]){name}: \d+\b", f"{name}: {number}", text)
        if not changed:
            raise ValueError(f"{params.name} has no `{name}: NUMBER`")
    params.write_text(text, encoding="utf-8")


def scores(data: Path) -> dict[str, float]:
    """Mean IU by run, and of a second head by `run, head`, from the score files of a profile's data."""
    found = {}
    for file in sorted((data / "scores").glob("*.json")):
        for name, value in json.loads(file.read_text(encoding="utf-8")).items():
            head = name.removesuffix("mean_iu").rstrip("_")
            if name.endswith("mean_iu") and not head.endswith("background"):
                found[f"{file.stem}, {head}" if head else file.stem] = value
    return found


def markdown(results: Sequence[Result], *, profile: str, runs: Sequence[str], about: Sequence[str]) -> str:
    """The page: a row per run, and one per further head, with the mean, the range and each seed's value, in percent."""
    scored = {row for result in results for row in result.mean_iu}
    lines = [
        f"# The profile {profile} over several seeds",
        "",
        "Mean IU in percent. A seed decides the starts, the order of training and, where pictures are generated, the "
        "pictures. Written by `python -m benchmarks.seeds`.",
        "",
        f"| run | mean | range | {' | '.join(f'seed {result.seed}' for result in results)} |",
        f"|---|---:|---:|{'---:|' * len(results)}",
    ]
    for run in chain.from_iterable((name, *_further_heads(name, scored)) for name in runs):
        found = [100 * result.mean_iu[run] for result in results if run in result.mean_iu]
        each = [f"{100 * result.mean_iu[run]:.1f}" if run in result.mean_iu else "not run" for result in results]
        mean = f"{statistics.fmean(found):.1f}" if found else "not run"
        spread = f"{min(found):.1f}..{max(found):.1f}" if found else "not run"
        lines.append(f"| {run} | {mean} | {spread} | {' | '.join(each)} |")
    lines += ["", *(f"- {line}" for line in about)]
    lines += [f"- seed {result.seed}: {result.seconds / 60:.1f} min of wall time" for result in results]
    for result in results:
        if result.failure is not None:
            lines += ["", f"Seed {result.seed} failed:", "", "```", result.failure, "```"]
    return "\n".join(lines) + "\n"


def _further_heads(run: str, rows: Iterable[str]) -> list[str]:
    return sorted(row for row in rows if row.startswith(f"{run}, "))


def _about(*, jobs: int, threads: int) -> list[str]:
    """Machine, versions and the commit that was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    return [
        f"commit {commit}; Python {platform.python_version()}, {versions}",
        f"{processor()}, {os.cpu_count()} cores; {jobs} seeds at a time, {threads} threads each",
    ]


def main() -> int:
    """Measure the seeds, write the page, and return 1 where one of them failed."""
    parser = argparse.ArgumentParser(description="A sample profile over several seeds, as a table.")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="of the profile")
    parser.add_argument("--runs", nargs="+", metavar="RUN", help="those to score; without it, all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time; they share the cores")
    parser.add_argument("--output", type=Path, help="the Markdown file to write; without it the page is printed")
    options = parser.parse_args()
    config = load(ROOT / options.params)
    runs = options.runs or list(config.runs)
    if unknown := set(runs) - set(config.runs):
        parser.error(f"--runs: {options.params} has no {', '.join(sorted(unknown))}; it has {', '.join(config.runs)}")
    threads = min(config.threads, max(1, (os.cpu_count() or 1) // options.jobs))
    about = _about(jobs=options.jobs, threads=threads)  # before the seeds run: HEAD may move on meanwhile
    folder = Path(tempfile.mkdtemp(prefix="fcn-seeds-"))
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            started = [
                pool.submit(measure, seed, config=config, runs=runs, folder=folder / f"seed-{seed}", threads=threads)
                for seed in options.seeds
            ]
            results = [job.result() for job in started]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page = markdown(results, profile=config.profile, runs=runs, about=about)
    if options.output is None:
        print(page, end="")
    else:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page, encoding="utf-8")
    failed = [result for result in results if result.failure is not None]
    for result in failed:
        print(f"seed {result.seed} failed: {result.failure}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
