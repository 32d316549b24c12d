"""The training loop, readable top to bottom: draws in, steps, records, checkpoints out.

    draws --batch--> task.loss --> backward --> clip, step, averages --> journal
                          |                            |
        task.adversary_loss --> backward --> clip, step|
                                                       |
                              every now and then: validation, best.safetensors, state.safetensors

Everything random is a function of (seed, step) and everything else is in the state file, so a run
that was killed and resumed is bit-identical to one that was not.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from loopyvq.errors import ConfigError, TrainingError
from loopyvq.ops.seeding import generator_of
from loopyvq.tensor_file import write_tensors
from loopyvq.training.batch import named_tensors
from loopyvq.training.draw_numbers import DrawNumbers, leave_interrupts
from loopyvq.training.ema import WeightAverage
from loopyvq.training.interrupt import PatientInterrupt
from loopyvq.training.journal import Journal
from loopyvq.training.model_card import CARD, TrainedOn, write_model_card
from loopyvq.training.optim import OptimConfig, build_optimizer, learning_rate_at
from loopyvq.training.precision import resolve_precision
from loopyvq.training.run_config import RunConfig
from loopyvq.training.run_file import save_length
from loopyvq.training.state import TrainingState, load_state, save_state
from loopyvq.training.task import AdversarialTask, Task
from loopyvq.training.worker_errors import with_plain_errors

__all__ = ["train"]

_STEP_STREAM = 2  # apart from those of the images


def train(
    task: Task,
    draws: Dataset[Any],
    run: RunConfig,
    optim: OptimConfig,
    folder: Path,
    *,
    resume: bool = False,
    quiet: bool = False,
) -> None:
    """Train until the last step, the time limit or an interrupt.

    Args:
        task: what to train.
        draws: what to learn from, by number; draw ``i`` must always be the same. It is a tensor or
            a tree of tensors; draws with a function ``collate`` make batches of their own.
        run: how long, how large, where.
        optim: the optimizer.
        folder: where metrics, states and models go.
        resume: continue from the folder's saved state.
        quiet: show no progress bar.

    Raises:
        TrainingError: a loss is not finite, or there is no state to resume.
        ConfigError: a task with an adversary is to run in 16-mixed, or there is no such hardware.
        CheckpointError: the saved state is damaged or belongs to another model.
        KeyboardInterrupt: the user interrupted; the state was saved after the step in progress.
    """
    # Its banner repeats what the config says, in the middle of the progress bar.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    precision = resolve_precision(run.precision, run.accelerator)
    opponent = _Opponent(task) if isinstance(task, AdversarialTask) else None
    if opponent and precision == "16-mixed":
        raise ConfigError("a GAN cannot train in 16-mixed: choose bf16-mixed or 32-true")
    fabric = Fabric(accelerator=_hardware(run), devices=run.devices, precision=precision)
    fabric.launch()
    optimizer = build_optimizer(task.model, optim)
    average = WeightAverage(task.model, run.average_decay)
    if run.compile:
        for network in task.networks():
            network.compile()
    state = TrainingState(task.model, average.model, optimizer)
    state.scaling = fabric.strategy.precision
    if opponent:
        state.adversary, state.adversary_optimizer = opponent.model, opponent.optimizer
    if resume:
        load_state(folder / "state.safetensors", state)
    average.model.to(fabric.device)
    model, optimizer = fabric.setup(task.model, optimizer)
    if opponent:
        opponent.model, opponent.optimizer = fabric.setup(opponent.model, opponent.optimizer)
    is_first, begun = fabric.global_rank == 0, state.step
    if resume and is_first:  # last: a resume that is refused changes nothing
        save_length(folder, run)
    last_step = None if run.time_limit_s else run.steps
    journal = Journal(folder, state.step, last_step, quiet, run.tensorboard, is_kept=is_first)
    with journal:
        trainer = _Trainer(
            fabric, task, model, optimizer, average, state, journal, run, optim, folder, opponent
        )
        trainer.run(draws)
    if is_first and (state.step > begun or not (folder / CARD).is_file()):
        count = sum(parameter.numel() for parameter in task.model.parameters())
        ranks, device = fabric.world_size, fabric.device
        write_model_card(
            folder, TrainedOn(state.step, state.elapsed_s, ranks, precision, device, count)
        )


def _hardware(run: RunConfig) -> str:
    """Choose what to train on: other accelerators than CUDA lack the loop's float64."""
    if run.accelerator == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device to train on: choose accelerator cpu or auto")
    if run.accelerator != "auto":
        return run.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


