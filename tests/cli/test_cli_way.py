"""From films to figures through the command line, on a small archive."""

import json
import shutil
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest

import graphret
from graphret.cli import main
from graphret.data import list_dataset_specs
from graphret.encoders import list_encoders
from graphret.index.answers import why_in_words
from graphret.training import TrainConfig


def films_of(shop):
    return graphret.read_dataset("phantom", shop.films)


def test_datasets_and_encoders_list_their_registries(run, run_json):
    assert [spec["name"] for spec in run_json("datasets")] == list_dataset_specs()
    assert all(spec["title"] and spec["license"] is not None for spec in run_json("datasets"))
    assert [spec["name"] for spec in run_json("encoders")] == list_encoders()
    for command, names in (("datasets", list_dataset_specs()), ("encoders", list_encoders())):
        shown = run(command).out
        assert all(name in shown for name in names)


def test_train_gives_the_parameters_to_the_training(workshop):
    encoder = graphret.load_encoder(workshop.encoder)
    assert (encoder.name, encoder.size) == ("resnet18", 32)
    expected = TrainConfig(size=32, epochs=1, batch_size=16, device="cpu", mixed_precision="no").to_json()
    assert encoder.record["training"] == {**expected, "epochs done": 1}


def test_a_finished_training_is_not_done_again(run_json, run, workshop):
    before = (
        (workshop.encoder / "encoder.safetensors").stat().st_mtime_ns,
        (workshop.encoder / "history.json").read_text(),
    )
    arguments = ["train", "--data", "phantom", "--root", workshop.films, "--encoder", "resnet18", "--size", "32"]
    arguments += ["--epochs", "1", "--batch-size", "16", "--device", "cpu", "--out", workshop.encoder]
    document = run_json(*arguments)
    assert (workshop.encoder / "history.json").read_text() == before[1]
    assert document["fingerprint"] == graphret.load_encoder(workshop.encoder).fingerprint
    assert document["validation"]["epoch"] == 1
    refused = run(*arguments, "--seed", "5")
    assert refused.status == 2
    assert "seed was 0 and is 5" in refused.err


def test_build_holds_the_splits_and_parameters_that_were_asked_for(workshop):
    index = graphret.open(workshop.index)
    films = films_of(workshop)
    assert index.films.ids.tolist() == films.ids[films.splits != "test"].tolist()
    assert index.manifest["parameters"]["k"] == 10
    assert index.encoder.fingerprint == graphret.load_encoder(workshop.encoder).fingerprint


def test_progress_and_notes_go_to_stderr_unless_quiet(run, workshop, tmp_path):
    arguments = ["build", "--data", "phantom", "--root", workshop.films, "--encoder", workshop.encoder, "-k", "5"]
    loud = run(*arguments, "--split", "valid", "--out", tmp_path / "loud", "--json")
    assert loud.status == 0, loud.err
    for words in ("films", "encode:", "neighbors", "communities: 1 of 1"):
        assert words in loud.err
    quiet = run(*arguments, "--split", "valid", "--out", tmp_path / "quiet", "--json", "--quiet")
    assert quiet.err == ""
    first, second = json.loads(loud.out), json.loads(quiet.out)
    assert first["graph"] == second["graph"]
    assert first["parameters"]["k"] == 5
    assert first["counts"]["films"] == (films_of(workshop).splits == "valid").sum()


