"""torchvision's networks without the rest of torchvision, until somebody asks for it.

The `__init__` of torchvision and of torchvision.models imports every model and operator, and with these TorchDynamo:
half of the time that a stage takes to start. Where nobody has imported it before, both become packages that run their
`__init__` when something is looked up in them; `from torchvision.models.vgg import VGG` looks up nothing there.
"""

import sys
from importlib.util import find_spec, module_from_spec


def defer() -> None:
    """To be called before the first import of a network."""
    if "torchvision" not in sys.modules:
        _defer("torchvision")
        sys.modules["torchvision"].__dict__["models"] = _defer("torchvision.models")


def _defer(name: str) -> object:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module, loader = module_from_spec(spec), spec.loader

    def whole(attribute: str) -> object:
        module.__dict__.pop("__getattr__", None)
        loader.exec_module(module)
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = whole
    sys.modules[name] = module
    return module
