import numpy as np
import pytest
import torch

from loopyvq.codec import Codec
from loopyvq.coding import Chunk, CodedTokens, fit_tables, read_container, write_container
from loopyvq.models import Tokenizer, TokenizerConfig
from loopyvq.quantize import LoopConfig


def make_tokenizer(**changes):
    """A tokenizer with random networks and codes fitted to its own latents."""
    loop = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=4, start_iterations=2)
    config = TokenizerConfig(
        channels=(8, 16), encoder_blocks=1, decoder_blocks=1, quantizer=loop, **changes
    )
    torch.manual_seed(3)
    tokenizer = Tokenizer(config)
    with torch.no_grad():
        for name, parameter in tokenizer.named_parameters():
            if "conv_out" in name or "cue" in name:
                parameter.normal_(0, 0.1)
        image = make_image(64, 64, channels=config.image_channels).float().unsqueeze(0) / 127.5 - 1
        latents = tokenizer.latents(image).reshape(-1, 4)
        tokenizer.quantizer.start_from(latents, torch.Generator().manual_seed(0))
    return tokenizer.eval()


def make_image(height, width, channels=3, seed=0):
    """Smooth shapes and some noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 16
    planes = [
        np.sin(rows * generator.uniform(0.2, 2)) + np.cos(columns * generator.uniform(0.2, 2))
        for _ in range(channels)
    ]
    noise = generator.normal(0, 0.2, (channels, height, width))
    levels = 127 + 55 * (np.stack(planes) + noise)
    return torch.from_numpy(levels.clip(0, 255).astype(np.uint8))


def mutations(data, count):
    """Change some bytes of some chunk of a file, and mend the check sums."""
    header, chunks = read_container(data)
    generator = np.random.default_rng(0)
    for _ in range(count):
        index = int(generator.integers(len(chunks)))
        payload = bytearray(chunks[index].payload)
        for _ in range(int(generator.integers(1, 4))):
            if payload:
                payload[int(generator.integers(len(payload)))] = int(generator.integers(256))
        broken = [*chunks]
        broken[index] = Chunk(chunks[index].kind, bytes(payload))
        yield write_container(header, broken)


def make_tables(tokenizer):
    quantizer, samples = tokenizer.quantizer, []
    for seed in range(2):
        image = make_image(64, 72, tokenizer.config.image_channels, seed).float() / 127.5 - 1
        codes, lengths = tokenizer.encode(image.unsqueeze(0), 0.3)
        samples.append(CodedTokens(codes[0].numpy(), lengths[0].numpy()))
    codes = quantizer.codebook.weight.double().numpy()
    gains = quantizer.gains().detach().double().numpy()
    return fit_tables(samples, codes, gains, examples_per_turn=500, epochs=1)


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="session")
def tables(tokenizer):
    return make_tables(tokenizer)


@pytest.fixture(scope="session")
def codec(tokenizer, tables):
    return Codec(tokenizer, tables)


@pytest.fixture(scope="session")
def image():
    return make_image(53, 70)
