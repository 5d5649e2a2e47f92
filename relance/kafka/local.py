"""A real Apache Kafka broker on this machine: one node, KRaft, started in seconds, several side by side if wished.

Below `home/kafka`: `data/` (the log), `log/server.log` (warnings), `server.properties` (as started), `broker.json`
(process and address). The port is kept over restarts, so that clients find the broker again.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import msgspec
import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from relance.kafka import jars
from relance.kernel.errors import InputError, NotNow

__all__ = ["Broker", "log_file", "start", "status", "stop"]

_HEAP_MB = 512
_START_TIMEOUT_S = 60.0
_LOOPBACK = "127.0.0.1"


class Broker(msgspec.Struct, frozen=True):
    """A running broker. `created_s` is the process's start time: it tells a reused pid."""

    bootstrap: str
    pid: int
    controller_port: int
    created_s: float


def start(
    home: Path,
    *,
    port: int | None = None,
    heap_mb: int = _HEAP_MB,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = _START_TIMEOUT_S,
) -> Broker:
    """Start the broker of `home`, or return it when it runs already.

    Ready on return: it answers metadata requests. Raises InputError (port taken, no Java), NotNow (not up in time).
    """
    base = _base(home)
    runtime = jars.resolve(home, os.environ if environ is None else environ)
    _make_archive(runtime)
    with jars.locked(base / "lock"):
        deadline = time.monotonic() + timeout_s
        running = status(home)
        if running is not None:
            if port is not None and running.bootstrap != f"{_LOOPBACK}:{port}":
                message = f"the broker of {home} already runs on {running.bootstrap}"
                raise InputError(message)
            if _await_ready(running, base, deadline):  # else it was about to end
                return running
        return _launch(base, runtime, port, heap_mb, deadline)


def stop(home: Path, *, timeout_s: float = 20.0) -> bool:
    """End the broker of `home` in order; False when none ran. After `timeout_s` it is killed."""
    base = _base(home)
    if not base.is_dir():
        return False
    with jars.locked(base / "lock"):
        running = status(home)
        if running is None:
            return False
        _end(running.pid, timeout_s)
        return True


def status(home: Path) -> Broker | None:
    """The broker of `home` if its process lives (it may be stopped or busy), else None."""
    try:
        broker = msgspec.json.decode((_base(home) / "broker.json").read_bytes(), type=Broker)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return broker if _lives(broker) else None


def log_file(home: Path) -> Path:
    """Where the broker of `home` writes its warnings."""
    return _base(home) / "log" / "server.log"


def _base(home: Path) -> Path:
    return home.absolute() / "kafka"


