"""What the papers and the release say of each dataset: its lists, rates and iterations."""

import pytest

from fcn.paper import protocol


@pytest.mark.parametrize(
    ("dataset", "stride", "late", "rate", "iterations"),
    [
        ("voc", 8, False, 1e-14, (100_000,)),
        ("nyud", 32, False, 1e-10, (100_000, 300_000)),
        ("nyud", 32, True, 1e-12, (100_000, 300_000)),
        ("nyud", 16, True, None, (100_000, 300_000)),
        ("siftflow", 16, False, 1e-12, (100_000, 300_000)),
        ("siftflow", 8, False, 1e-12, (100_000, 300_000)),
        ("pascalcontext", 32, False, 1e-10, (400_000, 300_000)),
        ("pascalcontext", 8, False, 1e-14, (400_000, 300_000)),
    ],
)
def test_each_dataset_has_the_releases_own_rates(
    dataset: str, stride: int, late: bool, rate: float | None, iterations: tuple[int, ...]
) -> None:
    """The release's rate of a stride, and the iterations that its script runs or its solver allows, by dataset."""
    shape = {"architecture": "vgg16", "stride": stride, "at_once": False, "late": late, "trained": "all"}
    pami = protocol.recipe("pami", dataset=dataset, **shape)  # type: ignore[arg-type]  # values of several types
    assert pami.rate.value == rate
    assert (pami.iterations.value, *pami.iterations.also) == iterations
    cvpr = protocol.recipe("cvpr", dataset=dataset, **shape)  # type: ignore[arg-type]  # values of several types
    assert cvpr.rate.value == (None if late else {32: 1e-4, 16: 1e-6, 8: 1e-8}[stride])
    assert cvpr.iterations.value is None
    once = protocol.recipe("pami", dataset=dataset, **{**shape, "at_once": True})  # type: ignore[arg-type]  # as above
    assert once.rate.value == (1e-10 if dataset == "voc" else None)


@pytest.mark.parametrize("regime", ["cvpr", "pami"])
@pytest.mark.parametrize(
    ("formats", "train", "val"),
    [
        (("nyud", "nyud_png"), ("trainval", 795, ()), ("test", 654, ())),
        (("siftflow",), ("trainval", 2488, (2486,)), ("test", 200, ())),
        (("context59", "context33"), ("train", 4998, ()), ("val", 5105, ())),
    ],
)
def test_each_dataset_has_its_experiment(
    regime: str, formats: tuple[str, ...], train: tuple[object, ...], val: tuple[object, ...]
) -> None:
    """What is trained on a dataset is compared with the lists of its own tables, in every form that it comes in."""
    for name in formats:
        found = protocol.experiment(regime, dataset=name, images=None)
        assert found is not None
        assert [(ref.list, ref.images, ref.also) for ref in (found.train, found.val)] == [train, val]
        assert found.train.formats == formats
    if formats[0].startswith("context"):
        assert protocol.experiment(regime, dataset=f"{formats[0]}_void", images=None) is found
