"""The page of hash methods names every one of them, and says of each what the registry says."""

import re
from pathlib import Path

from graphret.encoders import encoder_spec
from graphret.encoders.registry.comparison_specs import COMPARISON_SPECS

PAGE = Path(__file__).parents[2] / "docs" / "hash_methods.md"
WITHOUT_LABELS = {"bihalf", "cibhash", "greedyhash_unsupervised"}


def rows() -> dict[str, list[str]]:
    lines = [
        re.split(r"(?<!\\)\|", line)[1:-1] for line in PAGE.read_text().splitlines() if re.match(r"\| `\w+`", line)
    ]
    return {line[0].strip(" `"): [cell.strip() for cell in line[1:]] for line in lines}


def test_every_loss_is_on_the_page_once():
    names = re.findall(r"^\| `(\w+)`", PAGE.read_text(), flags=re.MULTILINE)
    assert sorted(names) == sorted(spec.name for spec in COMPARISON_SPECS if spec.kind == "hash")


def test_the_page_says_what_the_registry_says():
    for name, (paper, _, labels, follows) in rows().items():
        spec = encoder_spec(name)
        assert follows == spec.fidelity, name
        assert labels == ("without" if name in WITHOUT_LABELS else "with"), name
        assert re.split(r"[ ,]", paper)[0] == re.split(r"[ ,]", spec.paper)[0], name
        assert re.search(r"\d{4}", paper)[0] == re.search(r"\d{4}", spec.paper)[0], name