def _lives(broker: Broker) -> bool:
    try:
        process = psutil.Process(broker.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            with contextlib.suppress(ChildProcessError):  # a child of this process wants to be reaped
                os.waitpid(broker.pid, os.WNOHANG)
            return False
        return abs(process.create_time() - broker.created_s) < 1.0
    except psutil.NoSuchProcess:
        return False


def _launch(base: Path, runtime: jars.Runtime, port: int | None, heap_mb: int, deadline: float) -> Broker:
    taken_port, controller_port = _ports(base, port)
    properties = _write_properties(base, taken_port, controller_port)
    if not (base / "data" / "meta.properties").is_file():
        _format(base, runtime, properties)
    pid = _spawn(base, runtime, properties, heap_mb)
    created_s = psutil.Process(pid).create_time()
    broker = Broker(f"{_LOOPBACK}:{taken_port}", pid, controller_port, created_s)
    part = base / "broker.json.part"
    part.write_bytes(msgspec.json.encode(broker))
    part.replace(base / "broker.json")
    try:
        if _await_ready(broker, base, deadline):
            return broker
    except BaseException:
        _end(pid, 5.0)
        raise
    message = f"the broker ended while it started; see {base / 'log'}: {_last_words(base)}"
    raise NotNow(message)


def _ports(base: Path, port: int | None) -> tuple[int, int]:
    """The broker's and the controller's port: as asked, else as last time, else free ones."""
    try:
        last = msgspec.json.decode((base / "broker.json").read_bytes(), type=Broker)
    except (FileNotFoundError, msgspec.DecodeError):
        last = None
    if port is not None:
        if not _is_free(port):
            message = f"port {port} is taken; choose another with --port, or leave it out"
            raise InputError(message)
    elif last is not None and _becomes_free(int(last.bootstrap.rpartition(":")[2])):
        port = int(last.bootstrap.rpartition(":")[2])
    else:
        port = _free_port(set())
    if last is not None and last.controller_port != port and _becomes_free(last.controller_port):
        return port, last.controller_port
    return port, _free_port({port})


def _becomes_free(port: int) -> bool:
    """A killed process may hold its ports a moment longer than it is seen."""
    for _ in range(100):
        if _is_free(port):
            return True
        time.sleep(0.05)
    return False


def _free_port(taken: set[int]) -> int:
    """A free port below those that the system gives to outgoing connections: it stays free over a restart."""
    for _ in range(200):
        port = random.randint(20_000, 32_000)  # noqa: S311 - no secret
        if port not in taken and _is_free(port):
            return port
    message = "no free port between 20000 and 32000"
    raise NotNow(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
        return True


def _write_properties(base: Path, port: int, controller_port: int) -> Path:
    (base / "data").mkdir(parents=True, exist_ok=True)
    (base / "log").mkdir(exist_ok=True)
    listeners = f"PLAINTEXT://{_LOOPBACK}:{port},CONTROLLER://{_LOOPBACK}:{controller_port}"
    own = {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.quorum.bootstrap.servers": f"{_LOOPBACK}:{controller_port}",
        "log.dirs": str(base / "data"),
    }
    fixed = (jars.deploy_dir() / "server.properties").read_text()
    path = base / "server.properties"
    path.write_text(fixed + "\n" + "".join(f"{name}={value}\n" for name, value in own.items()))
    return path


def _java_options(runtime: jars.Runtime, log_dir: Path, heap_mb: int) -> list[str]:
    options = [
        runtime.java,
        f"-Xms{heap_mb}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:+ExplicitGCInvokesConcurrent",
        "-Djava.awt.headless=true",
        f"-Drelance.log.dir={log_dir}",
        f"-Dlog4j2.configurationFile={jars.deploy_dir() / 'log4j2.properties'}",
        "-cp",
        runtime.classpath,
    ]
    if runtime.archive.is_file():  # a JVM that cannot use it goes on without
        options.insert(1, f"-XX:SharedArchiveFile={runtime.archive}")
    return options


def _format(base: Path, runtime: jars.Runtime, properties: Path) -> None:
    # A cluster id that begins with "-" would read as an option: hence "=".
    cluster_id = "--cluster-id=" + _cluster_id()
    java = [*_java_options(runtime, base / "log", 64), "kafka.tools.StorageTool", "format", "--standalone"]
    java.insert(1, "-XX:TieredStopAtLevel=1")
    done = subprocess.run([*java, cluster_id, "--config", str(properties)], capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip
    if done.returncode != 0:
        shutil.rmtree(base / "data", ignore_errors=True)
        message = f"Kafka could not format {base / 'data'}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
        raise NotNow(message)


def _cluster_id() -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = uuid4().int << 4  # 16 bytes as base64url: 21 digits of 6 bits, and 2 bits with 4 of padding
    return "".join(alphabet[(number >> shift) & 63] for shift in range(126, -1, -6))


def _spawn(base: Path, runtime: jars.Runtime, properties: Path, heap_mb: int) -> int:
    """Start the JVM in a session of its own: neither ctrl-C nor the end of the starter reaches it."""
    command = [*_java_options(runtime, base / "log", heap_mb), "kafka.Kafka", str(properties)]
    out = base / "log" / "broker.out"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, dict(os.environ), file_actions=actions, setsid=True)


def _await_ready(broker: Broker, base: Path, deadline: float) -> bool:
    """Wait until the broker tells metadata; False when its process ends instead, NotNow when time runs out."""
    host, _, port = broker.bootstrap.rpartition(":")
    admin: AdminClient | None = None
    while _lives(broker):
        if time.monotonic() > deadline:
            message = f"the broker on {broker.bootstrap} did not answer in time; see {base / 'log'}"
            raise NotNow(message)
        if admin is None:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
                admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        else:
            with contextlib.suppress(KafkaException):
                if admin.list_topics(timeout=1.0).brokers:
                    return True
        time.sleep(0.02)
    return False


def _last_words(base: Path) -> str:
    for name in ("broker.out", "server.log"):
        path = base / "log" / name
        lines = path.read_text(errors="replace").strip().splitlines() if path.is_file() else []
        words = [line for line in lines if "Exception" in line or "Error" in line or "ERROR" in line] or lines
        if words:
            return words[-1][:300]
    return "it said nothing"


def _end(pid: int, timeout_s: float) -> None:
    try:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)  # a stopped process hears SIGTERM only once it goes on
        if not _has_ended(process, timeout_s):
            process.kill()
            if not _has_ended(process, 60.0):  # a machine out of breath takes its time to free half a gigabyte
                raise NotNow(f"the broker (process {pid}) does not end, not even by SIGKILL")
    except psutil.NoSuchProcess:
        return


def _has_ended(process: psutil.Process, timeout_s: float) -> bool:
    """Whether it ended in time; one that only waits for its parent to take note of that has."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            process.wait(0.05)
        except psutil.TimeoutExpired:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            if time.monotonic() > until:
                return False
        else:
            return True


def _make_archive(runtime: jars.Runtime) -> None:
    """Let a broker run once, in an empty directory, and keep its loaded classes: later starts take half the time."""
    failed = runtime.archive.with_suffix(".failed")
    if runtime.archive.is_file() or failed.is_file():
        return
    with jars.locked(runtime.archive.parent.parent / "jars.lock"):
        if runtime.archive.is_file() or failed.is_file():
            return
        base = runtime.archive.parent.parent / "archive-run"
        try:
            _record_archive(base, runtime)
        finally:
            shutil.rmtree(base, ignore_errors=True)
            if not runtime.archive.is_file():
                failed.touch()  # an unusual JVM: do without, and do not try at each start


def _record_archive(base: Path, runtime: jars.Runtime) -> None:
    part = runtime.archive.with_suffix(".part")
    port = _free_port(set())
    controller_port = _free_port({port})
    properties = _write_properties(base, port, controller_port)
    _format(base, runtime, properties)
    command = [*_java_options(runtime, base / "log", 256), "kafka.Kafka", str(properties)]
    command.insert(1, f"-XX:ArchiveClassesAtExit={part}")
    with (base / "log" / "broker.out").open("wb") as out, subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
    ) as process:  # fmt: skip
        broker = Broker(f"{_LOOPBACK}:{port}", process.pid, controller_port, psutil.Process(process.pid).create_time())
        try:
            with contextlib.suppress(NotNow):
                _await_ready(broker, base, time.monotonic() + _START_TIMEOUT_S)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
    if part.is_file():
        part.replace(runtime.archive)
