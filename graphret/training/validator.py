"""The score of the weights of a training as they are now, over the validation films of every process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast, gather_object

from graphret._errors import DataError
from graphret.encoders.registry.create import encoder_spec
from graphret.training.calibration import CalibrationFilms
from graphret.training.validation import Score, label_aucs, labels_with_both_classes, retrieval_chance, retrieval_map
from graphret.training.verdict import auc_margin

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

    from graphret._types import Float32Array, Progress
    from graphret.encoders.networks.network import EncoderNetwork
    from graphret.training.films import PreparedFilms
    from graphret.training.run import Task

__all__ = ["Validator", "to_device"]


def to_device(images: Float32Array | Tensor, accelerator: Accelerator) -> Tensor:
    """Make a batch (b, 1 or 3, s, s) of images where the network is, without waiting for a GPU."""
    batch = torch.from_numpy(images) if isinstance(images, np.ndarray) else images
    if accelerator.device.type == "cuda" and not batch.is_cuda:
        batch = batch.pin_memory()
    batch = (batch[:, None] if batch.ndim == 3 else batch).to(accelerator.device, non_blocking=True)
    return batch.contiguous(memory_format=torch.channels_last)


class Validator:
    """Scores a network by AUC or by retrieval, and calibrates it before its codes count.

    Parameters
    ----------
    task
        Films, settings, and what epochs are compared by.
    module
        The network that is trained.
    accelerator
        Device, precision and processes.
    """

    def __init__(self, task: Task, module: EncoderNetwork, accelerator: Accelerator) -> None:
        self.task, self.module, self.accelerator = task, module, accelerator
        spec = encoder_spec(task.encoder.name)
        self._kind, self._classifies = spec.kind, spec.classifies

    def score(self, films: PreparedFilms, progress: Progress | None) -> Score:
        """Score the weights; the network is in evaluation mode."""
        task, accelerator = self.task, self.accelerator
        for buffer in self.module.buffers():  # each process has its own running statistics
            broadcast(buffer)
        by_retrieval = task.select_by == "retrieval"
        if by_retrieval:
            self.calibrate(films)
        rows, size = task.valid_rows, task.config.batch_size
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]
        mine = groups[accelerator.process_index :: accelerator.num_processes]
        parts = []
        with torch.inference_mode():
            for done, (group, images, readable) in enumerate(films.batches(mine), 1):
                batch = to_device(images, accelerator)
                with accelerator.autocast():
                    # Apart from the codes, because a network may centre what it gives as codes, but not in its outputs.
                    logits = self.module(batch) if self._classifies else None
                    codes = self.module.features(batch) if by_retrieval else None
                values = [
                    None if logits is None else torch.sigmoid(logits.double()).float().cpu().numpy()[readable],
                    None if codes is None else codes.float().cpu().numpy()[readable],
                ]
                parts.append((group[readable], *values))
                if progress is not None:
                    progress("validation", done, len(mine))
        return self._score(gather_object(parts))

    def calibrate(self, films: PreparedFilms) -> None:
        """Let the network take what it needs of the films (medians, say)."""
        task, module = self.task, self.module
        archive = module.calibrated_on == "archive"
        rows = np.union1d(task.train_rows, task.valid_rows) if archive else task.train_rows

        def placed(images: Float32Array | Tensor) -> Tensor:
            return to_device(images, self.accelerator)

        with torch.inference_mode():
            module.calibrate(CalibrationFilms(films, rows, module.calibration_films, task.config.batch_size, placed))

    def without_auc(self, aucs: dict[str, float]) -> list[str]:
        """Labels of the classifier that have no AUC."""
        return [name for name in self.task.encoder.label_names if name not in aucs] if self._classifies else []

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
            labels = table.labels[kept]
            return Score.of_auc(aucs, auc_margin(labels, labels_with_both_classes(labels)))
        codes = np.concatenate([part[2] for part in parts])
        order = np.argsort(kept)  # with one process or several
        kept, codes = kept[order], codes[order]
        films, binary = (table.labels[kept], table.patients[kept]), self._kind == "hash"
        value = retrieval_map(codes, *films, binary=binary)
        if not np.isfinite(value):
            raise DataError(f"{readable}, and none has a similar film of another patient among them: {hint}")
        chance, margin = retrieval_chance(codes, *films, binary=binary)
        return Score(value, "retrieval", aucs, value, chance, margin if np.isfinite(margin) else None)
