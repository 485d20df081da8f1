"""A wrong ranking is refused before the work begins: no film is decoded, encoded or trained on for it."""

import pytest

CALLS = [
    ["query", "{index}", "{film}", "--ranking", "neares"],
    ["query", "{index}", "{film}", "--ranking", "alpha_qe:m=3"],
    ["query", "{index}", "{film}", "--exclude-same-patient", "--ranking", "neares"],
    ["evaluate", "{index}", "--rankings", "nearest,neares"],
    ["evaluate", "{index}", "--reference", "neares"],
    ["evaluate", "{index}", "--baselines", "chance"],
    ["compare", "--data", "phantom", "--root", "{films}", "--out", "{out}", "--experiment", "{experiment}"],
]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_an_unknown_ranking_is_refused_before_any_film_is_read(call, run, workshop, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a film was read")

    for name in ("images.read_pixels", "images.read_film"):
        monkeypatch.setattr(f"graphret.data.{name}", refuse)
    monkeypatch.setattr("graphret.encoders.Encoder.encode", refuse)
    monkeypatch.setattr("graphret.encoders.Encoder.encoding", refuse)
    experiment = tmp_path / "mine.toml"
    experiment.write_text(
        'name = "mine"\nrankings = ["nearest", "neares"]\n[[methods]]\nkind = "encoder"\nname = "resnet18"\n'
    )
    film = next((workshop.films / "images").iterdir())
    out = tmp_path / "out"
    places = {**vars(workshop), "film": film, "out": out, "experiment": experiment}
    done = run(*(part.format(**places) for part in call))
    assert done.status == 2, done.err
    assert "is not allowed: give one of" in done.err or "rankings" in done.err
    assert not out.exists()
