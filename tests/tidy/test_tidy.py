"""Style as a test: what no linter knows about this repository."""

import ast
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = "relance/rpc/"
LOCKS = {"requirements.txt", "requirements-dev.txt"}
CODE = {".py", ".js", ".mjs", ".sh", ".proto", ".yaml", ".yml", ".toml", ".cfg", ".xml", ".properties"}

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
FILE_BYTES_MAX = 200_000

DRAWERS = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "lib",
    "base",
    "manager",
    "impl",
    "handler",
    "handlers",
}
VAGUE_PARTS = {"util", "utils", "helper", "helpers", "misc", "impl", "mgr"}
VAGUE_CLASSES = ("Manager", "Helper", "Helpers", "Impl", "Utils", "Util")
VAGUE_PREFIXES = ("do_", "my_")
HTTP_METHODS = {"do_GET", "do_HEAD", "do_POST", "do_PUT", "do_OPTIONS"}  # the names http.server wants

PURE = ("relance/kernel/", "relance/events/", "relance/evidence/", "relance/rules/")
CLOCKS = {"now", "utcnow", "today", "uuid1", "uuid4", "perf_counter", "monotonic"}

# In pieces, so that this file passes its own test.
REGISTRIES = (
    *("py" + "pi.org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com"),
    *("repo" + ".maven.apache", "repo1" + ".maven.org", "proxy.golang" + ".org"),
    *("deb.debian" + ".org", "docker" + ".io", "ghcr" + ".io"),
)
MACHINE_PATH = re.compile(r"(?<![\w./<}-])/(?:work|tmp|root|home/\w+|Users/\w+)/\w")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b(?!\(#\d+\))")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def _files() -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return sorted({name for name in listing if (ROOT / name).is_file()})


FILES = _files()
OURS = [name for name in FILES if not name.startswith(GENERATED)]
PYTHON = [name for name in OURS if name.endswith(".py")]
PAGES = [name for name in FILES if name.endswith(".md")]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def _tree(name: str) -> ast.Module:
    return ast.parse(_text(name), name)


def _lines_matching(pattern: re.Pattern[str], name: str) -> Iterator[str]:
    for number, line in enumerate(_text(name).splitlines(), start=1):
        if pattern.search(line):
            yield f"{name}:{number}: {line.strip()[:100]}"


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _is_pure(name: str) -> bool:
    return name.startswith(PURE) or re.match(r"services/\w+/domain/", name) is not None


def test_no_file_is_longer_than_400_lines() -> None:
    sources = [name for name in OURS if Path(name).suffix in {".py", ".js", ".mjs", ".sh"} or name.startswith(".ci/")]
    long = {name: lines for name in sources if (lines := _text(name).count("\n")) > FILE_LINES_MAX}
    assert not long


def test_no_function_is_longer_than_50_lines() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {_length(node)} lines"
        for name in PYTHON
        for node in ast.walk(_tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > FUNCTION_LINES_MAX
    ]
    assert not long


def test_no_module_is_a_drawer() -> None:
    assert not [name for name in PYTHON if DRAWERS & {Path(name).stem, *Path(name).parent.parts}]


def test_names_say_what_they_name() -> None:
    vague = []
    for name in PYTHON:
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.ClassDef):
                bad = node.name.endswith(VAGUE_CLASSES)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                parts = set(node.name.lower().split("_"))
                bad = bool(parts & VAGUE_PARTS) or (
                    node.name.startswith(VAGUE_PREFIXES) and node.name not in HTTP_METHODS
                )
            else:
                continue
            if bad:
                vague.append(f"{name}:{node.lineno} {node.name}")
    assert not vague


def test_every_service_says_what_it_hears_keeps_says_and_promises() -> None:
    services = sorted(path.parent for path in (ROOT / "services").glob("*/__init__.py"))
    wrong = []
    for service in services:
        tree = ast.parse((service / "__init__.py").read_text(encoding="utf-8"))
        words = set(re.findall(r"\w+", (ast.get_docstring(tree) or "").lower()))
        if not {"hears", "keeps", "says", "promises"} <= words or len(tree.body) > 1:
            wrong.append(service.name)
    assert not wrong, "a docstring with hears, keeps, says, promises, and nothing else"


def test_pure_code_reads_no_clock_and_no_file() -> None:
    calls = [
        f"{name}:{node.lineno} {ast.unparse(node.func)}"
        for name in PYTHON
        if _is_pure(name)
        for node in ast.walk(_tree(name))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS | {"read_text", "read_bytes"})
            or (isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input", *CLOCKS})
        )
    ]
    assert not calls


