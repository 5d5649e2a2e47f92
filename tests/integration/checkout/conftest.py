"""Databases for the tests of the checkout."""

from tests.integration.checkout.postgres import database_url, fresh_postgres, postgres
from tests.integration.checkout.service_kit import demo, other, service

__all__ = ["database_url", "demo", "fresh_postgres", "other", "postgres", "service"]
