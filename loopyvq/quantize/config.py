"""Options of the loop."""

from dataclasses import dataclass
from numbers import Integral
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.tokens import LARGEST_DEPTH

__all__ = ["LoopConfig"]

_KNOWN = {
    "transform": ("residual", "pull"),
    "stop": ("threshold", "rate_distortion"),
    "scale": ("rms", "absolute"),
    "codebook_update": ("ema", "gradient", "frozen"),
}
_WHOLE = (
    "codebook_size", "codebook_dim", "max_depth", "min_length", "beam_size", "first_dummy",
    "start_iterations",
)  # fmt: skip


@dataclass(frozen=True)
class LoopConfig:
    """Options of the loop.

    Attributes:
        codebook_size: number of codes.
        codebook_dim: width of a code and of a latent.
        code_supports: how many entries of a code may differ from zero, for equal shares of the
            codes one after another, such as 2, 4, 8 and 16; empty for all entries of all codes.
            Where latents are wide and turns many, codes of few entries leave less error
            (residual; EMA or frozen).
        max_depth: most turns that a vector may take, 255 at most.
        min_length: turns that run even when the vector is close enough.
        first_codebook: whether the first turn has codes of its own, as many as the others share: a
            loop that goes on where another quantizer left off (residual, frozen).
        transform: ``residual`` subtracts the code and compares what is left with all codes again;
            ``pull`` moves towards the code and counts how often.
        threshold: default stop distance, in units of the latents' scale; 0 uses every turn.
        stop: ``threshold`` goes on until the error is at most the threshold; ``rate_distortion``
            stops where squared error plus ``token_price`` times the squared threshold per token is
            least (residual).
        token_price: price of a token, as a share of the squared threshold (rate_distortion); at 1
            both rules spend about the same number of tokens at the same threshold.
        priced_codes: give every code its own price, from how often it is used (rate_distortion).
        beam_size: sums of codes that are kept per vector while searching; 1 takes the nearest code
            at every turn, more find smaller errors and take longer (residual).
        scale: ``rms`` measures thresholds in units of the latents' running root-mean-square norm,
            ``absolute`` in the latents' own units.
        gain_ratio: gain of a turn over that of the turn before (residual).
        learn_gains: learn each ratio, starting from ``gain_ratio``.
        dummies: emit CONTINUE where no code brings the vector closer (residual).
        first_dummy: the first turn that may do so; at 1 every vector begins with a code, as in
            plain VQ (residual).
        min_gain: share of the squared error that a code must remove to be emitted (residual).
        step_size: share of the way to the code that one turn covers (pull).
        codebook_update: ``ema`` (averages), ``gradient`` (the optimizer) or ``frozen``.
        ema_decay: share of the old averages kept per step.
        revive_below: codes used less than this share of the mean are replaced; 0 never.
        start_iterations: rounds of k-means on the first batch; 0 samples the codes from it.
        commitment_weight: weight of the commitment loss.
        codebook_weight: weight of the codebook loss.
    """

    codebook_size: int = 512
    codebook_dim: int = 12
    code_supports: tuple[int, ...] = ()
    max_depth: int = 8
    min_length: int = 0
    first_codebook: bool = False
    transform: Literal["residual", "pull"] = "residual"
    threshold: float = 0.3
    stop: Literal["threshold", "rate_distortion"] = "threshold"
    token_price: float = 1.0
    priced_codes: bool = False
    beam_size: int = 1
    scale: Literal["rms", "absolute"] = "rms"
    gain_ratio: float = 0.75
    learn_gains: bool = True
    dummies: bool = True
    first_dummy: int = 0
    min_gain: float = 0.0
    step_size: float = 0.5
    codebook_update: Literal["ema", "gradient", "frozen"] = "ema"
    ema_decay: float = 0.99
    revive_below: float = 0.02
    start_iterations: int = 10
    commitment_weight: float = 0.25
    codebook_weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, known in _KNOWN.items():
            value = getattr(self, name)
            _require(value in known, name, f"one of {', '.join(known)}", value)
        for name in _WHOLE:
            _require(isinstance(getattr(self, name), Integral), name, "whole", getattr(self, name))
        require_numbers(
            self, "at least 1", "codebook_size", "codebook_dim", "max_depth", "beam_size"
        )
        in_bytes = self.max_depth <= LARGEST_DEPTH
        _require(in_bytes, "max_depth", f"{LARGEST_DEPTH} at most", self.max_depth)
        in_depth = 0 <= self.min_length <= self.max_depth
        _require(in_depth, "min_length", "within 0..max_depth", self.min_length)
        in_depth = 0 <= self.first_dummy <= self.max_depth
        _require(in_depth, "first_dummy", "within 0..max_depth", self.first_dummy)
        if not all(1 <= entries <= self.codebook_dim for entries in self.code_supports):
            raise ConfigError(
                f"code_supports must be within 1..codebook_dim = {self.codebook_dim}, got "
                f"{', '.join(map(str, self.code_supports))}"
            )
        if self.code_supports and (
            self.transform == "pull" or self.codebook_update == "gradient" or self.first_codebook
        ):
            raise ConfigError(
                "code_supports need transform = residual, one codebook, and codebook_update = ema "
                "or frozen"
            )
        if self.first_codebook and (self.transform == "pull" or self.codebook_update != "frozen"):
            raise ConfigError(
                "a first turn with codes of its own needs transform = residual and "
                "codebook_update = frozen"
            )
        if self.transform == "pull":
            self._check_pull()
        if self.priced_codes and self.stop != "rate_distortion":
            raise ConfigError("priced_codes needs stop = rate_distortion: a threshold has no price")
        require_numbers(self, "0 or more", "threshold", "token_price", "revive_below")
        require_numbers(
            self, "0 or more", "start_iterations", "commitment_weight", "codebook_weight"
        )
        require_numbers(self, "within (0, 1]", "gain_ratio", "step_size")
        require_numbers(self, "within [0, 1)", "min_gain", "ema_decay")

    def _check_pull(self) -> None:
        """Refuse what a pull cannot do."""
        if self.first_dummy > 0:
            raise ConfigError("a pull ends with its one code: first_dummy must be 0")
        if self.stop != "threshold":
            raise ConfigError("a pull can only stop at a threshold: its error shrinks by a formula")
        if self.min_length > 1:
            raise ConfigError(
                f"a pull has one code: min_length is 1 at most, got {self.min_length}"
            )
        if self.beam_size > 1:
            raise ConfigError("a pull has one code: beam_size must be 1")


def _require(holds: bool, name: str, what: str, value: object) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {what}, got {value}")
