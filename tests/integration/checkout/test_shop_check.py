"""A shop's file is checked before it is put: all that is wrong with it, at once."""

from pathlib import Path

import yaml

from tests.integration.checkout.command_kit import Command, command

__all__ = ["command"]

EXAMPLE = Path(__file__).parents[3] / "examples" / "shop" / "shop.yaml"


def test_the_example_would_be_taken(command: Command) -> None:
    said = command("checkout", "shop", "check", str(EXAMPLE))
    assert (said.returncode, "would be taken" in said.stdout) == (0, True), said.stdout + said.stderr


def test_all_that_is_wrong_is_said_with_field_rule_and_article(command: Command, tmp_path: Path) -> None:
    shop = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    shop["button"] = dict.fromkeys(shop["button"], "Valider")
    shop["legal"]["terms_version"] = ""
    shop["texts"] = {}
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(shop), encoding="utf-8")
    said = command("checkout", "shop", "check", str(path))
    assert said.returncode == 1
    for part in ("button.fr", "(A04, L221-14", "(A09,", "(E26,", "problems: the shop would be refused"):
        assert part in said.stdout, said.stdout
    assert len(said.stdout.splitlines()) >= 4


def test_a_file_that_is_no_shop_is_one_clear_line(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("id: 7\n", encoding="utf-8")
    said = command("checkout", "shop", "check", str(path))
    assert (said.returncode, str(path) in said.stderr) == (2, True)
