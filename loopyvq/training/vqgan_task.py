"""What training a VQGAN means: one pass of everything, two losses, two optimizers.

    images --encoder, loop, decoder--> reconstructions --+--> pixels, perceptual --> pull
                                                         +--> discriminator -------> push
    pull + weight x push --backward once--> decoder, loop, encoder
    discriminator on images and on the same reconstructions --backward--> discriminator

Both players step at the end, on gradients from the same weights; taming runs encoder, loop and
perceptual loss a second time for the discriminator.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.losses.adversarial import adaptive_weight, generator_loss
from loopyvq.losses.pyramid import PyramidDistance
from loopyvq.models import Tokenizer
from loopyvq.models.taming.decoder import TamingDecoder
from loopyvq.ops.seeding import seed_torch
from loopyvq.training.critic import Critic, Verdict
from loopyvq.training.perceptual_weights import load_lpips
from loopyvq.training.precision import resolve_precision
from loopyvq.training.recompute import recompute_blocks
from loopyvq.training.task import Validation
from loopyvq.training.tokenizer_task import Losses, TokenizerTask
from loopyvq.training.vqgan_config import VqganTrainingConfig
from loopyvq.training.vqgan_start import load_discriminator

__all__ = ["VqganTask"]


class _Push(NamedTuple):
    """What the discriminator wants of reconstructions: a loss, its gradient there, its weight."""

    loss: Tensor
    gradient: Tensor
    weight: Tensor


class _Terms(NamedTuple):
    """The generator's side of the last pass, without gradient."""

    reconstruction: Tensor
    perceptual: Tensor
    push: _Push


