"""A tuned index gives the same hits on every path to it: Python, the command line, reports, comparisons."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import graphret
from graphret.cli import main
from graphret.data import generate_phantom
from graphret.encoders import Encoder
from graphret.evaluation import read_run
from graphret.index.tuned import FILE
from graphret.retrieval import LabelScatter, LearnedMetric, QueryBatch, RankingChoice, create_ranking

K = 10
FEW = 3
OPTIONS = {"learned": True, "n": 3, "context": 0.7, "density": 0.5}
WRITTEN = "contextual:n=3,context=0.7,density=0.5,learned=true"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An index of films that was tuned to a learned metric, the same index untuned, and films that ask."""
    root = tmp_path_factory.mktemp("paths")
    generate_phantom(root / "films", 120, size=32)
    films = graphret.read_dataset("phantom", root / "films")
    encoder = Encoder.untrained("resnet18", films.label_names, 32, device="cpu")
    archive = films.select(films.splits != "test")
    index = graphret.build(archive, encoder, out=root / "index", k=8, tune=False)
    shutil.copytree(root / "index", root / "untuned")
    codes = np.asarray(index.codes)
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    scatter = LabelScatter.of(codes, archive.relevance(), unit.mean(axis=0).astype(np.float64))
    metric = LearnedMetric.fit(scatter, discriminant_share=0.8, ridge=0.01)
    index.record_tuning({"ranking": "contextual", "options": OPTIONS, "trials": [], "metric": metric.to_record()})
    asking = films.select((films.splits == "test") & films.relevance().any(axis=1))
    images = [encoder.prepare(graphret.read_film(path)) for path in asking.paths]
    return SimpleNamespace(
        folder=root / "index",
        index=graphret.open(root / "index"),
        untuned=graphret.open(root / "untuned"),
        metric=metric,
        asking=asking,
        paths=asking.paths.tolist(),
        asked_for=_folder_of(asking.paths.tolist(), root / "asked for"),
        codes=np.concatenate([encoder.encode(image[None]) for image in images]),
    )


def _folder_of(paths, folder):
    """The films in a folder, which sorts them as they are here."""
    folder.mkdir()
    for number, path in enumerate(paths):
        shutil.copy(path, folder / f"{number:03}.png")
    return folder


