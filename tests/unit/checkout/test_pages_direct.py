"""Pages are found without the framework exactly where it would find them, and say what their catalogue says."""

from gettext import NullTranslations
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from jinja2 import DictLoader, StrictUndefined, UndefinedError
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from typing_extensions import override

from services.checkout.api.direct import Direct, endpoint_of
from services.checkout.api.pages.folding import FoldedEnvironment


def said(name: str) -> Any:
    async def endpoint(request: Request) -> Response:
        return PlainTextResponse(f"{name} {sorted(request.path_params.items())}")

    return endpoint_of(endpoint)


def client() -> httpx.AsyncClient:
    router = APIRouter()
    for path in ("/c/{id}", "/c/{id}/cart", "/c/{id}/{name}", "/c/new", "/static/{digest}/{name}"):
        router.add_route(path, said(path), methods=["GET"])
    router.add_route("/c/{id}/cart", said("act"), methods=["POST"])
    app = FastAPI()
    app.include_router(router)

    @app.get("/plain")
    async def plain() -> str:
        return "of the framework"

    transport = httpx.ASGITransport(app=Direct(app, router.routes))
    return httpx.AsyncClient(transport=transport, base_url="http://here")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/c/1", 200, "/c/{id} [('id', '1')]"),
        ("GET", "/c/1/cart", 200, "/c/{id}/cart [('id', '1')]"),
        ("POST", "/c/1/cart", 200, "act [('id', '1')]"),
        ("GET", "/c/a%20b/other", 200, "/c/{id}/{name} [('id', 'a b'), ('name', 'other')]"),
        ("GET", "/static/d/x.css", 200, "/static/{digest}/{name} [('digest', 'd'), ('name', 'x.css')]"),
        ("GET", "/c//cart", 404, None),
        ("GET", "/nowhere", 404, None),
        ("PUT", "/c/1/cart", 405, None),
        ("HEAD", "/c/1", 200, ""),
        ("GET", "/plain", 200, '"of the framework"'),
    ],
)
async def test_a_page_is_found_where_the_framework_finds_it(
    method: str, path: str, status: int, text: str | None
) -> None:
    async with client() as asking:
        answer = await asking.request(method, path)
    assert answer.status_code == status
    if text is not None:
        assert answer.text == text


class Catalogue(NullTranslations):
    """A language of three messages."""

    @override
    def gettext(self, message: str) -> str:
        """A message, or itself."""
        known = {"Hello %(name)s!": "Salut %(name)s & 100 %%", "Cart": "Panier <1>", "Plain 100 %%": "Rien 100 %%"}
        return known.get(message, message)


def painted(text: str, **values: Any) -> str:
    environment = FoldedEnvironment(
        loader=DictLoader({"page": text}), autoescape=True, undefined=StrictUndefined, extensions=["jinja2.ext.i18n"]
    )
    environment.catalogue = Catalogue()
    environment.install_gettext_translations(environment.catalogue, newstyle=True)  # type: ignore[attr-defined]
    return environment.get_template("page").render(values)


def test_messages_are_those_of_the_catalogue_and_what_fills_them_is_escaped() -> None:
    assert painted('{{ _("Hello %(name)s!", name=who) }}', who="<b>") == "Salut &lt;b&gt; & 100 %"
    assert painted('{{ _("Hello %(name)s!", name=who) }}', who=Markup("<b>")) == "Salut <b> & 100 %"
    assert painted('{{ _("Cart") }}|{{ _("Plain 100 %%") }}') == "Panier <1>|Rien 100 %"
    assert painted('{% macro m(label) %}[{{ label }}]{% endmacro %}{{ m(_("Cart")) }}') == "[Panier <1>]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", "a"), ("<&'\">", "&lt;&amp;&#39;&#34;&gt;"), (7, "7"), (None, "None"), (Markup("<i>"), "<i>"), ("", "")],
)
def test_values_are_shown_as_jinja_shows_them(value: object, shown: str) -> None:
    assert painted("{{ value }}", value=value) == shown
    assert painted("{% set kept %}{{ value }}{% endset %}{{ kept }}", value=value) == shown


def test_what_is_not_there_is_no_empty_place() -> None:
    with pytest.raises(UndefinedError):
        painted("{{ nothing }}")
