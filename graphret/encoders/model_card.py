"""The model card: what a reader must know before using the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._plain import markdown_safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["model_card"]

_USE = """\
## Intended use

Codes for finding similar films in an archive, for research, teaching and quality work. The probabilities serve to
choose and to check the weights.

## Limits

- Not a medical device: neither codes nor probabilities are a diagnosis.
- The codes reflect the films, devices, views and labels of the training data; on films of another hospital, age group,
  view or body part they can be much worse. Measure on your own films (`graphret evaluate`) before you rely on them.
- Labels of large archives are often read from reports by programs and are wrong for some films.
"""


def model_card(document: Mapping[str, Any]) -> str:
    """Render the document of ``encoder.json`` as Markdown.

    Parameters
    ----------
    document
        With ``config``, ``code_length``, ``fingerprint``, ``record``, ``versions``. The record may hold ``trained``,
        ``seed``, ``weights``, ``data``, ``training``, ``validation`` and ``epochs``; what is not there is not shown.
    """
    document = markdown_safe(document)
    config, record = document["config"], document["record"]
    lines = [f"# {config['name']}", ""]
    if not record.get("trained", True):
        lines += [f"**Untrained**: random weights of seed {record.get('seed')}. For tests and comparisons only.", ""]
    lines += _table(
        ("", ""),
        [
            ("input", f"{_film_of(config)} in [0, 1], {config['size']} x {config['size']} px"),
            ("code", f"{document['code_length']} values"),
            ("labels", ", ".join(config["label_names"])),
            ("fingerprint", f"`{document['fingerprint']}`"),
            *[(f"option {key}", value) for key, value in config["options"].items()],
            *([("bits", config["n_bits"])] if config["n_bits"] is not None else []),
            *([("weights before training", record["weights"])] if record.get("weights") else []),
        ],
    )
    for title, key in (("Training", "training"), ("Versions", None)):
        rows = document["versions"] if key is None else record.get(key, {})
        if key == "training":
            lines += _data(record.get("data", {}))
            lines += _validation(record.get("validation", {}))
        if rows:
            lines += [f"## {title}", "", *_table(("parameter" if key else "library", "value"), rows.items())]
    return "\n".join(lines) + "\n" + _USE


def _data(data: Mapping[str, Any]) -> list[str]:
    if not data:
        return []
    lines = ["## Data", "", f"DatasetSpec: {data['spec'] or 'none (made in memory)'}. {data['split_note']}", ""]
    lines += _table(("split", "films", "patients"), [(s["split"], s["films"], s["patients"]) for s in data["splits"]])
    lines += _table(
        ("label (training split)", "positive", "negative", "uncertain"),
        [(c["label"], c["positive"], c["negative"], c["uncertain"]) for c in data["labels"]],
    )
    if data["problems"]:
        lines += [f"{data['problems']} films could not be read and were left out; `problems.json` lists them.", ""]
    return lines


def _validation(validation: Mapping[str, Any]) -> list[str]:
    if not validation:
        return []
    rows = [(label, f"{auc:.4f}") for label, auc in validation["auc"].items()]
    mean = [f"mean AUC {validation['mean_auc']:.4f}"] if validation["auc"] else []
    if validation.get("retrieval") is not None:
        mean.append(f"mean average precision {validation['retrieval']:.4f}")
    epoch = validation["epoch"]
    source = f"epoch {epoch}" if epoch == int(epoch) else f"{epoch:g} epochs (the time was used up)"
    lines = ["## Validation", "", f"Weights of {source}, {', '.join(mean)}.", ""]
    if "name" in validation:
        lines += [f"Epochs were compared by {validation['name']} (chance: {validation['chance']:.4f}).", ""]
    lines += [line for warning in validation.get("warnings", ()) for line in (f"**Warning:** {warning}.", "")]
    if rows:
        lines += _table(("label", "AUC"), rows)
    if validation["without_auc"]:
        names = ", ".join(validation["without_auc"])
        lines += [f"Without AUC, because the validation split has only one class of them: {names}.", ""]
    return lines


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    body = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    return [body[0], "|" + " --- |" * len(head), *body[1:], ""]


def _film_of(config: Mapping[str, Any]) -> str:
    return "film of three colours" if config["options"].get("channels") == 3 else "grey film"
