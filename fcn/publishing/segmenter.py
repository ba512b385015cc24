"""A trained net as an MLflow model: pictures in, palette PNGs and the classes' shares out.

The checkpoint stays with DVC. The model knows its path below the project's root and its hash.
"""

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import labels, modes
from fcn.errors import InputError
from fcn.publishing import origin


class Segmenter:
    """Takes a column `image`: a PNG's or JPEG's bytes, those in base64 (as JSON has them), or H W 3 numbers 0..255.

    Gives `png`, the class of every pixel in a PNG with the net's palette, and `shares`, the share of pixels by class.
    """

    def __init__(self, *, root: Path) -> None:
        self._root = root

    def load_context(self, context: Any) -> None:
        """Load the checkpoint that the model names, after a look at its hash."""
        import torch

        from fcn.nets import checkpoint
        from fcn.nets.build import trained

        named = context.model_config
        saved = checkpoint.load(verified(self._root / named["checkpoint"], named["checkpoint"], md5=named["md5"]))
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._net, self._preprocessing = trained(saved).on(self._device), saved.preprocessing["rgb"]
        self._target, known = next(iter(saved.targets.items()))
        self._names, self._colours = known.classes, known.palette

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # to MLflow hints are a schema
        """One row of results a row of pictures; MLflow has held the table to the signature."""
        del context, params
        return pd.DataFrame([self._answer(picture(item)) for item in model_input["image"]], columns=["png", "shares"])

    def _answer(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        import torch

        batch = self._preprocessing(image)[None].to(self._device, memory_format=torch.channels_last)
        label: NDArray[np.uint8] = self._net.predict({"rgb": batch})[self._target][0].cpu().numpy()
        counts = np.bincount(label.ravel(), minlength=len(self._names))
        coloured, png = Image.fromarray(label), io.BytesIO()
        coloured.putpalette(labels.palette(self._colours).tobytes())
        coloured.save(png, "PNG")
        shares = {self._names[index]: float(count / label.size) for index, count in enumerate(counts) if count}
        return {"png": png.getvalue(), "shares": shares}


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


def picture(item: Any) -> NDArray[np.uint8]:
    """H W 3 uint8 RGB of bytes, of base64, or of numbers that are so already."""
    if isinstance(item, str):
        try:
            item = base64.b64decode(item)
        except binascii.Error:
            message = f"{item[:30]!r}... is no base64; a picture in JSON is its file's bytes in base64"
            raise InputError(message) from None
    if isinstance(item, bytes | bytearray):
        with modes.opened(io.BytesIO(item), name=f"the picture that starts with {bytes(item[:8])!r}") as image:
            return modes.rgb(image)
    values = np.asarray(item)
    if values.ndim != 3 or values.shape[2] != 3 or values.dtype.kind not in "ui":
        raise InputError(f"a picture is H W 3 whole numbers 0..255, found {values.dtype} of shape {values.shape}")
    if values.size == 0 or values.min() < 0 or values.max() > 255:
        raise InputError("a picture's numbers are 0..255, and there is at least one pixel")
    return values.astype(np.uint8)
