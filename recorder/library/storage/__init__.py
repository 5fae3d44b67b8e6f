"""What stays and what goes: retention, quota, holds, deletion, conversion (docs/storage.md)."""
