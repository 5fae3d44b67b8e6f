"""Senders and receivers of libspandsp2 (Debian package of that name), by ctypes: the yardstick of the benchmarks.

Audio is int16 at 8 kHz. Importing raises BoxError when the library is missing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware.errors import BoxError

CLASS, CLIP, ACLIP, JCLIP, CLIP_DTMF = 1, 2, 3, 4, 5  # adsi.h: ADSI_STANDARD_*
MDMF = 0x80

Pcm = npt.NDArray[np.int16]
Field = tuple[int, bytes]

_LONGEST_SAMPLES = 20 * 8000
_SEIZURE_BITS = 300  # GR-30-CORE, on hook
_MARK_BITS_AFTER = 5  # as without adsi_tx_set_preamble
_NUMBER_FIELD = 2  # GR-30-CORE: calling line directory number
_DIGITS = 128  # MAX_DTMF_DIGITS of dtmf.h
_V21_CHANNEL_2 = 1  # fsk.h: FSK_V21CH2
_FAX_CED = 2  # modem_connect_tones.h: MODEM_CONNECT_TONES_FAX_CED

try:
    _LIBRARY = ctypes.CDLL("libspandsp.so.2")
except OSError as error:
    raise BoxError("this needs libspandsp2: apt install libspandsp2") from error

_state = ctypes.c_void_p
_samples = ctypes.c_void_p
_size = ctypes.c_int


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_TakeMessage = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int)
_GetBit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_bytes = ctypes.POINTER(ctypes.c_uint8)

_adsi_init = _function("adsi_tx_init", _state, _state, _size)
_adsi_send = _function("adsi_tx", _size, _state, _samples, _size)
_adsi_put = _function("adsi_tx_put_message", _size, _state, ctypes.c_char_p, _size)
_adsi_preamble = _function("adsi_tx_set_preamble", None, _state, _size, _size, _size, _size)
_adsi_alert = _function("adsi_tx_send_alert_tone", None, _state)
_adsi_free = _function("adsi_tx_free", _size, _state)
_adsi_field = _function("adsi_add_field", _size, _state, ctypes.c_char_p, _size, ctypes.c_uint8, ctypes.c_char_p, _size)
_adsi_rx_init = _function("adsi_rx_init", _state, _state, _size, _TakeMessage, ctypes.c_void_p)
_adsi_rx = _function("adsi_rx", _size, _state, _samples, _size)
_adsi_rx_free = _function("adsi_rx_free", _size, _state)
_adsi_next = _function(
    "adsi_next_field", _size, _state, _bytes, _size, _size, _bytes, ctypes.POINTER(_bytes), ctypes.POINTER(_size)
)
_dtmf_init = _function("dtmf_tx_init", _state, _state)
_dtmf_send = _function("dtmf_tx", _size, _state, _samples, _size)
_dtmf_put = _function("dtmf_tx_put", _size, _state, ctypes.c_char_p, _size)
_dtmf_timing = _function("dtmf_tx_set_timing", None, _state, _size, _size)
_dtmf_level = _function("dtmf_tx_set_level", None, _state, _size, _size)
_dtmf_free = _function("dtmf_tx_free", _size, _state)
_dtmf_rx_init = _function("dtmf_rx_init", _state, _state, ctypes.c_void_p, ctypes.c_void_p)
_dtmf_rx = _function("dtmf_rx", _size, _state, _samples, _size)
_dtmf_rx_get = _function("dtmf_rx_get", ctypes.c_size_t, _state, ctypes.c_char_p, _size)
_dtmf_rx_free = _function("dtmf_rx_free", _size, _state)
_g726_init = _function("g726_init", _state, _state, _size, _size, _size)
_g726_encode = _function("g726_encode", _size, _state, ctypes.c_char_p, _samples, _size)
_g726_decode = _function("g726_decode", _size, _state, _samples, ctypes.c_char_p, _size)
_g726_free = _function("g726_free", _size, _state)
_tones_init = _function("modem_connect_tones_tx_init", _state, _state, _size)
_tones_send = _function("modem_connect_tones_tx", _size, _state, _samples, _size)
_tones_free = _function("modem_connect_tones_tx_free", _size, _state)
_fsk_init = _function("fsk_tx_init", _state, _state, ctypes.c_void_p, _GetBit, ctypes.c_void_p)
_fsk_send = _function("fsk_tx", _size, _state, _samples, _size)
_fsk_free = _function("fsk_tx_free", _size, _state)


def _pull(send: Any, state: Any, samples: int = _LONGEST_SAMPLES) -> Pcm:
    """What a sender has to say, at most ``samples``."""
    buffer = np.empty(samples, np.int16)
    return buffer[: max(0, send(state, buffer.ctypes.data, samples))].copy()


def caller_id(
    standard: int,
    fields: list[Field],
    *,
    kind: int | None = None,
    alert: bool = False,
    mark_bits: int | None = None,
    lead_samples: int = 4000,
    tail_samples: int = 4000,
) -> Pcm:
    """A message as sent on hook. ``kind``: message type, or the DTMF terminator; ``mark_bits``: before it, 80 if None.

    Raises ValueError for a message that the library refuses.
    """
    sender = _adsi_init(None, standard)
    try:
        if mark_bits is not None:
            _adsi_preamble(sender, _SEIZURE_BITS, mark_bits, _MARK_BITS_AFTER, 1)
        message, length = ctypes.create_string_buffer(512), 0
        header = kind if kind is not None else ord("C") if standard == CLIP_DTMF else MDMF
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
    """Digits with 0.1 s of silence before and after. ``level_dbm0``: of the low tone; ``twist_db``: high over low.

    Raises ValueError for digits that the library refuses.
    """
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


class CallerIdReceiver:
    """``adsi_rx`` of one standard on one line. ``numbers``: calling numbers of all good messages, in order."""

    def __init__(self, standard: int) -> None:
        self.messages: list[bytes] = []
        # Kept: the library holds only a pointer to it.
        self._take = _TakeMessage(lambda _user, data, length: self.messages.append(bytes(data[:length])))
        self._state = _adsi_rx_init(None, standard, self._take, None)

    def hear(self, pcm: Pcm) -> None:
        """Audio int16 (n,), contiguous."""
        _adsi_rx(self._state, pcm.ctypes.data, len(pcm))

    def hear_at(self, address: int, samples: int) -> None:
        """The same from an address in memory."""
        _adsi_rx(self._state, address, samples)

    @property
    def numbers(self) -> list[str]:
        """Calling numbers (MDMF field 2, or what follows the date of SDMF); empty for a message without one."""
        return [self._number(message) for message in self.messages]

    def _number(self, message: bytes) -> str:
        raw = (ctypes.c_uint8 * len(message)).from_buffer_copy(message)
        kind, body, length, at = ctypes.c_uint8(), _bytes(), ctypes.c_int(), -1
        number = b""
        while (at := _adsi_next(self._state, raw, len(message), at, kind, body, length)) > 0:
            content = bytes(body[: max(0, length.value)]) if body else b""
            if message[0] == MDMF and kind.value == _NUMBER_FIELD:
                number = content
            elif message[0] != MDMF and len(content) > 8:
                number = content[8:]
        return number.decode("latin-1")

    def close(self) -> None:
        """Give the memory back."""
        _adsi_rx_free(self._state)


class DtmfReceiver:
    """``dtmf_rx`` on one line."""

    def __init__(self) -> None:
        self._state = _dtmf_rx_init(None, None, None)

    def hear(self, pcm: Pcm) -> str:
        """Digits that ended in the audio, int16 (n,), contiguous; at most 128 are kept between two calls."""
        self.hear_at(pcm.ctypes.data, len(pcm))
        digits = ctypes.create_string_buffer(_DIGITS + 1)
        count = _dtmf_rx_get(self._state, digits, _DIGITS)
        return digits.raw[:count].decode("ascii")

    def hear_at(self, address: int, samples: int) -> None:
        """Audio from an address in memory; the digits stay in the receiver."""
        _dtmf_rx(self._state, address, samples)

    def close(self) -> None:
        """Give the memory back."""
        _dtmf_rx_free(self._state)


def g726(pcm: Pcm, bit_rate: int = 32000) -> Pcm:
    """Audio int16 (n,) after ADPCM coding and decoding (ITU-T G.726 at 16 to 40 kbit/s)."""
    source = np.ascontiguousarray(pcm)
    code = ctypes.create_string_buffer(len(source))
    encoder, decoder = _g726_init(None, bit_rate, 0, 0), _g726_init(None, bit_rate, 0, 0)
    size = _g726_encode(encoder, code, source.ctypes.data, len(source))
    out = np.zeros(len(source) + 8, np.int16)
    _g726_decode(decoder, out.ctypes.data, code, size)
    _g726_free(encoder)
    _g726_free(decoder)
    return out[: len(source)]


def fax_ced(samples: int) -> Pcm:
    """The answering tone of a fax, 2100 Hz for 2.6 to 4 s (ITU-T T.30), int16, at most ``samples``."""
    state = _tones_init(None, _FAX_CED)
    try:
        return _pull(_tones_send, state, samples)
    finally:
        _tones_free(state)


def v21(get_bit: Callable[[], int], samples: int) -> Pcm:
    """The V.21 channel 2 signal (300 baud FSK) of a fax's procedure messages, int16 (samples,)."""
    take = _GetBit(lambda _user: get_bit())
    presets = ctypes.addressof(ctypes.c_char.in_dll(_LIBRARY, "preset_fsk_specs"))
    state = _fsk_init(None, presets + _V21_CHANNEL_2 * _FSK_SPEC_BYTES, take, None)
    try:
        return _pull(_fsk_send, state, samples)
    finally:
        _fsk_free(state)


