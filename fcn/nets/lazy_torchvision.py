"""torchvision's networks without the rest of torchvision, until somebody asks for it.

The `__init__` of torchvision and of torchvision.models imports every model and operator, and with these TorchDynamo:
half of the time that a stage takes to start. Where nobody has imported it before, both become packages that run their
`__init__` when something is looked up in them; `from torchvision.models.vgg import VGG` looks up nothing there.
"""

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def defer() -> None:
    """To be called before the first import of a network."""
    if "torchvision" not in sys.modules:
        _defer("torchvision")
        sys.modules["torchvision"].__dict__["models"] = _defer("torchvision.models")


class _Deferred(ModuleType):
    """A package before its `__init__` has run.

    What is imported of it meanwhile isn't bound here: `torchvision.models.alexnet` is a function once `__init__` has
    run, and the module of that name would hide it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__.setdefault("_submodules", {})[name] = value

    def __getattr__(self, name: str) -> object:
        submodules, loader = self.__dict__.pop("_submodules", {}), self.__dict__["__loader__"]
        object.__setattr__(self, "__class__", ModuleType)
        loader.exec_module(self)
        for each, module in submodules.items():
            self.__dict__.setdefault(each, module)
        return getattr(self, name)


def _defer(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = sys.modules[name] = module_from_spec(spec)
    module.__class__ = _Deferred
    return module
