"""Channel parameters that the recorder reads."""

from __future__ import annotations

from firmware.parameters import Parameter

PARAMETERS = (
    Parameter(
        "pre_roll_ms", "channel", int, 1000, "Pre-roll", "预录时长",
        "How much before off-hook belongs to the recording.", "录音从摘机前多久开始。", "ms", 0, 30_000,
    ),
    Parameter(
        "post_roll_ms", "channel", int, 300, "Post-roll", "延录时长",
        "How much after on-hook belongs to the recording.", "挂机后继续录多久。", "ms", 0, 10_000,
    ),
    Parameter(
        "shortest_recording_ms", "channel", int, 800, "Shortest recording kept", "最短录音",
        "Off-hook periods shorter than this leave a call record but no recording.",
        "摘机时间短于此值只留通话记录,不留录音。", "ms", 0, 60_000,
    ),
    Parameter(
        "longest_segment_s", "channel", int, 1200, "Longest segment", "最长分段",
        "A longer call is stored as several recordings without a gap.", "更长的通话无缝分成几段保存。", "s", 10, 3600,
    ),
    Parameter(
        "hook_flash_max_ms", "channel", int, 700, "Longest hook flash", "拍叉最长时间",
        "A shorter on-hook is a flash of the hook switch and does not end the call.",
        "短于此值的挂机是拍叉,不结束通话。", "ms", 100, 2000,
    ),
    Parameter(
        "ring_end_ms", "channel", int, 5000, "Ring time-out", "振铃超时",
        "Silence after a ring burst after which the caller has given up.", "一次振铃后静默多久视为对方已挂断。",
        "ms", 4200, 20_000,
    ),
    Parameter(
        "abandoned_below_ms", "channel", int, 5000, "Abandoned below", "放弃界限",
        "An unanswered call that rang for less is abandoned, else missed.", "未接且振铃短于此值为放弃,否则为未接。",
        "ms", 0, 60_000,
    ),
    Parameter(
        "line_lost_ends_call", "channel", bool, True, "Cut line ends the call", "断线结束通话",
        "A cut line ends the running call at the moment of the cut.", "断线时立即结束当前通话。",
    ),
)  # fmt: skip
