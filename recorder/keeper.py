"""The keeper knows which line cards there are and writes down which processes are wanted for them."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from drivers.discovery import FoundCard, find_cards, watch
from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import BadInput, ConfigError, StoreError
from firmware.media.keeping import MediaThread
from firmware.notify import notify
from firmware.practice import Practice, end_practice, read_practice
from firmware.supervise import DaemonSpec, read_wanted, remove_wanted, wanted_names, write_wanted
from recorder.library.keeping.library import ArchiveThread, LibraryThread

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_EXCHANGE = "exchange"
_RECORDER = "recorder@"
_SIMULATED_CARD = "sim"
_SIMULATED_RECORDER = f"{_RECORDER}{_SIMULATED_CARD}"


class CardPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line card and where it is: an entry of ``cards.json``, or what discovery found.

    ``name`` names its processes and files; ``driver`` and ``address`` are what ``tapdeck recorder`` takes. The size of
    its tape is ``tape_hours`` or ``tape_gib``, or the recorder's own choice where neither is given.
    """

    name: str
    driver: str
    address: str
    tape_hours: Annotated[float, msgspec.Meta(ge=0.01, le=100_000)] | None = None
    tape_gib: Annotated[float, msgspec.Meta(ge=0.001, le=100_000)] | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of the command ``tapdeck recorder``."""
        place = ("--name", self.name, "--driver", self.driver, "--address", self.address)
        if self.tape_hours is not None:
            return (*place, "--tape-hours", f"{self.tape_hours:g}")
        return place if self.tape_gib is None else (*place, "--tape-gib", f"{self.tape_gib:g}")


@dataclass(frozen=True, slots=True)
class Simulation:
    """The exchange that stands in for the telephone company: while there is no line card, or beside it for practice."""

    link: Path
    lines: int


def decide(
    cards: Iterable[CardPlace],
    *,
    held_real_card: bool,
    simulation: Simulation | None,
    practice: Simulation | None = None,
) -> tuple[DaemonSpec, ...]:
    """The processes that these cards need.

    Without any card the simulated exchange and its recorder, unless ``simulation`` is None. A box that ever held a real
    card has simulated lines only while somebody has turned ``practice`` on, beside its cards: an office must never take
    made-up calls for its own.
    """
    real = tuple(DaemonSpec(f"{_RECORDER}{card.name}", ("recorder", *card.arguments)) for card in cards)
    simulated = practice if real or held_real_card else simulation
    if simulated is None:
        return real
    link = str(simulated.link)
    return (
        *real,
        DaemonSpec(_EXCHANGE, ("exchange", "--link", link, "--lines", str(simulated.lines), "--office-day"), last=True),
        DaemonSpec(
            _SIMULATED_RECORDER,
            ("recorder", "--name", _SIMULATED_CARD, "--driver", "serial_card", "--address", link, "--simulated"),
        ),
    )


def read_configured(file: Path) -> tuple[CardPlace, ...]:
    """The cards of ``cards.json``; none when there is no such file. Raises ConfigError."""
    try:
        cards = msgspec.json.decode(file.read_bytes(), type=tuple[CardPlace, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    names = [card.name for card in cards]
    for name in names:
        if not is_card_name(name) or name == _SIMULATED_CARD:
            raise ConfigError(f"{file}: name {name!r} must be letters, digits and _ . - only, and not 'sim'")
        if names.count(name) > 1:
            raise ConfigError(f"{file}: name {name!r} is given twice")
    if any(card.tape_hours is not None and card.tape_gib is not None for card in cards):
        raise ConfigError(f"{file}: tape_hours and tape_gib: give one of them")
    return cards


def is_card_name(text: str) -> bool:
    """Whether a text can name a card's processes and files."""
    return text.isascii() and text[:1].isalnum() and all(c.isalnum() or c in "_.-" for c in text)


def place_found(found: Iterable[FoundCard]) -> tuple[CardPlace, ...]:
    """Found cards under the name of their serial number, or of their address where that is none or not the only one."""
    places: dict[str, CardPlace] = {}
    for card in found:
        name = card.hint
        if not is_card_name(name) or name == _SIMULATED_CARD or name in places:
            name = "-".join(filter(is_card_name, (card.hint, Path(card.address).name))) or f"card-{len(places)}"
        places[name] = CardPlace(name, card.driver, card.address)
    return tuple(places.values())


def remember(seen: Iterable[CardPlace], found: Sequence[CardPlace]) -> tuple[CardPlace, ...]:
    """The found cards, and those seen earlier whose name and place no other card has taken.

    A card that has vanished stays wanted, also over restarts of the box: its recorder tells that it is gone, finishes
    what is on its tape, and takes it up again.
    """
    return without_rivals((*found, *seen))


