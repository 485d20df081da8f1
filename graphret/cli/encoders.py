"""`graphret encoders`: the networks that turn films into codes."""

from rich.table import Table

from graphret._fidelity import FORMULA
from graphret.cli.reporting import AsJson, report_to_user
from graphret.encoders import encoder_spec, list_encoders

__all__ = ["encoders"]


def encoders(*, as_json: AsJson = False) -> None:
    """List the encoders that can be trained: name, length of the code, default size, source."""
    with report_to_user(as_json=as_json, quiet=True) as reporter:
        specs = [encoder_spec(name) for name in list_encoders()]
        table = Table("encoder", "kind", "code", "size", "pretrained weights", "source", "fidelity", title="Encoders")
        for spec in specs:
            length = f"--bits ({spec.default_bits})" if spec.code_length is None else str(spec.code_length)
            pretrained = ", ".join({"txrv": "txrv:NAME"}.get(kind, kind) for kind in spec.pretrained) or "-"
            closer = [f"; with {name}={values[0]}: {FORMULA}" for name, values in spec.formula_options.items()]
            fidelity = "".join([spec.fidelity, *closer])
            table.add_row(spec.name, spec.kind, length, f"{spec.default_size} px", pretrained, spec.paper, fidelity)
        reporter.result(
            [
                {
                    "name": spec.name,
                    "kind": spec.kind,
                    "code_length": spec.code_length,
                    "default_bits": spec.default_bits,
                    "default_size": spec.default_size,
                    "pretrained": spec.pretrained,
                    "options": dict(spec.options),
                    "classifies": spec.classifies,
                    "objective": spec.objective,
                    "recipe": dict(spec.recipe),
                    "paper": spec.paper,
                    "fidelity": spec.fidelity,
                    "formula_options": dict(spec.formula_options),
                }
                for spec in specs
            ],
            table,
        )
