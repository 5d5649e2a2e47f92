"""The command line: `relance --help`."""

__all__ = ["main"]


def main() -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    from relance.cli import program  # the package's modules can be imported without all commands

    return program.main()
