"""The state of a training, and the steps that change it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import Tensor

from graphret._errors import DataError, EncoderError
from graphret.encoders.encoder_files import replace_file
from graphret.encoders.objectives import create_objective
from graphret.encoders.registry import encoder_spec
from graphret.training import samplers
from graphret.training.calibration import TrainingFilms
from graphret.training.checkpoint import Checkpoint, CheckpointFolder, flatten_optimizer, restore_optimizer
from graphret.training.masks import has_masks
from graphret.training.optimization import LearningRate, make_optimizer
from graphret.training.step import TrainingStep
from graphret.training.validation import Score, label_aucs, retrieval_map

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accelerate import Accelerator

    from graphret._types import BoolArray, Float32Array, Int64Array, Progress
    from graphret.encoders.network import EncoderNetwork
    from graphret.training.films import PreparedFilms
    from graphret.training.run import Task

__all__ = ["Trainer"]


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
        spec = encoder_spec(task.encoder.name)
        self._kind, self._classifies = spec.kind, spec.classifies
        self._places = np.full(len(task.table), -1, dtype=np.int64)
        self._places[task.train_rows] = np.arange(len(task.train_rows))

        torch.manual_seed(self.config.seed)
        module = task.encoder.create(self.config.weights if checkpoint is None else None)
        labels = task.table.labels[task.train_rows].astype(np.int8)
        objective = create_objective(task.objective, labels, task.encoder.n_bits, **task.objective_options)
        self._module = module.to(accelerator.device).to(memory_format=torch.channels_last)
        self._step_module = TrainingStep(self._module, objective.to(accelerator.device))
        self._optimizer = make_optimizer(self._step_module.parameters(), self.config)
        self._learning_rate = LearningRate(self._optimizer, self.config)
        self._prepared, self._prepared_optimizer = accelerator.prepare(self._step_module, self._optimizer)

        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self._best_tensors: dict[str, Tensor] | None = None
        self._epoch, self._step, self._loss, self._seconds, self._n_trained = 0, 0, 0.0, 0.0, 0
        self._n_steps = 0
        self._iterations = 0
        self._bad_rows: list[int] = []
        self._skipped: list[int] = []  # the bad rows that were known when the epoch began
        self._problems: list[dict[str, str]] = []
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
        if self._step:  # the time was used up within an epoch: the part of it is chosen if it is better
            self._choose(self.passes, self._validate(films, progress), films)
            self._write_history(out)
        self._write_json(out / "problems.json", self._problems)

    @property
    def mask_rows(self) -> Int64Array | None:
        """Rows whose masks the objective learns from."""
        wanted = self._step_module.objective.uses_masks and has_masks(self.task.table)
        return self.task.train_rows if wanted else None

    @property
    def finished(self) -> bool:
        """Whether no epoch is left."""
        return self._epoch >= self.config.epochs

    @property
    def passes(self) -> float:
        """Passes over the training films; not a whole number where the time was used up within an epoch."""
        return self._epoch + round(self._step / max(self._n_steps, 1), 3) if self._step else self._epoch

    def best_module(self) -> EncoderNetwork:
        """A new network with the weights of the best epoch."""
        module = self.task.encoder.create()
        module.load_state_dict(self._best_tensors or {})
        return module

    def record(self) -> dict[str, Any]:
        """How the weights came about, for the model card."""
        best = self.best or {}
        names = self._without_auc(best["auc"])
        return {
            "trained": True,
            "seed": self.config.seed,
            "weights": self.config.weights,
            "data": self.task.describe_data(len(self._problems) + self.task.table.n_left_out),
            "training": {**self.config.to_json(), "epochs done": self.passes},
            "validation": {**best, "without_auc": names},
        }

    def _train_epoch(
        self, films: PreparedFilms, folder: CheckpointFolder, deadline: float | None, progress: Progress | None
    ) -> bool:
        """Train the steps of the epoch that are left; False if the time was used up before its end."""
        if self._step == 0:
            self._skipped = self._bad_rows
        order, flips = self._order_of(self._epoch)
        groups = self._groups(order)
        n_steps = self._n_steps = len(groups) // self.accelerator.num_processes
        mine = groups[self.accelerator.process_index :: self.accelerator.num_processes][:n_steps]
        every = None if self.config.checkpoint_minutes is None else 60 * self.config.checkpoint_minutes
        loss = torch.tensor(self._loss, dtype=torch.float64, device=self.accelerator.device)
        self._prepared.train()
        begun, saved = time.monotonic() - self._seconds, time.monotonic()
        stage = f"epoch {self._epoch + 1}/{self.config.epochs}"
        for rows, images, readable in films.batches(mine[self._step :]):
            loss += self._train_step(rows, images, readable, flips, films.masks(rows))
            self._step += 1
            self._iterations += 1
            if progress is not None:
                progress(stage, self._step, n_steps)
            now = time.monotonic()
            if self._step == n_steps:
                break
            out_of_time = deadline is not None and self._agree(now >= deadline)
            if out_of_time or (every is not None and self._agree(now - saved >= every)):
                self._loss, self._seconds, saved = float(loss), now - begun, now
                self._save(folder, films)
                if out_of_time:
                    return False
        total = float(self.accelerator.reduce(loss, reduction="mean"))
        self._loss, self._seconds = total / n_steps, time.monotonic() - begun
        self._n_trained = sum(len(group) for group in groups[: n_steps * self.accelerator.num_processes])
        return True

    def _train_step(
        self,
        rows: Int64Array,
        images: Float32Array,
        readable: BoolArray,
        flips: BoolArray,
        masks: Float32Array | None,
    ) -> Tensor:
        self._learning_rate.after_iterations(self._iterations)
        labels = self.task.table.labels[rows].astype(np.int8)
        labels[~readable] = -1
        batch = self._to_device(images)
        shown = None
        if masks is not None:
            masks[~readable] = np.nan
            shown = torch.from_numpy(masks).to(batch.device)
        if self.config.horizontal_flip:
            mirrored = torch.from_numpy(flips[rows]).to(batch.device)
            batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
            shown = None if shown is None else torch.where(mirrored[:, None, None], shown.flip(-1), shown)
        truth = torch.from_numpy(labels).to(batch.device)
        places = torch.from_numpy(self._places[rows]).to(batch.device)
        with self.accelerator.autocast():
            loss: Tensor = self._prepared(batch, truth, places, shown)
        self._prepared_optimizer.zero_grad()
        self.accelerator.backward(loss)
        self._prepared_optimizer.step()
        return loss.detach()

    def _finish_epoch(
        self, films: PreparedFilms, out: Path, folder: CheckpointFolder, progress: Progress | None
    ) -> None:
        if not np.isfinite(self._loss):
            raise EncoderError(
                f"the loss of epoch {self._epoch + 1} is not finite: the last checkpoint in {folder.folder} is kept "
                f"(start again with a learning_rate below {self.config.learning_rate:g}, or mixed_precision='no')"
            )
        learning_rate = self._learning_rate.current
        score = self._validate(films, progress)
        self._note_problems(films)
        self._epoch += 1
        better = self._choose(self._epoch, score, films)
        self._learning_rate.after_epoch(score.score)
        self.history.append(
            {
                "epoch": self._epoch,
                "loss": self._loss,
                **score.to_json(),
                "best": better,
                "learning_rate": learning_rate,
                "seconds": round(self._seconds, 3),
                "films_per_second": round(self._n_trained / max(self._seconds, 1e-9), 2),
            }
        )
        self._step, self._loss, self._seconds = 0, 0.0, 0.0
        self._save(folder, films)
        self._write_history(out)

    def _write_history(self, out: Path) -> None:
        history = {
            "encoder": self.task.encoder.to_json(),
            "training": self.config.to_json(),
            "labels_without_auc": self._without_auc((self.best or {})["auc"]),
            "problems": self._problems,
            "epochs": self.history,
            "unfinished": {"epochs": self.passes, "seconds": round(self._seconds, 3)} if self._step else None,
        }
        self._write_json(out / "history.json", history)

    def _validate(self, films: PreparedFilms, progress: Progress | None) -> Score:
        """Score of the weights as they are now, over the validation films of every process."""
        for buffer in self._module.buffers():  # each process has its own running statistics
            broadcast(buffer)
        by_retrieval = self.task.select_by == "retrieval"
        self._prepared.eval()
        if by_retrieval:
            self._calibrate(films)
        rows = self.task.valid_rows
        groups = [rows[start : start + self.config.batch_size] for start in range(0, len(rows), self.config.batch_size)]
        mine = groups[self.accelerator.process_index :: self.accelerator.num_processes]
        parts = []
        with torch.inference_mode():
            for done, (group, images, readable) in enumerate(films.batches(mine), 1):
                batch = self._to_device(images)
                with self.accelerator.autocast():
                    # Apart from the codes, because a network may centre what it gives as codes, but not in its outputs.
                    logits = self._module(batch) if self._classifies else None
                    codes = self._module.features(batch) if by_retrieval else None
                values = [
                    None if logits is None else torch.sigmoid(logits.double()).float().cpu().numpy()[readable],
                    None if codes is None else codes.float().cpu().numpy()[readable],
                ]
                parts.append((group[readable], *values))
                if progress is not None:
                    progress("validation", done, len(mine))
        return self._score(gather_object(parts))

    def _score(self, parts: list[Any]) -> Score:
        """AUC of every label with both classes, and how well the codes rank, of all processes together."""
        table = self.task.table
        kept = np.concatenate([part[0] for part in parts])
        readable = f"of {len(self.task.valid_rows)} validation films {len(kept)} can be read"
        hint = "no epoch can be chosen (the log names the films that cannot be read)"
        aucs = {}
        if self._classifies:
            probabilities = np.concatenate([part[1] for part in parts])
            aucs = label_aucs(probabilities, table.labels[kept], self.task.encoder.label_names)
        if self.task.select_by == "auc":
            if not aucs:
                raise DataError(f"{readable}, and no label has both classes among them: {hint}")
            return Score.of_auc(aucs)
        codes = np.concatenate([part[2] for part in parts])
        order = np.argsort(kept)  # with one process or several
        kept, codes = kept[order], codes[order]
        value = retrieval_map(codes, table.labels[kept], table.patients[kept], binary=self._kind == "hash")
        if not np.isfinite(value):
            raise DataError(f"{readable}, and none has a similar film of another patient among them: {hint}")
        return Score(value, "retrieval", aucs, value)

    def _calibrate(self, films: PreparedFilms) -> None:
        with torch.inference_mode():
            self._module.calibrate(TrainingFilms(films, self.task.train_rows, self.config.batch_size, self._to_device))

    def _choose(self, epoch: float, score: Score, films: PreparedFilms) -> bool:
        """Keep the weights if their score is higher than that of every epoch before (the first of equals stays)."""
        if self.best is not None and score.score <= self.best["score"]:
            return False
        if self.task.select_by == "auc":  # a choice by retrieval needed it before
            self._calibrate(films)
        self.best = {"epoch": epoch, **score.to_json()}
        self._best_tensors = {key: value.detach().cpu().clone() for key, value in self._module.state_dict().items()}
        return True

    def _without_auc(self, aucs: dict[str, float]) -> list[str]:
        return [name for name in self.task.encoder.label_names if name not in aucs] if self._classifies else []

    def _order_of(self, epoch: int) -> tuple[Int64Array, BoolArray]:
        """Rows of the training films in the order of this epoch; for every row of the table, whether it is flipped."""
        generator = np.random.default_rng([self.config.seed, epoch])
        order = generator.permutation(self.task.train_rows)
        flips = generator.random(len(self.task.table)) < 0.5
        return order[~np.isin(order, self._skipped)], flips

    def _groups(self, order: Int64Array) -> list[Int64Array]:
        config, labels = self.config, self.task.table.labels[order]
        generator = np.random.default_rng([config.seed, self._epoch, 1])
        groups = samplers.batches_of(config, order, labels, generator)
        # Batch normalisation has no statistics of a single film.
        groups = [group for group in groups if len(group) > 1]
        if len(groups) < self.accelerator.num_processes:
            raise DataError(
                f"{len(order)} of {len(self.task.train_rows)} training films can be read: too few for a step of "
                f"{self.accelerator.num_processes} processes (the log names the others and why)"
            )
        return groups

    def _to_device(self, images: Float32Array) -> Tensor:
        batch = torch.from_numpy(images)[:, None].to(self.accelerator.device)
        return batch.contiguous(memory_format=torch.channels_last)

    def _agree(self, wish: bool) -> bool:
        """What the first process wishes: clocks differ, and all must stop at the same step."""
        if self.accelerator.num_processes == 1:
            return wish
        return bool(broadcast_object_list([wish])[0])

    def _note_problems(self, films: PreparedFilms) -> None:
        # list() copies in one step: the threads of films may be adding to it.
        found = gather_object([(row, asdict(problem)) for row, problem in list(films.problems.items())])
        known = dict(zip(self._bad_rows, self._problems, strict=True)) | dict(found)
        self._bad_rows = sorted(known)
        self._problems = [known[row] for row in self._bad_rows]

    def _save(self, folder: CheckpointFolder, films: PreparedFilms) -> None:
        self._note_problems(films)
        if not self.accelerator.is_main_process:
            return
        optimizer_tensors, groups = flatten_optimizer(self._optimizer)
        tensors = {f"module.{key}": value for key, value in self._step_module.state_dict().items()} | optimizer_tensors
        tensors |= {f"random.{key}": value for key, value in self._random_states()}
        state = {
            "identity": self.identity,
            "epoch": self._epoch,
            "step": self._step,
            "iterations": self._iterations,
            "loss": self._loss,
            "seconds": self._seconds,
            "history": self.history,
            "best": self.best,
            "bad_rows": self._bad_rows,
            "skipped": self._skipped,
            "problems": self._problems,
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
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self.accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"])
        self.history, self.best, self._best_tensors = state["history"], state["best"], checkpoint.best
        self._epoch, self._step, self._iterations = state["epoch"], state["step"], state["iterations"]
        self._loss, self._seconds = state["loss"], state["seconds"]
        self._bad_rows, self._problems, self._skipped = state["bad_rows"], state["problems"], state["skipped"]

    def _random_states(self) -> Iterator[tuple[str, Tensor]]:
        yield "cpu", torch.get_rng_state()
        if self.accelerator.device.type == "cuda":
            yield "cuda", torch.cuda.get_rng_state()

    def _write_json(self, path: Path, document: Any) -> None:
        if self.accelerator.is_main_process:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps(document, indent=1, allow_nan=False).encode())
