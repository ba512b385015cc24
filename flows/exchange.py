"""What this clone and the DVC remote exchange, as commands: a download in a child ends when the flow is cancelled."""

import argparse
import sys

from dvc.cli import main as dvc_main  # type: ignore[import-untyped]
from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # DVC ships no types
from dvc.stage.cache import RunCacheNotFoundError  # type: ignore[import-untyped]
from dvc_data.hashfile.hash_info import HashInfo

from fcn.errors import InputError, StageFailure
from flows import dag
from flows.children import dvc

RESTORED = "restored"  # what `repro` says where it fetched a result


def push(profile: str, *, remote: str | None) -> list[str]:
    """The command that gives the profile's results, and the history of which inputs they came from, to the remote."""
    return dvc("push", "--run-cache", *(["--remote", remote] if remote else []), dag.pipeline(profile))


def history(*, remote: str | None) -> list[str]:
    """The command that fetches the remote's history: which inputs gave which results, without the results."""
    return _ours("history", remote=remote)


def repro(address: str, *, remote: str | None, must: bool) -> list[str]:
    """The command that fetches a stage's result where the history has one for the inputs here, or else runs the stage.

    It fails if there is none and there `must` be one.
    """
    return [*_ours("repro", remote=remote), *(["--must"] if must else []), address]


def check_remote(remote: str | None) -> None:
    """Raise InputError, saying which remotes there are, where this one isn't, or no default."""
    with dag.opened() as repo:
        known = list(repo.config["remote"])
        name = remote or repo.config["core"].get("remote")
    if name not in known:
        found = f"the DVC remote {name!r} is unknown" if name else "this clone has no default DVC remote"
        raise InputError(
            f"{found}; there are {', '.join(known) or 'none'}. Results travel over a remote that both machines reach: "
            "`dvc remote add -d NAME URL`"
        )


def _ours(command: str, *, remote: str | None) -> list[str]:
    return [sys.executable, "-m", "flows.exchange", command, *(["--remote", remote] if remote else [])]


def _history(remote: str | None) -> None:
    with dag.opened(remote=remote) as repo, repo.lock:
        # `dvc fetch --run-cache` would also fetch all that dvc.lock names, and fail where the remote lacks any of it.
        fetched = repo.stage_cache.pull(remote)
        print(f"the history of {len(fetched)} results is here")  # noqa: T201  # a command's answer


def _restore(address: str, *, remote: str | None, must: bool) -> None:
    """Restore what dvc.lock names; where the remote lacks that, what the history has for the same inputs.

    A clone may come with a dvc.lock of another machine, whose results, times among them, never were on this remote.
    """
    with dag.opened(remote=remote) as repo:
        (stage,) = repo.stage.collect(address)
        try:
            with repo.lock:
                try:
                    repo.stage_cache.restore(stage, pull=True)
                except RunCacheNotFoundError:
                    for out in stage.outs:
                        out.hash_info = HashInfo()
                    repo.stage_cache.restore(stage, pull=True)
            repo.commit(address, force=True)  # into dvc.lock, which `dvc repro` would believe rather than the history
            print(f"{RESTORED} {address}")  # noqa: T201
        except RunCacheNotFoundError:
            found = "the remote has no result of it for the inputs that lie here"
        except DvcException as error:
            found = " ".join(str(error).split())
        else:
            return
    if must:
        raise StageFailure(f"{address} could not be restored: {found}")


def main() -> None:
    """Fetch the history from the DVC remote, or bring one stage up to date by it."""
    parser = argparse.ArgumentParser(prog="python -m flows.exchange", description=main.__doc__)
    parser.add_argument("command", choices=["history", "repro"])
    parser.add_argument("address", nargs="?", help="the stage")
    parser.add_argument("--remote")
    parser.add_argument("--must", action="store_true", help="fail if the remote has no result")
    options = parser.parse_intermixed_args()  # `repro --must STAGE`, too
    try:
        if options.command == "history":
            _history(options.remote)
        else:
            _restore(options.address, remote=options.remote, must=options.must)
            sys.exit(dvc_main(["--wait-for-lock", "repro", "--single-item", options.address]))
    except (InputError, StageFailure) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
