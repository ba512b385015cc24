"""A trained net as a version of a registered model: a card, a signature, an example, and where its checkpoint lies."""

import base64
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn.publishing.tracking import DIGEST, MODEL_TYPE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.signature import ModelSignature

_BEST = "best"  # the alias of the version that the files stand for
_NEEDED = ("mlflow", "torch", "torchvision", "numpy", "pandas", "pillow", "pydantic", "pyyaml")
_ABOUT = (
    "FCN-8s, the best by mean IU of this profile's runs at stride 8. A version is a pointer: code and checkpoint are "
    "the project's, so `mlflow models serve` and `predict` are started in its root, or with FCN_ROOT naming it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a registered model shall offer: the checkpoint of a run, by its path and its hash in DVC.

    `script` is the file that MLflow runs to load it.
    """

    name: str
    run: str
    checkpoint: str
    md5: str
    card: str
    metrics: Mapping[str, float]
    script: Path


def register(
    client: "MlflowClient",
    model: Model,
    *,
    experiment: str,
    run: str,
    made: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Have a version with just this content, logged with the training's run, under the alias; twice changes nothing."""
    from mlflow.exceptions import MlflowException

    content = {**asdict(model), "script": model.script.read_text(encoding="utf-8")}
    content["experiment"] = experiment  # in a database that was moved, experiments have other ids
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    versions = client.search_model_versions(f"name = '{model.name}'")
    found = next((item for item in versions if item.tags.get(DIGEST) == digest), None)
    if found is None:
        try:
            client.create_registered_model(model.name, description=_ABOUT)
        except MlflowException:
            client.get_registered_model(model.name)  # it is there already; or that, too, says what is wrong
        tags = {"run": model.run, "checkpoint": model.checkpoint, "checkpoint.md5": model.md5, **made, DIGEST: digest}
        found = _log(client, model, experiment=experiment, run=run, tags=tags)
        say(f"{model.name}: version {found.version} is {model.run}")
    aliases = client.get_registered_model(model.name).aliases
    if str(aliases.get(_BEST)) != str(found.version):
        client.set_registered_model_alias(model.name, _BEST, found.version)


def _log(client: "MlflowClient", model: Model, *, experiment: str, run: str, tags: dict[str, str]) -> "ModelVersion":
    """Log the model with its run, and make a version of it. The version, which carries the digest, comes last."""
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
    from mlflow.models import Model as Described

    logged = client.create_logged_model(
        experiment, name=model.name, source_run_id=run, tags=tags, model_type=MODEL_TYPE
    )
    key, place = logged.model_id, logged.artifact_location
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            path=f"{folder}/model",
            python_model=str(model.script),
            model_config={"checkpoint": model.checkpoint, "md5": model.md5},
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
            mlflow_model=Described(artifact_path=place, model_uuid=key, run_id=run, model_id=key),
        )
        client.log_model_artifacts(key, f"{folder}/model")
    ended = client.get_run(run).info.end_time or 0
    numbers = [Metric(metric, value, ended, 0, model_id=key) for metric, value in model.metrics.items()]
    client.log_batch(run, metrics=numbers)
    client.finalize_logged_model(key, LoggedModelStatus.READY)
    client.log_outputs(run, [LoggedModelOutput(key, step=0)])
    return client.create_model_version(
        model.name, source=place, run_id=run, model_id=key, tags=tags, description=model.card
    )


def _signature() -> "ModelSignature":
    """A picture is of any type, because it may be bytes, base64 or numbers; the answer is a PNG's bytes and shares."""
    from mlflow.models.signature import ModelSignature
    from mlflow.types import schema
    from mlflow.types.schema import ColSpec, DataType, Map, Schema

    untyped: Any = schema
    return ModelSignature(
        inputs=Schema([ColSpec(untyped.AnyType(), "image")]),
        outputs=Schema([ColSpec(DataType.binary, "png"), ColSpec(Map(DataType.double), "shares")]),
    )


def _example() -> dict[str, list[str]]:
    """A picture in base64 as JSON has it: a gradient, so that it belongs to nobody."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((128, 96)).convert("RGB").save(buffer, "PNG")
    return {"image": [base64.b64encode(buffer.getvalue()).decode()]}
