"""Calls of the checkout service from the command line: the token, the deadline, and refusals in one clear line."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from relance.kernel.errors import InputError, NotNow, RelanceError

__all__ = ["Caller", "entries", "environment_home", "operator_token", "read_yaml", "refusal"]

_DEADLINE_S: Final = 20.0
_BYTES_MAX: Final = 4_000_000
_UNREACHED: Final = re.compile(r"connect|DNS|resol", re.IGNORECASE)  # gRPC's own words: no service said them


class Caller:
    """A caller of the checkout over gRPC: address and token. Each call raises InputError or NotNow when it fails.

    As a context all its calls go over one channel.
    """

    def __init__(self, at: str, token: str) -> None:
        if not token:
            raise InputError("no token: set RELANCE_CHECKOUT_TOKEN (`relance checkout token create SHOP` makes one)")
        self._at = at
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._channel: Any = None

    def __enter__(self) -> Self:
        import grpc

        self._channel = grpc.insecure_channel(self._at)
        return self

    def __exit__(self, *error: object) -> None:
        self._channel.close()
        self._channel = None

    def call(self, method: str, request: Any, subject: str = "") -> Any:
        """CheckoutService's answer. `subject` stands before what is said of a refusal: the file that was read, say."""
        from relance.rpc.checkout.v1 import checkout_pb2_grpc

        return self._answer(checkout_pb2_grpc.CheckoutServiceStub, method, request, subject)

    def aftercare(self, method: str, request: Any) -> Any:
        """AftercareService's answer."""
        from relance.rpc.checkout.v1 import aftercare_pb2_grpc

        return self._answer(aftercare_pb2_grpc.AftercareServiceStub, method, request)

    def _answer(self, stub: Any, method: str, request: Any, subject: str = "") -> Any:
        import grpc

        if self._channel is None:
            with self:
                return self._answer(stub, method, request, subject)
        try:
            return getattr(stub(self._channel), method)(request, timeout=_DEADLINE_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise refusal(error, self._at, subject) from None


def refusal(error: Any, at: str, subject: str = "") -> RelanceError:
    """What a failed call tells a person: the field, the reason, the rule and the article, and what to do."""
    import grpc

    code, said = error.code(), error.details() or error.code().name
    if code == grpc.StatusCode.UNAVAILABLE and _UNREACHED.search(said):
        return NotNow(
            f"{at}: nobody answers there: start the checkout (`relance up`), or say where it is "
            "(--at HOST:PORT, or RELANCE_CHECKOUT_ADDRESS)"
        )
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        return NotNow(f"{at}: {said}")
    lead = f"{subject}: " if subject else ""
    if code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}:
        return NotNow(f"{lead}{said}")
    return InputError(f"{lead}{said}")


def operator_token(environ: Mapping[str, str], home: Path) -> str:
    """The operator's token: RELANCE_CHECKOUT_OPERATOR_TOKEN, else that of the service which runs in `home`."""
    given = environ.get("RELANCE_CHECKOUT_OPERATOR_TOKEN", "").strip()
    if given:
        return given
    path = home / "checkout" / "operator.token"
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"no operator's token: set RELANCE_CHECKOUT_OPERATOR_TOKEN, or start checkout here ({path} is not there)"
        ) from None


def read_yaml(path: Path) -> Any:
    """What a YAML (or JSON) file holds. Raises InputError with file, line and reason."""
    import yaml

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if len(data) > _BYTES_MAX:
        raise InputError(f"{path}: more than {_BYTES_MAX} bytes")
    try:
        return yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise InputError(f"{path}{line}: {getattr(error, 'problem', None) or error}") from None


def environment_home() -> Path:
    """Where this machine's data lies."""
    from relance.kafka.connection import home_dir

    return home_dir(os.environ)


def entries(path: Path, what: str) -> Iterator[Mapping[str, Any]]:
    """The entries of a file that holds a list. Raises InputError for anything else."""
    found = read_yaml(path)
    if not isinstance(found, list) or not found:
        raise InputError(f"{path}: a list of {what} is needed")
    for place, entry in enumerate(found, start=1):
        if not isinstance(entry, dict):
            raise InputError(f"{path}: entry {place} is no mapping")
        yield entry
