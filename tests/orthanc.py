"""A real DICOM server for tests: Orthanc with its DICOMweb plugin, on this machine alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.browser.server import free_port

NAME, USER, PASSWORD = "archive", "lab", "a secret of the tests"
_PLUGINS = [
    Path(folder) / "libOrthancDicomWeb.so"
    for folder in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins")
]
_START_SECONDS = 60


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes:
        url: Its address, without a slash at the end.
        environment: Variables that put it on the allow-list, with its login.
    """

    url: str
    environment: dict[str, str]

    def get(self, path: str) -> requests.Response:
        """Ask its own interface, which is not DICOMweb."""
        answer = requests.get(f"{self.url}{path}", auth=(USER, PASSWORD), timeout=60)
        answer.raise_for_status()
        return answer

    def put(self, file: Path) -> None:
        """Store a file by its own interface."""
        requests.post(
            f"{self.url}/instances", file.read_bytes(), auth=(USER, PASSWORD), timeout=60
        ).raise_for_status()

    def objects(self, study_uid: str) -> list[tuple[str, bytes]]:
        """Modality and file of every object of a study."""
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}}
        answer = requests.post(
            f"{self.url}/tools/find", json=query, auth=(USER, PASSWORD), timeout=60
        )
        return [
            (
                self.get(f"/instances/{one}/simplified-tags").json()["Modality"],
                self.get(f"/instances/{one}/file").content,
            )
            for one in answer.json()
        ]


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory) -> Iterator[Orthanc]:
    """An empty Orthanc with a login, ended after the tests."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    plugin = next((file for file in _PLUGINS if file.is_file()), None)
    if program is None or plugin is None:
        pytest.skip("Orthanc or its DICOMweb plugin is not installed (orthanc, orthanc-dicomweb)")
    place = tmp_path_factory.mktemp("orthanc")
    port = free_port()
    config = {
        "StorageDirectory": str(place / "storage"),
        "IndexDirectory": str(place / "storage"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (place / "orthanc.json").write_text(json.dumps(config))
    secrets = place / "secrets.toml"
    secrets.write_text(f'[dicomweb.{NAME}]\nuser = "{USER}"\npassword = "{PASSWORD}"\n')
    url, log = f"http://127.0.0.1:{port}", place / "log"
    environment = {
        "DICOMWEB_SERVERS": f"{NAME}={url}/dicom-web",
        "DICOMWEB_SECRETS": str(secrets),
    }
    with log.open("w") as stream:
        process = subprocess.Popen(
            [program, str(place / "orthanc.json")], stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, url, log)
        yield Orthanc(url, environment)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
