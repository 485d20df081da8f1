"""One call for every source of an encoder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders.encoder import Encoder
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.registry.create import ENCODERS, list_encoders
from graphret.files import check_path

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["load_encoder"]

logger = logging.getLogger(__name__)


def load_encoder(
    source: str | PathLike[str],
    *,
    n_labels: int | None = None,
    n_bits: int | None = None,
    seed: int = 0,
    device: str = "auto",
    size: int | None = None,
) -> Encoder:
    """Open an encoder: one that was trained, one of torchxrayvision, or an untrained one by its name.

    Parameters
    ----------
    source
        A folder that ``graphret.train`` or ``Encoder.save`` wrote; ``"txrv:NAME"``, a pretrained DenseNet-121 of
        torchxrayvision; ``"hf:FOLDER"``, a local folder of the library transformers; or a name of
        :func:`list_encoders`, whose weights are then random (which is logged).
    n_labels
        Number of labels of an untrained encoder (1 if not given); for another source it must be what that has.
    n_bits
        Length of the codes of an untrained hash encoder, ``None`` for its default; for another source it must be what
        that has.
    seed
        Seed of the weights of an untrained encoder.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    size
        Side of the input in px; ``None`` for that of the training, or the default of an untrained encoder.

    Raises
    ------
    MissingFileError
        A path that does not exist, or a folder without an encoder.
    UnknownNameError
        Neither a path nor a known name.
    EncoderError
        Damaged files, or weights that are not on this machine.
    DeviceError
        ``"cuda"`` on a machine without one.

    Examples
    --------
    >>> load_encoder("resnet18", size=32, device="cpu").code_length
    512
    """
    text = str(source)
    check_path("encoder", source)
    if text.startswith("txrv:"):
        encoder = _load_xrayvision(text, device)
    elif text.startswith("hf:"):
        from graphret.encoders.transformer_folder import load_transformer

        encoder = load_transformer(Path(text.removeprefix("hf:")), device)
    elif text in ENCODERS and isinstance(source, str):
        logger.warning("encoder %s is untrained: its weights are random (seed %s)", text, seed)
        n = 1 if n_labels is None else check_integer("n_labels", n_labels, 1)
        names = [f"label_{number}" for number in range(n)]
        return Encoder.untrained(text, names, size, seed, n_bits=n_bits, device=device)
    elif isinstance(source, str) and len(Path(source).parts) == 1 and not Path(source).exists():
        raise UnknownNameError("encoder", source, list_encoders(), "or give the folder of a trained encoder")
    else:
        encoder = Encoder.load(source, device=device)
    if n_labels is not None and n_labels != len(encoder.label_names):
        raise InvalidParameterError(
            "n_labels", n_labels, f"{len(encoder.label_names)} or nothing", f"the labels of {text} are fixed"
        )
    if n_bits is not None and n_bits != encoder.config.n_bits:
        raise InvalidParameterError("n_bits", n_bits, f"{encoder.config.n_bits} or nothing", f"{text} is fixed")
    return encoder if size is None or size == encoder.size else encoder.resized(size)


def _load_xrayvision(source: str, device: str) -> Encoder:
    from graphret.encoders.weights import fit_tensors
    from graphret.encoders.xrayvision import XRAYVISION_SIZE, xrayvision_tensors

    tensors, labels = xrayvision_tensors(source.removeprefix("txrv:"))
    config = EncoderConfig("densenet121", XRAYVISION_SIZE, labels, options={"pixels": "xrayvision"})
    import torch

    with torch.random.fork_rng(devices=[]):
        module = config.create()
    fit_tensors(module, tensors, source)
    return Encoder(module, config, device=device, record={"trained": True, "weights": source})
