"""Run by `service.store.migrating`, which brings the connection and its transaction."""

from alembic import context

from service.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
