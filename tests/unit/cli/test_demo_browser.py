"""The demo's shopper reads forms as a browser does."""

from relance.cli.demo_checkout.browser import _Reader

PAGE = """<html><head><title>Votre
 panier</title></head><body><a href="/c/1/contact">Continuer</a>
<form method="get" action="/search" id="search"></form>
<form method="POST" action="/c/1/delivery">
<input type="hidden" name="csrf" value="t&amp;k"><input name="near" form="search" value="44">
<input type="radio" name="mode" value="home"><input type="radio" name="mode" value="relay" checked>
<input type="checkbox" name="terms" value="yes"><input name="name" value="Ada">
<select name="country"><option value="BE">B</option><option value="FR" selected>F</option></select>
<select name="day"><option value="1">1</option><option value="2">2</option></select>
<textarea name="words">Deux
mots</textarea><textarea name="more"></textarea>
<button>Go</button><button name="act" value="go">Go</button><button type="button" name="no">No</button>
</form></body></html>"""


def test_a_form_is_filled_as_its_page_says() -> None:
    reader = _Reader()
    reader.feed(PAGE)
    search, form = reader.forms()
    assert (search.method, search.names) == ("get", frozenset())
    assert (form.method, form.action) == ("post", "/c/1/delivery")
    assert form.filled == {
        "csrf": "t&k", "mode": "relay", "name": "Ada", "country": "FR", "day": "1", "words": "Deux\nmots", "more": "",
    }  # fmt: skip
    assert form.names == {"csrf", "mode", "terms", "name", "country", "day", "words", "more"}
    assert form.buttons == (("", ""), ("act", "go"))
    assert reader.links == ["/c/1/contact"]
    assert " ".join("".join(reader.title).split()) == "Votre panier"
