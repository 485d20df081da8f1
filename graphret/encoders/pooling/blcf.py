"""BLCF: every position of the maps is a word, and a film is a bag of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize, one_hot

from graphret._checks import check_flag, check_integer
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders.pooling.crow import spatial_weights
from graphret.encoders.pooling.kmeans import RowSample, kmeans, nearest_rows
from graphret.encoders.pooling.spectral_residual import spectral_residual
from graphret.encoders.pooling.spoc import centre_prior
from graphret.encoders.pooling.whitening import whitening_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["BLCF"]

_WEIGHTINGS = ("none", "centre", "activity", "saliency")


class BLCF(nn.Module):
    """Bags of local convolutional features (Mohedano et al., ICMR 2016; weighted by saliency: CBMI 2018).

    The vector at every position is brought to length one, centred, whitened by PCA, and brought to length one again;
    its word is the nearest of ``n_words`` centres of k-means. The code is the histogram of the words.

    Until :meth:`fit` has seen training films, the words are random directions and nothing is whitened.

    Departures from the papers: 512 words in the place of 25,000, so that a code is a dense float32 vector like all
    others; the maps are not enlarged by interpolation first. The saliency of 2018 is drawn by a network (SalGAN), which
    learnt where people look at photographs; here it is the spectral residual of the film itself
    (:func:`spectral_residual`). Its other weightings are a Gaussian around the centre, and the activity of each
    position, here CroW's spatial weight.

    Parameters
    ----------
    channels
        Of the maps.
    n_words
        Length of the code, >= 2.
    weighting
        What a position adds to the histogram: ``"none"``: 1; ``"centre"``: a Gaussian; ``"activity"``: CroW's weight;
        ``"saliency"``: the mean saliency of its part of the film.
    tf_idf
        Multiply the count of each word by ``log(N / n)``, where n of the N training films have it.
    """

    mean: Tensor
    whitening: Tensor
    words: Tensor
    word_weights: Tensor

    def __init__(self, channels: int, n_words: int = 512, weighting: str = "none", tf_idf: bool = False) -> None:
        super().__init__()
        check_integer("n_words", n_words, 2)
        if weighting not in _WEIGHTINGS:
            raise UnknownNameError("weighting", weighting, _WEIGHTINGS)
        check_flag("tf_idf", tf_idf)
        self.weighting, self.tf_idf = weighting, tf_idf
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("whitening", torch.eye(channels))
        self.register_buffer("words", normalize(torch.randn(n_words, channels), dim=1))
        self.register_buffer("word_weights", torch.ones(n_words))

    def forward(self, maps: Tensor, images: Tensor | None = None) -> Tensor:
        """(b, c, h, w), for ``"saliency"`` with images (b, 1 or 3, s, s), -> (b, n_words), not negative.

        Without gradient, because it counts.
        """
        counts = self._words_at(maps).to(maps.dtype)
        weights = self._position_weights(maps, images).flatten(1)
        return (counts * weights[:, :, None]).sum(dim=1) * self.word_weights

    @torch.no_grad()
    def fit(self, batches_of_maps: Callable[[], Iterable[Tensor]], *, n_vectors: int = 0, seed: int = 0) -> None:
        """Learn whitening, words and their weights from the maps of training films.

        Parameters
        ----------
        batches_of_maps
            Called once, or twice with ``tf_idf``; gives an iterable over maps (b, c, h, w).
        n_vectors
            Positions that are sampled at most; 0 for 64 a word and at least 4096.
        seed
            Of the sample and of k-means.

        Raises
        ------
        InvalidParameterError
            There is no film.
        """
        sample = RowSample(n_vectors or max(4096, 64 * len(self.words)), seed)
        for maps in batches_of_maps():
            sample.add(self._vectors(maps))
        rows = sample.rows
        if not len(rows):
            raise InvalidParameterError("batches", "no film", "the training films")
        mean = rows.double().mean(dim=0)
        centred = rows.double() - mean
        self.mean.copy_(mean)
        self.whitening.copy_(whitening_axes(centred.T @ centred / len(rows)))
        described = self._described(rows.to(self.mean.device)).cpu()
        self.words.copy_(kmeans(described, len(self.words), seed=seed))
        self.word_weights.fill_(1.0)
        if self.tf_idf:
            self._weigh_words(batches_of_maps)

    def _weigh_words(self, batches_of_maps: Callable[[], Iterable[Tensor]]) -> None:
        n_films, having = 0, torch.zeros_like(self.word_weights)
        for maps in batches_of_maps():
            n_films += len(maps)
            having += self._words_at(maps).any(dim=1).sum(dim=0)
        self.word_weights.copy_(math.log(n_films) - having.clamp_min(1).log())

    def _words_at(self, maps: Tensor) -> Tensor:
        """The word of every position, one-hot: int64 (b, h w, n_words)."""
        words = nearest_rows(self._described(self._vectors(maps)), self.words)[0].view(len(maps), -1)
        return one_hot(words, len(self.words))

    @staticmethod
    def _vectors(maps: Tensor) -> Tensor:
        """The vector of every position, film by film, of length one: (b h w, c)."""
        return normalize(maps.flatten(2).transpose(1, 2).flatten(0, 1).float(), dim=1)

    def _described(self, vectors: Tensor) -> Tensor:
        return normalize((vectors - self.mean) @ self.whitening, dim=1)

    def _position_weights(self, maps: Tensor, images: Tensor | None) -> Tensor:
        if self.weighting == "saliency":
            if images is None:
                raise InvalidParameterError("images", None, "the films that the maps are of", "weighting='saliency'")
            return adaptive_avg_pool2d(spectral_residual(images), (maps.shape[2], maps.shape[3])).to(maps.dtype)
        if self.weighting == "activity":
            return spatial_weights(maps)
        height, width = maps.shape[2:]
        if self.weighting == "centre":
            return centre_prior(height, width).to(device=maps.device, dtype=maps.dtype).expand(len(maps), -1, -1)
        return maps.new_ones(len(maps), height, width)
