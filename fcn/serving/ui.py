"""MLflow's server as `make ui` starts it, by `uvicorn fcn.serving.ui:app`: its own pages, opened on the tables."""

import os
import sys
from pathlib import Path

from mlflow import server
from mlflow.server import constants
from mlflow.server.fastapi_app import app

from fcn.errors import InputError, StageFailure
from fcn.publishing import shared_view, tracking

# As `mlflow ui` sets them.
_SETTINGS = {
    constants.BACKEND_STORE_URI_ENV_VAR: tracking.DEFAULT_URI,
    constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
    constants.ARTIFACTS_DESTINATION_ENV_VAR: "./mlartifacts",
    constants.SERVE_ARTIFACTS_ENV_VAR: "true",
}
os.environ.update({key: value for key, value in _SETTINGS.items() if key not in os.environ})
_URI = os.environ[constants.BACKEND_STORE_URI_ENV_VAR]
try:
    with tracking.failing_clearly(_URI):  # a damaged database, or one of another version of MLflow
        _CLIENT = tracking.connected(_URI)
except (InputError, StageFailure) as error:
    sys.exit(f"error: {error}")
_PAGE = (Path(str(server.app.static_folder)) / "index.html").read_text(encoding="utf-8")


def _front() -> str:
    """MLflow's one page, which shows whatever its address names behind a #, told where the tables are."""
    script = shared_view.front({item.experiment_id: item.tags for item in _CLIENT.search_experiments()})
    return _PAGE.replace("</head>", f"<script>{script}</script></head>", 1)


server.app.view_functions["serve"] = _front
__all__ = ["app"]
