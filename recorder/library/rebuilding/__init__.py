"""Store and disk made one again: rebuild, daily reconciliation (docs/recovery.md)."""