def test_query_by_file_gives_the_hits_of_python(run, run_json, workshop):
    films = films_of(workshop).split("test")
    index = graphret.open(workshop.index)
    paths = films.paths[:3].tolist()
    document = run_json("query", workshop.index, *paths, "-k", "7", "--ranking", "nearest")
    expected = index.query(paths, 7, ranking="nearest")
    assert document["k"] == 7
    assert document["ranking"] == "nearest"
    assert [answer["query"] for answer in document["queries"]] == paths
    for row, answer in enumerate(document["queries"]):
        assert [hit["id"] for hit in answer["hits"]] == expected.ids[row].tolist()
        assert [hit["rank"] for hit in answer["hits"]] == list(range(1, 8))
        assert np.allclose([hit["similarity"] for hit in answer["hits"]], expected.similarities[row])
    first = document["queries"][0]["hits"][0]
    position = first["position"]
    positive = np.array(index.films.label_names)[index.films.labels[position] == 1].tolist()
    assert first["labels"] == positive
    assert first["community"] == index.communities[position]
    shown = run("query", workshop.index, *paths, "-k", "7").out
    assert all(f" {rank} " in shown for rank in range(1, 8))
    assert "community" in shown


def test_query_by_id_never_returns_the_film_itself(run_json, workshop):
    name = str(graphret.open(workshop.index).films.ids[4])
    document = run_json("query", workshop.index, name, "--id", "-k", "20", "--ranking", "nearest")
    assert name not in [hit["id"] for hit in document["queries"][0]["hits"]]


def test_the_own_patient_is_excluded_by_id_by_path_and_by_name(run_json, workshop):
    films = graphret.open(workshop.index).films
    patients, counts = np.unique(films.patients, return_counts=True)
    row = int(np.flatnonzero(films.patients == patients[counts.argmax()])[0])
    patient, others = films.patients[row], films.ids[films.patients == films.patients[row]].tolist()
    stranger = str(films_of(workshop).split("test").paths[0])
    everything = str(len(films))
    for query, known in (
        ([films.ids[row], "--id"], []),
        ([films.paths[row]], []),
        ([stranger], ["--patients", patient]),
    ):
        call = ["query", workshop.index, *query, "-k", everything, "--ranking", "nearest"]
        with_patient = {hit["id"] for hit in run_json(*call)["queries"][0]["hits"]}
        without = {hit["id"] for hit in run_json(*call, "--exclude-same-patient", *known)["queries"][0]["hits"]}
        assert set(others) & with_patient
        assert not set(others) & without
        assert with_patient - without == set(others) & with_patient


def test_the_patient_of_a_film_outside_the_index_is_read_from_its_data_set(run, run_json, workshop, tmp_path):
    stranger = films_of(workshop).split("test").paths[0]
    call = ["query", workshop.index, stranger, "-k", "5", "--exclude-same-patient"]
    assert len(run_json(*call)["queries"][0]["hits"]) == 5
    elsewhere = tmp_path / "film.png"
    shutil.copy(stranger, elsewhere)
    refused = run("query", workshop.index, elsewhere, "--exclude-same-patient")
    assert refused.status == 2
    assert "patients" in refused.err


def test_json_hits_say_why_and_hold_nothing_else(run_json, workshop):
    film = films_of(workshop).split("test").paths[0]
    document = run_json("query", workshop.index, film, "-k", "4", "--ranking", "region_growing")
    hits = document["queries"][0]["hits"]
    known = {"id", "rank", "position", "similarity", "score", "community", "source", "why", "path", "labels"}
    assert all(set(hit) == known for hit in hits)
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]
    assert all(set(hit["why"]) == {"gain", "query_edge", "earlier"} for hit in hits)
    earlier = {entry["id"] for hit in hits for entry in hit["why"]["earlier"]}
    assert earlier <= {hit["id"] for hit in hits}


def test_why_is_said_in_words_where_it_is_asked_for(run, run_json, workshop):
    film = films_of(workshop).split("test").paths[0]
    call = ["query", workshop.index, film, "-k", "3", "--ranking", "contextual"]
    hits = run_json(*call)["queries"][0]["hits"]
    lines = run(*call, "--why").out.splitlines()
    for hit in hits:
        assert f"{hit['rank']}. {hit['id']}: {why_in_words(hit)}" in lines
        assert hit["why"]["terms"].keys() == {"similarity", "context", "density"}
    assert not any("score = " in line for line in run(*call).out.splitlines())


