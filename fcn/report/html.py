"""The report as one HTML file that needs nothing beside it: pictures are in it, and it works without scripts."""

import base64
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from fcn.report.document import Document, Switch

_TYPES = {"png": "image/png", "jpg": "image/jpeg"}


def html(document: Document, *, images: Mapping[str, bytes]) -> str:
    """The page; `images` are the bytes of every file that the document names."""
    environment = Environment(
        loader=PackageLoader("fcn.report", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = lambda file: _inline(file, images[file])
    environment.filters["kind"] = lambda item: type(item).__name__
    switches = [item for section in document.sections for item in section.items if isinstance(item, Switch)]
    layers = max((len(item.heads) for item in switches), default=0)
    return environment.get_template("template.html").render(document=document, layers=layers).lstrip()


def _inline(file: str, content: bytes) -> str:
    """A file as a data address."""
    kind = _TYPES[file.rpartition(".")[2]]
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
