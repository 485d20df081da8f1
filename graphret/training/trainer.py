"""The loop of a training: steps, epochs, the choice among them, and the checkpoints that it goes on from."""

from __future__ import annotations

import json
import logging
import math
import time
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor

from graphret._errors import EncoderError, InvalidParameterError
from graphret._progress import Stage
from graphret.encoders.objectives import create_objective
from graphret.files import make_folder, write_text
from graphret.training.augmentation import Augmentation
from graphret.training.averaging import WeightAverage
from graphret.training.checkpoint import Checkpoint, CheckpointFolder, flatten_optimizer, restore_optimizer
from graphret.training.epoch_order import batches_of_epoch, order_of_epoch
from graphret.training.loss_parts import LossParts
from graphret.training.masks import has_masks
from graphret.training.optimization import LearningRate, make_optimizer
from graphret.training.run_state import RunState
from graphret.training.step import TrainingStep
from graphret.training.validator import Validator, to_device
from graphret.training.verdict import score_name, warnings_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from accelerate import Accelerator

    from graphret._types import BoolArray, Float32Array, Int64Array, Progress
    from graphret.encoders.networks.network import EncoderNetwork
    from graphret.training.films import PreparedFilms
    from graphret.training.run import Task
    from graphret.training.validation import Score

__all__ = ["Trainer"]

logger = logging.getLogger(__name__)
_NOTE_SECONDS = 1.0
_AGREE_EVERY = 16
"""Steps after which several processes agree on the time: each must wait for its device to do so."""