def test_where_keeps_only_the_films_with_the_value(run_json, workshop):
    index = graphret.open(workshop.index)
    film = films_of(workshop).split("test").paths[0]
    document = run_json("query", workshop.index, film, "-k", "50", "--where", "view=AP")
    found = {hit["position"] for hit in document["queries"][0]["hits"]}
    assert found
    assert set(index.films.views[sorted(found)].tolist()) == {"AP"}
    both = run_json("query", workshop.index, film, "-k", "200", "--where", "view=AP", "--where", "view=PA")
    assert len(both["queries"][0]["hits"]) == len(index)


def test_without_fill_region_growing_may_return_fewer(run_json, workshop):
    film = films_of(workshop).split("test").paths[0]
    call = ["query", workshop.index, film, "-k", "80", "--ranking", "region_growing"]
    filled = run_json(*call)["queries"][0]["hits"]
    bare = run_json(*call, "--no-fill")["queries"][0]["hits"]
    assert {hit["source"] for hit in bare} == {"expansion"}
    assert [hit["id"] for hit in filled[: len(bare)]] == [hit["id"] for hit in bare]


def test_options_of_a_ranking_reach_it(run_json, workshop):
    film = films_of(workshop).split("test").paths[0]
    call = ["query", workshop.index, film, "-k", "30", "--ranking"]
    documents = [
        run_json(*call, *more) for more in (["alpha_qe"], ["alpha_qe", "--options", "alpha=0"], ["alpha_qe:alpha=0"])
    ]
    assert [document["options"] for document in documents] == [{"n": 10, "alpha": alpha} for alpha in (3, 0, 0)]
    scores = [[hit["score"] for hit in document["queries"][0]["hits"]] for document in documents]
    assert scores[0] != scores[1] == scores[2]


def test_evaluate_writes_what_python_measures(run, run_json, workshop, tmp_path):
    call = ["evaluate", workshop.index, "--measures", "P@5,nDCG@10", "--rankings", "region_growing,nearest"]
    call += ["--n-resamples", "50", "--seed", "4"]
    document = run_json(*call, "--out", tmp_path / "report")
    expected = graphret.evaluate(
        graphret.open(workshop.index),
        "test",
        measures=["P@5", "nDCG@10"],
        rankings=["region_growing", "nearest"],
        n_resamples=50,
        seed=4,
    ).to_dict()
    for kind in (document, expected):
        for row in kind["rankings"]:
            row.pop("milliseconds_per_query")
    assert document["rankings"] == expected["rankings"]
    assert [row["name"] for row in document["rankings"]] == ["region_growing", "nearest", "random"]
    assert document["queries"]["excluded"] == "patient"
    assert not document["queries"]["transductive"]
    assert {"report.json", "report.md", "contact_sheet.png"} <= {path.name for path in (tmp_path / "report").iterdir()}
    other = run_json(*call, "--include-same-patient", "--baselines", "none", "--reference", "region_growing")
    assert other["queries"]["excluded"] is None
    assert other["reference"] == "region_growing"
    assert [row["name"] for row in other["rankings"]] == ["region_growing", "nearest"]
    shown = run(*call).out
    assert "nDCG@10" in shown
    assert "random" in shown


def test_evaluate_on_a_split_of_the_archive_says_so(run_json, workshop):
    document = run_json("evaluate", workshop.index, "--split", "valid", "--measures", "P@3", "--n-resamples", "20")
    assert document["queries"]["transductive"]


def test_info_and_verify_say_what_the_index_holds(run, run_json, workshop):
    about = run_json("info", workshop.index)
    index = graphret.open(workshop.index)
    assert about["counts"]["films"] == len(index)
    assert about["counts"]["edges"] == index.graph.n_edges
    shown = run("info", workshop.index).out
    assert f"{index.graph.n_edges:,} edges" in shown
    assert index.graph.fingerprint[:16] in shown
    verified = run_json("verify", workshop.index)
    assert verified["intact"] is True
    assert verified["n_bytes"] == about["n_bytes"]
    assert "all as they were written" in run("verify", workshop.index).out


