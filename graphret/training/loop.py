"""Train an encoder: the loop over epochs, its checkpoints, and the encoder of the best epoch."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphret.encoders import Encoder
from graphret.files import check_path, claimed_folder
from graphret.training.accelerator import borrow_accelerator, chosen_precision
from graphret.training.checkpoint import CheckpointFolder
from graphret.training.config import TrainConfig
from graphret.training.films import PreparedFilms
from graphret.training.run import make_task, refuse_other_task
from graphret.training.trainer import Trainer

if TYPE_CHECKING:
    from os import PathLike

    from graphret._types import Progress
    from graphret.data import ImageTable

__all__ = ["train"]

logger = logging.getLogger(__name__)


def train(
    table: ImageTable,
    name: str = "densenet121",
    *,
    out: str | PathLike[str],
    config: TrainConfig | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    **overrides: Any,
) -> Encoder:
    """Train an encoder on the labels of films (Haq et al. 2021, section "Image codes").

    Every encoder has an objective and a recipe of its own; DenseNet-121 has that of Haq et al. 2021: Adam on their
    weighted cross entropy (Eq. 1), and the learning rate falls when the mean validation AUC stands still. The weights
    of the epoch with the highest validation score are kept: the mean AUC, or how well the codes rank where the network
    has no classifier. Only films of the split "train" train, and only those of "valid" choose the epoch; a table
    without "valid" gives up a part of "train" for it, by patient. A column "mask" of the table (paths of pictures,
    relative to its root) is what a segmentation learns from.

    A run that was stopped in any way goes on from its last checkpoint, with the same result as one that was not: to
    the bit on a processor with the same number of threads, to rounding on CUDA. A finished run called again with
    more ``epochs`` goes on as well. An encoder that is already in ``out`` stays until the new one is complete.

    Start the script with ``accelerate launch`` to use several devices; ``batch_size`` then counts on each of them.

    Parameters
    ----------
    table
        Films with labels.
    name
        One of :func:`graphret.encoders.list_encoders`.
    out
        Folder for ``encoder.json``, ``encoder.safetensors``, ``MODEL_CARD.md``, ``history.json`` (loss, its
        terms where the objective names some, AUC of every label, score, learning rate, time of every epoch, and the
        time of an unfinished one), ``problems.json`` (films
        that could not be read) and ``checkpoint/``.
    config
        All parameters of the training, taken as they are; ``None`` for ``TrainConfig.for_encoder(name)``, which is the
        recipe of the encoder's paper.
    resume
        Go on from the checkpoint in ``out``. ``False`` removes it and starts again.
    progress
        Called as ``progress(stage, done, total)``.
    **overrides
        Single parameters of :class:`TrainConfig`, over ``config`` or over the recipe.

    Returns
    -------
    Encoder
        What :func:`graphret.encoders.load_encoder` reads from ``out``.

    Raises
    ------
    UnknownNameError
        Unknown encoder or parameter.
    InvalidParameterError
        A parameter that is not allowed, or ``out`` holds the checkpoint of another training; the message says what
        differs.
    DataError
        Films or labels that nothing can be learnt from, or no film can be read.
    EncoderError
        Weights or checkpoint cannot be read, or the loss is no longer finite.
    DeviceError
        The device is not there.
    IndexLockedError
        Another training writes to ``out``.
    StoreError
        The disk is full, or ``out`` cannot be written to.
    """
    config = TrainConfig.for_encoder(name, **overrides) if config is None else TrainConfig.of(config, overrides)
    # Part of what decides the weights: a checkpoint of another precision is not gone on with unseen.
    config = replace(config, mixed_precision=chosen_precision(config.device, config.mixed_precision))
    task = make_task(table, name, config)
    out = check_path("out", out)
    # Classification reads the classifier alone; other objectives read a part of what a network gives.
    unused = task.objective != "classification"
    how: dict[str, Any] = {"unused": unused, "same_shapes": config.sampler == "shuffled"}
    with borrow_accelerator(config.device, config.mixed_precision, **how) as accelerator, ExitStack() as held:
        if accelerator.is_main_process:  # it writes, for all processes of this training
            held.enter_context(claimed_folder(out))
        folder = CheckpointFolder(out / "checkpoint")
        identity = task.identity(accelerator.num_processes)
        checkpoint = folder.read() if resume else None
        if checkpoint is not None:
            refuse_other_task(checkpoint.state["identity"], identity, out)
            logger.info("resuming %s after epoch %s", out, checkpoint.state["epoch"])
        report = progress if accelerator.is_main_process else None
        trainer = Trainer(task, accelerator, checkpoint, identity)
        accelerator.wait_for_everyone()
        if not resume and accelerator.is_main_process:  # not before the new run is known to be possible
            folder.remove()
        if not trainer.finished:
            with PreparedFilms(
                task.table,
                trainer.rows,
                config.size,
                cache_bytes=config.cache_bytes,
                n_workers=config.n_workers,
                progress=report,
                mask_rows=trainer.mask_rows,
                stored_as=config.cache_type,
                colour=task.encoder.reads_colour,
            ) as films:
                films.place_on(accelerator.device, config.device_cache_bytes)
                trainer.run(films, out, folder, report)
        encoder = Encoder(trainer.best_module(), task.encoder, device=config.device, record=trainer.record())
        if accelerator.is_main_process:
            for warning in encoder.record["validation"]["warnings"]:
                logger.warning("%s: %s", out, warning)
            encoder.save(out)
        accelerator.wait_for_everyone()
    return encoder
