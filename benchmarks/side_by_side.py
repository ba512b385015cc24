"""What Prefect's flow costs and gains beside `dvc repro`: docs/results/side-by-side.md.

    python -m benchmarks.side_by_side simulate --output docs/results/side-by-side.md
    python -m benchmarks.side_by_side clones PATH_FOR_DVC PATH_FOR_PREFECT

`simulate` walks the trainings and evaluations of profiles/paper as stages that sleep, each in proportion to its
estimate in docs/paper-plan.md, on 1, 4 and 8 devices that are but numbers. `clones` times a whole profile for real, in
two clones in which nothing was run yet: in one with `dvc repro`, in the other with the flow.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import paper_plan
from fcn.config import Config, load

ROOT = Path(__file__).resolve().parent.parent
_MEASURED = re.compile(r"/(cost|timing)(/|$)|/published\.json$|/(tables|report)(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """A simulated stage: how long it sleeps, and what it needs."""

    seconds: float
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How long a command took, all of it and until its first stage began, and what else the cores had to do then."""

    seconds: float
    before_first: float
    load: float


def sleeps(config: Config, *, seconds: float) -> dict[str, Sleep]:
    """The trainings and evaluations of a profile, in proportion to their estimates, `seconds` in all."""
    needs: dict[str, tuple[str, ...]] = {}
    for name in config.runs:
        needs[f"train@{name}"] = tuple(f"train@{start}" for start in config.starts(name))
        needs[f"evaluate@{name}"] = (f"train@{name}",)
    costs = {cost.stage: cost.seconds for cost in paper_plan.plan(config) if cost.stage in needs}
    scale = seconds / sum(costs.values())
    return {stage: Sleep(seconds=round(costs[stage] * scale, 2), needs=needs[stage]) for stage in needs}


def critical_path(stages: Mapping[str, Sleep]) -> float:
    """The longest chain of stages that need each other: no number of devices is faster."""

    def until(stage: str) -> float:
        return stages[stage].seconds + max((until(need) for need in stages[stage].needs), default=0.0)

    return max(map(until, stages))


def make(folder: Path, stages: Mapping[str, Sleep]) -> None:
    """A project of sleeping stages in `folder`, with our flows."""
    every: dict[str, Any] = {}
    for kind in ("train", "evaluate"):
        items = {
            stage.partition("@")[2]: {
                "seconds": sleep.seconds,
                "needs": f"{sleep.needs[0].replace('@', '-')}.txt" if sleep.needs else "start.txt",
            }
            for stage, sleep in stages.items()
            if stage.startswith(f"{kind}@")
        }
        command = f"date +%s.%N >> begun; sleep ${{item.seconds}}; echo ${{key}} > {kind}-${{key}}.txt"
        do = {"cmd": command, "deps": ["${item.needs}"], "outs": [f"{kind}-${{key}}.txt"]}
        every[kind] = {"foreach": items, "do": do}
    folder.mkdir()
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": every}), encoding="utf-8")
    (folder / "start.txt").write_text("start\n", encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "flows", folder / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    for command_line in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command_line, cwd=folder, check=True)


