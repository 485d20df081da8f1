"""DICOM films: modality and VOI transforms to [0, 1]; pydicom is imported only here, on the first DICOM file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError
from graphret.data.images import check_size, luma

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Float32Array, Float64Array

__all__ = ["read_dicom"]


def read_dicom(path: Path, *, force: bool = False) -> Float32Array:
    """Decode one DICOM film to float32 (h, w) in [0, 1]; ``force`` also takes a file without the preamble.

    Raises
    ------
    FilmError
        No pixels, several frames, or a compression that no installed plugin decodes.
    Exception
        Whatever pydicom raises on a damaged file; `read_film` turns it into a `FilmError`.
    """
    import pydicom
    from pydicom.pixels import pixel_array

    try:
        dataset = pydicom.dcmread(path, force=force)
    except pydicom.errors.InvalidDicomError as error:
        raise FilmError(path, "not a DICOM file") from error
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise FilmError(path, "a DICOM file without an image" if not force else "not a DICOM file with an image")
    check_size(path, int(dataset.Columns), int(dataset.Rows))
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if n_frames > 1:
        raise FilmError(path, f"it holds {n_frames} frames: give one picture a file")
    if not hasattr(dataset, "file_meta") or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta = getattr(dataset, "file_meta", None) or pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian  # the standard's default
    try:
        stored = pixel_array(dataset)  # YBR colours come out as RGB
    except (RuntimeError, NotImplementedError) as error:
        syntax = dataset.file_meta.TransferSyntaxUID
        raise FilmError(path, f"its pixels ({syntax.name}) cannot be decoded: {error}") from error
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        colours = pydicom.pixels.apply_color_lut(stored, dataset)
        return luma(colours[..., :3], float(np.iinfo(colours.dtype).max))
    if stored.ndim == 3:
        return luma(stored[..., :3], float(2 ** int(dataset.BitsStored) - 1))
    film = _displayed(stored, dataset)
    return (1.0 - film if photometric == "MONOCHROME1" else film).astype(np.float32)


def _displayed(stored: np.ndarray[Any, Any], dataset: Any) -> Float64Array:
    """Values in [0, 1] after the modality and the first VOI transform (DICOM PS3.3 C.11.1 and C.11.2)."""
    from pydicom.pixels import apply_modality_lut

    values = apply_modality_lut(stored, dataset).astype(np.float64)
    if dataset.get("VOILUTSequence"):
        return _look_up(values, dataset.VOILUTSequence[0])
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is not None and width is not None and width > 0:
        return _window(values, center, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
    low, high = _representable(dataset)
    scaled: Float64Array = (values - low) / (high - low)
    return scaled


def _look_up(values: Float64Array, item: Any) -> Float64Array:
    """Apply a VOI LUT (PS3.3 C.11.2.1.1); pydicom's own wraps around in tables of 8 bits with more than 256 entries."""
    n_entries, first, bits = (int(number) for number in item.LUTDescriptor)
    n_entries = n_entries or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        table = np.frombuffer(data, np.uint8 if len(data) < 2 * n_entries else np.dtype("<u2"))[:n_entries]
    else:
        table = np.asarray(data, dtype=np.int64)
    rows = np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.int64)
    displayed: Float64Array = table[rows].astype(np.float64) / float(2**bits - 1)
    return displayed


def _window(values: Float64Array, center: float, width: float, function: str) -> Float64Array:
    if function == "SIGMOID":
        values = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
        return np.reciprocal(1.0 + np.exp(values))
    if function == "LINEAR":  # the standard's half-pixel convention; a width of 1 is a threshold
        center, width = center - 0.5, max(width - 1.0, 1e-9)
    displayed: Float64Array = np.clip((values - center) / width + 0.5, 0.0, 1.0)
    return displayed


def _representable(dataset: Any) -> tuple[float, float]:
    """The range of the values that the stored bits can hold, after the modality transform."""
    if dataset.get("ModalityLUTSequence"):
        return 0.0, float(2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    bits = int(dataset.BitsStored)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
    slope = float(dataset.get("RescaleSlope", 1.0) or 1.0)
    intercept = float(dataset.get("RescaleIntercept", 0.0) or 0.0)
    ends = sorted((low * slope + intercept, high * slope + intercept))
    return ends[0], ends[1]


def _first(value: Any) -> float | None:
    """Return the first of one or several numbers, or None where there is none."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None
