import torch

from loopyvq.models.prior.code_vectors import CodeVectors


def test_partial_sums_are_those_of_a_tokenizer():
    books = torch.randn(3, 4, 5)
    vectors = CodeVectors(2, 4, 5)
    vectors.set(books)
    symbols = torch.tensor([[1, 3], [4, 0], [2, 4]])  # 4 is CONTINUE and adds nothing
    found = vectors.sums(symbols)
    assert torch.allclose(found[0, 1], books[0, 1] + books[1, 3])
    assert torch.equal(found[1, 0], torch.zeros(5))
    assert torch.allclose(found[1, 1], books[1, 0])
    assert torch.equal(found[2, 0], found[2, 1])
    assert torch.equal(vectors.of_turn(symbols[:, 1], 1), vectors.books[1, symbols[:, 1]])


def test_they_are_saved_with_the_model():
    vectors = CodeVectors(2, 4, 5)
    vectors.set(torch.randn(2, 4, 5))
    again = CodeVectors(2, 4, 5)
    again.load_state_dict(vectors.state_dict())
    assert torch.equal(again.books, vectors.books)
    assert list(vectors.parameters()) == []
