"""Databases for the tests of the checkout."""

from tests.integration.checkout.postgres import database_url, fresh_postgres, postgres

__all__ = ["database_url", "fresh_postgres", "postgres"]
