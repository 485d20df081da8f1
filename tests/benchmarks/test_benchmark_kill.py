"""The tool that kills: it waits until the command works, kills it, and sees what is left."""

import signal
import sys


def test_a_run_is_killed_after_it_began_to_work(script, tmp_path):
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1], 'shard').touch(); time.sleep(60)"
    (tmp_path / "out").mkdir()
    done = script("kill").run(
        [sys.executable, "-c", code, str(tmp_path / "out")], tmp_path / "out", tmp_path / "log", 0.2
    )
    assert done["status"] == -signal.SIGKILL
    assert 0.2 <= done["worked_s"] < 30
    assert (tmp_path / "out" / "shard").exists()


def test_a_run_may_end_before_its_kill(script, tmp_path):
    code = "import sys; print('done', file=sys.stderr)"
    done = script("kill").run([sys.executable, "-c", code], tmp_path / "out", tmp_path / "log", 60.0)
    assert (done["status"], done["last_line"]) == (0, "done")


def test_left_overs_are_seen_but_not_numbers_of_generations(script, tmp_path):
    for folder, generation in (("one", "gen-000002"), ("other", "gen-000003")):
        (tmp_path / folder / generation).mkdir(parents=True)
        (tmp_path / folder / generation / "codes.npy").touch()
    tree = script("kill").tree
    assert tree(tmp_path / "one") == tree(tmp_path / "other") == ["gen-N/codes.npy"]
    (tmp_path / "other" / ".gen-000004.partial-17").touch()
    assert tree(tmp_path / "one") != tree(tmp_path / "other")
