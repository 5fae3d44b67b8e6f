"""Channel and system parameters that the recorder reads."""

from __future__ import annotations

from firmware.parameters import Parameter
from recorder.dsp.tone_profiles import COUNTRIES, DEFAULT_COUNTRY
from recorder.tracking.numbers import check_numbers
from recorder.tracking.pauses import check_code
from recorder.tracking.schedule import parse_holidays, parse_hours

PARAMETERS = (
    Parameter(
        "enabled", "channel", bool, True, "In use", "启用",
        "No: nothing on this channel is recorded, listed or told of. A running call is recorded to its end.",
        "为“否”时,本通道不录音、不记通话、不弹出、不告警。正在进行的通话仍录到结束。",
    ),
    Parameter(
        "record_mode", "channel", str, "all", "Record mode", "录音模式",
        "Which calls are recorded; on demand keeps a call when somebody asks for it.",
        "录哪些通话;on_demand 为有人要求时才保留。", choices=("all", "incoming", "outgoing", "on_demand", "none"),
    ),
    Parameter(
        "start_trigger", "channel", str, "hook", "Start trigger", "启动方式",
        "What begins and ends a call: the hook switch, speech on the line, or messages of a digital line.",
        "通话由什么开始和结束:摘挂机、声音、或数字线路信令。", choices=("hook", "voice", "signalling"),
    ),
    Parameter(
        "continuous", "channel", bool, False, "Record around the clock", "全天候录音",
        "Everything on this channel is recorded in segments, beside the calls.",
        "除通话录音外,本通道全天连续分段录音。",
        effect="at once",
    ),
    Parameter(
        "voice_hang_ms", "channel", int, 8000, "Voice hang time", "声控结束时延",
        "With start trigger voice: silence after which the call has ended.", "声控启动时,静音多久视为通话结束。",
        "ms", 1000, 600_000,
    ),
    Parameter(
        "record_schedule", "channel", str, "", "Recording hours", "录音时段",
        "Such as: mon-fri 08:30-18:00; sat 09:00-12:00. Empty: always.",
        "例如:mon-fri 08:30-18:00; sat 09:00-12:00。空为全天。", check_text=parse_hours,
    ),
    Parameter(
        "record_on_holidays", "channel", bool, True, "Record on holidays", "节假日录音",
        "Whether the recording hours hold on public holidays too.", "法定节假日是否也按时段录音。",
    ),
    Parameter(
        "holidays", "system", str, "", "Holidays", "节假日",
        "Days that differ from the official calendar, such as: 2027-02-05..2027-02-11 off; 2027-02-14 work.",
        "与法定日历不同的日子,例如:2027-02-05..2027-02-11 off; 2027-02-14 work。", check_text=parse_holidays,
    ),
    Parameter(
        "never_record_numbers", "channel", str, "", "Never record", "不录音号码",
        "Numbers whose calls are never recorded; separated by commas or spaces, * stands for any digits.",
        "这些号码的通话从不录音;用逗号或空格分隔,* 代表任意数字。", check_text=check_numbers,
    ),
    Parameter(
        "always_record_numbers", "channel", str, "", "Always record", "必录号码",
        "Numbers whose calls are recorded whatever mode, hours and share say.",
        "无论模式、时段、抽样如何都要录音的号码。", check_text=check_numbers,
    ),
    Parameter(
        "record_percent", "channel", int, 100, "Share recorded", "抽样比例",
        "Of the calls that mode and hours choose, so many are recorded.", "按模式和时段应录的通话中录多少。",
        "%", 0, 100,
    ),
    Parameter(
        "pause_code", "channel", str, "", "Pause code", "暂停录音码",
        "DTMF digits that pause the recording during a call. Empty: none.", "通话中按此键暂停录音。空为不用。",
        check_text=check_code,
    ),
    Parameter(
        "resume_code", "channel", str, "", "Resume code", "恢复录音码",
        "DTMF digits that resume a paused recording. Empty: none.", "通话中按此键恢复录音。空为不用。",
        check_text=check_code,
    ),
    Parameter(
        "recording_format", "channel", str, "flac", "Recording format", "录音格式",
        "flac, or g711: WAV in the line's own A-law or µ-law. Both keep every sample.",
        "flac,或 g711:线路原有 A 律/µ 律的 WAV。两者都逐样本无损。", choices=("flac", "g711"),
    ),
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
    Parameter(
        "voice_level_dbm0", "channel", int, -45, "Voice level", "声控门限",
        "Speech softer than this is not heard.", "低于此电平的语音不计。", "dBm0", -60, -10,
    ),
    Parameter(
        "caller_id_type", "channel", str, "auto", "Caller ID", "来电显示制式",
        "What the exchange sends; auto reads everything. Anything else that sounds like a caller ID is not believed.",
        "局方来电显示的制式;auto 全部识别,选定后其他制式一律不认。",
        choices=("auto", "fsk_bell202", "fsk_v23", "dtmf", "none"),
    ),
    Parameter(
        "caller_id_time", "channel", str, "auto", "Caller ID is sent", "来电显示时机",
        "Before or after the first ring begins; auto takes both.", "在第一声振铃开始之前或之后发送;auto 两者都认。",
        choices=("auto", "before", "after"),
    ),
    Parameter(
        "tone_country", "channel", str, DEFAULT_COUNTRY, "Call progress tones", "信号音标准",
        "The country whose dial, ringback, busy and other tones this line has.",
        "本线路采用哪国的拨号音、回铃音、忙音等。",
        choices=COUNTRIES,
    ),
)  # fmt: skip
