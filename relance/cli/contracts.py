"""Contracts: what is generated from code and protos, written or compared (`make contracts`, `make contracts-check`)."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from relance.events.schemas import asyncapi, event_schemas

__all__ = ["differences", "generate", "write"]

_VERSION: Final = "1.0.0"  # of the contracts, not of the code: a breaking change raises the first number
_PROTOS: Final = "protos"
_RPC: Final = "relance/rpc"
_OWNED: Final = ("schemas/events", "schemas/openapi", "schemas/asyncapi.json", _RPC)
_INIT: Final = '"""Generated from protos/ by `make contracts`; never edited."""\n'


def generate(root: Path) -> dict[str, bytes]:
    """Every generated file of the repository at `root`: path relative to it, and content."""
    files = {f"schemas/events/{name}.schema.json": _json(schema) for name, schema in event_schemas().items()}
    files["schemas/asyncapi.json"] = _json(asyncapi(_VERSION))
    return files | _openapi() | _stubs(root)


def differences(root: Path) -> list[str]:
    """Paths under the generated folders that are missing, differ, or are left over."""
    wanted = generate(root)
    differing = {path for path, content in wanted.items() if not _same(root / path, content)}
    return sorted(differing | (_present(root) - wanted.keys()))


def write(root: Path) -> list[str]:
    """Bring the generated files up to date; the paths that changed."""
    wanted = generate(root)
    changed = sorted({path for path, content in wanted.items() if not _same(root / path, content)})
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(wanted[path])
    leftover = sorted(_present(root) - wanted.keys())
    for path in leftover:
        (root / path).unlink()
    return changed + leftover


def _same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _present(root: Path) -> set[str]:
    found = [path for owned in _OWNED for path in (root / owned).rglob("*")]
    return {path.relative_to(root).as_posix() for path in found if path.is_file() and "__pycache__" not in path.parts}


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _openapi() -> dict[str, bytes]:
    """The document of each service that has an HTTP API."""
    from services.tracking.api import openapi as tracking

    return {"schemas/openapi/tracking.json": _json(tracking.document())}


def _stubs(root: Path) -> dict[str, bytes]:
    """Python for every proto, typed; a package for every folder. The proto packages are named after the Python path."""
    protos = sorted(path.relative_to(root / _PROTOS).as_posix() for path in (root / _PROTOS).rglob("*.proto"))
    plugins = [f"--plugin={Path(sys.executable).with_name(f'protoc-gen-{name}')}" for name in ("mypy", "mypy_grpc")]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root / _PROTOS}", *plugins, *outputs, *protos]
        subprocess.run(command, check=True)
        made = {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.py*")}
    packages = {
        parent.as_posix() for path in made for parent in Path(path).parents if parent.as_posix().startswith(_RPC)
    }
    return made | {f"{package}/__init__.py": _INIT.encode() for package in packages}


def main(arguments: list[str] | None = None) -> int:
    """`write` or `check`; exit code 1 when `check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m relance.cli.contracts", description=__doc__)
    parser.add_argument("action", choices=["write", "check"])
    action = parser.parse_args(arguments).action
    root = Path(__file__).parents[2]
    found = write(root) if action == "write" else differences(root)
    for path in found:
        print(path)
    if action == "check" and found:
        print("generated files differ from what code and protos say: run `make contracts`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