def test_encode_writes_the_codes_of_the_index(run_json, workshop, tmp_path):
    data = ["--data", "phantom", "--root", workshop.films, "--split", "train", "--split", "valid"]
    document = run_json("encode", *data, "--encoder", workshop.encoder, "--out", tmp_path / "codes")
    codes = np.load(tmp_path / "codes" / "codes.npy", allow_pickle=False)
    index = graphret.open(workshop.index)
    assert np.array_equal(codes, index.codes)
    table = pq.read_table(tmp_path / "codes" / "films.parquet")
    assert table["id"].to_pylist() == index.films.ids.tolist()
    assert (document["n_films"], document["code_length"]) == codes.shape
    assert sorted(path.name for path in (tmp_path / "codes").iterdir()) == ["codes.npy", "films.parquet"]


def test_an_untrained_encoder_has_the_size_that_was_asked_for(run, run_json, workshop, tmp_path):
    data = ["--data", "phantom", "--root", workshop.films, "--split", "valid", "--encoder", "resnet18"]
    run_json("encode", *data, "--size", "40", "--out", tmp_path / "codes")
    films = films_of(workshop).split("valid")
    encoder = graphret.load_encoder("resnet18", size=40, device="cpu")
    expected = encoder.encode(np.stack([encoder.prepare(films.read(row)) for row in range(3)]))
    assert np.allclose(np.load(tmp_path / "codes" / "codes.npy", allow_pickle=False)[:3], expected, atol=1e-5)
    refused = run("encode", *data, "--size", "40", "--out", workshop.films)
    assert refused.status == 2
    assert "it holds something else" in refused.err


def test_export_writes_every_node_and_edge(run_json, workshop, tmp_path):
    document = run_json("export", workshop.index, tmp_path / "graph.graphml")
    tree = ET.parse(tmp_path / "graph.graphml").getroot()  # noqa: S314 - our own file
    space = "{http://graphml.graphdrawing.org/xmlns}"
    assert len(list(tree.iter(f"{space}node"))) == document["n_nodes"]
    assert len(list(tree.iter(f"{space}edge"))) == document["n_edges"]


def test_a_folder_per_class_needs_no_card(run_json, workshop, tmp_path):
    films = films_of(workshop)
    for row in range(24):
        folder = tmp_path / "films" / ("ILL" if films.labels[row].any() else "WELL")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(films.paths[row], folder)
    call = ["--data", "folder", "--root", tmp_path / "films", "--encoder", workshop.encoder]
    about = run_json("build", *call, "--out", tmp_path / "index", "-k", "5")
    assert about["counts"]["films"] == 24
    assert graphret.open(tmp_path / "index").films.label_names == ("ILL", "WELL")


@pytest.mark.slow
def test_the_demo_learns_and_can_be_called_again(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    rows = {(row["name"], row["encoder"]): row["measures"]["P@10"] for row in first["rankings"]}
    assert first["auc"]["trained"]["mean"] > first["auc"]["untrained"]["mean"] + 0.05
    assert rows["nearest", "trained"]["mean"] > rows["random", "none"]["mean"]
    assert {name for name, encoder in rows if encoder == "trained"} >= {
        "region_growing",
        "nearest",
        first["default_ranking"],
    }
    assert (out / "report" / "contact_sheet.png").is_file()
    assert main(["demo", "--out", str(out), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["rankings"] == first["rankings"]
    assert again["auc"] == first["auc"]
    assert graphret.open(out / "index").manifest["parent"] is None  # not built again
    assert main(["demo", "--out", str(out), "--seed", "1"]) == 2
    assert "seed was 0" in capsys.readouterr().err
