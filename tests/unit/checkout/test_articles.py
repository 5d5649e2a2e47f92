import ast
from pathlib import Path

from relance.rules.law.book import default_book
from tests.unit.checkout.story import DAY

DOMAIN = Path(__file__).parents[3] / "services" / "checkout" / "domain"


def test_every_refusal_cites_the_article_of_its_rule() -> None:
    """Rule and article stand side by side in a refusal; the book says which belong together.

    It is the rule's first article, or that of one of its numbers. An article of what is no row of the book, as the law
    of personal data, stands alone.
    """
    rules = default_book().on(DAY)
    cited = 0
    for path in sorted(DOMAIN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refusal" and len(node.args) == 4:
                rule, article = node.args[2:]
                if isinstance(rule, ast.Constant) and rule.value and isinstance(article, ast.Constant):
                    known = rules[str(rule.value)]
                    assert article.value in {known.article, *known.parameter_articles.values()}, f"{path}:{node.lineno}"
                    cited += 1
    assert cited > 15
