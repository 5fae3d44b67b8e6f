"""An emulated serial line card: the card's side of docs/serial-line-card.md, fed by simulated lines."""
