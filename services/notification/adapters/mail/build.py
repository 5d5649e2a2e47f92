"""Compiles `sources/*.mjml` to `compiled/*.html`: `python -m services.notification.adapters.mail.build write|check`.

What is compiled is committed, so that no compiler is needed where messages are sent.
"""

import sys
from pathlib import Path
from typing import Final

__all__ = ["COMPILED", "compiled", "differences", "write"]

_HERE: Final = Path(__file__).parent
COMPILED: Final = _HERE / "compiled"


def compiled() -> dict[str, str]:
    """Name of each template and the HTML that its source compiles to. Raises ValueError for a source that is wrong."""
    import mrml  # noqa: PLC0415 - a library of the build alone

    made: dict[str, str] = {}
    for source in sorted((_HERE / "sources").glob("*.mjml")):
        output = mrml.to_html(source.read_text(encoding="utf-8"))
        if output.warnings:
            raise ValueError(f"{source.name}: {'; '.join(str(each) for each in output.warnings)}")
        html = output.content.replace('lang="und"', 'lang="{{ language }}"').replace('dir="auto"', 'dir="ltr"')
        made[source.stem] = html.strip() + "\n"
    return made


def differences() -> list[str]:
    """The templates whose committed HTML is not what their source compiles to."""
    wanted = compiled()
    there = {path.stem: path.read_text(encoding="utf-8") for path in COMPILED.glob("*.html")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write() -> list[str]:
    """Bring the committed HTML up to date; the names that changed."""
    changed = differences()
    for name in changed:
        path = COMPILED / f"{name}.html"
        if (html := compiled().get(name)) is None:
            path.unlink()
        else:
            path.write_text(html, encoding="utf-8")
    return changed


def main(arguments: list[str]) -> int:
    """`write` or `check`; exit code 1 when `check` finds a difference, 2 for another word."""
    if arguments not in (["write"], ["check"]):
        sys.stderr.write("usage: python -m services.notification.adapters.mail.build write|check\n")
        return 2
    found = write() if arguments == ["write"] else differences()
    for name in found:
        sys.stdout.write(f"{name}\n")
    return 1 if found and arguments == ["check"] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
