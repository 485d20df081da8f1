"""`graphret build`: an index from films and an encoder, or from codes made elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.films import Bits, DataIfAny, Device, EncoderIfAny, InputSize, RootIfAny, Splits, read_films
from graphret.cli.info import show_info
from graphret.cli.options import config_options, parse_word
from graphret.cli.ready_codes import ReadyCodes, ReadyTable, read_ready_codes
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.cluster import ENGINES
from graphret.index import BuildConfig

if TYPE_CHECKING:
    from graphret.data import ImageTable
    from graphret.index import Index

__all__ = ["Address", "EngineName", "Storage", "build"]

EngineName = Annotated[
    str,
    typer.Option(
        metavar="|".join(ENGINES),
        help="What encodes the films and finds their neighbours: this process, or workers of Ray (extra ray).",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="With --engine ray: a running cluster; not given: Ray is started here, with --n-threads workers.",
        show_default=False,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|URL",
        help="With --engine ray: folder or URL (fsspec) that all machines see; not given: --out is one.",
        show_default=False,
    ),
]


@config_options(BuildConfig)
def build(
    *,
    data: DataIfAny = None,
    root: RootIfAny = None,
    encoder: EncoderIfAny = None,
    codes: ReadyCodes = None,
    table: ReadyTable = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the index.")],
    split: Splits = None,
    size: InputSize = None,
    bits: Bits = None,
    device: Device = "auto",
    tune: Annotated[
        bool | None,
        typer.Option(
            "--tune/--no-tune",
            help="Then choose the ranking on these films, as graphret tune does; "
            "not given: where enough of them have a finding.",
            show_default=False,
        ),
    ] = None,
    tune_budget: Annotated[
        str,
        typer.Option(
            metavar="auto|SECONDS|none", help="Time for that; auto: a quarter of the build's, at least 30 seconds."
        ),
    ] = "auto",
    engine: EngineName = "local",
    address: Address = None,
    storage: Storage = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: BuildConfig,
) -> None:
    """Build an index: codes of all films, graph, communities; stop it at any time, the same command goes on.

    Of films: --data, --root and --encoder. Of codes made elsewhere: --codes, and --table with what their rows are.
    Leave the test films out (--split train,valid) where the index is to be evaluated on them.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        films: ImageTable | None
        values: Any
        if codes is not None:
            _refuse_beside_codes(data=data, root=root, encoder=encoder, split=split, size=size, bits=bits)
            values, films = read_ready_codes(codes, table)
            loaded = None
        elif table is None and data is not None and root is not None and encoder is not None:
            values, films = read_films(data, root, split, reporter), None
            loaded = graphret.load_encoder(encoder, n_bits=bits, device=device, size=size)
        elif table is not None:
            raise InvalidParameterError("table", str(table), "it with --codes FILE.npy, whose rows it describes")
        else:
            needed = {"data": data, "root": root, "encoder": encoder}
            lacks = next(name for name, value in needed.items() if value is None)
            allowed = "--data, --root and --encoder for films, or --codes (and --table) for codes made elsewhere"
            raise InvalidParameterError(lacks, None, allowed)
        index = graphret.build(
            values,
            loaded,
            films=films,
            out=out,
            config=config,
            engine=engine,
            address=address,
            storage=storage,
            tune="auto" if tune is None else tune,
            tune_budget=parse_word(tune_budget, number=float, nothing=True),
            progress=reporter.progress,
        )
        reporter.result(
            index.info(),
            show_info(index.info()),
            *(_how_to_ask(out, index) if codes is not None else _how_to_measure(out, values, split)),
        )


def _refuse_beside_codes(**given: Any) -> None:
    """Refuse what only films need."""
    for name, value in given.items():
        if value not in (None, []):
            allowed = "nothing beside --codes"
            shown = str(value) if isinstance(value, Path) else value
            raise InvalidParameterError(name, shown, allowed, "codes are there already, no film is read or encoded")


def _how_to_ask(out: Path, index: "Index") -> Iterator[str]:
    """Say that an index of codes is asked by id: it has no encoder for films."""
    first = str(index.films.ids[0])
    # An id that begins with a dash would be taken for an option.
    asked = f"-k 10 --id -- {quote(first)}" if first.startswith("-") else f"{quote(first)} --id -k 10"
    yield f"Next: graphret query {quote(str(out))} {asked}"


def _how_to_measure(out: Path, films: "ImageTable", split: list[str] | None) -> Iterator[str]:
    """Say how films are asked for, and how the index is measured on test films, or that it holds them itself."""
    yield f"Next: graphret query {quote(str(out))} FILE -k 10"
    n_test = int((films.splits == "test").sum())
    if n_test:
        yield f"{n_test} test films are in this index: to measure it on them, leave them out (--split train,valid)"
    elif split:
        yield f"      graphret evaluate {quote(str(out))} --split test"
