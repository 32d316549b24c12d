import torch

from loopyvq.ops.seeding import generator_of, seed_torch


def test_numbers_decide_the_generator_in_every_version():
    assert generator_of(0, 1, 2).initial_seed() == 3071860871404845570
    assert len({generator_of(0, stream, 3).initial_seed() for stream in range(9)}) == 9


def test_torch_draws_what_the_generator_says():
    seed_torch(generator_of(7))
    first = torch.rand(3)
    torch.rand(5)
    seed_torch(generator_of(7))
    assert torch.equal(torch.rand(3), first)