class VqganTask(TokenizerTask):
    """Train a tokenizer to reconstruct images that a discriminator takes for real.

    Args:
        config: all options.
        tokenizer: the model to train.
        validation: images held out, of any sizes.

    Raises:
        CheckpointError: LPIPS is asked for and there are no weights, or those of the discriminator
            do not fit.
    """

    def __init__(
        self,
        config: VqganTrainingConfig,
        tokenizer: Tokenizer,
        validation: Sequence[UInt8[Tensor, "_ _ _"]],
    ) -> None:
        super().__init__(config, tokenizer, validation)
        self.gan = config
        self.critic = Critic(
            config.discriminator, config.adversarial, tokenizer.config.image_channels
        )
        if config.discriminator_weights:
            load_discriminator(self.critic.discriminator, config.discriminator_weights)
        self.adversary: nn.Module = self.critic
        self.adversary_optim = config.discriminator_optim
        self.adversary_start = config.adversarial.discriminator_start
        self.step = 0
        self.perceptual = _perceptual_of(config)
        precision = resolve_precision(config.run.precision, config.run.accelerator)
        self._is_bf16 = precision == "bf16-mixed"
        self._pair: tuple[Tensor, Tensor] | None = None
        self._terms: _Terms | None = None
        self._verdict: Verdict | None = None
        if config.recompute:
            recompute_blocks(tokenizer)

    def begin_step(self, step: int) -> None:
        """Learn how many batches are done.

        Args:
            step: their number.
        """
        self.step = step

    def loss(
        self, model: nn.Module, images: Float[Tensor, "b c H W"], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Reconstruct a batch and measure what its decoder should minimise.

        Args:
            model: the tokenizer, perhaps wrapped for several processes.
            images: in [-1, 1].
            generator: the source of all randomness.

        Returns:
            The loss. Its gradient at the reconstructions is computed already: pixels, perceptual
            loss and discriminator are run, forward and backward, once.
        """
        seed_torch(generator)
        with _output_of(self.tokenizer.decoder) as outputs:
            found = self.reconstruct(model, images, generator)
        image = found.result.image.float()

        # Which way the reconstructions should change to come nearer to the images ...
        painted = image.detach().requires_grad_()
        reconstruction, perceptual = self._distances(painted, images)
        nearer = reconstruction + self.gan.perceptual.weight * perceptual
        (pull,) = torch.autograd.grad(nearer, painted)

        # ... and which way to look more real, as strongly as the last layer feels the former.
        push = self._push(painted, pull, outputs[-1])
        direction = pull + push.weight * push.gradient
        value = nearer.detach() + push.weight * push.loss

        total = _with_gradient(value, image, direction) + found.regularisation
        self._pair = (images, image.detach())
        self._terms = _Terms(reconstruction.detach(), perceptual.detach(), push)
        self._last = (images, found.result, Losses(total.detach(), found.rate_bits.detach()))
        return total

    def adversary_loss(self, adversary: nn.Module) -> Float[Tensor, ""]:
        """Judge the last batch and its reconstructions.

        Args:
            adversary: the critic, perhaps wrapped for several processes.

        Returns:
            The discriminator's loss, with gradient.

        Raises:
            RuntimeError: `loss` has not run.
        """
        if self._pair is None:
            raise RuntimeError("run loss before adversary_loss: it judges the same pass")
        images, reconstructions = self._pair
        measures_slope = self.critic.measures_slope(self.step)
        verdict: Verdict = adversary(images, reconstructions, measures_slope)
        self._verdict = verdict
        return verdict.loss

    def networks(self) -> Sequence[nn.Module]:
        """Name the parts that may be compiled; the adaptive weight looks inside of the decoder."""
        adaptive = self.gan.adversarial.adaptive
        return (self.tokenizer.encoder,) if adaptive else super().networks()

    def measure(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Measure the last batch, the game included.

        Returns:
            Values by name, and what a progress bar should show of them.
        """
        values, shown = super().measure()
        if self._terms is not None:
            values["reconstruction_loss"] = float(self._terms.reconstruction)
            values["perceptual_loss"] = float(self._terms.perceptual)
            values["generator_loss"] = float(self._terms.push.loss)
            values["adversarial_weight"] = float(self._terms.push.weight)
        if self._verdict is not None:
            values |= self._verdict.values()
            shown["D"] = f"{100 * values['discriminator_accuracy']:.0f}%"
        return values, shown

    def validate(self, model: nn.Module) -> Validation | None:
        """Reconstruct the held-out images; PSNR does not decide which model is the best.

        Args:
            model: a tokenizer in evaluation mode.

        Returns:
            As of `TokenizerTask`, without a score: what the game adds lowers PSNR.
        """
        found = super().validate(model)
        return None if found is None else found._replace(score=None)

    def _distances(self, painted: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Measure how far reconstructions are, in pixels and perceptually."""
        terms = self.reconstruction_loss(painted, images)
        if self.perceptual is None:
            return terms.reconstruction_loss, painted.new_zeros(())
        self.perceptual.to(painted.device)
        with self._autocast(images):
            distance: Tensor = self.perceptual(painted, images)
        return terms.reconstruction_loss, distance.mean()

    def _push(self, painted: Tensor, pull: Tensor, output: Tensor) -> _Push:
        """Ask the discriminator, once the game has started, which way looks more real."""
        adversarial = self.gan.adversarial
        share = adversarial.share_at(self.step)
        if share == 0:
            return _Push(pull.new_zeros(()), torch.zeros_like(pull), pull.new_zeros(()))
        with _frozen(self.critic), self._autocast(painted):
            logits = self.critic.discriminator(painted)
        loss = generator_loss(adversarial.kind, logits)
        (gradient,) = torch.autograd.grad(loss, painted)
        weight = share * adversarial.weight * self._balance(output, pull, gradient)
        return _Push(loss.detach(), gradient, weight)

    def _balance(self, output: Tensor, pull: Tensor, push: Tensor) -> Tensor:
        """Compare what both gradients at the image do to the decoder's last layer."""
        adversarial = self.gan.adversarial
        if not adversarial.adaptive:
            return pull.new_ones(())
        layer = last_weight(self.tokenizer)
        near, real = (_gradient_at(layer, output, gradient) for gradient in (pull, push))
        ratio: Tensor = adaptive_weight(near, real, adversarial.adaptive_limit)
        return ratio

    def _autocast(self, images: Tensor) -> torch.autocast:
        """Use the run's number format for what fabric does not wrap."""
        return torch.autocast(images.device.type, torch.bfloat16, enabled=self._is_bf16)


def last_weight(tokenizer: Tokenizer) -> nn.Parameter:
    """Give the weight of the layer that paints the image.

    Args:
        tokenizer: of any architecture.

    Returns:
        The parameter.
    """
    decoder = tokenizer.decoder
    layer = decoder.conv_out if isinstance(decoder, TamingDecoder) else decoder.head
    weight: nn.Parameter = layer.weight  # type: ignore[assignment,union-attr]
    return weight


def _perceptual_of(config: VqganTrainingConfig) -> nn.Module | None:
    if config.perceptual.kind == "none" or config.perceptual.weight == 0:
        return None
    if config.perceptual.kind == "pyramid":
        return PyramidDistance()
    return load_lpips(config.perceptual.weights or None)


def _gradient_at(weight: nn.Parameter, output: Tensor, gradient: Tensor) -> Tensor:
    """Carry a gradient from the image, which may be a crop of the output, to a weight."""
    bottom = output.shape[2] - gradient.shape[2]
    right = output.shape[3] - gradient.shape[3]
    whole = F.pad(gradient, (0, right, 0, bottom)).to(output.dtype)
    (found,) = torch.autograd.grad(output, weight, whole, retain_graph=True)
    return found


@contextmanager
def _output_of(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a network gives; fabric lets no one take gradients of its wrapper's outputs."""
    outputs: list[Tensor] = []
    handle = network.register_forward_hook(lambda _, __, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def _with_gradient(value: Tensor, image: Tensor, direction: Tensor) -> Tensor:
    """Give a number whose gradient at the image is a known one."""
    surrogate = (image * direction).sum()
    return value + (surrogate - surrogate.detach())


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module and not into it."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
