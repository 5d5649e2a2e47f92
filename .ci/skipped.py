"""Names the tests that pytest skipped, from JUnit reports in a folder; exit code 1 if there is any, or no report."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def skipped(report: Path) -> list[str]:
    """One line a skipped test: its name and the reason."""
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - written by our own pytest a moment ago
    return [
        f"{case.get('classname')}.{case.get('name')}: {mark.get('message')}"
        for case in cases
        for mark in case.findall("skipped")
        if mark.get("type") != "pytest.xfail"
    ]


def main(folder: str) -> int:
    """Exit code for the reports in `folder`."""
    reports = sorted(Path(folder).glob("*.xml"))
    lines = [line for report in reports for line in skipped(report)]
    for line in lines:
        print(f"skipped: {line}", file=sys.stderr)
    if not reports:
        print(f"no test report in {folder}", file=sys.stderr)
    return 1 if lines or not reports else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