def read_seen(home: Home) -> tuple[CardPlace, ...]:
    """The cards that were found before this keeper began, as far as their tapes are there."""
    try:
        seen = msgspec.json.decode(_seen_file(home).read_bytes(), type=tuple[CardPlace, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("cards seen before are forgotten: %s", error)
        return ()
    return tuple(card for card in seen if is_card_name(card.name) and (home.tapes / f"{card.name}.tape").exists())


def write_seen(home: Home, cards: Sequence[CardPlace]) -> None:
    """Remember found cards for the keeper's next start. Raises StoreError."""
    write_whole(_seen_file(home), msgspec.json.encode(cards))


def _seen_file(home: Home) -> Path:
    return home.root / "cards-seen.json"


def without_rivals(cards: Iterable[CardPlace]) -> tuple[CardPlace, ...]:
    """The cards whose name and address no earlier one of them has."""
    kept: dict[str, CardPlace] = {}
    taken: set[Path] = set()
    for card in cards:
        place = Path(card.address).resolve()
        if card.name not in kept and place not in taken:
            kept[card.name] = card
            taken.add(place)
    return tuple(kept.values())


class PracticeWatch:
    """Whether practice is on at this moment. What is over, by the wall clock or after its length, is turned off.

    A change of its lines is an end and a new beginning, so that the recorder does not lose its card in between.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: Practice | None = None
        self._ends_s = 0.0

    def look(self, at_ms: int, monotonic_s: float) -> Practice | None:
        """Call it every second."""
        found, before = read_practice(self._home), self._known
        if found != before:
            self._known = found
            self._ends_s = monotonic_s + (0 if found is None else found.left_ms(at_ms) / 1000)
        if found is None:
            return None
        if not found.left_ms(at_ms) or monotonic_s >= self._ends_s:
            with suppress(StoreError):  # over it is all the same
                end_practice(self._home)
            return None
        return found if before is None or before.lines == found.lines else None


def reconcile(home: Home, specs: Sequence[DaemonSpec]) -> None:
    """Make the wanted files say exactly ``specs``; files of others are left alone. Raises StoreError."""
    wanted = {spec.name: spec for spec in specs}
    for name in wanted_names(home):
        if (name == _EXCHANGE or name.startswith(_RECORDER)) and name not in wanted:
            remove_wanted(home, name)
            _log.info("no longer wanted: %s", name)
    for spec in specs:
        if not _says_already(home, spec):
            write_wanted(home, spec)
            _log.info("wanted: %s", spec.name)


def _forget_status(home: Home) -> None:
    """What nobody wants is not missing: its last report would say that it does not run."""
    for file in home.status.glob(f"{_SIMULATED_CARD}.*"):
        file.unlink(missing_ok=True)


def _says_already(home: Home, spec: DaemonSpec) -> bool:
    try:
        return read_wanted(home, spec.name) == spec
    except (ConfigError, BadInput):
        return False


class Keeper:
    """Looks for cards when something is plugged, at ``cards.json`` and for practice once a second.

    The later life of recordings goes on beside it, on threads of the library.
    """

    def __init__(self, home: Home, *, lines: int, exchange: bool) -> None:
        self._home = home
        self._link = home.run / "exchange.tty"
        self._simulation = Simulation(self._link, lines) if exchange else None
        self._practice = PracticeWatch(home)
        self._file = home.root / "cards.json"
        self._configured = read_configured(self._file)
        self._found = find_cards()
        self._seen = self._written = read_seen(home)
        self._wake = threading.Event()
        self._stop = False
        self._problem = ""

    def run(self) -> None:
        """Keep on until SIGTERM or SIGINT. Thread: the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        self._try_to_look()
        plugs = watch(self._plugged)
        library, archive = LibraryThread(self._home), ArchiveThread(self._home)
        media = MediaThread(self._home, self._simulated_sticks())
        library.start()
        archive.start()
        media.start()
        notify("READY=1")
        try:
            while not self._stop:
                notify("WATCHDOG=1")
                self._wake.wait(_LOOK_EVERY_S)
                self._wake.clear()
                self._try_to_look()
        finally:
            notify("STOPPING=1")
            plugs.close()
            media.stop()
            library.stop(archive)

    def _simulated_sticks(self) -> Path | None:
        """Only where calls may be simulated as well."""
        real = self._simulation is None or self._home.real_card_mark.exists()
        return None if real else self._home.root / "sticks"

    def _try_to_look(self) -> None:
        """On a full disk nothing can be written down, and only the library, which runs beside this, makes room."""
        try:
            self._look()
            self._problem = ""
        except (StoreError, OSError) as error:
            if str(error) != self._problem:
                _log.error("the wanted processes cannot be written down: %s", error)
            self._problem = str(error)

    def _look(self) -> None:
        try:
            self._configured = read_configured(self._file)
        except ConfigError as error:  # a half-written file must not stop what is recording
            _log.warning("%s", error)
        self._seen = remember(self._seen, place_found(self._found))
        cards = without_rivals((*self._configured, *self._seen))
        mark = self._home.real_card_mark
        if cards and not mark.exists():
            mark.touch()
        practice = self._practice.look(now_ms(), time.monotonic())
        specs = decide(
            cards,
            held_real_card=mark.exists(),
            simulation=self._simulation,
            practice=None if practice is None else Simulation(self._link, practice.lines),
        )
        reconcile(self._home, specs)
        if not any(spec.name == _SIMULATED_RECORDER for spec in specs):
            _forget_status(self._home)
        if self._seen != self._written:
            write_seen(self._home, self._seen)
            self._written = self._seen

    def _plugged(self, found: list[FoundCard]) -> None:
        self._found = found
        self._wake.set()

    def _asked_to_stop(self, number: int, frame: object) -> None:
        self._stop = True
        self._wake.set()
