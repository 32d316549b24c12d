"""How long, how large and where a run trains, and how often it looks at itself."""

from dataclasses import dataclass
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError

__all__ = ["RunConfig"]


@dataclass(frozen=True)
class RunConfig:
    """How long, how large, where, and how often to look.

    Attributes:
        steps: optimizer steps.
        batch_size: images per optimizer step, over all devices and passes.
        accumulate: passes per optimizer step; each takes its share of the batch.
        seed: decides the weights, the images and all draws.
        accelerator: ``cpu``, ``cuda`` or ``auto``.
        devices: processes to train on; above 1 start them with ``torchrun``.
        precision: ``auto`` (bf16 where the hardware multiplies it), ``32-true``, ``bf16-mixed`` or
            ``16-mixed``.
        compile: compile encoder and decoder; pays on GPUs.
        average_decay: decay of the running average of the weights, which is what is saved.
        workers: processes that read images; 0 reads in the training process.
        cache_mb: megabytes of decoded images to keep in memory, per process.
        log_every: steps between measurements.
        validate_every: steps between validations.
        save_every: steps between saved states.
        time_limit_s: seconds after which training ends at the latest, its schedule shortened to
            fit; 0 trains for ``steps``. A run with a limit is not reproducible to the bit.
        tensorboard: also write TensorBoard events.
    """

    steps: int = 5000
    batch_size: int = 16
    accumulate: int = 1
    seed: int = 0
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    compile: bool = False
    average_decay: float = 0.999
    workers: int = 0
    cache_mb: int = 1024
    log_every: int = 20
    validate_every: int = 500
    save_every: int = 500
    time_limit_s: float = 0.0
    tensorboard: bool = True

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "steps", "batch_size", "accumulate", "devices")
        require_numbers(self, "at least 1", "log_every", "validate_every", "save_every")
        require_numbers(self, "0 or more", "seed", "workers", "cache_mb", "time_limit_s")
        if self.seed >= 1 << 63:
            raise ConfigError(f"seed must be below 2**63, got {self.seed}")
        if self.batch_size % (self.accumulate * self.devices):
            raise ConfigError(
                f"batch_size {self.batch_size} must be a multiple of accumulate x devices "
                f"= {self.accumulate * self.devices}"
            )
        require_numbers(self, "within [0, 1)", "average_decay")
