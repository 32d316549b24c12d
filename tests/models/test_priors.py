import dataclasses

from torch import nn

from loopyvq.models.priors import PRIORS


def test_every_kind_has_a_model_and_a_config():
    assert {"site", "flat", "taming"} <= PRIORS.keys()
    for kind in PRIORS.values():
        assert issubclass(kind.model, nn.Module)
        assert dataclasses.is_dataclass(kind.config)
    assert len({kind.model for kind in PRIORS.values()}) == len(PRIORS)
