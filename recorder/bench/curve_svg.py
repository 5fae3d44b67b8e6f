"""Draws the share of messages decoded right over the signal-to-noise ratio as an SVG picture."""

from __future__ import annotations

from typing import Any

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 20, 50
_LINES = (
    ("ours", "Tapdeck", "#0b6e4f", ""),
    ("minimodem", "minimodem", "#b5651d", "6 3"),
    ("spandsp", "spandsp", "#4056a1", "2 3"),
)


def curve_svg(curve: list[dict[str, Any]]) -> str:
    """The picture of ``curve`` as ``tapdeck bench signalling`` gives it, at least two points."""
    first, last = float(curve[0]["snr_db"]), float(curve[-1]["snr_db"])

    def x(snr_db: float) -> float:
        return round(_LEFT + (snr_db - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(share: float) -> float:
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="13" fill="#333">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for percent in range(0, 101, 20):
        height = y(percent / 100)
        parts.append(f'<path d="M{x(first)} {height}H{x(last)}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{height + 4}" text-anchor="end">{percent} %</text>')
    for snr_db in range(int(-(-first // 1)), int(last) + 1):
        parts.append(f'<path d="M{x(snr_db)} {y(0)}v5" stroke="#999"/>')
        parts.append(f'<text x="{x(snr_db)}" y="{y(0) + 20}" text-anchor="middle">{snr_db}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">'
        "signal to noise in 300–3400 Hz, dB</text>"
    )
    for row, (receiver, label, colour, dashes) in enumerate(_LINES):
        points = " ".join(f"{x(each['snr_db'])},{y(each[receiver])}" for each in curve)
        stroke = f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dashes}"'
        parts.append(f'<polyline points="{points}" fill="none" {stroke}/>')
        height = _HEIGHT - _BOTTOM - 70 + 20 * row
        parts.append(f'<path d="M{_WIDTH - _RIGHT - 130} {height}h30" {stroke}/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT - 92}" y="{height + 4}">{label}</text>')
    return "\n".join([*parts, "</svg>\n"])