class _FskSpec(ctypes.Structure):
    """``fsk_spec_t`` of fsk.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("freq_zero", ctypes.c_int),
        ("freq_one", ctypes.c_int),
        ("tx_level", ctypes.c_int),
        ("min_level", ctypes.c_int),
        ("baud_rate", ctypes.c_int),
    )


_FSK_SPEC_BYTES = ctypes.sizeof(_FskSpec)

FAX_MODEMS = {"v27ter": 4800, "v29": 9600, "v17": 14400}
"""Page modems by name, with their highest rates in bit/s (ITU-T V.27 ter, V.29, V.17)."""


def fax_page(modem: str, get_bit: Callable[[], int], samples: int) -> Pcm:
    """A page's modem signal with its training, int16 (samples,). ``modem``: a key of ``FAX_MODEMS``."""
    begin = _function(f"{modem}_tx_init", _state, _state, _size, ctypes.c_bool, _GetBit, ctypes.c_void_p)
    send = _function(f"{modem}_tx", _size, _state, _samples, _size)
    free = _function(f"{modem}_tx_free", _size, _state)
    take = _GetBit(lambda _user: get_bit())
    state = begin(None, FAX_MODEMS[modem], False, take, None)
    try:
        return _pull(send, state, samples)
    finally:
        free(state)
