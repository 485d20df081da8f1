"""`graphret datasets`: the dataset specs that come with graphret."""

from typing import Any

from rich.table import Table

from graphret.cli.reporting import AsJson, report_to_user
from graphret.data import DatasetSpec, list_dataset_specs, read_dataset_spec

__all__ = ["datasets"]


def datasets(*, as_json: AsJson = False) -> None:
    """List the data sets that have a dataset spec: name, reader, labels, licence."""
    with report_to_user(as_json=as_json, quiet=True) as reporter:
        specs = [read_dataset_spec(name) for name in list_dataset_specs()]
        table = Table("spec", "what it is", "labels", "licence of the films", title="Dataset specs")
        for spec in specs:
            labels = ", ".join(spec.labels) or "those of the files"
            table.add_row(spec.name, spec.title, labels, spec.source.license or "that of your films")
        reporter.result(
            [_plain(spec) for spec in specs],
            table,
            "Your own is a .toml file with the same keys: see docs/your_own_films.md. Nothing is downloaded.",
        )


def _plain(spec: DatasetSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "reader": spec.reader,
        "labels": spec.labels,
        "license": spec.source.license,
        "citation": spec.source.citation,
        "url": spec.source.url,
        "paper": spec.paper,
        "notes": spec.notes,
    }
