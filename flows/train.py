"""The flow `train`: every run's network, here or for a `reproduce` on another machine."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.dag import SAMPLE
from flows.elsewhere import check_same, give, take_history
from flows.entry import outcome, run_name, start
from flows.exchange import check_remote
from flows.slices import plan
from flows.walking import Manner, NotAllDone, walk


@flow(name="train", flow_run_name=run_name)
def train(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
    without: list[str] | None = None,
    exchange: bool = False,
    only_fetch: bool = False,
    remote: str | None = None,
    made_of: dict[str, str] | None = None,
) -> State[Any]:
    """Bring trained networks up to date, and whatever stale stage they need.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of the runs to train; a staged one's parents are among what it needs. None: all runs.
        force: do every stage of this slice, also those that are up to date.
        gpus: ids of the GPUs to train on, one training each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        without: names of stages that are left out, with all that needs them.
        exchange: take from the DVC remote what other machines have done, and give it what is done here.
        only_fetch: take trained networks from the DVC remote, and train none here.
        remote: name of that DVC remote. None: the default one.
        made_of: digests of what the stages are made of where this flow is wanted; another clone is refused.

    """
    how = Manner(
        profile=profile,
        gpus=gpus or (),
        keep_going=keep_going,
        fetch=exchange or only_fetch,
        only_fetch=only_fetch,
        remote=remote,
    )

    def work() -> None:
        if how.fetch:
            check_remote(remote)
            check_same(made_of, profile=profile)
            take_history(remote=remote)
        try:
            walk(plan("train", profile=profile, runs=runs, force=force, without=without), how=how)
        except NotAllDone:
            if exchange:
                give(profile, remote=remote)  # what ended well
            raise
        if exchange:
            give(profile, remote=remote)

    return outcome(work)


if __name__ == "__main__":
    start(train)
