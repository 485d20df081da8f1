"""Encoders whose codes no training changes, or only its words: GIST, and the texture feature of Lan et al."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.encoders.descriptors.gabor_schmid import N_FILTERS, patch_textures
from graphret.encoders.descriptors.gist import SCALES, gist
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs
from graphret.encoders.pooling.blcf import BLCF
from graphret.encoders.registry.spec import MINIMUM_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["GaborSchmid", "Gist"]


class Gist(EncoderNetwork):
    """GIST (Oliva, Torralba, IJCV 2001) of a grey film, with a linear classifier over it that alone is trained.

    Haq et al. (2021, Table 6) and Öztürk et al. (2021, Table 3) quote figures of hashers on "1024 dimensional GIST
    features" and say no more. The authors' code has 4 scales of 8 orientations in 4 x 4 parts: 512 values of a grey
    film. **Decision**: 1,024 values are 16 orientations with the same scales and parts; ``n_values=512`` is the code of
    the authors.

    Departure from the authors' code: a film that is no square is stretched to one, not cropped.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    n_values
        Length of the code, a multiple of 64: 4 scales, 16 parts, and the orientations that are left.

    Raises
    ------
    InvalidParameterError
        ``n_values`` is no multiple of 64.
    """

    def __init__(self, n_labels: int, n_values: int = 1024) -> None:
        super().__init__()
        check_integer("n_values", n_values, 1)
        self.n_orientations, rest = divmod(n_values, SCALES * 16)
        if rest:
            raise InvalidParameterError(
                "n_values", n_values, "a multiple of 64 (4 scales x 16 parts x orientations), as 512 or 1024"
            )
        self.classifier = nn.Linear(n_values, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, n_values), not negative."""
        return gist(images[:, 0], self.n_orientations)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(codes))


class GaborSchmid(EncoderNetwork):
    """A simple texture feature (Lan et al., Multimedia Tools and Applications 2018): filters, patches, bag of words.

    Only the paper's abstract could be read: films are filtered "using different Gabor and Schmid filters", the filtered
    films are cut into patches that do not overlap, and "the bag-of-words model is finally used". **Decisions**, of
    which the abstract says nothing: the filters are those of `gabor_schmid`; a patch has a side of 8 px and is
    described by the mean modulus of every response in it; words are made as for `BLCF` (length one, whitened, k-means),
    512 of them, of the training films. A classifier, which the paper has not, reads the mean of the patches.

    Until it was trained, its words are random directions.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    n_words
        Length of the code, >= 2.
    patch
        Side of a patch in px, from 1 to 32; what is left over at the right and lower edge is not used.
    """

    def __init__(self, n_labels: int, n_words: int = 512, patch: int = 8) -> None:
        super().__init__()
        self.patch = check_integer("patch", patch, 1)
        if patch > MINIMUM_SIZE:
            raise InvalidParameterError("patch", patch, f"1 to {MINIMUM_SIZE}: the smallest film has one patch")
        self.words = BLCF(N_FILTERS, n_words)
        self.classifier = nn.Linear(N_FILTERS, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, n_words): how often each word occurs."""
        return self.outputs(images).codes

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        maps = patch_textures(images[:, 0], self.patch)
        return NetworkOutputs(self.words(maps), self.classifier(maps.mean(dim=(2, 3))))

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Make the words of the training films."""

        def maps_of_films() -> Iterator[Tensor]:
            for images in batches:
                yield patch_textures(images[:, 0], self.patch)

        words: Any = self.words
        words.fit(maps_of_films)
