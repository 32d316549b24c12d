import pytest
import torch

from loopyvq.errors import CheckpointError
from loopyvq.interop.taming_parts import parts_from_state, parts_to_state
from loopyvq.interop.torch_file import TorchFile
from tests.interop.conftest import (
    gpt_shapes,
    random_state,
    second_stage_section,
    tokenizer_section,
    tokenizer_shapes,
)


def prefixed(start, state):
    return {f"{start}{name}": tensor for name, tensor in state.items()}


def both_ways(write, section, state):
    checkpoint, config, _ = write(section, state)
    file = TorchFile(checkpoint)
    parts = parts_from_state(file, file.values["state_dict"], section, config)
    return parts, parts_to_state(parts, "model")


def second_stage(condition_state):
    first = prefixed("first_stage_model.", random_state(tokenizer_shapes(), 1))
    return first | prefixed("cond_stage_model.", condition_state) | random_state(gpt_shapes(), 2)


def require_equal(state, back):
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name


def test_a_second_stage_with_a_tokenizer_as_condition(write):
    condition = random_state(tokenizer_shapes(5), 3)
    state = second_stage({**condition, "colorize": torch.randn(3, 5, 1, 1)})
    section = second_stage_section(tokenizer_section("VQSegmentationModel", 5))
    parts, back = both_ways(write, section, state)
    assert parts.condition.config.label_maps
    assert parts.dropped == ["masks of the transformer: 1 tensors"]
    require_equal(state, back)


def test_a_second_stage_that_is_its_own_condition(write):
    state = second_stage(random_state(tokenizer_shapes(), 1))
    parts, back = both_ways(write, second_stage_section("__is_first_stage__"), state)
    assert parts.condition is None
    assert "second copy of the first stage" in parts.dropped[1]
    require_equal(state, back)
    state["cond_stage_model.quant_conv.bias"] = torch.ones(8)
    with pytest.raises(CheckpointError, match="other than its first stage"):
        both_ways(write, second_stage_section("__is_first_stage__"), state)


def test_a_condition_that_the_config_does_not_know_is_refused(write):
    state = second_stage({"a": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="also has a condition"):
        both_ways(write, second_stage_section("__is_unconditional__"), state)


def test_a_transformer_over_some_of_the_codes_is_refused(write):
    state = second_stage({}) | {"first_stage_model.quantize.used": torch.arange(4)}
    with pytest.raises(CheckpointError, match=r"\(remap\), which is not supported"):
        both_ways(write, second_stage_section("__is_unconditional__"), state)


def test_what_only_taming_needs_comes_back(write):
    extras = {
        "loss.discriminator.main.0.weight": torch.randn(8, 3, 4, 4),
        "quantize.used": torch.arange(4),
    }
    loss = {"loss.perceptual_loss.lin0.model.1.weight": torch.zeros(1)}
    state = random_state(tokenizer_shapes()) | extras
    parts, back = both_ways(write, tokenizer_section(), state | loss)
    assert parts.extras.keys() == extras.keys()
    assert parts.dropped == ["LPIPS network: 1 tensors"]
    require_equal(state, back)
