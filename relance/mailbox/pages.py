"""The web side: what came, to be read in a browser. A letter's own HTML runs nothing and loads nothing."""

from http import HTTPStatus
from typing import Final

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from relance.mailbox.letters import Letter, Letters

__all__ = ["make_app"]

_STYLE: Final = """
body { margin: 0 auto; max-width: 62rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #1c2321; background: #faf8f4; }
a { color: #1d5c4d; } h1 { font-size: 1.4rem; } table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid #ddd8cc; vertical-align: top; overflow-wrap: anywhere; }
iframe { width: 100%; height: 60rem; border: 1px solid #ddd8cc; background: #fff; }
pre { white-space: pre-wrap; background: #fff; border: 1px solid #ddd8cc; padding: 1rem; }
"""  # noqa: E501 - a line of CSS is a rule
_BASE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}Mailbox{% endblock %}</title><style>{{ style | safe }}</style></head>
<body><main>{% block main %}{% endblock %}</main></body></html>
"""
_LIST: Final = """{% extends "base" %}{% block main %}<h1>Mailbox</h1>
{% if letters %}<table><thead><tr><th scope="col">Subject</th><th scope="col">To</th><th scope="col">Date</th></tr>
</thead><tbody>{% for letter in letters %}<tr><td><a href="/mail/{{ letter.id }}">
{{- letter.subject or "(no subject)" }}</a>
{%- if letter.parts %} +{{ letter.parts | length }}{% endif %}</td><td>{{ letter.to }}</td><td>{{ letter.at }}</td></tr>
{% endfor %}</tbody></table>{% else %}<p>Nothing has come yet.</p>{% endif %}{% endblock %}
"""
_LETTER: Final = """{% extends "base" %}{% block title %}{{ letter.subject }}{% endblock %}{% block main %}
<p><a href="/">Mailbox</a></p><h1>{{ letter.subject }}</h1>
<table><tbody><tr><th scope="row">From</th><td>{{ letter.sender }}</td></tr>
<tr><th scope="row">To</th><td>{{ letter.to }}</td></tr><tr><th scope="row">Date</th><td>{{ letter.at }}</td></tr>
{% for part in letter.parts %}<tr><th scope="row">Attached</th><td><a href="/mail/{{ letter.id }}/{{ loop.index0 }}">
{{- part.name }}</a>, {{ part.content | length }} bytes</td></tr>{% endfor %}</tbody></table>
{% if letter.html %}<h2>Letter</h2><iframe title="The letter" sandbox="" srcdoc="{{ letter.html }}"></iframe>{% endif %}
<details{% if not letter.html %} open{% endif %}><summary>As plain text</summary><pre>{{ letter.text }}</pre></details>
<details><summary>Headers</summary><table><tbody>{% for name, value in letter.headers %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</tbody></table></details>{% endblock %}
"""
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; frame-ancestors 'none'"
)
_SHOWN: Final = 200  # letters on the list, the newest


def make_app(letters: Letters) -> Starlette:
    """The application. `/api/mails` tells the list as JSON."""
    templates = Environment(loader=DictLoader({"base": _BASE, "list": _LIST, "letter": _LETTER}), autoescape=True)

    def page(name: str, **facts: object) -> HTMLResponse:
        html = templates.get_template(name).render(style=_STYLE, **facts)
        return HTMLResponse(html, headers={"content-security-policy": _POLICY, "x-content-type-options": "nosniff"})

    def newest() -> list[Letter]:
        return [letter for id_ in letters.ids()[:_SHOWN] if (letter := letters.read(id_)) is not None]

    def show_list(_request: Request) -> Response:
        return page("list", letters=newest())

    def show_letter(request: Request) -> Response:
        letter = letters.read(request.path_params["id"])
        return _missing() if letter is None else page("letter", letter=letter)

    def show_part(request: Request) -> Response:
        letter = letters.read(request.path_params["id"])
        number = request.path_params["number"]
        if letter is None or number >= len(letter.parts):
            return _missing()
        part = letter.parts[number]
        media_type = part.media_type if part.media_type == "application/pdf" else "application/octet-stream"
        return Response(part.content, media_type=media_type, headers={"x-content-type-options": "nosniff"})

    def tell_list(_request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "id": letter.id, "to": letter.to, "from": letter.sender, "subject": letter.subject,
                    "at": letter.at, "text": letter.text,
                    "attached": [{"name": one.name, "bytes": len(one.content)} for one in letter.parts],
                }
                for letter in newest()
            ]
        )  # fmt: skip

    return Starlette(
        routes=[
            Route("/", show_list),
            Route("/api/mails", tell_list),
            Route("/mail/{id}", show_letter),
            Route("/mail/{id}/{number:int}", show_part),
        ],
        # a name that another site lets point here reads nothing: codes and links lie here
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)],
    )


def _missing() -> Response:
    return HTMLResponse("<!doctype html><title>Not here</title><p>There is no such letter.", HTTPStatus.NOT_FOUND)
