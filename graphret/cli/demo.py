"""`graphret demo`: the main job, from films to figures, on generated films; minutes on two cores."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.cli.demo_summary import MEASURES, show_summary, summarise
from graphret.cli.reporting import AsJson, Quiet, Reporter, report_to_user, without_nan
from graphret.encoders import encoder_spec
from graphret.encoders.registry.spec import MINIMUM_SIZE
from graphret.files import check_path, is_partial, make_folder, write_text

if TYPE_CHECKING:
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.evaluation import Report
    from graphret.index import Index

__all__ = ["demo"]

_RECORD = "demo.json"
_BATCH_SIZE = 16  # few films: small batches take more steps in the same time
_MINUTES_OF_TRAINING = 3.0
"""A training that this ends before its last epoch depends on the machine; the record says how many were done."""


@dataclass(frozen=True)
class _Settings:
    """What decides the figures of a demo."""

    films: int
    epochs: int
    size: int
    encoder: str
    seed: int

    def __post_init__(self) -> None:
        check_integer("films", self.films, 60, "a split of fewer films by patient leaves too few to measure")
        check_integer("epochs", self.epochs, 1)
        check_integer("size", self.size, MINIMUM_SIZE, "the encoders halve the image five times")
        check_integer("seed", self.seed, 0)
        encoder_spec(self.encoder)


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for everything that is made.")] = Path(
        "graphret-demo"
    ),
    films: Annotated[int, typer.Option(help="Films to generate.")] = 1600,
    epochs: Annotated[int, typer.Option(help="Passes over the training films; at most 3 minutes.")] = 6,
    size: Annotated[int, typer.Option(help="Side of films and of the encoder's input in px.")] = 64,
    encoder: Annotated[str, typer.Option(metavar="NAME", help="A name of `graphret encoders`.")] = "densenet121",
    seed: Annotated[int, typer.Option(help="Of films, training, intervals and the random baseline.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Do the whole job on generated films: train, build an index, ask it about films it has never seen.

    Called again with the same options it uses what is there. The figures say nothing about patients.
    """
    settings = _Settings(films, epochs, size, encoder, seed)
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        began = time.monotonic()
        _claim(out, settings)
        table = _films(out / "films", settings, reporter)
        trained = _encoder(out / "encoder", table, settings, reporter)
        untrained = _untrained(table, settings)
        archive, queries = table.select(table.splits != "test"), table.split("test")

        index = _index(out / "index", archive, trained, reporter)
        default = str(index.choose())
        rankings = list(dict.fromkeys(["region_growing", default, "nearest"]))
        report = _evaluate(index, queries, rankings, settings, reporter)
        floor = _index(out / "index-untrained", archive, untrained, reporter, tune=False)
        report_untrained = _evaluate(floor, queries, ["nearest"], settings, reporter)
        written = report.save(out / "report")

        from graphret.training import classifier_auc

        summary = summarise(
            settings=asdict(settings),
            epochs_done=trained.record["training"]["epochs done"],
            auc={
                "trained": classifier_auc(trained, table, split="test"),
                "untrained": classifier_auc(untrained, table, split="test"),
            },
            default_ranking=default,
            report=report,
            untrained=report_untrained,
        )
        summary["files"] = [str(path) for path in (out / "films", out / "encoder", out / "index", *written)]
        summary["seconds"] = round(time.monotonic() - began, 1)
        _record(out, {"settings": asdict(settings), "summary": summary})
        reporter.result(summary, *show_summary(summary, out, query=str(queries.paths[0])))


def _claim(out: Path, settings: _Settings) -> None:
    """Take a folder that is new, empty, or of a demo with the same settings.

    Raises
    ------
    InvalidParameterError
        Another kind of folder; nothing is written.
    """
    record = check_path("out", out) / _RECORD
    if record.is_file():
        try:
            before = json.loads(record.read_text(encoding="utf-8"))["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidParameterError("out", str(out), "a new folder", f"{record} is damaged") from error
        different = [
            f"{key} was {before.get(key)!r}" for key, value in asdict(settings).items() if before.get(key) != value
        ]
        if different:
            hint = f"it holds a demo with other settings: {', '.join(different)}"
            raise InvalidParameterError("out", str(out), "another folder, or the same settings", hint)
        return
    if out.exists() and (not out.is_dir() or any(not is_partial(entry.name) for entry in out.iterdir())):
        raise InvalidParameterError("out", str(out), "a new or empty folder", "it holds something else than a demo")
    make_folder(out)
    _record(out, {"settings": asdict(settings)})


def _record(out: Path, content: dict[str, Any]) -> None:
    write_text(out / _RECORD, json.dumps(without_nan(content), indent=2) + "\n")


def _films(root: Path, settings: _Settings, reporter: Reporter) -> "ImageTable":
    from graphret.data import generate_phantom, read_dataset

    if not (root / "films.csv").exists():  # it is written last
        generate_phantom(root, settings.films, size=settings.size, seed=settings.seed, progress=reporter.progress)
    return read_dataset("phantom", root)


def _encoder(out: Path, films: "ImageTable", settings: _Settings, reporter: Reporter) -> "Encoder":
    from graphret import training
    from graphret.encoders import load_encoder

    if (out / "encoder.json").exists():
        reporter.note(f"the encoder of {out} is used again")
        return load_encoder(out)
    reporter.note(f"training {settings.encoder} for {settings.epochs} epochs, at most {_MINUTES_OF_TRAINING:g} minutes")
    return training.train(
        films,
        settings.encoder,
        out=out,
        epochs=settings.epochs,
        size=settings.size,
        batch_size=_BATCH_SIZE,
        seed=settings.seed,
        max_minutes=_MINUTES_OF_TRAINING,
        progress=reporter.progress,
    )


def _untrained(films: "ImageTable", settings: _Settings) -> "Encoder":
    from graphret.encoders import Encoder

    return Encoder.untrained(settings.encoder, films.label_names, settings.size, settings.seed)


def _index(out: Path, archive: "ImageTable", encoder: "Encoder", reporter: Reporter, *, tune: bool = True) -> "Index":
    import graphret

    if (out / "CURRENT").exists():
        index = graphret.open(out)
        if index.encoder is not None and index.encoder.fingerprint == encoder.fingerprint:
            reporter.note(f"the index of {out} is used again")
            return index
    return graphret.build(archive, encoder, out=out, tune=tune, tune_budget=None, progress=reporter.progress)


def _evaluate(
    index: "Index", queries: "ImageTable", rankings: list[str], settings: _Settings, reporter: Reporter
) -> "Report":
    from graphret.evaluation import evaluate

    return evaluate(
        index, queries, measures=MEASURES, rankings=rankings, seed=settings.seed, progress=reporter.progress
    )
