"""What the services are started with: a hash key that outlives restarts, and that nobody else reads."""

import stat
from pathlib import Path

from relance.cli.stack import Stack
from relance.custody.secret_files import kept_secret

KEY = "RELANCE_SESSION_HASH_KEY"


def key_of(stack: Stack) -> str:
    return stack.environ[KEY]


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret"
    made = kept_secret(path)
    assert len(bytes.fromhex(made)) == 32
    assert kept_secret(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert kept_secret(tmp_path / "another") != made


def test_a_restart_gives_session_the_key_that_its_state_was_saved_with(tmp_path: Path) -> None:
    first = Stack(tmp_path, "127.0.0.1:9", {KEY: ""})
    assert len(key_of(first)) == 64
    assert key_of(Stack(tmp_path, "127.0.0.1:9", {})) == key_of(first)


def test_a_key_of_the_environment_is_taken_and_none_is_kept(tmp_path: Path) -> None:
    assert key_of(Stack(tmp_path, "127.0.0.1:9", {KEY: "given by the owner"})) == "given by the owner"
    assert not (tmp_path / "session-hash-key").exists()
