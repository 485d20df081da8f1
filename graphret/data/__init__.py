"""Films and their labels: decoding, data set cards, readers, splits by patient, and generated films."""

from graphret.data.cards import Card, list_cards, read_card
from graphret.data.datasets import read_dataset
from graphret.data.images import read_film, read_pixels, write_png
from graphret.data.phantom import generate_phantom, phantom_films
from graphret.data.table import FilmProblem, ImageTable

__all__ = [
    "Card",
    "FilmProblem",
    "ImageTable",
    "generate_phantom",
    "list_cards",
    "phantom_films",
    "read_card",
    "read_dataset",
    "read_film",
    "read_pixels",
    "write_png",
]
