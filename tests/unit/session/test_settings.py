import pytest

from relance.kernel.errors import InputError
from relance.kernel.settings import read
from services.session.settings import Settings


def settings(**fields: str) -> Settings:
    given = {"HASH_KEY": "0123456789abcdef"} | fields
    return read(Settings, "RELANCE_SESSION", {f"RELANCE_SESSION_{name}": value for name, value in given.items()})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "*", ""])  # noqa: S104 - what must be refused
def test_an_address_that_nobody_can_reach_is_not_advertised(host: str) -> None:
    with pytest.raises(InputError, match="set RELANCE_SESSION_ADVERTISED to host:port"):
        settings(HOST=host)
    with pytest.raises(InputError, match="RELANCE_SESSION_ADVERTISED is"):
        settings(HOST=host, ADVERTISED=f"{host}:8082")
    assert settings(HOST=host, ADVERTISED="10.0.0.7:8082").advertised == "10.0.0.7:8082"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "session-0.session", "10.0.0.7"])
def test_a_real_address_needs_no_other(host: str) -> None:
    assert settings(HOST=host).host == host


def test_the_default_is_the_loopback() -> None:
    assert settings().host == "127.0.0.1"


@pytest.mark.parametrize(("key", "fault"), [("", "not set"), ("15-letters-long", "too short")])
def test_without_a_hash_key_nothing_starts_and_the_error_says_how_to_make_one(key: str, fault: str) -> None:
    with pytest.raises(InputError, match=f"RELANCE_SESSION_HASH_KEY is {fault}.*openssl rand -hex 32") as caught:
        settings(HASH_KEY=key)
    assert "\n" not in str(caught.value)
    assert key not in str(caught.value) or not key


@pytest.mark.parametrize("key", ["x" * 65, "with a space inside"])
def test_a_hash_key_that_hashing_cannot_take_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(InputError, match="RELANCE_SESSION_HASH_KEY: ") as caught:
        settings(HASH_KEY=key)
    assert key not in str(caught.value)


def test_what_openssl_makes_is_taken() -> None:
    assert settings(HASH_KEY="0f" * 32).hash_key == "0f" * 32
