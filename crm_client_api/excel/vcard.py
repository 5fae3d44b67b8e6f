"""Visiting cards (vCard 2.1, 3.0 and 4.0; RFC 6350) as telephones and mail programs send and take them."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.cells import Cell
from crm_client_api.excel.columns import CUSTOMERS
from crm_client_api.excel.refusal import too_large
from crm_client_api.excel.sheet_rows import Row

_KEYS = tuple(column.key for column in CUSTOMERS.columns)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONGEST_LINE_CHARACTERS = 1_000_000
_FOLD_BYTES = 75
_TYPES = {"phone": "VOICE", "mobile": "CELL", "fax": "FAX", "other": "OTHER"}


def card_of(customer: Customer) -> str:
    """A customer as a card of version 3.0, which Chinese telephones take; lines end as the standard says."""
    fields = customer.fields
    name = fields["name"] or fields["company"] or (customer.phones[0].number if customer.phones else "")
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{customer.id}", f"N:{_safe(name)};;;;", f"FN:{_safe(name)}"]
    for key, value in (
        ("ORG", fields["company"]),
        ("TITLE", fields["title"]),
        ("NOTE", fields["note"]),
        ("CATEGORIES", fields["category"]),
        ("X-WECHAT", fields["wechat"]),
    ):
        if value:
            lines.append(f"{key}:{_safe(value)}")
    if fields["email"]:
        lines.append(f"EMAIL;TYPE=INTERNET:{_safe(fields['email'])}")
    if any(fields[key] for key in ("address", "region", "postcode")):
        lines.append(
            f"ADR;TYPE=WORK:;;{_safe(fields['address'])};;{_safe(fields['region'])};{_safe(fields['postcode'])};"
        )
    lines += [f"TEL;TYPE={_TYPES.get(phone.kind, 'VOICE')}:{_safe(phone.number)}" for phone in customer.phones]
    lines.append("END:VCARD")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _safe(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return plain.replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> str:
    """At most 75 bytes a line, no character cut in two."""
    pieces, piece, used = [], "", 0
    for character in line:
        size = len(character.encode("utf-8", "replace"))
        if used + size > _FOLD_BYTES:
            pieces.append(piece)
            piece, used = " ", 1
        piece += character
        used += size
    return "\r\n".join([*pieces, piece])


def is_card_file(beginning: bytes) -> bool:
    """Whether a file begins as cards do."""
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:11].upper() == b"BEGIN:VCARD"


class CardTable:
    """A file of cards as a table with the fixed columns of customers. See ``reading.Sheet``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.name = ""
        self.merged: list[str] = []

    def rows(self) -> Iterator[Row]:
        """The header, then one row a card. Raises Invalid."""
        header: list[Cell] = [column.en for column in CUSTOMERS.columns]
        yield Row(1, header)
        number = 1
        card: dict[str, list[str]] | None = None
        for line in self._lines():
            name, parameters, raw = _parts(line)
            if name == "BEGIN":
                card = {}
            elif name == "END" and card is not None:
                number += 1
                yield Row(number, [" / ".join(card.get(key, ())) or None for key in _KEYS])
                card = None
            elif card is not None:
                _take(card, name, parameters, raw)

    def _lines(self) -> Iterator[bytes]:
        """Whole lines: folded ones joined, and the soft line ends of quoted-printable."""
        whole = b""
        with self._file.open("rb") as stream:
            while piece := stream.readline(_LONGEST_LINE_CHARACTERS):
                line = piece.rstrip(b"\r\n")
                if len(whole) > refusal.LONGEST_TEXT_CHARACTERS * 4:
                    raise too_large("a card holds more than any person's")
                if line[:1] in (b" ", b"\t") and whole:
                    whole += line[1:]
                elif whole.endswith(b"=") and b"QUOTED-PRINTABLE" in whole.partition(b":")[0].upper():
                    whole = whole[:-1] + line
                else:
                    if whole:
                        yield whole
                    whole = line
        if whole:
            yield whole


def _parts(line: bytes) -> tuple[str, str, str]:
    head, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
    name, _, parameters = head.decode("ascii", "replace").upper().partition(";")
    if "QUOTED-PRINTABLE" in parameters:
        value = quopri.decodestring(value)
    encodings = ("gb18030", "utf-8") if re.search("CHARSET=GB", parameters) else ("utf-8", "gb18030")
    for encoding in encodings:
        try:
            return name.rpartition(".")[2], parameters, value.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid("file_encoding", "the text is neither UTF-8 nor GB 18030: save it as one of them")


def _take(card: dict[str, list[str]], name: str, parameters: str, raw: str) -> None:
    parts = [_ESCAPED.sub(_unescaped, part).strip() for part in re.split(r"(?<!\\);", raw)]
    text = parts[0]
    if name == "TEL":
        kind = "fax" if "FAX" in parameters else "mobile1" if "CELL" in parameters else "phone1"
        card.setdefault(kind, []).append(_telephone(_ESCAPED.sub(_unescaped, raw)))
    elif name == "FN" or (name == "N" and "name" not in card):
        card["name"] = [text if name == "FN" else _spoken(parts)]
    elif name == "ADR":
        padded = [*parts, *[""] * 7]
        card["address"] = [" ".join(part for part in padded[:3] if part)]
        card["region"] = [" ".join(part for part in (padded[4], padded[3]) if part)]
        card["postcode"] = [padded[5]]
    else:
        key = {
            "ORG": "company", "TITLE": "title", "NOTE": "note", "EMAIL": "email", "CATEGORIES": "category",
            "X-WECHAT": "wechat",
        }.get(name)  # fmt: skip
        if key is not None and key not in card:
            card[key] = [text]


def _telephone(text: str) -> str:
    """A number as people write it; of a URI (RFC 3966) its extension, without what else stands behind it."""
    if not text.strip().lower().startswith("tel:"):
        return text.strip()
    number, *parameters = unquote(text.strip()[len("tel:") :]).split(";")
    extension = next((one[len("ext=") :] for one in parameters if one.lower().startswith("ext=")), "")
    return f"{number}转{extension}" if extension else number


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] in "nN" else found[1]


def _spoken(parts: list[str]) -> str:
    """Family and given name, with a space only between Latin words."""
    family, given = [*parts, "", ""][:2]
    return f"{given} {family}".strip() if (family + given).isascii() else family + given
