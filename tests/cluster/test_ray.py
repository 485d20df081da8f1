"""A build on Ray is the build of one machine to the byte, also when workers are killed. Skipped without Ray."""

import logging
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import graphret
from graphret._errors import ClusterError, InvalidParameterError, UnknownNameError
from graphret.cluster import ray_session
from graphret.cluster.ray_encoding import ShardEncoder
from graphret.cluster.ray_session import RayWorkers, guarded, session
from graphret.cluster.stored_join import Pieces
from graphret.data import ImageTable, write_png

OPTIONS = {"k": 9, "tune": False, "search": "graph", "n_starts": 2}
STAGES = ("encode", "block", "pair", "table")


@pytest.fixture(scope="module")
def ray():
    """Ray with two processors, for all tests of this file."""
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    before = os.environ.get("PYTHONPATH")
    root = str(Path(graphret.__file__).parents[1])  # workers import the graphret that is tested
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *([before] if before else [])])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _node_ip_address="127.0.0.1",
    )
    yield ray
    ray.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def killed_at(base, methods, folder, n_kills):
    """A class whose workers kill themselves ``n_kills`` times at each of some methods, before and after the work.

    A file says that a kill has happened: whoever makes it dies. So the kills depend on no time, however long a machine
    takes. The classes are local, so that Ray sends them as they are.
    """

    def die(name, moment):
        for number in range(moment, n_kills, 2):
            with suppress(FileExistsError):
                (folder / f"{name}-{number}").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)

    def killed(name):
        def method(self, *given):
            die(name, 0)
            result = getattr(base, name)(self, *given)
            die(name, 1)
            return result

        return method

    return type(base.__name__, (base,), {name: killed(name) for name in methods})


@pytest.fixture
def kill(tmp_path, monkeypatch):
    """Let workers of some stages be killed; returns the kills that have happened, sorted."""
    folder = tmp_path / "kills"
    folder.mkdir()

    def start(stages, n_kills):
        encoder = killed_at(ShardEncoder, ["encode"] if "encode" in stages else [], folder, n_kills)
        monkeypatch.setattr("graphret.cluster.ray_encoding.ShardEncoder", encoder)
        pieces = killed_at(Pieces, [stage for stage in stages if stage != "encode"], folder, n_kills)
        monkeypatch.setattr("graphret.cluster.join.Pieces", pieces)
        return lambda: sorted(path.name for path in folder.iterdir())

    return start


