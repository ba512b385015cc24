"""What it comes to, in one paragraph and in a few numbers, and how to make it again."""

from collections.abc import Sequence

from fcn.config import Config
from fcn.report.material import Material
from fcn.report.quantities import duration, size
from fcn.tables import Json

_TITLE = "Fully Convolutional Networks for Semantic Segmentation, reproduced"
_GENERATED = (
    "The pictures are generated and the networks narrow: what can be compared with the papers is the order of the "
    "networks, never a number."
)
_SMOKE = "Every stage ran once, on a dozen generated pictures: the numbers mean nothing."
_LOCAL = (
    "The pictures are those that a local folder holds, which may be part of the datasets: the section on data has the "
    "counts, and numbers from part of the data are never the papers’."
)
_OWN = "The pictures are those of a local folder, and no run follows a paper: no printed number stands beside its own."


def title(material: Material) -> str:
    """The page's title."""
    return f"{_TITLE}: profile {material.config.profile}"


def words(material: Material) -> str:
    """What it comes to, in words around the files' numbers."""
    scored = _scored(material)
    mean_iu = {row["run"]: row["numbers"]["mean_iu"] for row in scored}
    best = _best(material.config, scored)
    constant = best["numbers"]["background_mean_iu"]
    background = "" if constant is None else f"; answering background everywhere has {constant:.1f}"
    parts = [
        f"{len(scored)} of {len(material.config.runs)} runs are trained and scored. The best on {best['val']}, "
        f"{best['run']}, has a mean IU of {mean_iu[best['run']]:.1f} on {best['images']} images{background}."
    ]
    for switch in material.figures["switches"]:
        if switch["gain"]:
            named = zip(switch["heads"][1:-1], switch["runs"], strict=True)
            steps = ", ".join(f"{mean_iu[run]:.1f} ({head})" for head, run in named)
            parts.append(f"Along the chain to {switch['runs'][-1]} mean IU is {steps}.")
    config = material.config
    scored_on = {run.val.dataset for run in config.runs.values()}
    fetched = f"data/{config.profile}/archives/"
    if any(config.generated(name) for name in scored_on):
        parts.append(_SMOKE if config.profile == "smoke" else _GENERATED)
    elif not all(config.dataset(name).from_.startswith(fetched) for name in scored_on):
        parts.append(_LOCAL if material.follows else _OWN)
    return " ".join(parts)


def _scored(material: Material) -> list[Json]:
    """The lines of the runs that have scores."""
    return [row for row in material.scores["scores"] if row["numbers"]["mean_iu"] is not None]


def _best(config: Config, scored: Sequence[Json]) -> Json:
    """The line of the highest mean IU among those of the first one's val list and target: others may be easier."""
    what = [(row["val"], next(iter(config.net(row["run"]).heads))) for row in scored]
    alike = [row for row, of in zip(scored, what, strict=True) if of == what[0]]
    return max(alike, key=lambda row: float(row["numbers"]["mean_iu"]))


def facts(material: Material) -> dict[str, str]:
    """The few numbers of the tiles, by what they are."""
    scored = _scored(material)
    best = _best(material.config, scored)
    costs = [*material.cost.values(), *material.stages.values()]
    return {
        "best mean IU": f"{best['numbers']['mean_iu']:.1f}",
        "runs": str(len(scored)),
        "training": duration(sum(cost["seconds"] for cost in material.cost.values())),
        "on disk": size(sum(cost.get("bytes", 0) for cost in costs)),
    }


def commands(material: Material) -> dict[str, str]:
    """What to type, with what it does."""
    params = material.config.params
    graph = params.replace("params.yaml", "dvc.yaml")
    here = graph == "dvc.yaml"
    whole = "dvc repro" if here else f"dvc repro {graph}"
    example = f"{whole}{' ' if here else ':'}evaluate@{next(iter(material.config.runs))}"
    return {
        **({"make reproduce": "makes the environment, and everything on this page"} if here else {}),
        whole: "brings everything up to date, this page included; goes on where it was stopped",
        example: "one run, with all that it needs",
        f"python -m fcn report --params {params}": "this page alone, from the files that are there",
        "make ui": "opens MLflow, with an experiment for each table and one run a row",
    }
