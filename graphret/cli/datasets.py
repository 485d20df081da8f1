"""`graphret datasets`: the cards that come with graphret."""

from typing import Any

from rich.table import Table

from graphret.cli.reporting import AsJson, report_to_user
from graphret.data import Card, list_cards, read_card

__all__ = ["datasets"]


def datasets(*, as_json: AsJson = False) -> None:
    """List the data sets that have a card: name, reader, labels, licence."""
    with report_to_user(as_json=as_json, quiet=True) as reporter:
        cards = [read_card(name) for name in list_cards()]
        table = Table("card", "what it is", "labels", "licence of the films", title="Data set cards")
        for card in cards:
            labels = ", ".join(card.labels) or "those of the files"
            table.add_row(card.name, card.title, labels, card.source.license or "that of your films")
        reporter.result(
            [_plain(card) for card in cards],
            table,
            "A card of your own is a .toml file with the same keys: see docs/your_own_films.md. Nothing is downloaded.",
        )


def _plain(card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "reader": card.reader,
        "labels": card.labels,
        "license": card.source.license,
        "citation": card.source.citation,
        "url": card.source.url,
        "paper": card.paper,
        "notes": card.notes,
    }