class _Opponent:
    """The adversary of a task with its optimizer and the norm of its last gradient."""

    def __init__(self, task: AdversarialTask) -> None:
        self.task = task
        self.model = task.adversary
        self.optimizer: torch.optim.Optimizer = build_optimizer(self.model, task.adversary_optim)
        self.gradient_norm = 0.0

    def plays(self, step: int) -> bool:
        return step >= self.task.adversary_start


@dataclass
class _Trainer:
    """The loop itself, with what it holds on to."""

    fabric: Fabric
    task: Task
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    state: TrainingState
    journal: Journal
    config: RunConfig
    optim: OptimConfig
    folder: Path
    opponent: _Opponent | None = None

    def __post_init__(self) -> None:
        """Start the clocks."""
        self.is_first = self.fabric.global_rank == 0
        precision = resolve_precision(self.config.precision, self.config.accelerator)
        self._is_scaled = precision == "16-mixed"  # which skips steps that are too large by itself
        self.gradient_norm = 0.0
        self._started = time.monotonic() - self.state.elapsed_s
        self._logged = (self.state.step, time.monotonic())

    def run(self, draws: Dataset[Any]) -> None:
        """Train to the end, or save the state after the step in which the user interrupts."""
        batches, begun = self._batches(draws), self.state.step
        self.model.train()
        with PatientInterrupt() as interrupt:
            while self._goes_on():
                self._step(batches)
                self._look()
                if self._agreed(interrupt.requested):
                    self._save_state()
                    raise KeyboardInterrupt
            if self.state.step == begun:  # a run that was done stays as it is
                self._complete()
                return
            if self.state.step % self.config.validate_every:
                self._validate()
            self._save_state()
            if self._agreed(interrupt.requested):
                raise KeyboardInterrupt

    def _agreed(self, wanted: bool) -> bool:
        """Do what the first process wants, so that none waits for another."""
        return bool(self.fabric.broadcast(wanted)) if self.fabric.world_size > 1 else wanted

    def _complete(self) -> None:
        """Write the models of a run that was killed between its last step and them."""
        last, best = (self.folder / f"{name}.safetensors" for name in ("last", "best"))
        if self.is_first and not last.is_file():
            self.task.save(last, self.average.model, self.state.step)
        if self._agreed(not best.is_file()):
            self._validate()

    def _goes_on(self) -> bool:
        """Tell whether steps or time are left; a new run takes one step in any case."""
        return self.state.step == 0 or self._progress() < 1

    def _progress(self) -> float:
        """Tell the share of the training that is done, by steps or by time."""
        by_steps = self.state.step / self.config.steps
        if not self.config.time_limit_s:
            return by_steps
        elapsed = time.monotonic() - self._started
        # All processes must agree on when to stop: the first one's clock decides.
        by_time = float(self.fabric.broadcast(elapsed / self.config.time_limit_s))
        return max(by_steps, by_time)

    def _step(self, batches: Iterator[Any]) -> None:
        """Take one optimizer step, or one of each of two that play against each other."""
        config, opponent = self.config, self._prepare()
        generator = generator_of(
            config.seed, self.state.step, self.fabric.global_rank, _STEP_STREAM
        )
        for index in range(config.accumulate):
            batch = self.fabric.to_device(next(batches))
            syncs = index == config.accumulate - 1
            with self.fabric.no_backward_sync(self.model, enabled=not syncs):
                self._backward(self.task.loss(self.model, batch, generator), batch)
            if opponent:
                with self.fabric.no_backward_sync(opponent.model, enabled=not syncs):
                    self._backward(opponent.task.adversary_loss(opponent.model), batch)
        self.gradient_norm = self._clip(self.model, self.optimizer, self.optim)
        self.optimizer.step()
        if opponent:
            optim = opponent.task.adversary_optim
            opponent.gradient_norm = self._clip(opponent.model, opponent.optimizer, optim)
            opponent.optimizer.step()
        self.task.after_step()
        self.average.update(self.task.model, self.state.step)
        self.state.step += 1
        self.journal.advance()

    def _prepare(self) -> _Opponent | None:
        """Set learning rates and clear gradients; give the opponent if it takes part."""
        step, opponent = self.state.step, self.opponent
        self._begin(self.optimizer, self.optim, step)
        if opponent is None:
            return None
        opponent.task.begin_step(step)
        first = opponent.task.adversary_start
        self._begin(opponent.optimizer, opponent.task.adversary_optim, max(0, step - first))
        return opponent if opponent.plays(step) else None

    def _begin(self, optimizer: torch.optim.Optimizer, optim: OptimConfig, step: int) -> None:
        rate = learning_rate_at(step, self._progress(), optim)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()

    def _backward(self, loss: Tensor, batch: Any) -> None:
        self._require_finite(loss, batch)
        self.fabric.backward(loss / self.config.accumulate)

    def _clip(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, optim: OptimConfig
    ) -> float:
        norm = self.fabric.clip_gradients(
            model, optimizer, max_norm=optim.clip_norm or float("inf"), error_if_nonfinite=False
        )
        if norm is None:
            return float("nan")
        if not bool(norm.isfinite()) and not self._is_scaled:
            raise TrainingError(
                f"the gradient is {float(norm)} at step {self.state.step}; the last saved state is "
                f"whole. A lower learning_rate or precision 32-true usually helps"
            )
        return float(norm)

    def _require_finite(self, loss: Tensor, batch: Any) -> None:
        """Stop before a broken loss reaches the weights, and keep the batch that broke it."""
        if bool(loss.isfinite()):
            return
        path = self.folder / f"nonfinite_batch_rank{self.fabric.global_rank}.safetensors"
        write_tensors(path, "batch", named_tensors(batch), step=self.state.step)
        raise TrainingError(
            f"the loss is {loss.item()} at step {self.state.step}; the batch was saved to {path}. "
            f"A lower learning_rate or precision 32-true usually helps"
        )

    def _look(self) -> None:
        """Measure, validate and save when it is time."""
        step, config = self.state.step, self.config
        if step % config.log_every == 0 and self.is_first:
            values, shown = self.task.measure()
            before, then = self._logged
            now = time.monotonic()
            speed = (step - before) * config.batch_size / max(now - then, 1e-9)
            self._logged = (step, now)
            values["images_per_s"] = speed
            values["gradient_norm"] = self.gradient_norm
            if self.opponent:
                values["adversary_gradient_norm"] = self.opponent.gradient_norm
            values["learning_rate"] = self.optimizer.param_groups[0]["lr"]
            shown["img/s"] = f"{speed:.0f}"
            if config.time_limit_s:
                left = config.time_limit_s - (now - self._started)
                shown["left"] = f"{max(0.0, left):.0f}s"
            self.journal.write(step, values, shown)
        if step % config.validate_every == 0:
            self._validate()
        if step % config.save_every == 0:
            self._save_state()

    def _validate(self) -> None:
        """Judge the average on the first process; keep it if it is the best there is."""
        found = self.task.validate(self.average.model) if self.is_first else None
        if found is not None:
            values, shown = dict(found.values), {}
            if found.score is not None:
                values["validation_score"] = found.score
                shown["val"] = f"{found.score:.2f}{found.unit}"
            self.journal.write(self.state.step, values, shown)
            if found.panel is not None:
                self.journal.picture(self.state.step, "validation", found.panel)
            path, score = self.folder / "best.safetensors", found.score
            if score is None or score > self.state.best_score or not path.is_file():
                if score is not None:
                    self.state.best_score = score
                self.task.save(path, self.average.model, self.state.step)
        self.fabric.barrier()
        self._logged = (self.state.step, time.monotonic())

    def _save_state(self) -> None:
        if self.is_first:
            self.state.elapsed_s = time.monotonic() - self._started
            path = self.folder / "last.safetensors"
            self.task.save(path, self.average.model, self.state.step)
            # Last: where there is a state, there is a model.
            save_state(self.folder / "state.safetensors", self.state)
        self.fabric.barrier()

    def _batches(self, draws: Dataset[Any]) -> Iterator[Any]:
        """Read this process's share of the draws, starting where the state is."""
        config = self.config
        ranks, rank = self.fabric.world_size, self.fabric.global_rank
        size = config.batch_size // (config.accumulate * ranks)
        first = self.state.step * config.accumulate
        passes = range(first, config.steps * config.accumulate)
        loader = DataLoader(
            draws,
            batch_sampler=DrawNumbers(passes, size, ranks, rank),
            collate_fn=getattr(draws, "collate", None),
            num_workers=config.workers,
            worker_init_fn=leave_interrupts,
            persistent_workers=config.workers > 0,
            pin_memory=self.fabric.device.type == "cuda",
        )
        return with_plain_errors(iter(loader))
