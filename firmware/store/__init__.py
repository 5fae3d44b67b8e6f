"""The two store files: connection, migrations, event log."""
