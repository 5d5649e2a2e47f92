"""A real PostgreSQL for the tests: Debian's own, on a free port of the loopback, gone when the run ends.

One server serves all test processes of a run; each test asks for a database of its own.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from relance.kafka.jars import locked

__all__ = ["database_url", "fresh_postgres", "postgres"]

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
STEPS_S = 60.0


def _program(name: str) -> str:
    """Path of one of PostgreSQL's programs, of the newest version that is installed."""
    for place in PLACES:
        if (place / name).exists():
            return str(place / name)
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: apt-get install -y postgresql")
    return found


def _run(*command: str) -> None:
    """As the user postgres: the server does not run as root."""
    before = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*before, *command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=STEPS_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _start(home: Path) -> str:
    """Make a cluster under `home` and start it; the URL of its databases, without a name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(home / "data")
    _run(_program("initdb"), "-D", data, "-U", "relance", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": home, "fsync": "off",
        "max_connections": 300, "shared_buffers": "64MB",
    }  # fmt: skip
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    _run(_program("pg_ctl"), "-D", data, "-w", "-l", str(home / "log"), "-o", options, "start")
    return f"postgresql://relance@127.0.0.1:{port}"


def _home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="relance-postgres-"))  # not below pytest's own, which others may not enter
    if os.geteuid() == 0:
        shutil.chown(home, "postgres")
    return home


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server without the name of a database: that of RELANCE_TEST_POSTGRES, else one of this run."""
    if named := os.environ.get("RELANCE_TEST_POSTGRES"):
        yield named.rstrip("/")
        return
    is_shared = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if is_shared else base) / "shared-postgres"
    users = place / "users"
    users.mkdir(parents=True, exist_ok=True)
    user, told = users / f"{os.getpid()}-{uuid4().hex}", place / "server.json"  # two packages of tests ask for it
    with locked(place / "users.lock"):
        if not told.exists():
            home = _home()
            told.write_text(json.dumps({"home": str(home), "url": _start(home)}))
        user.touch()
        server = json.loads(told.read_text())
    try:
        yield server["url"]
    finally:
        with locked(place / "users.lock"):
            user.unlink()
            if not any(users.iterdir()):  # the last one to leave
                _run(_program("pg_ctl"), "-D", f"{server['home']}/data", "-w", "-m", "immediate", "stop")
                shutil.rmtree(server["home"], ignore_errors=True)
                told.unlink()


@pytest.fixture(scope="session")
def fresh_postgres(postgres: str) -> Callable[[], str]:
    """Makes a database that nobody has used; its URL."""

    def create() -> str:
        name = f"test_{uuid4().hex[:12]}"
        done = subprocess.run(
            [_program("psql"), "-q", "-c", f"CREATE DATABASE {name}", f"{postgres}/postgres"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=STEPS_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return f"{postgres}/{name}"

    return create


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has used: a test that asks for it runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'checkout.db'}"
    create: Callable[[], str] = request.getfixturevalue("fresh_postgres")
    return create()
