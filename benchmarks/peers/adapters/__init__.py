"""The libraries, by the name that ``--libraries`` takes; each is imported when it is asked for."""

from importlib import import_module

from adapters.base import Adapter

_PLACES = {
    "loopyvq": ("adapters.loopy", "Loopy"),
    "vqp": ("adapters.vqp", "Vqp"),
    "vqp-residual": ("adapters.vqp", "VqpResidual"),
    "encodec": ("adapters.codecs", "Encodec"),
    "audiocraft": ("adapters.codecs", "Audiocraft"),
    "moshi": ("adapters.codecs", "Moshi"),
    "dac": ("adapters.dac", "Dac"),
    "diffusers": ("adapters.diffusion", "Diffusers"),
    "faiss": ("adapters.flat", "Faiss"),
}

NAMES = tuple(_PLACES)


def adapter_of(name: str) -> type[Adapter]:
    """Import the adapter of a library."""
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
