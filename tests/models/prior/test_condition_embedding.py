import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.errors import ConfigError
from loopyvq.models.prior.condition_embedding import ConditionConfig, ConditionEmbedding

EVERYTHING = ConditionConfig(classes=3, symbols=4, places=True, box_classes=2, box_bins=8)


def embed(condition: Condition, config=EVERYTHING, batch=2, dropped=None):
    torch.manual_seed(0)
    return ConditionEmbedding(config, 6)(condition, (2, 2), batch, dropped)


def test_without_conditions_there_is_nothing():
    found = embed(Condition(), ConditionConfig())
    assert found.prefix.shape == (2, 0, 6)
    assert torch.equal(found.sites, torch.zeros(2, 4, 6))


def test_classes_and_boxes_stand_in_the_prefix():
    boxes = torch.tensor([[[0, 1, 2, 3, 4], [-1, 0, 0, 0, 0]], [[1, 0, 0, 7, 7], [0, 1, 1, 2, 2]]])
    found = embed(Condition(classes=torch.tensor([0, 2]), boxes=boxes))
    assert found.prefix.shape == (2, 3, 6)
    missing = embed(Condition(boxes=boxes)).sites
    said = found.sites - missing  # and classes the same at every site
    assert not torch.allclose(said[0], said[1], atol=1e-3)
    assert torch.allclose(said, said[:, :1].expand_as(said), atol=1e-6)
    other = boxes.clone()
    other[0, 1, 1:] = 5  # sides of a box that is not there
    assert torch.equal(embed(Condition(torch.tensor([0, 2]), boxes=other)).prefix, found.prefix)
    other[1, 1, 4] = 3
    assert not torch.equal(embed(Condition(torch.tensor([0, 2]), boxes=other)).prefix, found.prefix)


def test_swapped_sides_differ():
    one = torch.tensor([[[0, 1, 2, 3, 4]]])
    other = torch.tensor([[[0, 2, 1, 3, 4]]])
    left, right = (embed(Condition(boxes=box), batch=1).prefix for box in (one, other))
    assert not torch.allclose(left, right)


def test_places_differ_from_site_to_site():
    places = torch.rand(2, 2, 2, 2)
    sites = embed(Condition(places=places)).sites
    assert len(sites.flatten(0, 1).unique(dim=0)) == 8


def test_withheld_is_the_same_as_missing_but_for_places():
    condition = Condition(
        torch.tensor([0, 2]), torch.randint(0, 4, (2, 2, 2)), torch.rand(2, 2, 2, 2)
    )
    withheld = embed(condition, dropped=torch.tensor([False, True]))
    missing = embed(Condition(places=condition.places))
    given = embed(condition)
    for one, none, all_ in zip(withheld, missing, given, strict=True):
        assert torch.equal(one[0], all_[0])
        assert torch.equal(one[1], none[1])


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Condition(classes=torch.tensor([0, 3])), r"class must be within 0\.\.2, got 0\.\.3"),
        (Condition(places=torch.rand(2, 3, 2, 2)), r"places must be of \(2, 2\) sites"),
        (Condition(boxes=torch.tensor([[[0, 0, 0, 0, 8]]] * 2)), r"side of a box must be within"),
        (Condition(boxes=torch.tensor([[[3, 0, 0, 0, 0]]] * 2)), r"class of a box must be within"),
    ],
)
def test_what_is_out_of_range_is_refused(condition, message):
    with pytest.raises(ValueError, match=message):
        embed(condition)


def test_a_condition_it_was_not_made_for_is_refused():
    with pytest.raises(ValueError, match="not trained with boxes"):
        embed(Condition(boxes=torch.zeros(2, 1, 5).long()), ConditionConfig(classes=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": -1}, "classes must be 0 or more"),
        ({"box_bins": 0}, "box_bins must be at least 1"),
        ({"dropout": 1.0}, r"dropout must be within \[0, 1\)"),
    ],
)
def test_bad_configs_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        ConditionConfig(**changes)


def test_only_some_conditions_can_be_dropped():
    assert not ConditionConfig(places=True).can_be_dropped
    assert ConditionConfig(symbols=2).can_be_dropped
    assert ConditionConfig(symbols=2).is_guided(1.5)
    for told in (ConditionConfig(), ConditionConfig(classes=2, dropout=0.0)):
        assert not told.is_guided(1.0)
        with pytest.raises(ValueError, match="needs a prior of classes, maps or boxes"):
            told.is_guided(1.5)
