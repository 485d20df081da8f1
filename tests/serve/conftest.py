"""A service over small indexes: one of codes, and one of generated films with an encoder that nobody trained."""

from types import SimpleNamespace

import numpy as np
import pytest

import graphret
from graphret.data import ImageTable, generate_phantom
from graphret.encoders import Encoder

ADDRESS = "http://127.0.0.1:8000"
N = 60
QUOTES = "x' autofocus onfocus='alert(2)' \" onfocus=\"alert(3)\""
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def codes():
    rng = np.random.default_rng(0)
    centres = rng.random((5, 8)) * 4
    return np.abs(centres[np.arange(N) % 5] + rng.normal(size=(N, 8)) * 0.5).astype(np.float32)


@pytest.fixture(scope="session")
def described(codes):
    """Ids and labels that a page must show as text; columns that may be shown, and some that may not."""
    return ImageTable(
        ids=[f"{HOSTILE}{row}" if row == 3 else f"film {row}/ü" for row in range(N)],
        paths=[],
        labels=[["<b>Mass"] if row % 5 == 0 else ["Edema"] if row % 5 == 1 else [] for row in range(N)],
        patients=[f"Doe^John {row // 2}" for row in range(N)],
        views=["PA" if row % 3 else "AP" for row in range(N)],
        splits=["test" if row >= 50 else "train" for row in range(N)],
        columns={
            "age": np.arange(N) % 40 + 20,
            "sex": np.array(["F", "M"])[np.arange(N) % 2],
            "device": np.array(["plain", QUOTES])[np.arange(N) % 2],
            "patient_name": np.array([f"Doe^John {row}" for row in range(N)]),
        },
        label_names=(),
    )


@pytest.fixture(scope="session")
def code_root(codes, described, tmp_path_factory):
    """The folder of an index of codes that no test changes."""
    root = tmp_path_factory.mktemp("served") / "codes"
    graphret.build(codes, films=described, out=root, k=6, tune=False)
    return root


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    """Generated films, an index of those of train and valid, and the files of the others."""
    folder = tmp_path_factory.mktemp("phantom")
    generate_phantom(folder / "films", 48, size=48)
    table = graphret.read_dataset("phantom", folder / "films")
    encoder = Encoder.untrained("resnet18", table.label_names, 32, 0)
    archived = table.splits != "test"
    graphret.build(table.select(archived), encoder, out=folder / "phantom", k=6, n_threads=1, tune=False)
    return SimpleNamespace(root=folder / "phantom", others=table.select(~archived), films=folder / "films")


@pytest.fixture
def client_of(tmp_path):
    """Start a service over indexes, as a client that calls it; lists are kept in the folder of the test."""
    from fastapi.testclient import TestClient

    from graphret.serve import ServeConfig
    from graphret.serve.app import create_app

    open_clients = []

    def start(*roots, address=ADDRESS, **options):
        config = ServeConfig(**{"lists": tmp_path / "lists.sqlite", "thumbnails": False, **options})
        client = TestClient(create_app(list(roots), config), base_url=address, raise_server_exceptions=False)
        client.__enter__()
        open_clients.append(client)
        return client

    yield start
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_of, code_root):
    """A service over the index of codes."""
    return client_of(code_root)


@pytest.fixture
def snapshot():
    """Every file under a folder with its bytes."""

    def take(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    return take
