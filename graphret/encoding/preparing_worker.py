"""The process that decodes and resizes for `sources.film_source`: `isolated_worker`, and a square out of each film."""

from __future__ import annotations

import sys
from functools import partial

from graphret.data.isolated_worker import main
from graphret.encoders.inference.resize import prepare_film
from graphret.encoding.sources import compile_resize

if __name__ == "__main__":
    compile_resize()  # before the worker limits itself: a compiler takes memory, and writes what it made
    main(partial(prepare_film, size=int(sys.argv[1])))
