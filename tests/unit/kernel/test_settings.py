"""What a service says of its settings."""

import subprocess
import sys

import pytest

from relance.kernel.errors import InputError
from relance.kernel.settings import explained
from services.session.settings import Settings


def test_without_arguments_a_service_starts() -> None:
    assert explained(Settings, "RELANCE_SESSION", []) is None


def test_help_names_each_variable_and_what_holds_without_it() -> None:
    text = explained(Settings, "RELANCE_SESSION", ["--help"])
    assert text is not None
    lines = {name: default for name, _, default in (line.strip().partition(" ") for line in text.splitlines())}
    assert lines["RELANCE_SESSION_GRPC_PORT"].strip() == "8082"
    assert lines["RELANCE_KAFKA"].strip() == "127.0.0.1:9092"


def test_an_argument_that_is_none_starts_nothing() -> None:
    with pytest.raises(InputError, match=r"'--port' is not known.*--help"):
        explained(Settings, "RELANCE_SESSION", ["--port", "9"])


@pytest.mark.parametrize("name", ["tracking", "session", "checkout", "notification"])
def test_each_service_has_help_and_ends(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"services.{name}", "--help"], capture_output=True, text=True, check=True
    )
    assert f"RELANCE_{name.upper()}_LOG_LEVEL" in done.stdout
    assert done.stderr == ""
