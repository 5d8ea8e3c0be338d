"""The loop: draw an episode, read it window by window, update, tell, save."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from ..core.machine import take_products
from ..core.memory import Memory
from ..core.state import take, to
from ..core.task import Task
from . import checkpoint
from .checkpoint import Restored
from .journal import Journal
from .loss import WindowLoss
from .position import Best, BrokeDown, Outcome, Position, Products
from .recipe import Recipe, Stage
from .signals import StopSignals
from .start import starts
from .validation import Validation
from .windows import Window, cut, draw

_SILENT_UPDATES = 100
"""Updates without anything to learn after which a stage is taken for a mistake."""


class Trainer:
    """One process's part of a training.

    Args:
        learner: the :class:`~mnesis.learn.loss.Learner`, as accelerate prepared it.
        memory: the memory inside it.
        optimiser: torch's own, over the learner's parameters.
        task, recipe, folder, validation: as ``fit`` takes them.
        accelerator: devices and processes.
        journal: whom to tell.
    """

    def __init__(
        self,
        learner: nn.Module,
        memory: Memory[Any],
        optimiser: torch.optim.Optimizer,
        task: Task,
        recipe: Recipe,
        folder: Path,
        accelerator: Accelerator,
        journal: Journal,
        validation: Validation | None = None,
    ) -> None:
        self.learner, self.memory, self.optimiser = learner, memory, optimiser
        self.task, self.recipe, self.folder, self.validation = task, recipe, folder, validation
        self.accelerator, self.journal, self.device = accelerator, journal, accelerator.device
        self.nested = _register_forward_methods(learner)
        if self.nested is False:
            cast(Any, learner).anchored = True
        self.position = Position()
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.draws = self.generator.get_state()
        self.state: Any = None
        self.saved = -1

    def run(self, signals: StopSignals, *, resume: bool) -> int | None:
        """Train from the latest checkpoint, or from the start, to the end.

        Returns:
            The signal that stopped it before the end; None = trained to the end.
        """
        if resume:
            self._restore()
            if self.position.products is not None and self.device.type == "cpu":
                take_products(self.position.products)
        else:
            if self.device.type == "cpu":
                self.position.products = cast(Products, torch.get_float32_matmul_precision())
            self._save()  # a run begins from saved weights: who restarts it may have built the memory differently
        self.learner.train()
        self.journal.open(self.position)
        try:
            while (stage := self.position.current(self.recipe)) is not None:
                stopped = self._episode(stage, signals)
                if stopped and self.position.current(self.recipe) is not None:
                    return stopped
        finally:
            self.journal.close()
        return None

    def _episode(self, stage: Stage, signals: StopSignals) -> int | None:
        """Train on one episode, or on what is left of it; returns a signal that asks to stop."""
        self.generator.set_state(self.draws)
        length, episode = draw(self.task, stage, self.generator)
        windows = cut(episode, stage.truncation, self._rows(stage))
        groups = [windows] if stage.update == "episode" else [[window] for window in windows]
        if self.position.window >= len(groups):
            raise ValueError(
                f"{self.folder} cannot be continued: its checkpoint stands after window {self.position.window} of an "
                f"episode of {len(groups)}; restore it, or start anew with overwrite=True"
            )
        number = self.position.stage
        begun = self._start(stage)
        if not self.position.window:
            self.state = begun
        for group in groups[self.position.window :]:
            outcome = self._update(group, signals)
            self._advance(stage, outcome, length, len(groups))
            if outcome.signal:
                self._save()
                return outcome.signal
            if self.position.update % self.recipe.save_every == 0:
                self._save()
            if self.position.stage != number:
                break
        return None

    def _start(self, stage: Stage) -> Any:
        """Where the rows of the next episode start."""
        precise = self.recipe.precision == "float32"
        like = next(p for p in self.memory.parameters() if p.is_floating_point())
        dtype = like.dtype if precise else torch.bfloat16
        place = {"device": self.device, "dtype": dtype}
        return starts(stage, self.memory, self.state, self._rows(stage), self.generator, self._total, **place)

    def _total(self, value: Tensor) -> Tensor:
        """Summed over processes."""
        if self.accelerator.num_processes == 1:
            return value
        value = value.to(self.device, copy=True)
        torch.distributed.all_reduce(value)
        return value

    def _rows(self, stage: Stage) -> slice:
        """This process's rows of a batch."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        return slice(stage.batch * rank // world, stage.batch * (rank + 1) // world)

    def _update(self, group: list[Window], signals: StopSignals) -> Outcome:
        """Read the windows of one update, back-propagate each, and step."""
        started = time.perf_counter()
        weight = sum(window.total_weight for window in group)
        units = sum(window.total_units for window in group)
        totals = torch.zeros(3, device=self.device, dtype=torch.float32 if self.device.type == "mps" else torch.float64)
        learns, several = False, self.accelerator.num_processes > 1
        self.optimiser.zero_grad(set_to_none=True)
        for index, window in enumerate(group):
            last = index == len(group) - 1
            with nullcontext() if last or self.nested is not None else self.accelerator.no_sync(self.learner):
                result = self._read(window)
                loss = result.answers / weight if weight else result.answers
                if result.extra is not None:
                    loss = loss + result.extra / max(units, 1)
                teaches = window.total_asked > 0 or (result.extra is not None and result.extra.requires_grad)
                # Processes wait for one another in the last backward pass, so it runs even if nothing was asked there.
                if teaches or (last and several):
                    self.accelerator.backward(loss * self.accelerator.num_processes)  # they average their gradients
            learns = learns or teaches
            totals[:2] += torch.stack([loss.detach(), result.correct]).to(totals)
        totals[2] = signals.received or 0
        loss_sum, correct, signal = self._gather(totals)
        rate = self.recipe.rate(self.position.update, self.position.progress)
        norm = self._step(loss_sum, rate) if learns else None
        asked = sum(window.total_asked for window in group)
        graded = not group[0].targets.is_floating_point()
        seconds = time.perf_counter() - started
        loss_or_none = loss_sum if learns else None
        return Outcome(loss_or_none, int(correct), asked, graded, units, rate, norm, int(signal), seconds)

    def _step(self, loss: float, rate: float) -> float:
        """Clip and update; returns the norm of the gradient."""
        self._check(loss, "loss")
        # What an update did not reach has gradient zero, as it has where FSDP reduces it: one rule for all launches.
        for parameter in self.learner.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.recipe.l2:
            self._penalise(self.recipe.l2)
        norm = self.accelerator.clip_grad_norm_(self.learner.parameters(), self.recipe.clip or math.inf)
        norm = float(norm.full_tensor() if isinstance(norm, DTensor) else cast(Tensor, norm))
        self._check(norm, "gradient's norm")
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        self.optimiser.step()
        return norm

    def _penalise(self, l2: float) -> None:
        for parameter in self.learner.parameters():
            if parameter.grad is not None and not getattr(parameter, "no_weight_decay", False):
                parameter.grad.add_(parameter.detach(), alpha=l2)

    def _read(self, window: Window) -> WindowLoss:
        if self.nested and (window.reset is not None or window.length is not None):
            raise ValueError(
                "FSDP around inner layers needs every process to run them equally often, which resets and ragged rows "
                "prevent; launch with --fsdp_auto_wrap_policy NO_WRAP"
            )
        x, reset, length, targets, weight, forks = window.on(self.device)
        result = self.learner(x, self.state, reset, length, targets, weight, forks)
        self.state = result.state
        return result

    def _gather(self, totals: Tensor) -> list[float]:
        """Sum over processes; of the signals, the last entry, any one counts for all."""
        if self.accelerator.num_processes > 1:
            signal = totals[-1].clone()
            torch.distributed.all_reduce(totals)
            torch.distributed.all_reduce(signal, torch.distributed.ReduceOp.MAX)
            totals[-1] = signal
        return totals.tolist()

    def _check(self, value: float, name: str) -> None:
        if math.isfinite(value):
            return
        recipe, position = self.recipe, self.position
        raise BrokeDown(
            f"update {position.update + 1} (stage {position.stage + 1}): the {name} is {value}; lower "
            f"learning_rate={recipe.learning_rate} or clip={recipe.clip}"
            + (", or use precision='float32'" if recipe.precision == "bfloat16" else "")
            + f" (the weights of update {self.saved} stay in {self.folder})"
        )

    def _advance(self, stage: Stage, outcome: Outcome, length: int, groups: int) -> None:
        """Count an update and move on to the next window, episode or stage."""
        position = self.position
        if stage.promote is not None and not outcome.graded:
            raise ValueError(f"promote={stage.promote} is an accuracy and the targets are numbers; use promote=None")
        position.count(self.recipe, outcome)
        if not position.recent and position.stage_update in (_SILENT_UPDATES, stage.steps):
            raise ValueError(
                f"{type(self.task).__name__} asked nothing in {position.stage_update} updates at length "
                f"{stage.length}; give some targets a weight above 0"
            )
        promoted = position.promoted(stage)
        ends = promoted or position.stage_update == stage.steps
        validated = self._validate(last=ends and position.stage == len(self.recipe.stages) - 1)
        line = ends or validated is not None or position.update % self.recipe.log_every == 0
        self.journal.update(position, outcome, length=length, line=line, validation=validated)
        position.window += 1
        if ends or position.window == groups:
            position.window, self.draws = 0, self.generator.get_state()
            self.state = self.state if stage.start in ("carried", "fitted noise") and not ends else None
        if ends:
            position.next_stage(promoted)

    def _validate(self, *, last: bool) -> dict[str, float] | None:
        """Look at the weights if it is time to, and keep them if they are to be chosen from and none were better."""
        position, validation = self.position, self.validation
        if validation is None or not (last or position.update % validation.every == 0):
            return None
        figures = validation.take(self.memory)
        if validation.choose is None:
            return figures
        score = figures[validation.choose]
        if math.isfinite(score) and (position.best is None or score < position.best.score):
            position.best = Best(position.update, score)
            tensors = checkpoint.model_tensors(self.memory)
            if self.accelerator.is_main_process:
                checkpoint.write_model(checkpoint.best(self.folder, position.update), tensors)
        return figures

    def _save(self) -> None:
        """Write a checkpoint of this moment, between two updates."""
        if self.saved == self.position.update:
            return
        if self.saved >= 0:
            self.journal.flush()
        restored = Restored(self.position, self.draws, self.state)
        checkpoint.save(self.folder, self.accelerator, self.memory, self.optimiser, restored)
        self.saved = self.position.update

    def _restore(self) -> None:
        path = checkpoint.latest(self.folder)
        assert path is not None
        restored = checkpoint.load(path, self.accelerator, self.memory, self.optimiser, self.recipe)
        self.position, self.draws, state = restored
        self.saved = self.position.update
        stage = self.position.current(self.recipe)
        if state is not None and stage is not None:
            if self.accelerator.num_processes > 1:
                rows = self._rows(stage)
                state = take(state, range(rows.start, rows.stop))
            self.state = to(state, self.device)


def _register_forward_methods(learner: nn.Module) -> bool | None:
    """Let FSDP gather weights for a memory's other ways in.

    Returns:
        Whether layers inside the learner are wrapped on their own; None = no FSDP.
    """
    wrapped = [module for module in learner.modules() if isinstance(module, FSDPModule)]
    for module in wrapped:
        if isinstance(module, Memory):
            for name in ("scan", "step", "initial_state"):
                register_fsdp_forward_method(module, name)
    return len(wrapped) > 1 if wrapped else None
