import torch

from loopyvq.conditions import Condition
from loopyvq.data.token_batch import TokenBatch
from loopyvq.tokens import Tokens
from loopyvq.training.batch import named_tensors


def test_every_tensor_of_a_tree_has_a_name():
    images = torch.zeros(2, 3)
    assert named_tensors(images) == {"images": images}
    tokens = Tokens(torch.zeros(1, 2), torch.ones(1))
    found = named_tensors(TokenBatch(tokens, Condition(classes=torch.tensor([4]))))
    assert sorted(found) == ["condition.classes", "tokens.codes", "tokens.lengths"]
    assert found["tokens.codes"] is tokens.codes
    assert sorted(named_tensors([images, (images, None)])) == ["0", "1.0"]
