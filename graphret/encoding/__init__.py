"""Films become codes: decoded by threads, encoded in batches, problems reported, resumable where there is a folder."""

from graphret.encoding.batches import CODE_OF_ZEROS, NO_COSINE, encode_each
from graphret.encoding.encoded_files import ENCODED_CODES, ENCODED_FILMS, read_encoded, write_encoded
from graphret.encoding.films import EncodedFilms, EncodingJob, encode_films

__all__ = [
    "CODE_OF_ZEROS",
    "ENCODED_CODES",
    "ENCODED_FILMS",
    "NO_COSINE",
    "EncodedFilms",
    "EncodingJob",
    "encode_each",
    "encode_films",
    "read_encoded",
    "write_encoded",
]