@pytest.fixture
def command(capsys):
    """Run a command that must succeed, and return its document."""

    def call(*arguments):
        capsys.readouterr()
        status = main([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert status == 0, said.err
        return json.loads(said.out)

    return call


def literal(index, metric, codes, **how):
    """The ranking itself, made by hand of what the index holds."""
    archive = index.archive.with_metric(metric)
    ranker = create_ranking("contextual", archive, **OPTIONS)
    positions = ranker.rank(QueryBatch.of(archive, codes, K, **how), K).positions
    return index.films.ids[positions].tolist()


def literal_groups(index, metric, codes, **how):
    """The whole list made by hand, of which the first film of each patient is kept."""
    archive = index.archive.with_metric(metric)
    ranker = create_ranking("contextual", archive, **OPTIONS)
    patients, ids = index.films.patients, index.films.ids
    lists = []
    for row in ranker.rank(QueryBatch.of(archive, codes, len(ids), **how), len(ids)).positions.tolist():
        first = {}
        for position in row:
            if position >= 0:
                first.setdefault(patients[position], str(ids[position]))
        lists.append(list(first.values())[:K])
    return lists


def of_command(document):
    return [[hit["id"] for hit in answer["hits"]] for answer in document["queries"]]


def asked(what, *, singly=False, index="index", **how):
    """A path through Python: all queries in one call, or one call each."""

    def ask(shop, **_):
        queries, opened = what(shop), getattr(shop, index)
        if singly:
            return [opened.query(query, K, **how).ids[0].tolist() for query in queries]
        return opened.query(queries, K, **how).ids.tolist()

    return ask


def commanded(*more, singly=False):
    """A path through the command line."""

    def ask(shop, command, **_):
        if singly:
            return [of_command(command("query", shop.folder, path, *more))[0] for path in shop.paths[:FEW]]
        return of_command(command("query", shop.folder, *shop.paths, *more))

    return ask


def evaluated(what, **how):
    """A path through a report."""

    def ask(shop, **_):
        report = graphret.evaluate(shop.index, what(shop), measures=[f"P@{K}"], exclude=None, n_resamples=20, **how)
        assert report.queries.ids.tolist() == shop.asking.ids.tolist()
        return shop.index.films.ids[report.rankings[0].positions[:, :K]].tolist()

    return ask


def codes(shop):
    return shop.codes


def codes_and_table(shop):
    return shop.codes, shop.asking


def paths(shop):
    return shop.paths


def films_in_memory(shop):
    return [graphret.read_film(path) for path in shop.paths]


def as_a_comparison(shop, **_):
    choice = RankingChoice("contextual", OPTIONS, shop.metric)
    return asked(codes, index="untuned", ranking=choice)(shop)


def by_trec(shop, command, tmp_path):
    call = ["evaluate", shop.folder, "--measures", f"P@{K}", "--include-same-patient", "--n-resamples", "20"]
    command(*call, "--baselines", "none", "--out", tmp_path / "report")
    lists = read_run(tmp_path / "report" / "runs" / f"{WRITTEN.replace(':', '-')}.run")
    return [lists[name] for name in shop.asking.ids.tolist()]


PATHS = {
    "codes": asked(codes),
    "codes, one at a time": asked(codes, singly=True),
    "codes in a list": asked(lambda shop: list(shop.codes)),
    "codes, one thread": asked(codes, n_threads=1),
    "codes, two threads": asked(codes, n_threads=2),
    "codes, on a device": asked(codes, device="cpu"),
    "paths": asked(paths),
    "paths, one at a time": asked(paths, singly=True),
    "films in memory": asked(films_in_memory),
    "by its name": asked(codes, ranking="contextual"),
    "as tuned": asked(codes, ranking="tuned"),
    "written out": asked(codes, ranking=WRITTEN),
    "options apart": asked(codes, ranking="contextual", options=OPTIONS),
    "an untuned index": as_a_comparison,
    "command": commanded(),
    "command, one film at a time": commanded(singly=True),
    "command, one thread": commanded("--n-threads", "1"),
    "command, on a device": commanded("--device", "cpu"),
    "command, as tuned": commanded("--ranking", "tuned"),
    "command, written out": commanded("--ranking", WRITTEN),
    "evaluate a split": evaluated(lambda _: "test"),
    "evaluate a table": evaluated(lambda shop: shop.asking),
    "evaluate codes": evaluated(codes_and_table),
    "evaluate on a device": evaluated(codes_and_table, device="cpu"),
    "evaluate as tuned": evaluated(codes_and_table, rankings=["tuned", "nearest"]),
    "evaluate by its name": evaluated(codes_and_table, rankings="contextual"),
    "command, evaluate": by_trec,
}


@pytest.mark.parametrize("path", PATHS)
def test_films_from_outside_get_the_same_hits_on_every_path(shop, command, tmp_path, path):
    found = PATHS[path](shop=shop, command=command, tmp_path=tmp_path)
    assert found == literal(shop.index, shop.metric, shop.codes)[: FEW if "one film" in path else None]


ONE_OF_A_PATIENT = {
    "codes": asked(codes, group_by="patient"),
    "codes, one at a time": asked(codes, singly=True, group_by="patient"),
    "codes, one thread": asked(codes, n_threads=1, group_by="patient"),
    "codes, two threads": asked(codes, n_threads=2, group_by="patient"),
    "paths": asked(paths, group_by="patient"),
    "films in memory": asked(films_in_memory, group_by="patient"),
    "written out": asked(codes, ranking=WRITTEN, group_by="patient"),
    "command": commanded("--group-by", "patient"),
    "command, one film at a time": commanded("--group-by", "patient", singly=True),
    "command, a folder": lambda shop, command, **_: of_command(
        command("query", shop.folder, shop.asked_for, "--group-by", "patient")
    ),
}


@pytest.mark.parametrize("path", ONE_OF_A_PATIENT)
def test_one_film_of_a_patient_is_the_same_on_every_path(shop, command, tmp_path, path):
    found = ONE_OF_A_PATIENT[path](shop=shop, command=command, tmp_path=tmp_path)
    expected = literal_groups(shop.index, shop.metric, shop.codes)
    assert found == expected[: FEW if "one film" in path else None]
    assert expected != literal(shop.index, shop.metric, shop.codes)


def test_films_of_a_folder_get_the_hits_of_its_files(shop, command):
    assert of_command(command("query", shop.folder, shop.asked_for)) == literal(shop.index, shop.metric, shop.codes)


IDS = {
    "ids": lambda shop, ids, rows, **_: asked(lambda _: ids)(shop),
    "ids, one at a time": lambda shop, ids, rows, **_: asked(lambda _: ids, singly=True)(shop),
    "codes": lambda shop, ids, rows, **_: asked(lambda _: shop.index.codes[rows], exclude={"id": ids})(shop),
    "files": lambda shop, ids, rows, **_: asked(lambda _: shop.index.films.paths[rows].tolist(), exclude={"id": ids})(
        shop
    ),
    "command": lambda shop, ids, rows, command: of_command(command("query", shop.folder, *ids, "--id")),
    "command, one at a time": lambda shop, ids, rows, command: [
        of_command(command("query", shop.folder, name, "--id"))[0] for name in ids
    ],
}


@pytest.mark.parametrize("path", IDS)
def test_films_of_the_archive_get_the_same_hits_on_every_path(shop, command, path):
    rows = np.array([3, 17, 40])
    ids = shop.index.films.ids[rows].tolist()
    own = np.ascontiguousarray(shop.index.codes[rows])
    expected = literal(shop.index, shop.metric, own, forbidden=[[row] for row in rows])
    assert IDS[path](shop=shop, ids=ids, rows=rows, command=command) == expected


def test_it_matters(shop, command):
    """The hits above are those of no other form, so that a path that forgot something would be found."""
    expected = literal(shop.index, shop.metric, shop.codes)
    without = {name: value for name, value in OPTIONS.items() if name != "learned"}
    others = ["nearest", "contextual:default", "contextual:learned=true", RankingChoice("contextual", without)]
    for other in others:
        assert shop.index.query(shop.codes, K, ranking=other).ids.tolist() != expected
    call = ["query", shop.folder, *shop.paths, "--ranking", "contextual:default"]
    assert of_command(command(*call)) == shop.index.query(shop.codes, K, ranking="contextual:default").ids.tolist()


def test_every_answer_says_what_it_was_ranked_with(shop, command, capsys):
    everything = RankingChoice("contextual", OPTIONS).all_options
    said = {"ranking": "contextual", "options": everything, "learned_metric": True}
    document = command("query", shop.folder, shop.paths[0])
    assert {name: document[name] for name in said} == said
    assert main(["query", str(shop.folder), shop.paths[0]]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"{WRITTEN}; in a metric that was learned from the archive's labels" in text
    rankings = "tuned,contextual:default,nearest"
    call = ["evaluate", shop.folder, "--rankings", rankings, "--measures", "P@10", "--n-resamples", "20"]
    rows = {row["name"]: row for row in command(*call)["rankings"]}
    assert list(rows) == [WRITTEN, "contextual:default", "nearest", "random"]
    assert {name: rows[WRITTEN][name] for name in said} == said
    assert rows["contextual:default"]["options"] == RankingChoice("contextual").all_options
    assert [row["learned_metric"] for row in rows.values()] == [True, False, False, False]
    assert main([*map(str, call)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "films are compared in a metric that was learned from the archive's labels" in text
    assert command("info", shop.folder)["ranking"] == {
        "name": "contextual",
        "options": OPTIONS,
        "promise": None,
        "tried": None,
    }
    assert (shop.folder / FILE).is_file()
