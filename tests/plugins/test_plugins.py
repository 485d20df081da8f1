"""A package of its own adds an encoder, a ranking and a reader; a broken one is named and hurts nobody."""

import json
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from torch import nn
from graphret.data.records import Records
from graphret.encoders import EncoderSpec
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs
from graphret.retrieval import RankedLists
from graphret.retrieval.nearest import Nearest


class Backwards(Nearest):
    name = "backwards"

    def __init__(self, archive, *, shift: int = 0, most: int | None = None, by: "str" = "cosine"):
        super().__init__(archive)
        self.shift = shift


class Mean(EncoderNetwork):
    def __init__(self, n_labels):
        super().__init__()
        self.classifier = nn.Linear(16, n_labels)

    def features(self, images):
        return nn.functional.adaptive_avg_pool2d(images, 4).flatten(1) + 1e-3

    def outputs(self, images):
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(codes))


mean = EncoderSpec(
    "mean16", "dense", "foreign", "Mean", code_length=16, default_size=32, paper="none",
    fidelity="public implementation",
)


def read_lines(spec, root):
    lines = (root / "films.txt").read_text().split()
    return Records(
        ids=lines, labels=np.ones((len(lines), 1), np.int8), label_names=("Mass",), patients=lines,
        views=[""] * len(lines), splits=["train"] * len(lines), paths=[str(root / name) for name in lines],
    )


not_a_ranking = 7
"""
ENTRIES = """
[graphret.encoders]
mean16 = foreign:mean
lost = foreign_missing:spec
densenet121 = foreign:mean
[graphret.rankings]
backwards = foreign:Backwards
seven = foreign:not_a_ranking
[graphret.readers]
lines = foreign:read_lines
csv = foreign:read_lines
"""
ASK = """
import json, logging, sys
logging.basicConfig(stream=sys.stderr)
import numpy as np, graphret
from graphret.data import DatasetSpec
from graphret.encoders import load_encoder
from PIL import Image
import pathlib
root = pathlib.Path(sys.argv[1])
(root / "films").mkdir()
names = [f"{n}.png" for n in range(30)]
for n, name in enumerate(names):
    Image.fromarray(np.random.default_rng(n).integers(0, 255, (32, 32), np.uint8)).save(root / "films" / name)
(root / "films" / "films.txt").write_text(" ".join(names))
(root / "spec.toml").write_text('name = "mine"\\ntitle = "Mine"\\nreader = "lines"\\n')
films = graphret.read_dataset(root / "spec.toml", root / "films")
encoder = load_encoder("mean16", device="cpu")
index = graphret.build(films, encoder, out=root / "index", k=5, tune=False)
again = graphret.open(root / "index")
def reason(call):
    try:
        call()
    except graphret.GraphretError as error:
        return f"{type(error).__name__}: {error}"
    return ""
print(json.dumps({
    "encoders": graphret.list_encoders(), "rankings": graphret.list_rankings(), "films": len(films),
    "hits": again.query(films.paths[3], k=1, ranking="backwards:shift=2").ids.tolist(),
    "encoder": again.encoder.name,
    "lost": reason(lambda: load_encoder("lost")),
    "seven": reason(lambda: index.query("3.png", ranking="seven")),
    "unknown": reason(lambda: index.query("3.png", ranking="nobody")),
}))
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What a fresh process says that has the foreign package on its path."""
    home = tmp_path_factory.mktemp("foreign")
    (home / "foreign.py").write_text(CODE)
    about = home / "foreign_films-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-films\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    import os

    path = os.pathsep.join([str(home), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path_factory.mktemp("work"))],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_entries_of_another_package_are_used_like_our_own(asked):
    said, _ = asked
    assert "mean16" in said["encoders"]
    assert "backwards" in said["rankings"]
    assert said["films"] == 30
    assert said["hits"] == [["3.png"]]
    assert said["encoder"] == "mean16"


def test_what_is_broken_is_left_out_and_its_package_named(asked):
    said, log = asked
    assert "lost" not in said["encoders"]
    assert "seven" not in said["rankings"]
    assert (
        "PluginError: the encoder 'lost' of the package foreign-films 1.2 (foreign_missing:spec) cannot be"
        in said["lost"]
    )
    assert "ModuleNotFoundError" in said["lost"]
    assert "foreign-films 1.2 (foreign:not_a_ranking) is no ranking" in said["seven"]
    assert "nobody" in said["unknown"]
    assert "left out: the encoder 'lost'" in log


def test_names_of_graphret_cannot_be_taken(asked):
    _, log = asked
    assert "'densenet121' of the package foreign-films 1.2 (foreign:mean) has a name that is taken" in log


def test_the_registry_without_other_packages():
    from graphret.retrieval import list_rankings

    assert "backwards" not in list_rankings()
