"""Films and their labels: decoding, dataset specs, readers, splits by patient, and generated films."""

from graphret.data.boxes import parse_boxes
from graphret.data.cards import DatasetSpec, list_dataset_specs, read_dataset_spec
from graphret.data.datasets import read_dataset
from graphret.data.film_rows import read_film_labels, read_film_rows
from graphret.data.images import read_film, read_pixels, write_png
from graphret.data.in_memory import film_in_memory
from graphret.data.phantom import generate_phantom, phantom_films
from graphret.data.table import FilmProblem, ImageTable
from graphret.data.unlabelled import read_unlabelled

__all__ = [
    "DatasetSpec",
    "FilmProblem",
    "ImageTable",
    "film_in_memory",
    "generate_phantom",
    "list_dataset_specs",
    "parse_boxes",
    "phantom_films",
    "read_dataset",
    "read_dataset_spec",
    "read_film",
    "read_film_labels",
    "read_film_rows",
    "read_pixels",
    "read_unlabelled",
    "write_png",
]
