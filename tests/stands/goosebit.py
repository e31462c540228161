"""A real goosebit, which speaks hawkBit's DDI to boxes, and its API to whoever deploys to them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from benchmarks.ports import free_port
from edge.fleet.ddi_turn import turn_by_ddi
from edge.fleet.turn import Turned
from stands.depots import Box
from stands.places import ROOT
from stands.waiting import eventually

ENVIRONMENT = ROOT / ".venv-goosebit"
TOKEN = "0123456789abcdef0123456789abcdef"
_BOUNDARY, _STARTS_S = "a-boundary-that-no-file-holds", 600


class Goosebit:
    """Its database and files lie in `home`, so that it may be ended and begun again."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self._home, port = home, free_port()
        self.url, self._port = f"http://127.0.0.1:{port}", port
        self._access: str | None = None
        (migrations,) = ENVIRONMENT.glob("lib/*/site-packages/goosebit/db/migrations")
        (home / "pyproject.toml").write_text(
            '[tool.aerich]\ntortoise_orm = "goosebit.db.config.TORTOISE_CONF"\n'
            f'location = "{migrations}"\nsrc_folder = "."\n'
        )
        subprocess.run(
            [ENVIRONMENT / "bin" / "aerich", "upgrade"],
            cwd=home,
            env=self._environ(),
            check=True,
            capture_output=True,
        )

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "GOOSEBIT_DB_URI": f"sqlite://{self._home}/db.sqlite3",
            "GOOSEBIT_ARTIFACTS_DIR": str(self._home / "artifacts"),
            "GOOSEBIT_DEVICE_AUTH__ENABLE": "true",  # strict: by each box's own token
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [ENVIRONMENT / "bin" / "python", "-m", "uvicorn", "goosebit:app"]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        log = self._home / "log"

        def answers() -> bool:
            assert server.poll() is None, log.read_text()[-2000:]
            try:
                with urlopen(f"{self.url}/setup", timeout=10) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        with log.open("a") as out:
            server = subprocess.Popen(
                command, cwd=self._home, env=self._environ(), stdout=out, stderr=out
            )
            try:
                eventually(answers, _STARTS_S)
                person = urlencode({"username": "a@b.c", "password": "password"}).encode()
                way = "setup" if self._access is None else "login"
                self._access = json.loads(self._sent(way, "POST", person))["access_token"]
                yield
            finally:
                server.kill()
                server.wait()

    def knows(self, box: str) -> None:
        self._put("devices", "PUT", {"devices": [box], "auth_token": TOKEN})

    def uploaded(self, image: Path) -> int:
        """The number by which boxes are offered it."""
        head = (
            f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name=file; "
            f"filename={image.name}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + image.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        return int(json.loads(self._sent("api/v1/software", "PUT", body, kind))["id"])

    def deploy(self, box: str, image: Path) -> int:
        number = self.uploaded(image)
        self._put("devices", "PATCH", {"devices": [box], "software": str(number)})
        self.insist(box)  # it offers nothing to a box whose last deployment failed
        return number

    def insist(self, box: str) -> None:
        """Offer the box again what it has been told of."""
        self._put("devices", "PATCH", {"devices": [box], "force_update": True})

    def take_back(self, box: str) -> None:
        """Offer it nothing any more."""
        self._put("devices", "PATCH", {"devices": [box], "pinned": True})

    def state(self, box: str) -> str:
        (found,) = (each for each in self._got("devices")["devices"] if each["id"] == box)
        return str(found["last_state"])

    def told(self, box: str) -> str:
        """All that the box said of its latest deployment."""
        return str(self._got(f"devices/{box}/log")["log"])

    def _got(self, way: str) -> Any:
        return json.loads(self._sent(f"api/v1/{way}", "GET", None))

    def _put(self, way: str, method: str, said: Mapping[str, Any]) -> None:
        self._sent(f"api/v1/{way}", method, json.dumps(said).encode(), "application/json")

    def _sent(self, way: str, method: str, body: bytes | None, kind: str = "") -> bytes:
        headers = {"Content-Type": kind} if kind else {}
        if self._access is not None:
            headers["Authorization"] = f"Bearer {self._access}"
        asked = Request(f"{self.url}/{way}", body, headers, method=method)
        with urlopen(asked, timeout=60) as answer:
            content: bytes = answer.read()
        return content


class PlantBox(Box):
    """A box whose plant has such a server."""

    def __init__(self, home: Path, name: str, url: str, bundle: Path, token: str = TOKEN) -> None:
        self._begin(home, name, bundle, {"hawkbit": {"url": url, "token": token}})

    def turn(self) -> Turned:
        fleet = self.config.fleet
        assert fleet is not None
        return turn_by_ddi(self.path, fleet, 0, self.software)


def image_of(folder: Path, version: str, told: str | None = None, **files: bytes) -> Path:
    """An image for SWUpdate, by cpio; what its description says of the files, where not the truth.

    A name's last underscore stands for the dot.
    """
    folder.mkdir()
    held = {".".join(name.rsplit("_", 1)): content for name, content in files.items()}
    for name, content in held.items():
        (folder / name).write_bytes(content)
    images = "".join(
        f'{{ filename = "{name}"; sha256 = "{told or sha256(content).hexdigest()}"; }},'
        for name, content in held.items()
    ).rstrip(",")
    description = f'software =\n{{\n  version = "{version}";\n  files: ({images});\n}}\n'
    (folder / "sw-description").write_text(description)
    names = "".join(f"{name}\n" for name in ("sw-description", *held))
    image = folder / f"{version}.swu"
    command = ["cpio", "--quiet", "-o", "-H", "crc"]
    packed = subprocess.run(
        command, cwd=folder, input=names.encode(), capture_output=True, check=True
    )
    image.write_bytes(packed.stdout)
    return image
