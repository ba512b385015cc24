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

from fcn.publishing.fill import DIGEST

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.signature import ModelSignature

BEST = "best"  # the alias of the version that the files stand for
_NEEDED = ("mlflow", "torch", "torchvision", "numpy", "pandas", "pillow", "pydantic", "pyyaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a registered model shall offer: the checkpoint of a run, by its path and its hash in DVC."""

    name: str
    run: str
    checkpoint: str
    md5: str
    card: str
    script: str


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

    digest = _digest(model, experiment=experiment)
    filled = client.search_model_versions(f"name = '{model.name}'")
    found = next((item for item in filled if item.tags.get(DIGEST) == digest), None)
    if found is None:
        try:
            client.create_registered_model(model.name, description=_ABOUT)
        except MlflowException:
            client.get_registered_model(model.name)  # it is there already; or that, too, says what is wrong
        found = _log(client, model, experiment=experiment, run=run, tags={**made, **_pointer(model), DIGEST: digest})
        say(f"{model.name}: version {found.version} is {model.run}")
    aliases = client.get_registered_model(model.name).aliases
    if str(aliases.get(BEST)) != str(found.version):
        client.set_registered_model_alias(model.name, BEST, found.version)


_ABOUT = (
    "FCN-8s, the best by mean IU of this profile's runs at stride 8. A version is a pointer: code and checkpoint are "
    "the project's, so `mlflow models serve` and `predict` are started in its root, or with FCN_ROOT naming it."
)


def _pointer(model: Model) -> dict[str, str]:
    return {"run": model.run, "checkpoint": model.checkpoint, "checkpoint.md5": model.md5}


def _digest(model: Model, *, experiment: str) -> str:
    """A hash of all that a version holds; in a database that was moved, experiments have other ids."""
    held = {**asdict(model), "script": Path(model.script).read_text(encoding="utf-8"), "experiment": experiment}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:16]


def _log(client: "MlflowClient", model: Model, *, experiment: str, run: str, tags: Mapping[str, str]) -> "ModelVersion":
    """Log the model with its run, and make a version of it. The version, which carries the digest, comes last."""
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model as Described

    logged = client.create_logged_model(
        experiment, name=model.name, source_run_id=run, tags=dict(tags), model_type="semantic segmentation"
    )
    with tempfile.TemporaryDirectory() as folder:
        described = Described(
            artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run, model_id=logged.model_id
        )
        mlflow.pyfunc.save_model(
            path=f"{folder}/model",
            python_model=model.script,
            model_config={"checkpoint": model.checkpoint, "md5": model.md5},
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
            mlflow_model=described,
        )
        client.log_model_artifacts(logged.model_id, f"{folder}/model")
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return client.create_model_version(
        model.name,
        source=logged.artifact_location,
        run_id=run,
        model_id=logged.model_id,
        tags=dict(tags),
        description=model.card,
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
    """A picture in base64 as JSON has it: a grey disc on a gradient, so that it belongs to nobody."""
    import numpy as np
    from PIL import Image

    y, x = np.mgrid[:96, :128]
    values = np.stack([x * 2, y * 2, 128 + 0 * x], axis=2)
    values[(x - 64) ** 2 + (y - 48) ** 2 < 900] = 90
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return {"image": [base64.b64encode(buffer.getvalue()).decode()]}
