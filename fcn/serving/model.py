"""The file that MLflow runs to load the model: it finds the project, and with it the code and the checkpoint.

MLflow's commands don't look for modules where they are started, so the project's root is named to Python here.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

_root = Path(os.environ.get("FCN_ROOT") or ".").resolve()
if (_root / "fcn").is_dir():
    sys.path.insert(0, str(_root))
elif find_spec("fcn") is None:
    message = f"{_root} is not the project's root: start from there, or name it in the environment variable FCN_ROOT"
    raise FileNotFoundError(message)

from fcn.publishing.segmenter import Segmenter  # noqa: E402 - only now it can be found


class Model(Segmenter, PythonModel):
    """The segmenter as MLflow's kind of model."""


set_model(Model(root=_root))
