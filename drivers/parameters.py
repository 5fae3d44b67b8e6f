"""Channel parameters that a line card measures by; cards take those that they know (``drivers.api.AdjustableCard``)."""

from __future__ import annotations

from firmware.parameters import Parameter

PARAMETERS = (
    Parameter(
        "off_hook_v", "channel", float, 20.0, "Off-hook threshold", "摘机门限",
        "A line below this voltage is in use.", "线路电压低于此值为摘机。", "V", 5.0, 40.0,
    ),
    Parameter(
        "line_lost_v", "channel", float, 3.0, "Line-lost threshold", "断线门限",
        "A line below this voltage is cut.", "线路电压低于此值为断线。", "V", 0.5, 10.0,
    ),
    Parameter(
        "ring_vrms", "channel", float, 35.0, "Ring threshold", "振铃门限",
        "A ring voltage of this and more is ringing.", "铃流电压达到此值为振铃。", "V", 10.0, 90.0,
    ),
    Parameter(
        "ring_min_ms", "channel", int, 100, "Shortest ring", "最短振铃",
        "Ringing that is shorter does not count.", "短于此值的铃流不计。", "ms", 20, 200,
    ),
    Parameter(
        "hook_debounce_ms", "channel", int, 100, "Hook debounce", "摘挂机去抖",
        "How long the hook must have changed. For telephones that dial with pulses: 30.",
        "摘挂机状态持续多久才算变化。脉冲拨号话机用 30。", "ms", 20, 200,
    ),
    Parameter(
        "gain_db", "channel", float, 0.0, "Gain", "增益",
        "Added to what the card hears.", "对线路声音的放大。", "dB", -20.0, 20.0,
    ),
)  # fmt: skip
