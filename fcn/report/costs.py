"""What it took: the machines, the time, the memory and the disk."""

from fcn.report import texts
from fcn.report.document import Fold, Grid, Item, Section
from fcn.report.material import Json, Material


def section(material: Material) -> Section:
    """Environment, time and memory of each run, and what lies on disk."""
    timing = material.timing
    machines: dict[tuple[str, str, str], list[str]] = {}
    for name, cost in material.cost.items():
        key = (str(cost["device"]), str(cost["threads"]), str(cost["torch"]))
        machines.setdefault(key, []).append(name)
    everything = len(material.cost)
    lines = [
        [f"training of {'all runs' if len(names) == everything else ', '.join(names)}", *key]
        for key, names in machines.items()
    ]
    lines.append(["forward times", timing["device"], str(timing["threads"]), timing["torch"]])
    environment = Grid(
        title="Environment", head=["what", "device", "threads", "torch"], lines=lines, left=["device", "torch"]
    )
    runs = Grid(
        title="Time and memory of each run",
        head=["run", "training", "seconds", "peak memory", "a forward pass (ms)"],
        lines=[_cost_line(name, cost, timing) for name, cost in material.cost.items()],
        note="Peak memory: of the GPU where the device is one, else of the whole process. Forward pass: mean of its "
        f"trials, one image of {timing['side_px']}x{timing['side_px']} px.",
    )
    stages = Grid(
        title="Time and memory of each stage",
        head=["stage", "took", "seconds", "peak memory"],
        lines=[
            [name, texts.duration(cost["seconds"]), f"{cost['seconds']:.1f}", texts.size(cost["peak_memory_bytes"])]
            for name, cost in material.stages.items()
        ],
        note="As it was run last, of the process; trainings are above, and this page can’t know what it takes itself.",
    )
    disk = Grid(
        title="Disk",
        head=["below data/" + material.config.profile, "files", "size"],
        lines=[[item.path, f"{item.files:,}", texts.size(item.bytes)] for item in material.disk],
        note="DVC’s cache holds each file once, and shares it with data/ where the file system can.",
    )
    items: list[Item] = [environment, runs, Fold(title=stages.title, items=[stages]), disk]
    return Section(key="cost", title="Environment, time, memory, disk", items=items)


def _cost_line(name: str, cost: Json, timing: Json) -> list[str]:
    timed = timing["runs"].get(name)
    forward = "-" if timed is None else f"{1000 * timed['seconds_per_image']:.1f}"
    return [
        name,
        texts.duration(cost["seconds"]),
        f"{cost['seconds']:.1f}",
        texts.size(cost["peak_memory_bytes"]),
        forward,
    ]
