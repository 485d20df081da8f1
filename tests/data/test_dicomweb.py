"""Films from a DICOMweb server: a real Orthanc on this machine, and servers that do harm."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import ClassVar
from urllib.request import Request, urlopen

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGLSLossless, generate_uid

from graphret._errors import DataError, InvalidParameterError, MissingFileError
from graphret.cli import main
from graphret.data import read_dataset, read_film
from graphret.data.dicomweb import fetch_dicomweb

ORTHANC = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
NO_ORTHANC = "" if Path(ORTHANC).exists() and PLUGIN.exists() else "Orthanc with its DICOMweb plugin is not installed"


@pytest.fixture(autouse=True)
def _own(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHRET_SALT_FILE", str(tmp_path / "salt"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """A server with three films of two patients, one compressed, and a CT slice."""
    if NO_ORTHANC:
        pytest.skip(NO_ORTHANC)
    home, port = tmp_path_factory.mktemp("orthanc"), free_port()
    (home / "orthanc.json").write_text(
        json.dumps(
            {
                "StorageDirectory": str(home / "db"),
                "HttpPort": port,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "DicomServerEnabled": False,
                "Plugins": [str(PLUGIN)],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            }
        )
    )
    process = subprocess.Popen(
        [ORTHANC, str(home / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                with urlopen(f"http://127.0.0.1:{port}/system", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        for number in range(3):
            film(home / "film.dcm", number)
            upload(port, home / "film.dcm")
        upload(port, Path(get_testdata_file("CT_small.dcm")))
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        process.terminate()
        process.wait(timeout=30)


def film(path, number):
    pixels = np.random.default_rng(number).integers(0, 4096, (32, 24)).astype(np.uint16)
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    data.Rows, data.Columns, data.PixelData = *pixels.shape, pixels.tobytes()
    data.BitsStored, data.HighBit, data.PixelRepresentation, data.Modality = 12, 11, 0, "DX"
    for name in ("RescaleSlope", "RescaleIntercept", "PixelPaddingValue"):
        if name in data:
            delattr(data, name)
    data.PatientID, data.PatientName = f"p{number // 2}", "Miller^Anna"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = (generate_uid() for _ in range(3))
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    if number == 2:
        data.compress(JPEGLSLossless, generate_instance_uid=False)
    data.save_as(path)
    return pixels


def upload(port, path):
    request = Request(f"http://127.0.0.1:{port}/instances", data=path.read_bytes(), method="POST")
    with urlopen(request, timeout=30) as answer:  # noqa: S310 - http, as written above
        assert answer.status == 200


def test_films_are_fetched_once_and_are_the_same(orthanc, tmp_path, capsys):
    out = tmp_path / "films"
    done = fetch_dicomweb(orthanc, out, filters={"Modality": "DX"})
    assert (done.n_found, done.n_fetched, done.n_there, done.problems) == (3, 3, 0, [])
    again = fetch_dicomweb(orthanc, out, filters={"Modality": "DX"})
    assert (again.n_found, again.n_fetched, again.n_there) == (3, 0, 3)
    table = read_dataset("dicom", out)
    assert len(table) == 3
    assert len(set(table.patients.tolist())) == 2
    read = {table.read(row).tobytes() for row in range(3)}
    for number in range(3):
        film(tmp_path / "again.dcm", number)
        assert read_film(tmp_path / "again.dcm").tobytes() in read
    names = json.dumps(table.to_arrow().to_pydict(), default=str)
    assert "Miller" not in names
    assert "1.2.826" not in names  # neither UIDs, also not in the paths
    assert fetch_dicomweb(orthanc, tmp_path / "one", limit=1).n_fetched == 1
    call = ["fetch", orthanc, "--out", str(tmp_path / "cli"), "--filter", "Modality=CT", "--json", "--quiet"]
    assert main(call) == 0
    assert json.loads(capsys.readouterr().out)["n_fetched"] == 1


def test_a_film_beyond_the_limit_is_a_problem(orthanc, tmp_path):
    done = fetch_dicomweb(orthanc, tmp_path / "films", filters={"Modality": "CT"}, film_memory=20_000)
    assert done.n_fetched == 0
    assert [problem.reason for problem in done.problems] == [
        "the server does not give it: its answer has more than 20,000 bytes (film_memory)"
    ]


class Harm(http.server.BaseHTTPRequestHandler):
    """What the server answers is a class attribute: (status, headers, body)."""

    answer: ClassVar[tuple] = (200, {}, b"")
    seen: ClassVar[list] = []

    def do_GET(self):
        self.seen.append((self.path, dict(self.headers)))
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Harm)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    Harm.seen = []
    yield f"http://127.0.0.1:{serving.server_port}/dicom-web"
    serving.shutdown()
    thread.join()
    serving.server_close()


def found(study, series="1.2.3", one="1.2.4"):
    tags = {"0020000D": study, "0020000E": series, "00080018": one}
    return json.dumps([{tag: {"vr": "UI", "Value": [uid]} for tag, uid in tags.items()}]).encode()


JSON = {"Content-Type": "application/dicom+json"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((302, {"Location": "http://127.0.0.1:9/elsewhere"}, b""), "it answers with a redirect"),
        ((500, {}, b"Miller^Anna"), "status 500"),
        ((200, JSON, b"[" * 100_000), "does not answer a search"),
        ((200, JSON, b" " * 3_000_000), "more than 1,000,000 bytes"),
        ((200, JSON, found("../../../etc/passwd")), "UIDs that are none"),
        ((200, JSON, found("1.2", one="1." * 40 + "1")), "UIDs that are none"),
        ((200, JSON, b'[{"0020000D": 5}]'), "does not answer a search"),
    ],
)
def test_harmful_answers_are_errors(server, tmp_path, answer, reason):
    Harm.answer = answer
    with pytest.raises(DataError, match=reason) as caught:
        fetch_dicomweb(server, tmp_path / "films", film_memory=1_000_000)
    assert "Miller" not in str(caught.value)
    assert not list(tmp_path.rglob("*.dcm"))


def test_the_token_goes_in_the_header_only(server, tmp_path):
    Harm.answer = (200, JSON, b"[]")
    (tmp_path / "token").write_text("secret\n")
    assert fetch_dicomweb(server, tmp_path / "films", token_file=tmp_path / "token").n_found == 0
    (path, headers), *_ = Harm.seen
    assert headers["Authorization"] == "Bearer secret"
    assert "secret" not in path
    with pytest.raises(InvalidParameterError, match="https with a token"):
        fetch_dicomweb("http://pacs.example/dicom-web", tmp_path / "films", token_file=tmp_path / "token")
    (tmp_path / "token").write_text("two words\n")
    with pytest.raises(DataError, match="holds no token"):
        fetch_dicomweb(server, tmp_path / "films", token_file=tmp_path / "token")
    with pytest.raises(MissingFileError):
        fetch_dicomweb(server, tmp_path / "films", token_file=tmp_path / "none")


def test_wrong_calls(tmp_path):
    for url in ("ftp://pacs/x", "pacs", "http://user:word@pacs/x", "file:///etc/passwd"):
        with pytest.raises(InvalidParameterError, match="of a DICOMweb service"):
            fetch_dicomweb(url, tmp_path / "films")
    with pytest.raises(InvalidParameterError, match="'Kind' is not allowed: give a keyword of DICOM"):
        fetch_dicomweb("http://127.0.0.1:9/x", tmp_path / "films", filters={"Kind": "DX"})
    with pytest.raises(DataError, match="it cannot be reached"):
        fetch_dicomweb(f"http://127.0.0.1:{free_port()}/x", tmp_path / "films")
