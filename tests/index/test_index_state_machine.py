"""Changes in any order against a plain dictionary: the films, their codes and labels, and exact nearest hits."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import graphret
from graphret.graph import similarity_graph
from graphret.neighbors import nearest_neighbors

D, K, NAMES = 5, 4, ("Edema", "Mass")
SEEDS = st.integers(0, 10_000)


class ChangedIndex(RuleBasedStateMachine):
    """An index, and what it must hold: id -> (code, labels, patient), in the order of the films."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = {}
        self.n_made = 0

    def teardown(self):
        shutil.rmtree(self.folder)

    def new_films(self, n, seed):
        rng = np.random.default_rng(seed)
        codes = (rng.normal(size=(n, D)) + rng.integers(0, 3, (n, 1)) * 2 + 0.01).astype(np.float32)
        labels = rng.integers(-1, 2, (n, 2)).astype(np.int8)
        ids = [f"film{self.n_made + row}" for row in range(n)]
        patients = [f"patient{int(number)}" for number in rng.integers(0, 6, n)]
        self.n_made += n
        return codes, labels, ids, patients

    @initialize(n=st.integers(2, 12), seed=SEEDS)
    def build(self, n, seed):
        codes, labels, ids, patients = self.new_films(n, seed)
        self.model = dict(zip(ids, zip(codes, labels, patients, strict=True), strict=True))
        described = {"ids": ids, "labels": labels, "label_names": NAMES, "patients": patients}
        self.index = graphret.build(codes, out=self.folder / "index", k=K, n_threads=1, tune=False, **described)

    @rule(n=st.integers(1, 6), seed=SEEDS)
    def add(self, n, seed):
        codes, labels, ids, patients = self.new_films(n, seed)
        before = self.communities()
        self.index = self.index.add(
            codes, ids=ids, labels=labels, label_names=NAMES, patients=patients, keep=1 + seed % 3, n_threads=1
        )
        self.model |= dict(zip(ids, zip(codes, labels, patients, strict=True), strict=True))
        assert set(self.communities()) == set(before) | set(ids)

    @rule(seed=SEEDS)
    def add_a_changed_film(self, seed):
        codes, labels, _, patients = self.new_films(1, seed)
        name = list(self.model)[seed % len(self.model)]
        self.index = self.index.add(codes, ids=[name], labels=labels, label_names=NAMES, patients=patients, n_threads=1)
        del self.model[name]  # it comes behind the others
        self.model[name] = (codes[0], labels[0], patients[0])

    @rule(seed=SEEDS)
    def add_what_is_there(self, seed):
        names = [name for number, name in enumerate(self.model) if number % 3 == seed % 3]
        if names:
            generation = self.index.generation
            self.index = self.index.add(np.stack([self.model[name][0] for name in names]), ids=names, n_threads=1)
            assert self.index.generation == generation

    @precondition(lambda self: len(self.model) > 3)
    @rule(seed=SEEDS)
    def remove(self, seed):
        rng = np.random.default_rng(seed)
        names = [str(name) for name in rng.permutation(list(self.model))[: rng.integers(1, len(self.model) - 1)]]
        before = self.communities()
        self.index = self.index.remove(names, n_threads=1)
        for name in names:
            del self.model[name]
        assert max(self.communities().values()) <= max(before.values())  # no new numbers

    @rule(seed=SEEDS)
    def update_labels(self, seed):
        rng = np.random.default_rng(seed)
        names = [str(name) for name in rng.permutation(list(self.model))[: rng.integers(1, 4)]]
        labels = rng.integers(-1, 2, (len(names), 2)).astype(np.int8)
        self.index = self.index.update_labels(names, labels)
        for name, row in zip(names, labels, strict=True):
            code, _, patient = self.model[name]
            self.model[name] = (code, row, patient)

    @rule()
    def rebuild(self):
        self.index = self.index.rebuild()
        assert self.index.info()["drift"]["changed_share"] == 0

    @precondition(lambda self: len({patient for _, _, patient in self.model.values()}) > 1)
    @rule(seed=SEEDS)
    def purge(self, seed):
        patients = sorted({patient for _, _, patient in self.model.values()})
        patient = patients[seed % len(patients)]
        self.index = self.index.purge(patient)
        self.model = {name: film for name, film in self.model.items() if film[2] != patient}
        assert not list((self.folder / "index").glob("gen-*"))[1:]

    @rule()
    def reopen(self):
        self.index = graphret.open(self.folder / "index")

    @rule(seed=SEEDS)
    def query(self, seed):
        code = np.random.default_rng(seed).normal(size=D).astype(np.float32)
        hits = self.index.query(code, 3, ranking="nearest", n_threads=1)
        codes = np.stack([film[0] for film in self.model.values()]).astype(np.float64)
        cosines = codes @ code / np.linalg.norm(codes, axis=1) / np.linalg.norm(code.astype(np.float64))
        best = np.lexsort((np.arange(len(codes)), -np.round(cosines, 6)))[:3]
        assert np.allclose(hits.similarities[0, : len(best)], cosines[best], atol=2e-6)
        names = list(self.model)
        assert all(
            abs(cosines[names.index(name)] - cosines[best[rank]]) < 2e-6
            for rank, name in enumerate(hits.ids[0, : len(best)])
        )

    def communities(self):
        return dict(zip(self.index.films.ids.tolist(), self.index.communities.tolist(), strict=True))

    @invariant()
    def it_holds_what_the_dictionary_holds(self):
        if not self.model:
            return
        films = self.index.films
        assert films.ids.tolist() == list(self.model)
        assert self.index.n_films == len(self.model)
        assert np.array_equal(self.index.codes, np.stack([film[0] for film in self.model.values()]))
        assert np.array_equal(films.labels, np.stack([film[1] for film in self.model.values()]))
        assert films.patients.tolist() == [film[2] for film in self.model.values()]
        assert len(self.index.communities) == len(self.model)

    @invariant()
    def its_graph_is_the_graph_of_all_films(self):
        """With k below 10 no list is ever short, so neighbours and edges are those of a search of all."""
        if not self.model:
            return
        table = nearest_neighbors(self.index.codes, K, n_threads=1)
        graph = similarity_graph(table, threshold=self.index.manifest["graph"]["threshold"])
        assert self.index.graph.fingerprint == graph.fingerprint == self.index.manifest["graph"]["sha256"]


ChangedIndex.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # every step writes files: shrinking would take minutes
)
test_changed_index = ChangedIndex.TestCase
