"""`graphret encode`: codes of films as plain files, for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.films import Bits, Data, Device, EncoderSource, InputSize, Root, Splits, read_films
from graphret.cli.options import config_options
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.files import LOCK, check_own_folder, check_path, claimed_folder, is_partial, remove_folder
from graphret.index import BuildConfig

__all__ = ["encode"]

_WORK = ".encode"
_OURS = {"codes.npy", "films.parquet", _WORK, LOCK}


@config_options(
    BuildConfig,
    only=(
        *("batch_size", "precision", "n_workers", "decoders", "shard_rows"),
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
        import graphret
        from graphret.encoding import ENCODED_CODES, ENCODED_FILMS, encode_films, write_encoded

        loaded = graphret.load_encoder(encoder, n_bits=bits, device=device, size=size)
        with claimed_folder(out):
            check_own_folder(out / _WORK)
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
            shape = done.codes.shape
            write_encoded(out, out / _WORK / ENCODED_CODES, films.select(done.rows))
            remove_folder(out / _WORK)
        reporter.result(
            {
                "codes": str(out / ENCODED_CODES),
                "films": str(out / ENCODED_FILMS),
                "n_films": shape[0],
                "code_length": shape[1],
                "encoder": {"name": loaded.name, "fingerprint": loaded.fingerprint},
                "left_out": [{"id": one.id, "path": one.path, "reason": one.reason} for one in done.problems],
            },
            f"{shape[0]} codes of length {shape[1]}: {out / ENCODED_CODES}, {out / ENCODED_FILMS}",
        )


def _check_target(out: Path) -> None:
    """Accept a new or empty folder, or one of an earlier `graphret encode`.

    Raises
    ------
    InvalidParameterError
        Another kind of folder.
    """
    allowed = "a new or empty folder, or one of an earlier `graphret encode`"
    check_path("out", out)
    if out.exists() and not out.is_dir():
        raise InvalidParameterError("out", str(out), allowed, "it is a file")
    found = [entry.name for entry in out.iterdir()] if out.exists() else []
    foreign = sorted(name for name in found if name not in _OURS and not is_partial(name))
    if foreign:
        raise InvalidParameterError("out", str(out), allowed, f"it holds something else: {', '.join(foreign[:3])}")
