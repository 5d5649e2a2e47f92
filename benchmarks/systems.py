"""The systems that are compared: how each is built, started, and told when it has consumed what."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.answers import Rows, rows_of_rival
from benchmarks.cluster import Cluster
from benchmarks.workload import GAP_MS, GRACE_MS

__all__ = ["RIVALS", "ROOT", "Place", "Start", "System", "build"]

ROOT: Final = Path(__file__).resolve().parents[1]
_RIVALS: Final = ROOT / "benchmarks" / "rivals"
_BUILD: Final = ROOT / "build" / "rivals"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one run reads and writes."""

    kafka: str
    input: str
    output: str
    group: str
    state: str

    def words(self) -> dict[str, str]:
        """The names that the rivals' jobs know, as text."""
        return {
            "kafka": self.kafka, "input": self.input, "output": self.output, "group": self.group, "state": self.state,
            "gap": f"{GAP_MS / 1000:g}", "grace": f"{GRACE_MS / 1000:g}",
        }  # fmt: skip


class Start(msgspec.Struct, frozen=True):
    """One process to start."""

    name: str
    command: tuple[str, ...]
    environ: dict[str, str] = {}


def _make_output(cluster: Cluster, place: Place) -> None:
    cluster.make(place.output, config={"message.timestamp.type": "LogAppendTime"})


class System(msgspec.Struct, frozen=True, kw_only=True):
    """One contestant. `prepare` makes its output topics, fresh.

    `wait_ms` passes by design between its last event and its last result, whatever its speed. `nudged`: it looks at
    what is due only when a record comes and a second has passed, so the last results need a record after the last one.
    """

    name: str
    title: str
    starts: Callable[[Place], Sequence[Start]]
    prepare: Callable[[Cluster, Place], None] = _make_output
    outputs: Callable[[Place], Iterable[str]] = lambda place: (place.output,)
    groups: Callable[[Place], str] = lambda place: place.group
    rows: Rows = rows_of_rival
    wait_ms: int = 0
    nudged: bool = False


def _java(
    job: str, memory: str, opens: Sequence[str], *arguments: str, **extra: str
) -> Callable[[Place], Sequence[Start]]:
    def starts(place: Place) -> Sequence[Start]:
        words = {**place.words(), **extra}
        command = (
            "java", f"-Xms{memory}", f"-Xmx{memory}", "-XX:+UseParallelGC", "-XX:ParallelGCThreads=2",
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opens),
            *(f"-Dbench.{name}={value}" for name, value in words.items()),
            f"-Dlog4j2.configurationFile={_RIVALS / 'log4j2.properties'}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", f"{_BUILD / job / 'bench.jar'}:{_BUILD / job / 'jars'}/*", "relance.bench.SessionJob",
            *(str(_RIVALS / job / argument) for argument in arguments),
        )  # fmt: skip
        return (Start(job, command),)

    return starts


def _python(job: str, interpreter: Path, *arguments: str) -> Callable[[Place], Sequence[Start]]:
    def starts(place: Place) -> Sequence[Start]:
        environ = {f"BENCH_{name.upper()}": value for name, value in place.words().items()}
        return (Start(job, (str(interpreter), str(_RIVALS / job / "session_job.py"), *arguments), environ),)

    return starts


RIVALS: Final = (
    System(
        name="flink",
        title="Flink SQL 2.0.0",
        starts=_java("flink", "2g", ("java.lang", "java.util", "java.time", "java.nio"), "flink.conf", "sessions.sql"),
    ),
    System(
        name="kafka_streams",
        title="Kafka Streams 4.1.1, re-keyed",
        starts=_java("kafka_streams", "1g", (), "streams.properties", rekey="true"),
        nudged=True,
    ),
    System(
        name="kafka_streams_keyed",
        title="Kafka Streams 4.1.1, key as given",
        starts=_java("kafka_streams", "1g", (), "streams.properties", rekey="false"),
        nudged=True,
    ),
    System(name="quix", title="Quix Streams 3.28.1", starts=_python("quix", _BUILD / "quix" / "bin" / "python")),
    System(
        name="faust",
        title="Faust 0.15.3, table and timer",
        starts=_python("faust", Path(sys.executable), "--loop", "uvloop", "worker", "-l", "warn", "--without-web"),
    ),
)


def build(names: Iterable[str]) -> None:
    """Build what is not built yet: Java jobs with Maven, the Quix environment with pip (under `build/rivals`), kernels.

    Raises RuntimeError with the end of the build's output when it fails.
    """
    wanted = {name.removesuffix("_keyed") for name in names}
    for job in sorted(wanted & {"flink", "kafka_streams"}):
        if _stale(_BUILD / job / "bench.jar", (_RIVALS / job).rglob("*")):
            _command(
                f"{job}: Maven",
                ["mvn", "-q", "-f", str(_RIVALS / job / "pom.xml"), f"-Dbench.build={_BUILD / job}", "package"],
            )
    for warming in sorted((ROOT / "services").glob("*/domain/warming.py")):  # once for each state of the sources
        service = warming.parts[-3]
        warm = f"from services.{service}.domain.warming import warm; warm()"
        _command(f"kernels of {service}", [sys.executable, "-c", warm])
    if "quix" in wanted and _stale(_BUILD / "quix" / "ready", [_RIVALS / "quix" / "requirements.txt"]):
        shutil.rmtree(_BUILD / "quix", ignore_errors=True)
        _command("quix: venv", [sys.executable, "-m", "venv", str(_BUILD / "quix")])
        pip = [str(_BUILD / "quix" / "bin" / "python"), "-m", "pip", "install", "-q"]
        _command("quix: pip", [*pip, "-r", str(_RIVALS / "quix" / "requirements.txt")])
        (_BUILD / "quix" / "ready").touch()


def _stale(made: Path, sources: Iterable[Path]) -> bool:
    return not made.exists() or any(
        source.stat().st_mtime > made.stat().st_mtime for source in sources if source.is_file()
    )


def _command(what: str, command: Sequence[str], environ: Mapping[str, str] = os.environ) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environ), cwd=ROOT)
    if done.returncode:
        message = f"{what} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-2000:]}"
        raise RuntimeError(message)
