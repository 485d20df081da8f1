"""The map over the wire: places and colours of all films, in the order of the archive."""

import numpy as np

import graphret
from graphret.mapping import archive_map, community_summaries


def test_places_colours_and_communities(client, code_root):
    index = graphret.open(code_root)
    about = client.get("/api/v1/map").json()
    summaries = community_summaries(index)
    assert [one["name"] for one in about["communities"]] == [summary.name for summary in summaries]
    assert [one["medoid_id"] for one in about["communities"]] == [summary.medoid_id for summary in summaries]
    places = np.frombuffer(client.get("/api/v1/map/places").content, "<f4").reshape(-1, 2)
    np.testing.assert_array_equal(places, archive_map(index))
    colours = client.get("/api/v1/map/colours").json()
    assert colours["of_films"] == index.communities.tolist()
    by_label = client.get("/api/v1/map/colours", params={"by": "label:Edema"}).json()
    positive = [by_label["names"][number] == "positive" for number in by_label["of_films"]]
    assert positive == (index.films.labels[:, index.films.label_names.index("Edema")] == 1).tolist()
    assert (
        client.get("/api/v1/map/colours", params={"by": "age"}).json()["numbers"] == index.films.columns["age"].tolist()
    )
    for column in ("patient", "patient_name", "path", "id", "label:None"):
        refused = client.get("/api/v1/map/colours", params={"by": column})
        assert refused.status_code == 422, column
        assert "Doe" not in refused.text


def test_a_film_of_the_map_and_a_map_that_is_old(client, code_root):
    index = graphret.open(code_root)
    found = client.get("/api/v1/map/film", params={"position": 7, "generation": "gen-000001"}).json()
    assert found["id"] == index.films.ids[7]
    assert found["community"] == index.communities[7]
    assert "path" not in found
    old = client.get("/api/v1/map/film", params={"position": 7, "generation": "gen-000000"})
    assert old.status_code == 404
    assert "load it again" in old.json()["error"]["message"]
