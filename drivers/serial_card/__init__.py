"""The Tapdeck serial line card: frames, messages and the driver (docs/serial-line-card.md)."""
