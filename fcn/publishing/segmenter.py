"""A trained net as an MLflow model: pictures in, palette PNGs and the classes' shares out.

The checkpoint stays with DVC. The model knows its path below the project's root and its hash.
"""

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import pandas as pd

from fcn.errors import InputError
from fcn.machine import wants_it_plain
from fcn.predict import Answer, Predictor
from fcn.publishing import origin


class Segmenter:
    """Takes a column `image`: a PNG's or JPEG's bytes, those in base64 (as JSON has them), or H W 3 numbers 0..255.

    Gives `png`, the class of every pixel in a PNG with the net's palette, and `shares`, the share of pixels by class.
    """

    def __init__(self, *, root: Path) -> None:
        self._root = root

    def load_context(self, context: Any) -> None:
        """Load the checkpoint that the model names, after a look at its hash."""
        named = context.model_config
        path = verified(self._root / named["checkpoint"], named["checkpoint"], md5=named["md5"])
        self._predictor = Predictor.load(path, plain=wants_it_plain())

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # to MLflow hints are a schema
        """One row of results a row of pictures; MLflow has held the table to the signature."""
        del context, params
        rows = [_row(self._predictor(decoded(item))) for item in model_input["image"]]
        return pd.DataFrame(rows, columns=["png", "shares"])


def _row(answer: Answer) -> dict[str, Any]:
    png = io.BytesIO()
    answer.mask().save(png, "PNG")
    return {"png": png.getvalue(), "shares": answer.shares}


def verified(path: Path, name: str, *, md5: str) -> Path:
    """`path`, if it is the checkpoint that was meant; otherwise an InputError says how to get that."""
    if not path.exists():
        raise InputError(f"{path} is missing; get it with `dvc pull {name}`, in the root of the project")
    if (found := origin.md5(path)) != md5:
        raise InputError(
            f"{path} is another net than this model's (md5 {found}, not {md5}); check out the commit in the model's "
            f"tag git.commit and `dvc pull {name}`, or take a newer version of the model"
        )
    return path


def decoded(item: Any) -> Any:
    """A picture as fcn.predict takes it, of base64, as JSON has bytes, or of what is one already."""
    if not isinstance(item, str):
        return item
    try:
        return base64.b64decode(item)
    except binascii.Error:
        message = f"{item[:30]!r}... is no base64; a picture in JSON is its file's bytes in base64"
        raise InputError(message) from None
