"""Numbers that were heard while country, area code or outside-line prefix were set wrong."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from crm_client_api.answers.number_corrections import NumberCorrectionInfo, NumberCorrections
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.numbers.corrections import are_call_backs_corrected, correct_numbers
from firmware.clock import iso_utc
from recorder.library.keeping.number_corrections import Correction, read_corrections
from recorder.library.keeping.number_keys import is_corrected

_SYSTEM = (Permission.SYSTEM_SETUP,)


class WrongSince(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on the settings were wrong by which numbers were read."""

    wrong_since: Moment


@route(
    "GET", "/number-corrections", "From when to when numbers are read by other settings than those they were heard by",
    answer=NumberCorrections, permissions=_SYSTEM,
)  # fmt: skip
def get_number_corrections(request: Request) -> NumberCorrections:
    """List the corrections, and whether they are made."""
    return _told(request, read_corrections(request.stores.crm.conn))


@route(
    "POST", "/number-corrections", "Read the numbers of older calls by the settings of now",
    answer=NumberCorrections, permissions=_SYSTEM,
)  # fmt: skip
def post_number_correction(request: Request, body: WrongSince) -> NumberCorrections:
    """Correct numbers heard since then, by and by: call histories, look-ups and figures, never what was heard."""
    from_ms = unix_ms(body.wrong_since)
    assert from_ms is not None
    return _told(request, correct_numbers(request.stores.crm, from_ms, request.actor))


def _told(request: Request, corrections: Sequence[Correction]) -> NumberCorrections:
    stores = request.stores
    done = is_corrected(stores.calls.conn, corrections) and are_call_backs_corrected(stores.crm.conn, corrections)
    return NumberCorrections([_info(one) for one in corrections], done)


def _info(one: Correction) -> NumberCorrectionInfo:
    site = one.site
    return NumberCorrectionInfo(
        iso_utc(one.from_ms), iso_utc(one.until_ms), site.country, site.area_code, site.outside_prefix
    )
