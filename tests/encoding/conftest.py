"""The small films and the encoder without torch that tests of the index use too."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "fixtures_of_the_index", Path(__file__).parents[1] / "index" / "conftest.py"
)
_of_the_index = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_of_the_index)

film_table = _of_the_index.film_table
film_index = _of_the_index.film_index
make_encoder = _of_the_index.make_encoder
