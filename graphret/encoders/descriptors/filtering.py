"""What every filter needs at the edge of a film."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mirrored"]


def mirrored(images: Tensor, margin: int) -> Tensor:
    """Films (b, h, w) with ``margin`` pixels more on every side, mirrored at the edge; the edge itself comes twice.

    Raises
    ------
    IndexError
        The film is smaller than the margin.

    Examples
    --------
    >>> mirrored(torch.arange(3.0).expand(1, 3, 3), 2)[0, 0].tolist()
    [1.0, 0.0, 0.0, 1.0, 2.0, 2.0, 1.0]
    """
    rows, columns = (_places(length, margin).to(images.device) for length in images.shape[1:])
    return images[:, rows][:, :, columns]


def _places(length: int, margin: int) -> Tensor:
    inner = torch.arange(length)
    return torch.cat([inner[:margin].flip(0), inner, length - 1 - torch.arange(margin)])
