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
from graphret.encoders.losses import label_weights, weighted_cross_entropy
from graphret.training.checkpoint import Checkpoint, CheckpointFolder, flatten_optimizer, restore_optimizer
from graphret.training.validation import label_aucs

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
    """Network, optimiser, learning-rate schedule and history of one training.

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
        weights = label_weights(task.table.labels[task.train_rows])
        self._weights = torch.as_tensor(weights, dtype=torch.float32, device=accelerator.device)

        torch.manual_seed(self.config.seed)
        module = task.encoder.create(self.config.weights if checkpoint is None else None)
        module = module.to(accelerator.device).to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.Adam(module.parameters(), lr=self.config.learning_rate, betas=(0.9, 0.999))
        self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer,
            mode="max",
            factor=self.config.plateau_factor,
            patience=self.config.plateau_patience,
            min_lr=self.config.learning_rate_floor,
        )
        self._module = module
        self._prepared, self._prepared_optimizer = accelerator.prepare(module, self._optimizer)

        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self._best_tensors: dict[str, Tensor] | None = None
        self._epoch, self._step, self._loss, self._seconds, self._n_trained = 0, 0, 0.0, 0.0, 0
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
        if self.best is None:  # the time was used up within the first epoch
            self._choose(0, self._validate(films, progress))
        self._write_json(out / "problems.json", self._problems)

    @property
    def finished(self) -> bool:
        """Whether no epoch is left."""
        return self._epoch >= self.config.epochs

    def best_module(self) -> EncoderNetwork:
        """A new network with the weights of the best epoch."""
        module = self.task.encoder.create()
        module.load_state_dict(self._best_tensors or {})
        return module

    def record(self) -> dict[str, Any]:
        """How the weights came about, for the model card."""
        best = self.best or {}
        names = [name for name in self.task.encoder.label_names if name not in best["auc"]]
        return {
            "trained": True,
            "seed": self.config.seed,
            "weights": self.config.weights,
            "data": self.task.describe_data(len(self._problems) + len(self.task.table.problems)),
            "training": {**self.config.to_json(), "epochs done": self._epoch},
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
        n_steps = len(groups) // self.accelerator.num_processes
        mine = groups[self.accelerator.process_index :: self.accelerator.num_processes][:n_steps]
        every = None if self.config.checkpoint_minutes is None else 60 * self.config.checkpoint_minutes
        loss = torch.tensor(self._loss, dtype=torch.float64, device=self.accelerator.device)
        self._prepared.train()
        begun, saved = time.monotonic() - self._seconds, time.monotonic()
        stage = f"epoch {self._epoch + 1}/{self.config.epochs}"
        for rows, images, readable in films.batches(mine[self._step :]):
            loss += self._train_step(rows, images, readable, flips)
            self._step += 1
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

    def _train_step(self, rows: Int64Array, images: Float32Array, readable: BoolArray, flips: BoolArray) -> Tensor:
        labels = self.task.table.labels[rows].astype(np.int8)
        labels[~readable] = -1
        batch = self._to_device(images)
        if self.config.horizontal_flip:
            mirrored = torch.from_numpy(flips[rows]).to(batch.device)
            batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
        with self.accelerator.autocast():
            logits = self._prepared(batch)
        truth = torch.from_numpy(labels).to(batch.device)
        loss = weighted_cross_entropy(logits, truth, self._weights)
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
        learning_rate = self._optimizer.param_groups[0]["lr"]
        aucs = self._validate(films, progress)
        self._note_problems(films)
        self._epoch += 1
        better = self._choose(self._epoch, aucs)
        mean = float(np.mean(list(aucs.values())))
        self._schedule.step(mean)
        self.history.append(
            {
                "epoch": self._epoch,
                "loss": self._loss,
                "mean_auc": mean,
                "auc": aucs,
                "best": better,
                "learning_rate": learning_rate,
                "seconds": round(self._seconds, 3),
                "films_per_second": round(self._n_trained / max(self._seconds, 1e-9), 2),
            }
        )
        self._step, self._loss, self._seconds = 0, 0.0, 0.0
        self._save(folder, films)
        names = [name for name in self.task.encoder.label_names if name not in aucs]
        history = {
            "encoder": self.task.encoder.to_json(),
            "training": self.config.to_json(),
            "labels_without_auc": names,
            "problems": self._problems,
            "epochs": self.history,
        }
        self._write_json(out / "history.json", history)

    def _validate(self, films: PreparedFilms, progress: Progress | None) -> dict[str, float]:
        """AUC of every label with both classes, over the validation films of every process."""
        for buffer in self._module.buffers():  # each process has its own running statistics
            broadcast(buffer)
        rows = self.task.valid_rows
        groups = [rows[start : start + self.config.batch_size] for start in range(0, len(rows), self.config.batch_size)]
        mine = groups[self.accelerator.process_index :: self.accelerator.num_processes]
        parts = []
        self._prepared.eval()
        with torch.inference_mode():
            for done, (group, images, readable) in enumerate(films.batches(mine), 1):
                with self.accelerator.autocast():
                    logits = self._module(self._to_device(images))
                probabilities = torch.sigmoid(logits.double()).float().cpu().numpy()
                parts.append((group[readable], probabilities[readable]))
                if progress is not None:
                    progress("validation", done, len(mine))
        parts = gather_object(parts)
        kept = np.concatenate([part[0] for part in parts])
        labels = self.task.table.labels[kept]
        aucs = label_aucs(np.concatenate([part[1] for part in parts]), labels, self.task.encoder.label_names)
        if not aucs:
            raise DataError(
                f"of {len(rows)} validation films {len(kept)} can be read, and no label has both classes among them: "
                "no epoch can be chosen (the log names the films that cannot be read)"
            )
        return aucs

    def _choose(self, epoch: int, aucs: dict[str, float]) -> bool:
        """Keep the weights if their mean AUC is higher than that of every epoch before (the first of equals stays)."""
        mean = float(np.mean(list(aucs.values())))
        if self.best is not None and mean <= self.best["mean_auc"]:
            return False
        self.best = {"epoch": epoch, "mean_auc": mean, "auc": aucs}
        self._best_tensors = {key: value.detach().cpu().clone() for key, value in self._module.state_dict().items()}
        return True

    def _order_of(self, epoch: int) -> tuple[Int64Array, BoolArray]:
        """Rows of the training films in the order of this epoch; for every row of the table, whether it is flipped."""
        generator = np.random.default_rng([self.config.seed, epoch])
        order = generator.permutation(self.task.train_rows)
        flips = generator.random(len(self.task.table)) < 0.5
        return order[~np.isin(order, self._skipped)], flips

    def _groups(self, order: Int64Array) -> list[Int64Array]:
        size = self.config.batch_size
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        if groups and len(groups[-1]) == 1:  # batch normalisation has no statistics of a single film
            groups.pop()
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
        tensors = {f"module.{key}": value for key, value in self._module.state_dict().items()} | optimizer_tensors
        tensors |= {f"random.{key}": value for key, value in self._random_states()}
        state = {
            "identity": self.identity,
            "epoch": self._epoch,
            "step": self._step,
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
        self._module.load_state_dict(own)
        for entry in state["history"]:  # the schedule has no state but what it was told
            self._schedule.step(entry["mean_auc"])
        restore_optimizer(self._optimizer, tensors, state["optimizer_groups"])
        if state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self.accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"])
        self.history, self.best, self._best_tensors = state["history"], state["best"], checkpoint.best
        self._epoch, self._step = state["epoch"], state["step"]
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
