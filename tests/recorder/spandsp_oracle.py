"""An independent caller-ID and DTMF sender over libspandsp2 (Debian package of that name), by ctypes.

Importing it fails with a clear message when the library is missing.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

CLASS, CLIP, ACLIP, CLIP_DTMF = 1, 2, 3, 5  # adsi.h: ADSI_STANDARD_*
_MDMF = 0x80
_LONGEST_SAMPLES = 20 * 8000

Pcm = npt.NDArray[np.int16]
Field = tuple[int, bytes]

try:
    _LIBRARY = ctypes.CDLL("libspandsp.so.2")
except OSError as error:
    raise RuntimeError("these tests need libspandsp2: apt install libspandsp2") from error

_SAMPLES = ctypes.POINTER(ctypes.c_int16)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_state = ctypes.c_void_p
_adsi_init = _function("adsi_tx_init", _state, _state, ctypes.c_int)
_adsi_send = _function("adsi_tx", ctypes.c_int, _state, _SAMPLES, ctypes.c_int)
_adsi_put = _function("adsi_tx_put_message", ctypes.c_int, _state, ctypes.c_char_p, ctypes.c_int)
_adsi_alert = _function("adsi_tx_send_alert_tone", None, _state)
_adsi_free = _function("adsi_tx_free", ctypes.c_int, _state)
_adsi_field = _function(
    "adsi_add_field",
    ctypes.c_int,
    _state,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_uint8,
    ctypes.c_char_p,
    ctypes.c_int,
)
_dtmf_init = _function("dtmf_tx_init", _state, _state)
_dtmf_send = _function("dtmf_tx", ctypes.c_int, _state, _SAMPLES, ctypes.c_int)
_dtmf_put = _function("dtmf_tx_put", ctypes.c_int, _state, ctypes.c_char_p, ctypes.c_int)
_dtmf_timing = _function("dtmf_tx_set_timing", None, _state, ctypes.c_int, ctypes.c_int)
_dtmf_level = _function("dtmf_tx_set_level", None, _state, ctypes.c_int, ctypes.c_int)
_dtmf_free = _function("dtmf_tx_free", ctypes.c_int, _state)


def _pull(send: Any, state: Any) -> Pcm:
    parts: list[Pcm] = []
    buffer = (ctypes.c_int16 * 160)()
    for _ in range(_LONGEST_SAMPLES // 160):
        count = send(state, buffer, 160)
        parts.append(np.array(buffer[: max(0, count)], dtype=np.int16))
        if count < 160:
            break
    return np.concatenate(parts)


def caller_id(
    standard: int,
    fields: list[Field],
    *,
    kind: int | None = None,
    alert: bool = False,
    lead_samples: int = 4000,
    tail_samples: int = 4000,
) -> Pcm:
    """A message as sent on hook, at 8 kHz. ``kind``: message type, or the DTMF terminator."""
    sender = _adsi_init(None, standard)
    try:
        message, length = ctypes.create_string_buffer(512), 0
        header = kind if kind is not None else ord("C") if standard == CLIP_DTMF else _MDMF
        for field, body in [(header, b""), *fields]:
            content = body if length else None
            length = _adsi_field(sender, message, length, field, content, len(body))
        parts = [np.zeros(lead_samples, dtype=np.int16)]
        if alert:
            _adsi_alert(sender)
            parts.append(_pull(_adsi_send, sender))
        if _adsi_put(sender, message.raw[:length], length) < 0:
            raise ValueError("libspandsp refused the message")
        parts.append(_pull(_adsi_send, sender))
    finally:
        _adsi_free(sender)
    return np.concatenate([*parts, np.zeros(tail_samples, dtype=np.int16)])


def dtmf(digits: str, on_ms: int = 70, off_ms: int = 70, level_dbm0: int | None = None, twist_db: int = 0) -> Pcm:
    """Digits at 8 kHz with 0.1 s of silence before and after."""
    sender = _dtmf_init(None)
    try:
        _dtmf_timing(sender, on_ms, off_ms)
        if level_dbm0 is not None:
            _dtmf_level(sender, level_dbm0, twist_db)
        parts = [np.zeros(800, dtype=np.int16)]
        for start in range(0, len(digits), 64):
            if _dtmf_put(sender, digits[start : start + 64].encode(), -1) != 0:
                raise ValueError("libspandsp refused the digits")
            parts.append(_pull(_dtmf_send, sender))
    finally:
        _dtmf_free(sender)
    return np.concatenate([*parts, np.zeros(800, dtype=np.int16)])
