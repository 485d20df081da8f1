"""`graphret train`: an encoder from films and their labels."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer
from rich.table import Table

from graphret.cli.films import Data, Root, read_films
from graphret.cli.options import config_options
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.training import TrainConfig

__all__ = ["train"]


@config_options(TrainConfig, as_given=True)
def train(
    *,
    data: Data,
    root: Root,
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME", help="A name of `graphret encoders`.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the encoder and its checkpoint.")],
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from the checkpoint in DIR, or remove it and start again.")
    ] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
    given: dict[str, Any],
) -> None:
    """Train an encoder; stop it at any time, the same command goes on.

    The defaults that are shown are those of Haq et al. 2021; a hash encoder has those of its own paper.

    The splits "train" and "valid" of the data set are used, never "test".
    """
    config = TrainConfig.for_encoder(encoder, **given)
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        films = read_films(data, root, None, reporter)
        from graphret import training

        trained = training.train(films, encoder, out=out, config=config, resume=resume, progress=reporter.progress)
        record = trained.record["validation"]
        title = f"Validation films, epoch {record['epoch']:g} (the best by {record['name']})"
        table = Table("score", "label", "value", title=title)
        for label, area in record["auc"].items():
            table.add_row("AUC", label, f"{area:.3f}")
        table.add_section()
        if record["auc"]:
            table.add_row("AUC", "mean", f"{record['mean_auc']:.3f}")
        if record["retrieval"] is not None:
            table.add_row("mAP", "of its codes", f"{record['retrieval']:.3f}")
        table.add_row(record["name"], "of chance", f"{record['chance']:.3f}")
        reporter.result(
            {
                "encoder": str(out),
                "name": trained.name,
                "size": trained.size,
                "code_length": trained.code_length,
                "fingerprint": trained.fingerprint,
                "validation": record,
            },
            table,
            f"Encoder: {out}",
            f"Next: graphret build --data {quote(data)} --root {quote(str(root))} --split train,valid "
            f"--encoder {quote(str(out))} --out INDEX",
        )
