import pytest

from relance.kernel.errors import InputError
from relance.kernel.settings import read
from services.session.settings import Settings


def settings(**fields: str) -> Settings:
    return read(Settings, "RELANCE_SESSION", {f"RELANCE_SESSION_{name}": value for name, value in fields.items()})


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
