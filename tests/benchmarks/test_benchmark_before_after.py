"""The comparison of two checkouts: the same steps on both, in their own processes."""

import numpy as np


def test_a_checkout_beside_itself(script, tmp_path, monkeypatch):
    module = script("before_after")
    codes = np.random.default_rng(0).normal(size=(400, 12)).astype(np.float32)
    file = tmp_path / "codes.npy"
    np.save(file, codes)
    monkeypatch.setattr(module, "_codes", lambda options: file)
    steps = ["--steps", "communities", "--runs", "1", "--n", "400"]
    module.main([str(module.HERE.parents[1]), *steps, "--results", str(tmp_path), "--work", str(tmp_path / "work")])
    lines = (tmp_path / "before_after.md").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| Louvain")]
    assert len(rows) == 2
    assert all(float(row[1]) > 0 and float(row[2]) > 0 and row[-1] == "1 |" for row in rows)
