"""The whitening of an encoder, learnt from the films of an archive, without a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from graphret._errors import EncoderError
from graphret.encoders import Encoder
from graphret.encoders.inference.device import choose_device
from graphret.training.calibration import CalibrationFilms
from graphret.training.films import PreparedFilms

if TYPE_CHECKING:
    from graphret._types import Float32Array
    from graphret.data import ImageTable

__all__ = ["whitened_encoder"]


def whitened_encoder(encoder: Encoder, table: ImageTable, *, batch_size: int = 32) -> Encoder:
    """Learn the whitening of an aggregation from an archive's films; labels are not read, and all other weights stay.

    Parameters
    ----------
    encoder
        One with the option ``whitening``, as "spoc", "crow", "rmac"; it is not changed.
    table
        The films; of more than 20,000 as many, evenly spaced.
    batch_size
        Films that go through the network at once.

    Returns
    -------
    Encoder
        On the same device. Its record says of how many films the whitening is, and how many could not be read.

    Raises
    ------
    EncoderError
        The encoder has no whitening.
    InvalidParameterError
        Less than two films can be read.
    """
    if encoder.config.options.get("whitening", "none") == "none":
        raise EncoderError(
            f"{encoder.name!r} with the options {dict(encoder.config.options)} has no whitening to learn (spoc, crow, "
            "cam, rmac, gem and regional_attention have the option whitening)"
        )
    with torch.random.fork_rng(devices=[]):
        network: Any = encoder.config.create()
    network.load_state_dict(encoder.tensors())
    device = choose_device(encoder.device)
    network.eval().to(device)

    def placed(images: Float32Array | torch.Tensor) -> torch.Tensor:
        batch = torch.as_tensor(images)
        return (batch[:, None] if batch.ndim == 3 else batch).to(device)

    rows = np.arange(len(table), dtype=np.int64)
    colour = encoder.reads_colour
    with PreparedFilms(table, rows, encoder.size, cache_bytes=0, colour=colour) as films, torch.inference_mode():
        chosen = CalibrationFilms(films, rows, network.calibration_films, batch_size, placed)
        network.calibrate(chosen)
        unread = len(films.problems)
    learnt = {"films": chosen.n_films - unread, "unreadable": unread, "spec": table.spec}
    return Encoder(network, encoder.config, device=encoder.device, record={**encoder.record, "whitening": learnt})
