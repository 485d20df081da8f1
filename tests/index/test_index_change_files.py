"""The files of a change: those that are made anew of the same table, with any number of threads, hashed as they lie."""

from graphret.index import build
from graphret.index.changes import rows
from graphret.index.manifest import file_table


def test_removed_films_leave_files_of_a_fresh_build(codes, tmp_path, monkeypatch):
    """Lists that only lose films: graph and links are filtered, and are those that are made anew of the same table."""
    answers = {}
    for filtered in (True, False):
        index = build(codes, out=tmp_path / str(filtered), k=20, search="graph", threshold=0.9, n_threads=1)
        with monkeypatch.context() as patch:
            if filtered:
                patch.setattr(rows, "similarity_graph", None)
            else:
                changed = rows._changed_table
                patch.setattr(rows, "_changed_table", lambda *given, changed=changed: (changed(*given)[0], False))
            index = index.remove(["7", "40"], n_threads=1)
        index.verify(deep=True)
        answers[filtered] = {
            name: entry["sha256"] for name, entry in index.manifest["files"].items() if name.endswith(".npy")
        }
    assert index.manifest["changes"]["short_lists"] > 0
    assert answers[True] == answers[False]


def test_threads_change_no_file_of_a_change(codes, tmp_path):
    found = []
    for n_threads in (1, 2):
        index = build(codes[:70], out=tmp_path / str(n_threads), k=8, search="graph", n_threads=1)
        index = index.add(codes[70:], n_threads=n_threads).remove(["3", "75"], n_threads=n_threads)
        found.append({name: entry["sha256"] for name, entry in index.manifest["files"].items()})
    assert found[0] == found[1]


def test_what_is_hashed_while_it_is_written_is_what_lies_on_the_disk(codes, tmp_path):
    changed = build(codes[:60], out=tmp_path, k=6, n_threads=1).add(codes[60:70])
    folder = changed.path / changed.generation
    on_disk = file_table(folder, {})
    del on_disk["manifest.json"]
    assert changed.manifest["files"] == on_disk