@pytest.mark.usefixtures("small_blocks", "ray")
@pytest.mark.parametrize("method", ["exact", pytest.param("approximate", marks=pytest.mark.slow)])
def test_codes_on_ray_with_storage_at_a_url(many_codes, tmp_path, hashes_of, method, kill):
    graphret.build(many_codes, out=tmp_path / "local", method=method, **OPTIONS)
    kills = kill(["pair"], 1)
    storage = tmp_path / "storage"
    graphret.build(
        many_codes,
        out=tmp_path / "ray",
        method=method,
        engine="ray",
        storage=storage.as_uri(),
        **OPTIONS,
    )
    assert kills() == ["pair-0"]
    assert hashes_of(tmp_path / "ray") == hashes_of(tmp_path / "local")
    assert [path for path in storage.rglob("*") if path.is_file()] == []
    assert sorted(path.name for path in (tmp_path / "ray").iterdir()) == sorted(
        path.name for path in (tmp_path / "local").iterdir()
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Sixty films, two of them broken."""
    folder, generator = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    paths = []
    for number in range(60):
        path = folder / f"{number:02d}.png"
        write_png(path, generator.random((40, 40)).astype(np.float32))
        paths.append(str(path))
    Path(paths[7]).write_bytes(b"no film")
    Path(paths[50]).write_bytes(Path(paths[50]).read_bytes()[:60])
    return ImageTable(ids=[f"film{n:02d}" for n in range(60)], paths=paths, labels=[], label_names=())


@pytest.mark.usefixtures("small_blocks", "ray")
@pytest.mark.slow
@pytest.mark.parametrize("n_kills", [0, 5])
def test_films_on_ray_and_a_worker_killed_at_each_stage(films, tmp_path, hashes_of, n_kills, kill, monkeypatch):
    """With five workers killed at each of four stages: twenty kills."""
    monkeypatch.setattr("graphret.neighbors.join_plan.TILE", 4)
    monkeypatch.setattr("graphret.neighbors.join_plan.BLOCK_ROWS", 8)
    encoder = graphret.load_encoder("resnet18", size=64, device="cpu")
    options = {**OPTIONS, "k": 5, "shard_rows": 5}
    graphret.build(films, encoder, out=tmp_path / "local", **options)
    kills = kill(STAGES, n_kills)
    index = graphret.build(films, encoder, out=tmp_path / "ray", engine="ray", **options)
    assert hashes_of(tmp_path / "ray") == hashes_of(tmp_path / "local")
    assert len(index) == 58
    assert len(index.films.problems) == 2
    assert kills() == sorted(f"{stage}-{number}" for stage in STAGES for number in range(n_kills))


@pytest.mark.usefixtures("small_blocks")
def test_what_workers_say_is_said(ray, many_codes, tmp_path, monkeypatch):
    monkeypatch.setattr("graphret.cluster.ray_session.__version__", "0.0")
    with pytest.raises(ClusterError, match=r"a worker has graphret .*, this build 0\.0: install the same"):
        graphret.build(many_codes, out=tmp_path / "a", engine="ray", **OPTIONS)
    monkeypatch.undo()
    with session(None) as connected:  # stays connected: this program was so before
        assert connected() is ray
        with pytest.raises(ClusterError, match="does not see memory://nobody-else"):
            RayWorkers(connected, "memory://nobody-else").do(None, "block", iter([]), list)
    assert ray.is_initialized()


class SlowRay:
    """Stands for the module: connects when it is told to, and notes what is asked of it."""

    def __init__(self, error=None):
        self.goes_on, self.error, self.asked = threading.Event(), error, []

    def is_initialized(self):
        return False

    def init(self, **options):
        self.goes_on.wait(30)
        logging.getLogger("ray._private.worker").warning("SIGTERM handler is not set because ...")
        self.asked.append(("init", options.get("num_cpus")))
        if self.error is not None:
            raise self.error

    def remote(self, **_):
        return lambda function: SimpleNamespace(remote=lambda: self.asked.append(function.__name__))

    def shutdown(self):
        self.asked.append("shutdown")


def test_a_build_goes_on_while_ray_starts(monkeypatch, caplog):
    ray = SlowRay()
    monkeypatch.setattr(ray_session, "load_ray", lambda: ray)
    with session(None, 2) as connected:
        assert ray.asked == []  # here a build plans
        ray.goes_on.set()
        assert connected() is ray
        assert ray.asked == [("init", 2), "_load_kernels", "_load_kernels"]
    assert ray.asked[3:] == ["shutdown"]
    assert caplog.text == ""


def test_a_cluster_that_nobody_needed_may_be_away_which_is_said(monkeypatch, caplog):
    ray = SlowRay(ConnectionError("nobody answers"))
    ray.goes_on.set()
    monkeypatch.setattr(ray_session, "load_ray", lambda: ray)
    with session("10.0.0.1:6379"):
        pass
    assert ray.asked == [("init", None)]
    assert "10.0.0.1:6379 cannot be reached: nobody answers (what was asked for was done without it" in caplog.text
    with pytest.raises(ClusterError, match="nobody answers"), session("10.0.0.1:6379") as connected:
        connected()


def test_a_ray_that_does_not_start_in_time(monkeypatch):
    ray = SlowRay(Exception("The current node timed out during startup."))  # the class that Ray takes
    ray.goes_on.set()
    monkeypatch.setattr(ray_session, "load_ray", lambda: ray)
    message = r"Ray on this machine cannot be reached: The current node timed out"
    with pytest.raises(ClusterError, match=message), session(None, 1) as connected:
        connected()


def test_errors_of_ours_travel_as_text():
    def fail():
        raise InvalidParameterError("k", 0, "an integer >= 1")

    assert guarded(graphret.__version__, fail) == (False, "k=0 is not allowed: give an integer >= 1")
    assert guarded(graphret.__version__, lambda: 3) == (True, 3)


def test_words_of_the_call_are_looked_at_first(many_codes, tmp_path):
    with pytest.raises(UnknownNameError, match="one of local, ray"):
        graphret.build(many_codes, out=tmp_path / "a", engine="spark", **OPTIONS)
    for name in ("address", "storage"):
        with pytest.raises(InvalidParameterError, match=f"{name}='x' is not allowed: give nothing with engine='local'"):
            graphret.build(many_codes, out=tmp_path / "a", **{name: "x"}, **OPTIONS)
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("small_blocks")
def test_a_cluster_that_is_not_there(many_codes, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra ray)")

    def refused(**_):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(ClusterError, match=r"the cluster at 10\.0\.0\.1:6379 cannot be reached: nobody answers"):
        graphret.build(many_codes, out=tmp_path / "a", engine="ray", address="10.0.0.1:6379", **OPTIONS)