class Trainer:
    """Network, objective, optimiser, learning-rate schedule and history of one training.

    Everything random in an epoch is a function of the seed and the number of the epoch, or part of the checkpoint;
    so a resumed run repeats what an uninterrupted one would have done.

    Parameters
    ----------
    task
        Films, settings and network.
    accelerator
        Device, precision and processes.
    checkpoint
        Where to go on, or ``None`` for a start.
    identity
        Of the task, kept in every checkpoint.
    """

    def __init__(
        self, task: Task, accelerator: Accelerator, checkpoint: Checkpoint | None, identity: dict[str, Any]
    ) -> None:
        self.task, self.config, self.accelerator, self.identity = task, task.config, accelerator, identity
        self._begun = time.monotonic()  # reading the films counts towards max_minutes
        self.rows = np.concatenate([task.train_rows, task.valid_rows])
        self._places = np.full(len(task.table), -1, dtype=np.int64)
        self._places[task.train_rows] = np.arange(len(task.train_rows))

        torch.manual_seed(self.config.seed)
        module = task.encoder.create(self.config.weights if checkpoint is None else None)
        labels = task.table.labels[task.train_rows].astype(np.int8)
        objective = create_objective(task.objective, labels, task.encoder.n_bits, **task.objective_options)
        self._module = module.to(accelerator.device).to(memory_format=torch.channels_last)
        self._step_module = TrainingStep(self._module, objective.to(accelerator.device))
        if objective.uses_views and not self.config.augmentation:
            raise InvalidParameterError(
                "augmentation",
                self.config.augmentation,
                "a number > 0 and <= 1",
                f"the objective {task.objective!r} compares two changed views of every film",
            )
        if module.frozen and self.config.weights is None and checkpoint is None:
            logger.warning(
                "the backbone of %r is not trained, and begins from random weights: give weights='imagenet' or a path",
                task.encoder.name,
            )
        self._optimizer = make_optimizer(self._step_module.parameters(), self.config)
        self._learning_rate = LearningRate(self._optimizer, self.config)
        self._prepared, self._prepared_optimizer = accelerator.prepare(self._step_module, self._optimizer)

        self._average = WeightAverage(self._module, self.config.averaging) if self.config.averaging else None
        self._validator = Validator(task, self._module, accelerator)
        self.state = RunState()
        self._best_tensors: dict[str, Tensor] | None = None
        self._n_steps, self._n_trained = 0, 0
        if checkpoint is not None:
            self._restore(checkpoint)

    def run(self, films: PreparedFilms, out: Path, folder: CheckpointFolder, progress: Progress | None) -> None:
        """Train the epochs that are left, or until the time is used up."""
        deadline = None if self.config.max_minutes is None else self._begun + 60 * self.config.max_minutes
        self._note_problems(films)
        while not self.finished:
            if not self._train_epoch(films, folder, deadline, progress):
                break
            self._finish_epoch(films, out, folder, progress)
            if deadline is not None and self._agree(time.monotonic() >= deadline):
                break
        if self.state.step:  # the time was used up within an epoch: the part of it is chosen if it is better
            with self._weights_to_judge():
                self._choose(self.passes, self._validate(films, progress), films)
            self._write_history(out)
        self._write_json(out / "problems.json", self.state.problems)

    @property
    def mask_rows(self) -> Int64Array | None:
        """Rows whose masks the objective learns from."""
        wanted = self._step_module.objective.uses_masks and has_masks(self.task.table)
        return self.task.train_rows if wanted else None

    @property
    def finished(self) -> bool:
        """Whether no epoch, or no iteration, is left."""
        wanted = self.config.iterations
        return self.state.epoch >= self.config.epochs if wanted is None else self.state.iterations >= wanted

    @property
    def _n_epochs(self) -> int:
        """Epochs of the whole training, the last of which may be a part of one."""
        wanted = self.config.iterations
        return self.config.epochs if wanted is None else math.ceil(wanted / self._n_steps)

    @property
    def passes(self) -> float:
        """Passes over the training films; not a whole number where the time was used up within an epoch."""
        state = self.state
        if self.config.iterations is not None:
            if not self._n_steps:  # it was finished before
                order, _ = order_of_epoch(self.task, 0, state.bad_rows)
                groups = batches_of_epoch(self.task, 0, order, self.accelerator.num_processes)
                self._n_steps = len(groups) // self.accelerator.num_processes
            return round(state.iterations / self._n_steps, 3)
        return state.epoch + round(state.step / max(self._n_steps, 1), 3) if state.step else state.epoch

    def best_module(self) -> EncoderNetwork:
        """A new network with the weights of the best epoch."""
        module = self.task.encoder.create()
        module.load_state_dict(self._best_tensors or {})
        return module

    def record(self) -> dict[str, Any]:
        """How the weights came about, for the model card."""
        best = self.state.best or {}
        names = self._validator.without_auc(best["auc"])
        return {
            "trained": True,
            "seed": self.config.seed,
            "weights": self.config.weights,
            "data": self.task.describe_data(len(self.state.problems) + self.task.table.n_left_out),
            "training": {**self.config.to_json(), "epochs done": self.passes},
            "validation": {
                **best,
                "without_auc": names,
                "warnings": warnings_of(best, self.state.history) if best else [],
            },
        }

    def _train_epoch(
        self, films: PreparedFilms, folder: CheckpointFolder, deadline: float | None, progress: Progress | None
    ) -> bool:
        """Train the steps of the epoch that are left; False if the time was used up before its end."""
        state = self.state
        if state.step == 0:
            state.skipped = state.bad_rows
        order, mirrored = order_of_epoch(self.task, state.epoch, state.skipped)
        changes = [Augmentation(self.config, state.epoch, mirrored)]
        if self._step_module.objective.uses_views:
            changes.append(Augmentation.second_view(self.config, state.epoch, len(mirrored)))
        groups = batches_of_epoch(self.task, state.epoch, order, self.accelerator.num_processes)
        n_steps = self._n_steps = len(groups) // self.accelerator.num_processes
        if self.config.iterations is not None:  # the last epoch may be a part of one
            n_steps = min(n_steps, self.config.iterations - state.iterations + state.step)
        mine = groups[self.accelerator.process_index :: self.accelerator.num_processes][:n_steps]
        every = None if self.config.checkpoint_minutes is None else 60 * self.config.checkpoint_minutes
        loss = torch.tensor(state.loss, dtype=torch.float64, device=self.accelerator.device)
        parts = LossParts(state.parts, self.accelerator.device)
        self._prepared.train()
        begun, saved = time.monotonic() - state.seconds, time.monotonic()
        stage = f"epoch {state.epoch + 1}/{self._n_epochs}"
        note, noted = "", -np.inf
        for rows, images, readable in films.batches(mine[state.step :]):
            loss += self._train_step(rows, images, readable, changes, films.masks(rows))
            parts.add(self._step_module.objective.parts)
            state.step += 1
            state.iterations += 1
            if self._average is not None:
                self._average.update(state.iterations)
            if progress is not None:
                if time.monotonic() - noted >= _NOTE_SECONDS:  # not every step: a GPU would be waited for
                    note, noted = f"loss {float(loss) / state.step:.4g}{self._best_so_far()}", time.monotonic()
                progress(Stage(stage, note), state.step, n_steps)
            if state.step == n_steps:
                break
            if self.accelerator.num_processes > 1 and state.step % _AGREE_EVERY:
                continue
            now = time.monotonic()
            out_of_time = deadline is not None and self._agree(now >= deadline)
            if out_of_time or (every is not None and self._agree(now - saved >= every)):
                state.loss, state.seconds, saved = float(loss), now - begun, now
                state.parts = parts.to_json()
                self._save(folder, films)
                if out_of_time:
                    return False
        total = float(self.accelerator.reduce(loss, reduction="mean"))
        state.loss, state.seconds = total / n_steps, time.monotonic() - begun
        state.parts = parts.means(n_steps, self.accelerator)
        self._n_trained = sum(len(group) for group in groups[: n_steps * self.accelerator.num_processes])
        return True

    def _train_step(
        self,
        rows: Int64Array,
        images: Float32Array | Tensor,
        readable: BoolArray,
        changes: list[Augmentation],
        masks: Float32Array | None,
    ) -> Tensor:
        done = self.state.iterations
        of_all = self.config.iterations or self.config.epochs * self._n_steps
        self._learning_rate.after_iterations(done, done / of_all)
        labels = self.task.table.labels[rows].astype(np.int8)
        labels[~readable] = -1
        batch = to_device(images, self.accelerator)
        shown = None
        if masks is not None:
            masks[~readable] = np.nan
            shown = torch.from_numpy(masks).to(batch.device, non_blocking=True)
        views = [changed.apply(rows, batch, shown) for changed in changes]
        batch, shown = torch.cat([view for view, _ in views]) if len(views) > 1 else views[0][0], views[0][1]
        # A copy that blocks waits for all kernels before it, those of the last step: nothing would overlap any more.
        truth = torch.from_numpy(labels).to(batch.device, non_blocking=True)
        places = torch.from_numpy(self._places[rows]).to(batch.device, non_blocking=True)
        with self.accelerator.autocast():
            loss: Tensor = self._prepared(batch, truth, places, shown)
        self._prepared_optimizer.zero_grad()
        self.accelerator.backward(loss)
        self._prepared_optimizer.step()
        return loss.detach()

    def _finish_epoch(
        self, films: PreparedFilms, out: Path, folder: CheckpointFolder, progress: Progress | None
    ) -> None:
        state = self.state
        if not np.isfinite(state.loss):
            raise EncoderError(
                f"the loss of epoch {state.epoch + 1} is not finite: the last checkpoint in {folder.folder} is kept "
                f"(start again with a learning_rate below {self.config.learning_rate:g}, or mixed_precision='no')"
            )
        learning_rate = self._learning_rate.current
        state.epoch += 1
        with self._weights_to_judge():
            score = self._validate(films, progress)
            better = self._choose(state.epoch, score, films)
        self._note_problems(films)
        how = f"validation {score.name} {score.score:.3f}{self._best_so_far()}"
        logger.info("epoch %d: loss %.4g, %s", state.epoch, state.loss, how)
        self._learning_rate.after_epoch(score.score)
        state.history.append(
            {
                "epoch": state.epoch,
                "loss": state.loss,
                **({"loss_parts": dict(state.parts)} if state.parts else {}),
                **score.to_json(),
                "best": better,
                "learning_rate": learning_rate,
                "seconds": round(state.seconds, 3),
                "films_per_second": round(self._n_trained / max(state.seconds, 1e-9), 2),
            }
        )
        state.end_epoch()
        self._save(folder, films)
        self._write_history(out)

    def _write_history(self, out: Path) -> None:
        history = {
            "encoder": self.task.encoder.to_json(),
            "training": self.config.to_json(),
            "labels_without_auc": self._validator.without_auc((self.state.best or {})["auc"]),
            "problems": self.state.problems,
            "epochs": self.state.history,
            "unfinished": {"epochs": self.passes, "seconds": round(self.state.seconds, 3)} if self.state.step else None,
        }
        self._write_json(out / "history.json", history)

    def _weights_to_judge(self) -> AbstractContextManager[None]:
        """Inside the block the network has the weights that are validated and kept."""
        return nullcontext() if self._average is None else self._average.in_place()

    def _validate(self, films: PreparedFilms, progress: Progress | None) -> Score:
        """Score of the weights as they are now."""
        self._prepared.eval()
        return self._validator.score(films, progress)

    def _choose(self, epoch: float, score: Score, films: PreparedFilms) -> bool:
        """Keep the weights if their score is higher than that of every epoch before (the first of equals stays)."""
        if self.state.best is not None and score.score <= self.state.best["score"]:
            return False
        if self.task.select_by == "auc":  # a choice by retrieval needed it before
            self._validator.calibrate(films)
        self.state.best = {"epoch": epoch, **score.to_json()}
        self._best_tensors = {key: value.detach().cpu().clone() for key, value in self._module.state_dict().items()}
        return True

    def _best_so_far(self) -> str:
        """The chosen epoch as the end of a sentence, "" before there is one."""
        best = self.state.best
        if best is None:
            return ""
        return f", best so far {score_name(best)} {best['score']:.3f} of epoch {best['epoch']:g}"

    def _agree(self, wish: bool) -> bool:
        """What the first process wishes: clocks differ, and all must stop at the same step."""
        if self.accelerator.num_processes == 1:
            return wish
        return bool(broadcast_object_list([wish])[0])

    def _note_problems(self, films: PreparedFilms) -> None:
        # list() copies in one step: the threads of films may be adding to it.
        found = gather_object([(row, asdict(problem)) for row, problem in list(films.problems.items())])
        self.state.note(dict(found))

    def _save(self, folder: CheckpointFolder, films: PreparedFilms) -> None:
        self._note_problems(films)
        if not self.accelerator.is_main_process:
            return
        optimizer_tensors, groups = flatten_optimizer(self._optimizer)
        tensors = {f"module.{key}": value for key, value in self._step_module.state_dict().items()} | optimizer_tensors
        tensors |= {f"random.{key}": value for key, value in self._random_states()}
        if self._average is not None:
            tensors |= {f"average.{key}": value for key, value in self._average.tensors.items()}
        state = {
            "identity": self.identity,
            **self.state.to_json(),
            "optimizer_groups": groups,
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else None,
        }
        folder.write(Checkpoint(state, tensors, self._best_tensors))

    def _restore(self, checkpoint: Checkpoint) -> None:
        state, tensors = checkpoint.state, checkpoint.tensors
        prefix = "module."
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        self._step_module.load_state_dict(own)
        for entry in state["history"]:  # the schedule has no state but what it was told
            self._learning_rate.after_epoch(entry["score"])
        restore_optimizer(self._optimizer, tensors, state["optimizer_groups"])
        if state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.restore({key.removeprefix("average."): value for key, value in tensors.items()})
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self.accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"])
        self.state, self._best_tensors = RunState.from_json(state), checkpoint.best

    def _random_states(self) -> Iterator[tuple[str, Tensor]]:
        yield "cpu", torch.get_rng_state()
        if self.accelerator.device.type == "cuda":
            yield "cuda", torch.cuda.get_rng_state()

    def _write_json(self, path: Path, document: Any) -> None:
        if self.accelerator.is_main_process:
            make_folder(path.parent)
            write_text(path, json.dumps(document, indent=1, allow_nan=False))
