"""Which checkpoint a run's name means where several profiles have one, and what it learned from."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fcn.config import Config, load
from fcn.errors import InputError
from fcn.files import existing
from fcn.stages.places import Places


def profiles(config: Config) -> dict[str, Config]:
    """All profiles here that can be read, by name; `config` first."""
    found = {config.profile: config}
    for path in (Path("params.yaml"), *sorted(Path("profiles").glob("*/params.yaml"))):
        with suppress(InputError, OSError):
            other = load(path)
            found.setdefault(other.profile, other)
    return found


def chosen(net: str, profiles: Mapping[str, Config], *, named: bool) -> Path:
    """The file of a net, which is a path or the name of a run.

    Of the first profile's run, if that was `named`; otherwise of one that is trained, which is first the one that saw
    other than generated pictures.
    """
    path = Path(net)
    if path.suffix == ".pt" or len(path.parts) > 1:
        if not path.is_file():
            raise InputError(f"{path}: no such checkpoint; give a run's name, or the path of a .pt file")
        return path
    config = next(iter(profiles.values()))
    if not named:
        trained = _trained(net, profiles)
        config = next((it for it in trained if not _generated(it, net)), next(iter(trained), config))
    try:
        config.run(net)
    except InputError as error:
        raise InputError(f"{error}; another profile's runs are those of --params profiles/NAME/params.yaml") from None
    return existing(Places(config).net(net))


def learned(provenance: Mapping[str, str], profiles: Mapping[str, Config]) -> str:
    """What a net learned from, as far as its file and params.yaml tell."""
    if "run" not in provenance:
        return f"weights {provenance.get('weights', 'of unknown origin')}, not trained here"
    run, profile = provenance["run"], provenance.get("profile", "unknown")
    kept = f", its net of {provenance['kept']}" if "kept" in provenance else ""
    config = profiles.get(profile)
    if config is None or run not in config.runs:
        return f"run {run} of profile {profile}{kept}"
    train = config.run(run).train
    alone = "; generated pictures: on any others its answers mean nothing" if _generated(config, run) else ""
    return f"run {run} of profile {profile}, trained on {train.list} of {train.dataset}{kept}{alone}"


def others(provenance: Mapping[str, str], profiles: Mapping[str, Config]) -> str:
    """Which other nets have the same run's name, and how to take them, or get one that has seen photos."""
    run, profile = provenance.get("run", ""), provenance.get("profile", "")
    words = [
        f"; --params {config.params} takes that of profile {config.profile}, trained on {config.run(run).train.dataset}"
        for config in _trained(run, profiles)
        if config.profile != profile
    ]
    own = profiles.get(profile)
    if not words and own is not None and run in own.runs and _generated(own, run):
        return '; README, "Real pictures on a small machine", says how to train on photos'
    return "".join(words)


def _trained(run: str, profiles: Mapping[str, Config]) -> list[Config]:
    return [config for config in profiles.values() if run in config.runs and Places(config).net(run).is_file()]


def _generated(config: Config, run: str) -> bool:
    return config.generated(config.run(run).train.dataset)
