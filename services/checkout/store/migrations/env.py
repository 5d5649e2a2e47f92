"""Alembic's entry: runs the steps on the connection that the store hands over, in its transaction."""

from alembic import context

from services.checkout.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite has it too, once the transaction is begun by hand
)
with context.begin_transaction():
    context.run_migrations()
