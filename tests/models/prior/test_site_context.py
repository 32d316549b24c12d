import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.site_context import SiteContext, SiteReader


def context_of(neighbours=False, **conditions) -> SiteContext:
    torch.manual_seed(0)
    sizes, told = TransformerConfig(width=16, layers=2, heads=2), ConditionConfig(**conditions)
    return SiteContext(sizes, told, rows=3, columns=4, neighbours=neighbours).eval()


@pytest.mark.parametrize("pieces", [(0, *[1] * 11), (11,), (5, 1, 5), (0, 11)])
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("neighbours", [False, True])
def test_piece_by_piece_is_the_whole(pieces, guided, neighbours):
    context = context_of(neighbours, classes=2, box_classes=2)
    condition = Condition(torch.tensor([0, 1]), boxes=torch.zeros(2, 3, 5).long())
    content = torch.randn(2, 3, 4, 16)
    with torch.no_grad():
        whole = context(content, condition)
        reader = SiteReader.for_drawing(context, 2, (3, 4), condition, guided=guided)
        flat = content.flatten(1, 2)[:, :-1].repeat(1 + guided, 1, 1)
        parts = torch.cat([reader.read(part) for part in flat.split(pieces, dim=1)], dim=1)
    assert torch.allclose(parts[:2], whole, atol=1e-5)
    if guided:
        withheld = context(content, condition, torch.ones(2, dtype=torch.bool))
        assert torch.allclose(parts[2:], withheld, atol=1e-5)


def test_the_last_site_is_read_by_none():
    context, content = context_of(), torch.randn(1, 3, 4, 16)
    changed = content.clone()
    changed[0, 2, 3] = 0
    assert torch.equal(context(content, Condition()), context(changed, Condition()))


def test_extra_features_are_read():
    context, content = context_of(), torch.zeros(1, 3, 4, 16)
    extra = torch.randn(1, 12, 16)
    assert not torch.allclose(
        context(content, Condition()), context(content, Condition(), None, extra)
    )


def test_neighbours_are_read():
    content = torch.randn(1, 3, 4, 16)
    with_them, without = context_of(neighbours=True), context_of()
    without.load_state_dict(with_them.state_dict(), strict=False)
    assert not torch.allclose(with_them(content, Condition()), without(content, Condition()))
