"""What a command says comes next: commands that run as they stand, and keep the test films out of the archive."""

import shlex


def next_commands(out):
    """The commands that a result ends with."""
    lines = out[out.index("Next:") :].removeprefix("Next:").splitlines()
    return [shlex.split(line) for line in lines if line.strip().startswith("graphret ")]


def test_after_a_training_comes_an_index_without_test_films(run, workshop):
    arguments = ["train", "--data", "phantom", "--root", workshop.films, "--encoder", "resnet18", "--size", "32"]
    done = run(*arguments, "--epochs", "1", "--batch-size", "16", "--device", "cpu", "--out", workshop.encoder)
    (command,) = next_commands(done.out)
    assert command[:2] == ["graphret", "build"]
    assert command[command.index("--split") + 1] == "train,valid"


def test_after_a_build_come_a_query_and_an_evaluation(run, workshop, tmp_path):
    data = ["--data", "phantom", "--root", workshop.films, "--encoder", workshop.encoder, "-k", "10"]
    out = tmp_path / "my index"
    without = run("build", *data, "--split", "train,valid", "--out", out)
    query, evaluate = next_commands(without.out)
    assert query == ["graphret", "query", str(out), "FILE", "-k", "10"]
    assert run(*evaluate[1:], "--n-resamples", "20").status == 0
    whole = run("build", *data, "--out", tmp_path / "whole")
    assert [command[1] for command in next_commands(whole.out)] == ["query"]
    assert "test films are in this index: to measure it on them, leave them out (--split train,valid)" in whole.out
