import re

import pytest
import torch

from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.taming_prior import is_mask, prior_config, prior_from_state, prior_to_state
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig
from tests.interop.conftest import KEYS, gpt_shapes, random_state, second_stage_section

SOS = {"target": "taming.modules.util.SOSProvider", "params": {"sos_token": 3}}


def config_of(condition, sites=0, **more):
    return prior_config(second_stage_section(condition, **more)["params"], sites, "x.yaml")


def state_with_order(order):
    state = random_state(gpt_shapes())
    if order is not None:
        state["permuter.forward_shuffle_idx"] = torch.tensor(order)
        state["permuter.backward_shuffle_idx"] = torch.tensor(order).argsort()
    return state


@pytest.mark.parametrize("order", [None, [2, 0, 1, 3]])
def test_a_state_comes_back_masks_included(order):
    config = config_of("__is_unconditional__", len(order or []))
    state = state_with_order(order)
    kept = {name: tensor for name, tensor in state.items() if not is_mask(name)}
    back = prior_to_state(prior_from_state(config, kept, "x.ckpt"))
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("__is_unconditional__", ("none", 0, 0)),
        ("__is_first_stage__", ("first_stage", 0, 0)),
        (SOS, ("none", 3, 0)),
        ({"target": "a.Labelator", "params": {"n_classes": 7}}, ("class", 0, 7)),
        (
            {"target": "a.CoordStage", "params": {"n_embed": 9, "down_factor": 4}},
            ("coordinates", 0, 9),
        ),
        ({"target": "a.DummyCondStage", "params": {}}, ("tokens", 0, 0)),
        ({"target": "a.VQSegmentationModel", "params": {"n_embed": 9}}, ("tokenizer", 0, 0)),
    ],
)
def test_every_condition_is_known(condition, expected):
    config = config_of(condition)
    assert (config.condition, config.start_symbol, config.condition_codes) == expected


def test_an_unconditional_model_ignores_its_condition():
    assert config_of(None, unconditional=True, sos_token=2).start_symbol == 2


def test_what_cannot_be_says_why():
    with pytest.raises(ConfigError, match="no section cond_stage_config"):
        config_of("text")
    with pytest.raises(ConfigError, match="a condition is none of SOSProvider"):
        config_of({"target": "a.CLIP"})
    with pytest.raises(ConfigError, match="must be a GPT, got CodeGPT"):
        config_of(SOS, transformer_config={"target": "a.CodeGPT", "params": {}})
    sizes = second_stage_section(SOS)["params"]["transformer_config"]["params"]
    for name in ("embd_pdrop", "attn_pdrop", "resid_pdrop"):
        for value in (None, "abc"):
            told = {"target": "a.GPT", "params": {**sizes, name: value}}
            with pytest.raises(ConfigError, match=f"{name} must be a number, got {value}"):
                config_of(SOS, transformer_config=told)


def test_wrong_names_shapes_and_orders_give_one_line():
    config = config_of(SOS)
    state = {name: tensor for name, tensor in state_with_order(None).items() if not is_mask(name)}
    name = "transformer.blocks.0.attn.query.weight"
    cases = [
        (config, {**state, name: torch.zeros(4, 8)}, f"{name} is (4, 8), expected (8, 8)"),
        (config, {**state, "transformer.pos_emb": torch.zeros(2, 70, 8)}, "pos_emb is (2, 70, 8)"),
        (config, {key: state[key] for key in state if key != name}, f"it lacks {name}"),
        (config, {**state, "more": state[name]}, "it also has more"),
    ]
    for order in ([0, 0, 1, 2], [1, 2, 3, 4]):
        more = {"permuter.forward_shuffle_idx": torch.tensor(order)}
        more["permuter.backward_shuffle_idx"] = torch.arange(4)
        cases.append((config_of(SOS, 4), {**state, **more}, "no permutation"))
    for sizes, bad, message in cases:
        with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
            prior_from_state(sizes, bad, "x.ckpt")
        assert "\n" not in str(caught.value)


def test_a_released_transformer_has_the_released_names_and_shapes():
    path = KEYS / "gpt_1layer.txt"
    if not path.is_file():
        pytest.skip(f"needs the names of the released models in {KEYS}")
    listed = re.findall(r"^ +(\S+) \((.*?)\) float32", path.read_text(), re.MULTILINE)
    expected = {
        f"transformer.{name}": tuple(int(size) for size in shape.split(",") if size.strip())
        for name, shape in listed
    }
    sizes = FlatPriorConfig(vocabulary_size=1024, layers=1, heads=16, width=1024)
    state = prior_to_state(TamingPrior(TamingPriorConfig(prior=sizes)))
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
