"""Alembic's entry: runs the steps on the connection that the store hands over, in its transaction."""

from alembic import context

from services.notification.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="notification_version",  # the database may be shared with another service's tables
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