def _imports(name: str) -> Iterator[str]:
    package = Path(name).parent.parts
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_every_module_is_imported_by_another() -> None:
    imported = {name: set(_imports(name)) for name in PYTHON}
    modules = {
        name: name.removesuffix(".py").replace("/", ".")
        for name in PYTHON
        if name.startswith(("services/", "relance/")) and Path(name).stem not in {"__init__", "__main__"}
    }
    assert not [
        name
        for name, module in modules.items()
        if '__name__ == "__main__"' not in _text(name)
        and "/migrations/" not in name  # Alembic runs these by their path
        and not any(module in targets for other, targets in imported.items() if other != name)
    ]


def test_nothing_is_left_unfinished_without_an_issue() -> None:
    sources = [name for name in OURS if Path(name).suffix in CODE or name == "Makefile" or name.startswith(".ci/")]
    assert not [line for name in sources for line in _lines_matching(UNFINISHED, name)]


def test_tests_are_skipped_only_for_want_of_shared() -> None:
    skips = []
    for name in PYTHON:
        if not name.startswith("tests/"):
            continue
        for node in ast.walk(_tree(name)):
            if not isinstance(node, ast.Attribute) or node.attr not in {"skip", "skipif", "importorskip", "skipTest"}:
                continue
            line = _text(name).splitlines()[node.lineno - 1]
            if "../shared" not in line:
                skips.append(f"{name}:{node.lineno}: {line.strip()}")
    assert not skips


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    broken = []
    for target in LINK.findall(re.sub(r"```.*?```", "", _text(page), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists():
            broken.append(target)
        elif anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            if anchor not in {_slug(heading) for heading in headings}:
                broken.append(target)
    assert not broken


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "## [Unreleased]" in _text("CHANGELOG.md")


def test_every_decision_record_says_context_decision_and_cost() -> None:
    records = [name for name in PAGES if name.startswith("docs/adr/")]
    assert records
    assert not [
        name
        for name in records
        if not re.fullmatch(r"docs/adr/\d{4}-[a-z0-9-]+\.md", name)
        or not all(f"## {part}" in _text(name) for part in ("Context", "Decision", "Cost"))
    ]


def test_no_file_is_larger_than_200_kb() -> None:
    large = {
        name: size for name in FILES if (size := (ROOT / name).stat().st_size) > FILE_BYTES_MAX and name not in LOCKS
    }
    assert not large


def test_no_file_names_a_package_registry() -> None:
    pattern = re.compile("|".join(re.escape(host) for host in REGISTRIES))
    assert not [line for name in FILES for line in _lines_matching(pattern, name)]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert not [line for name in FILES for line in _lines_matching(MACHINE_PATH, name)]


def test_every_locked_library_is_hashed() -> None:
    for name in LOCKS:
        entries = re.split(r"\n(?=\S)", _text(name).split("\n", 1)[1].strip())
        assert len(entries) > 30
        assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry or "==" not in entry]


def test_every_ignored_lint_has_its_reason() -> None:
    section = _text("pyproject.toml").split("[tool.ruff.lint]", 1)[1].split("[tool.ruff.lint.mccabe]", 1)[0]
    codes = [line for line in section.splitlines() if re.match(r'\s+"[A-Z]+\d*",', line)]
    assert codes
    assert not [line.strip() for line in codes if not re.search(r"# \S+", line)]


def test_every_make_target_is_in_the_help() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):(.*)$", _text("Makefile"), flags=re.MULTILINE)
    assert targets
    assert not [name for name, rest in targets if "## " not in rest]


def test_scripts_can_be_run() -> None:
    scripts = [name for name in OURS if _text(name).startswith("#!")]
    assert ".ci/run" in scripts
    assert not [name for name in scripts if not (ROOT / name).stat().st_mode & stat.S_IXUSR]
