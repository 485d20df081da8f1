"""`graphret encode`: codes of films as plain files, for other tools."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.films import Bits, Data, Device, EncoderSource, InputSize, Root, Splits, read_films
from graphret.cli.options import config_options
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.files import is_partial, move, replacing
from graphret.index import BuildConfig

__all__ = ["encode"]

_CODES, _FILMS, _WORK = "codes.npy", "films.parquet", ".encode"


@config_options(
    BuildConfig,
    only=(
        *("batch_size", "precision", "n_workers", "shard_rows"),
        *("isolate", "film_pixels", "film_memory", "decode_memory", "decode_seconds"),
    ),
)
def encode(
    *,
    data: Data,
    root: Root,
    encoder: EncoderSource,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for codes.npy and films.parquet.")],
    split: Splits = None,
    size: InputSize = None,
    bits: Bits = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: BuildConfig,
) -> None:
    """Write codes.npy (float32, one row a film) and films.parquet (the same rows: id, path, labels, ...).

    Films that cannot be read are left out of both. `graphret build` needs neither file: it encodes by itself.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        _check_target(out)
        films = read_films(data, root, split, reporter)
        import pyarrow.parquet as pq

        import graphret
        from graphret.encoding import encode_films

        loaded = graphret.load_encoder(encoder, n_bits=bits, device=device, size=size)
        done = encode_films(
            films,
            loaded,
            out / _WORK,
            batch_size=config.batch_size,
            precision=config.precision,
            n_workers=config.n_workers,
            shard_rows=config.shard_rows,
            decoding=config.decoding,
            progress=reporter.progress,
        )
        for problem in done.problems:
            reporter.note(f"left out {problem.id}: {problem.reason}")
        with replacing(out / _FILMS) as file:
            pq.write_table(films.select(done.rows).to_arrow(), file)
        shape = done.codes.shape
        move(out / _WORK / _CODES, out / _CODES)  # last, so that codes are never without their films
        shutil.rmtree(out / _WORK)
        reporter.result(
            {
                "codes": str(out / _CODES),
                "films": str(out / _FILMS),
                "n_films": shape[0],
                "code_length": shape[1],
                "encoder": {"name": loaded.name, "fingerprint": loaded.fingerprint},
                "left_out": [{"id": one.id, "path": one.path, "reason": one.reason} for one in done.problems],
            },
            f"{shape[0]} codes of length {shape[1]}: {out / _CODES}, {out / _FILMS}",
        )


def _check_target(out: Path) -> None:
    """Accept a new or empty folder, or one of an earlier `graphret encode`.

    Raises
    ------
    InvalidParameterError
        Another kind of folder.
    """
    allowed = "a new or empty folder, or one of an earlier `graphret encode`"
    if out.exists() and not out.is_dir():
        raise InvalidParameterError("out", str(out), allowed, "it is a file")
    found = [entry.name for entry in out.iterdir()] if out.exists() else []
    foreign = sorted(name for name in found if name not in {_CODES, _FILMS, _WORK} and not is_partial(name))
    if foreign:
        raise InvalidParameterError("out", str(out), allowed, f"it holds something else: {', '.join(foreign[:3])}")
