"""What bounds tries, and secrets of one machine: made once, whole, and for their owner alone."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relance.custody.secret_files import kept_secret
from relance.kernel.errors import InputError
from services.checkout.api.pages.bounds import network_of
from services.checkout.api.tokens import local_token
from services.checkout.settings import Settings


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
        ("x" * 5_000, "x" * 64),
    ],
)
def test_tries_are_counted_by_what_one_person_has(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("believed", ["*", "10.0.0.1, *"])
def test_not_everybody_is_believed_who_he_is(believed: str) -> None:
    with pytest.raises(InputError, match="TRUSTED_PROXIES"):
        Settings(trusted_proxies=believed)


@pytest.mark.parametrize(
    "make",
    [
        lambda home: local_token("", home, "notification"),
        lambda home: kept_secret(home / "checkout" / "notification.token"),
    ],
)
def test_of_many_who_begin_at_once_all_have_the_same_secret(tmp_path: Path, make: Callable[[Path], str]) -> None:
    for turn in range(20):
        home = tmp_path / str(turn)
        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(lambda _, home=home: make(home), range(8)))
        assert len(found) == 1
        assert len(found.pop()) >= 43
        (file,) = (home / "checkout").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_empty_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        kept_secret(tmp_path / "secret")
