"""Stage: join two trained nets of different inputs, for a net of late fusion to start from."""

import sys

from fcn.config import Config
from fcn.errors import InputError
from fcn.files import existing, whole_file
from fcn.nets import checkpoint
from fcn.nets.build import joined
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/weights/<name>.pt."""
    if name not in config.fusions:
        known = ", ".join(config.fusions) or "none"
        raise InputError(f"fusions: which entry? write `python -m fcn fusions NAME`; there are {known}")
    places = Places(config)
    paths = [existing(places.init(net)) for net in config.fusions[name]]
    first, second = (checkpoint.load(path) for path in paths)
    made = joined(first, second, name=name)
    with whole_file(places.weights(name)) as part:
        checkpoint.save(made, part)
    assert made.net is not None
    print(f"fusions {name}: {paths[0]} and {paths[1]}, joined for {' and '.join(made.net.inputs)}", file=sys.stderr)
