import pytest
import torch

from loopyvq.quantize.commitment import commitment_and_codebook_loss
from loopyvq.tokens import CONTINUE, PAD

LATENTS = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
CODES = torch.tensor([[0, 1], [CONTINUE, PAD]])
BOOKS = torch.tensor([[[2.0, 0.0], [9.0, 9.0]], [[9.0, 9.0], [0.5, 0.0]]])
RAN = CODES != PAD


def test_the_values_are_means_over_the_turns_that_ran():
    books = BOOKS.clone().requires_grad_()
    commitment, codebook = commitment_and_codebook_loss(LATENTS, CODES, books, RAN, RAN.sum())
    assert float(commitment) == (1.0 + 0.25 + 1.0) / 3  # a dummy leaves the whole vector
    assert float(codebook.detach()) == pytest.approx((1.0 + 0.25) / 3)


def test_each_gradient_goes_to_its_own_side():
    latents, books = LATENTS.clone().requires_grad_(), BOOKS.clone().requires_grad_()
    commitment, codebook = commitment_and_codebook_loss(latents, CODES, books, RAN, RAN.sum())
    (to_latents,) = torch.autograd.grad(commitment, latents, retain_graph=True)
    assert torch.allclose(to_latents, torch.tensor([[2 * 1.5 / 3, 0.0], [0.0, 2 / 3]]))
    (to_books,) = torch.autograd.grad(codebook, books)
    assert torch.allclose(to_books[:, :, 0], torch.tensor([[-2 / 3, 0.0], [0.0, -1 / 3]]))


def test_without_learned_books_there_is_no_codebook_loss():
    _, codebook = commitment_and_codebook_loss(LATENTS, CODES, BOOKS, RAN, RAN.sum())
    assert float(codebook) == 0


def test_nothing_ran():
    nothing = torch.zeros_like(RAN)
    codes = CODES * 0 + PAD
    commitment, _ = commitment_and_codebook_loss(LATENTS, codes, BOOKS, nothing, nothing.sum())
    assert float(commitment) == 0
