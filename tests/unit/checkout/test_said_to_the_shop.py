"""What a program of the shop may tell for a consumer: as much as his own page takes, and an address that is one."""

import pytest

from services.checkout.api.caring import mailed_to, named, said
from services.checkout.api.pages.bounds import NAME_MAX, SAID_MAX, Form
from services.checkout.api.pages.forms import is_email as is_typed
from services.checkout.api.pages.ordered import reachable
from services.checkout.api.refusals import Refused
from services.checkout.domain.addresses import is_email


def test_a_program_may_say_as_much_as_the_page() -> None:
    page = Form([("reason", "a" * SAID_MAX), ("name", "b" * NAME_MAX)])
    assert said(page.text("reason"), "words") == "a" * SAID_MAX
    assert named(page.text("name")) == "b" * NAME_MAX
    with pytest.raises(Refused):
        said("a" * (SAID_MAX + 1), "words")
    with pytest.raises(Refused):
        named("b" * (NAME_MAX + 1))


@pytest.mark.parametrize("text", ["jean@x.fr", "o'neil+lamp@mail.example.org", "jean@xn--bcher-kva.example"])
def test_an_address_is_one_wherever_it_is_given(text: str) -> None:
    assert mailed_to(f" {text} ", "acknowledge_to") == text
    assert (is_email(text), is_typed(text), reachable(text)) == (True, True, True)


@pytest.mark.parametrize(
    "text",
    [
        "Jean Dupont <jean@x.fr>", "<jean@x.fr>", "jean@x.fr, ada@x.fr", "06 12 34 56 78", "jean@", "@x.fr",
        "12 rue des Lilas @ Nantes", "a@b@c.fr", f"jean@{'x' * 250}.fr", "jean@x.fr\nBcc: ada@x.fr",
    ],
)  # fmt: skip
def test_what_letters_cannot_use_is_refused_and_said(text: str) -> None:
    with pytest.raises(Refused) as refused:
        mailed_to(text, "confirm_to")
    assert "electronic mail" in str(refused.value)
    assert (is_email(text), is_typed(text), reachable(text)) == (False, False, False)


def test_no_address_is_none() -> None:
    assert mailed_to("", "acknowledge_to") == mailed_to("  ", "acknowledge_to") == ""
