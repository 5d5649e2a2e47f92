"""The broker's jars and the Java that runs them: resolved by Maven once per checkout, then only found."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from relance.kernel.errors import InputError, NotNow

__all__ = ["Runtime", "deploy_dir", "locked", "resolve"]

LEAST_JAVA = 17
_MAVEN_TIMEOUT_S = 600
_APT_TIMEOUT_S = 900


class Runtime(msgspec.Struct, frozen=True):
    """What a broker is started with; `archive` is a class data sharing archive, there or not."""

    java: str
    classpath: str
    archive: Path


def deploy_dir() -> Path:
    """Where `pom.xml`, `server.properties`, `log4j2.properties` lie: in the checkout, or in the installed package."""
    checkout = Path(__file__).parents[2] / "deploy" / "local"
    installed = Path(__file__).parent / "deploy"
    for place in (checkout, installed):
        if (place / "pom.xml").is_file():
            return place
    message = f"pom.xml of the local broker is neither in {checkout} nor in {installed}"
    raise InputError(message)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file lock `path`; other processes wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def resolve(home: Path, environ: Mapping[str, str]) -> Runtime:
    """Java and the jars. All data directories of a checkout share its jars.

    Installs with apt-get what is missing when the user may; else raises InputError with the command to run.
    Raises NotNow when Maven fails (no network, say).
    """
    deploy = deploy_dir()
    base = deploy.parents[1] / ".relance" if deploy.name == "local" else home
    jars = Path(environ.get("RELANCE_KAFKA_JARS") or base / "kafka" / "jars").absolute()
    wanted = hashlib.sha256((deploy / "pom.xml").read_bytes()).hexdigest()
    marker = jars / ".resolved"
    if not _says(marker, wanted):
        with locked(jars.parent / "jars.lock"):
            if not _says(marker, wanted):
                _copy_jars(deploy / "pom.xml", jars, environ)
                marker.write_text(wanted)
    classpath = ":".join(str(jar) for jar in sorted(jars.glob("*.jar")))
    return Runtime(java=_java(environ), classpath=classpath, archive=jars / "kafka.jsa")


def _says(marker: Path, wanted: str) -> bool:
    return marker.is_file() and marker.read_text() == wanted


def _java(environ: Mapping[str, str]) -> str:
    """Path of a JRE >= 17; installs one when it may."""
    found = _find_java(environ)
    if found is None:
        _install(("openjdk-21-jre-headless", "openjdk-17-jre-headless"), f"a Java runtime >= {LEAST_JAVA}")
        found = _find_java(environ)
    if found is None:
        message = f"no Java runtime >= {LEAST_JAVA} on the PATH"
        raise InputError(message)
    return found


def _find_java(environ: Mapping[str, str]) -> str | None:
    home = environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates.append("java")
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is not None and _version(path) >= LEAST_JAVA:
            return path
    return None


def _version(java: str) -> int:
    """Major version. The file `release` beside the binary tells it without the 0.2 s that a JVM takes to say it."""
    release = Path(java).resolve().parents[1] / "release"
    text = release.read_text() if release.is_file() else ""
    match = re.search(r'JAVA_VERSION="(\d+)', text)
    if match is None:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
        match = re.search(r'version "(\d+)', told.stderr)
    return int(match.group(1)) if match else 0


def _copy_jars(pom: Path, jars: Path, environ: Mapping[str, str]) -> None:
    """Copy the dependencies of `pom` beside `jars` and put them there whole."""
    java = _java(environ)
    maven = shutil.which("mvn")
    if maven is None:
        _install(("maven",), "Maven")
        maven = shutil.which("mvn")
    if maven is None:
        message = "no mvn on the PATH"
        raise InputError(message)
    with tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
        command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={scratch}/jars"]  # fmt: skip
        env = {**os.environ, "JAVA_HOME": str(Path(java).resolve().parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MAVEN_TIMEOUT_S, env=env)
        if done.returncode != 0:
            lines = [line for line in done.stdout.splitlines() if "[ERROR]" in line] or done.stderr.splitlines()
            message = f"Maven could not fetch Kafka's jars: {lines[0] if lines else done.returncode}"
            raise NotNow(message)
        shutil.rmtree(jars, ignore_errors=True)
        Path(scratch, "jars").rename(jars)


def _install(packages: tuple[str, ...], what: str) -> None:
    """Install the first of `packages` that there is, or raise InputError with the command that would."""
    if not _is_debian() or shutil.which("apt-get") is None:
        command = _command_elsewhere(packages)
        message = f"{what} is missing: {command}"
        raise InputError(message)
    if os.geteuid() != 0:
        message = f"{what} is missing: sudo apt-get install -y {packages[-1]}"
        raise InputError(message)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    problem = ""
    for arguments in (["update"], *(["install", "-y", "--no-install-recommends", package] for package in packages)):
        done = subprocess.run(["apt-get", "-qq", *arguments], env=env, capture_output=True, text=True, check=False,
                              timeout=_APT_TIMEOUT_S)  # fmt: skip
        if done.returncode == 0 and arguments[0] == "install":
            return
        problem = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else problem
    message = f"{what} is missing and could not be installed: apt-get install -y {packages[-1]}: {problem}"
    raise NotNow(message)


def _command_elsewhere(packages: tuple[str, ...]) -> str:
    is_java = packages[-1] != "maven"
    if shutil.which("brew"):
        return "brew install " + ("openjdk@21" if is_java else "maven")
    if shutil.which("dnf"):
        return "sudo dnf install -y " + ("java-21-openjdk-headless" if is_java else "maven")
    if shutil.which("apk"):
        return "sudo apk add " + ("openjdk21-jre-headless" if is_java else "maven")
    if shutil.which("apt-get"):
        return f"sudo apt-get install -y {packages[-1]}"
    return "install " + (f"a JRE >= {LEAST_JAVA}, such as Temurin 21" if is_java else "Apache Maven >= 3.6")


def _is_debian() -> bool:
    release = Path("/etc/os-release")
    text = release.read_text() if release.is_file() else ""
    ids = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', text, flags=re.MULTILINE)
    return any(name in {"debian", "ubuntu"} for entry in ids for name in entry.split())
