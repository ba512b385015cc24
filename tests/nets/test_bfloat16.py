"""A net whose trunk is held in bfloat16 answers as one whose kernels are cast each time."""

import pytest
import torch

from fcn.nets.fcn import FCN
from tests.nets.test_reach import both, photos


@pytest.mark.parametrize("architecture", ["alexnet", "caffenet", "googlenet", "googlenet_published", "vgg16"])
def test_kernels_in_bfloat16_answer_as_by_autocast(architecture: str) -> None:
    """Every pixel's class is what autocast alone gives of every backbone; the score layers stay in float32."""
    net: FCN = both(architecture=architecture)[1].float().eval()
    images = {"rgb": photos(net, 61, 34)["rgb"].float()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = net.predict(images)
        found = net.in_bfloat16().predict(images)
    for target, answer in found.items():
        assert torch.equal(answer, wanted[target]), (answer != wanted[target]).float().mean()
    assert net.trunk.first.weight.dtype == torch.bfloat16
    assert net.head("semantic").score_fr.weight.dtype == torch.float32