def walk(command: Sequence[str], *, folder: Path) -> Walk:
    """Run a command in `folder` with this interpreter, without any Prefect server but the flow's own, and time it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, tempfile.TemporaryFile() as log:
        environment = {**kept, "PATH": path, "PREFECT_HOME": scratch, "DVC_NO_ANALYTICS": "1"}
        environment["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "600"  # a slow start is measured, no error
        if not (folder / "fcn").exists():
            environment["PYTHONPATH"] = str(ROOT)
        began, clock = time.monotonic(), time.time()
        ended = subprocess.run(
            [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=log, stderr=log, check=False
        )
        seconds = time.monotonic() - began
        if ended.returncode != 0:
            log.seek(0)
            sys.exit(f"error: {' '.join(command)} failed:\n{log.read().decode(errors='replace')[-3000:]}")
    begun = folder / "begun"
    first = min(map(float, begun.read_text(encoding="utf-8").split())) if begun.exists() else clock
    return Walk(seconds=seconds, before_first=first - clock, load=os.getloadavg()[1])


def simulate(devices: Sequence[int], *, seconds: float) -> str:
    """The page: the flow on each number of devices, beside `dvc repro` and beside what no scheduler can beat."""
    stages = sleeps(load(paper_plan.PROFILE), seconds=seconds)
    asleep, longest = sum(stage.seconds for stage in stages.values()), critical_path(stages)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "dvc", stages)
        repro = walk(["dvc", "repro"], folder=folder / "dvc")
        flows = {}
        for count in devices:
            make(folder / str(count), stages)
            gpus = [str(number) for number in range(count)]
            flows[count] = walk(["flows.reproduce", "--gpus", *gpus], folder=folder / str(count))
            if _lock(folder / str(count)) != _lock(folder / "dvc"):
                sys.exit(f"error: on {count} devices the flow left another dvc.lock than `dvc repro`")
    lines = [
        "# Side by side: the flow beside `dvc repro`",
        "",
        f"Made by `python -m benchmarks.side_by_side simulate --seconds {seconds:g}`. **Simulated**: the "
        f"{len(stages)} trainings and evaluations of profiles/paper are stages that sleep, in proportion to the "
        f"estimates of docs/paper-plan.md, {asleep:.0f} s in all; a device is a number that one stage at a time holds. "
        f"Machine: {_machine()}. Both ways left the same dvc.lock.",
        "",
        "*Bound* is what no order of the stages could beat: the longest chain of stages that need each other "
        f"({longest:.0f} s here), or all sleep spread evenly, whichever is more. *Before the first stage* is Python, "
        "and for the flow a Prefect server of its own, started with it. *Load* is the machine's average over the five "
        "minutes before the end; sleeping adds nothing to it.",
        "",
        "| | wall (s) | before the first stage (s) | bound (s) | wall / bound | `dvc repro` / wall | load |",
        "|---|---:|---:|---:|---:|---:|---:|",
        _line("`dvc repro`", repro, bound=asleep, repro=repro),
    ]
    for count, flow in flows.items():
        bound = max(longest, asleep / count)
        lines.append(_line(f"flow, {count} device{'s' * (count > 1)}", flow, bound=bound, repro=repro))
    return "\n".join(lines) + "\n"


def _line(name: str, walked: Walk, *, bound: float, repro: Walk) -> str:
    return (
        f"| {name} | {walked.seconds:.0f} | {walked.before_first:.1f} | {bound:.0f} | {walked.seconds / bound:.2f} "
        f"| {repro.seconds / walked.seconds:.2f} | {walked.load:.1f} |"
    )


def clones(dvc: Path, prefect: Path, *, profile: str) -> str:
    """The page: a profile in two clones, one after the other, so that they don't share the cores."""
    pipeline = "dvc.yaml" if profile == "sample" else f"profiles/{profile}/dvc.yaml"
    for folder in (dvc, prefect):
        if not (folder / pipeline).exists():
            sys.exit(f"error: {folder} is no clone with {pipeline}")
        if (folder / "data" / profile).exists():
            sys.exit(f"error: {folder / 'data' / profile} is there already; both must be clones where nothing was run")
    repro = walk(["dvc", "repro", pipeline], folder=dvc.resolve())
    flow = walk(["flows.reproduce", "--profile", profile], folder=prefect.resolve())
    same = _lock((dvc / pipeline).parent) == _lock((prefect / pipeline).parent)
    lines = [
        f"Profile {profile}; {_machine()}. Apart from times and what shows them, dvc.lock is "
        f"{'the same' if same else '**not** the same'} in both clones.",
        "",
        "| | wall (s) | beside `dvc repro` |",
        "|---|---:|---:|",
        f"| `dvc repro` | {repro.seconds:.0f} | 1.00 |",
        f"| `python -m flows.reproduce` | {flow.seconds:.0f} | {flow.seconds / repro.seconds:.2f} |",
    ]
    return "\n".join(lines) + "\n"


def _lock(folder: Path) -> str:
    """dvc.lock as data, whatever the order in it, without what was measured and what shows that."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    for stage in stages.values():
        for kind in ("deps", "outs"):
            kept = [item for item in stage.get(kind, []) if not _MEASURED.search(item["path"])]
            stage[kind] = sorted(kept, key=lambda item: str(item["path"]))
    return json.dumps(stages, sort_keys=True)


def _machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()})"


def main() -> None:
    """Measure, and print the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_by_side", description=(__doc__ or "").split("\n")[0]
    )
    every = parser.add_subparsers(dest="command", required=True)
    simulation = every.add_parser("simulate", help="sleeping stages on devices that are but numbers")
    simulation.add_argument("--devices", type=int, nargs="+", default=[1, 4, 8])
    simulation.add_argument("--seconds", type=float, default=400.0, help="sleep of all stages together")
    simulation.add_argument("--output", type=Path, help="the file for the page, written once all is measured")
    real = every.add_parser("clones", help="a whole profile, for real, in two clones in which nothing was run yet")
    real.add_argument("dvc", type=Path, help="the clone for `dvc repro`")
    real.add_argument("prefect", type=Path, help="the clone for the flow")
    real.add_argument("--profile", default="sample")
    options = parser.parse_args()
    if options.command == "simulate":
        page = simulate(options.devices, seconds=options.seconds)
        if options.output:
            options.output.write_text(page, encoding="utf-8")
    else:
        page = clones(options.dvc, options.prefect, profile=options.profile)
    print(page, end="")


if __name__ == "__main__":
    main()
