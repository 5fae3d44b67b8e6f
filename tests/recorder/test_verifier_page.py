"""The page that verifies in a browser, offline: the same verdicts as the program, in both languages."""

from __future__ import annotations

import base64
import json
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evidence_material import Box, encode, speech
from outside_world import Authority, web_server
from playwright.sync_api import Page, expect, sync_playwright
from test_verify import (
    EDITS,
    MANIFEST_CHANGES,
    PROOF_CHANGES,
    SILENT_MS,
    change_manifest,
    exported,
    rewrite,
    with_silences,
)

from firmware.config import Home
from recorder.library.evidence.anchors import add_receipt, make_anchor, read_anchor
from recorder.library.evidence.outlets import ask_time_stamp
from recorder.library.verification.verifier import tapdeck_verify

sys.path.insert(0, str(Path(__file__).parents[1] / "acceptance"))
from browser import CHROMIUM, FLAGS, SCREENSHOTS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PAGE = Path(tapdeck_verify.__file__).with_name("verify.html")


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        context = browser.new_context(locale="en-US", offline=True, viewport={"width": 1000, "height": 900})
        page = context.new_page()
        yield page
        browser.close()


@pytest.fixture
def page(browser_page: Page) -> Page:
    browser_page.goto(PAGE.as_uri())
    return browser_page


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(home, monkeypatch)
    made.run(1)
    return made


def by_page(page: Page, folder: Path, key: str = "") -> list[dict[str, Any]]:
    """What the page says about all files of a folder."""
    page.goto(PAGE.as_uri())
    page.fill("#key", key)
    page.set_input_files("#anchors", [path for path in sorted(folder.iterdir()) if path.name.startswith("anchor")])
    page.set_input_files("#files", sorted(folder.iterdir()))
    page.wait_for_function("() => window.busy === 0")
    found: list[dict[str, Any]] = page.evaluate("() => window.results")
    return found


def by_program(folder: Path, key: str = "") -> list[dict[str, Any]]:
    anchors = [path for path in folder.iterdir() if path.name.startswith("anchor")]
    known, _ = tapdeck_verify.read_known([key] if key else [], [str(path) for path in anchors], [], [])
    return list(tapdeck_verify.verify_all(folder, known))


def without_notes(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notes are words for people: of a damaged file each says in its own way what is wrong."""
    return [{name: value for name, value in result.items() if name != "notes"} for result in results]


def same(page: Page, folder: Path, key: str = "") -> dict[str, Any]:
    """The one verdict on a folder, on which page and program agree."""
    (said,) = without_notes(by_page(page, folder, key))
    assert [said] == without_notes(by_program(folder, key))
    return said


def test_an_export_is_authentic_and_the_three_statements_are_apart(page: Page, box: Box, tmp_path: Path) -> None:
    audio = box.record("13800138000", 5)
    anchor = make_anchor(box.home, False, box.now_ms)
    out = exported(box, audio, tmp_path / "out").parent
    said = same(page, out, box.log.device)
    assert (said["verdict"], said["in_log"], [one["by"] for one in said["anchored"]]) == ("authentic", True, ["box"])
    shutil.copy(anchor, out / "anchor.json")
    said = same(page, out, box.log.device)
    assert [one["by"] for one in said["anchored"]] == ["held", "box"]
    assert same(page, out)["verdict"] == "unknown_device"
    assert same(page, out)["key_known"] is None
    assert same(page, out, "0" * 32)["key_known"] is False


@pytest.mark.parametrize("audio_format", ["flac", "alaw", "mp3"])
def test_every_edit_of_the_audio(page: Page, box: Box, tmp_path: Path, audio_format: Any) -> None:
    audio = box.record("1", 9, audio_format)
    whole = audio.read_bytes()
    for name, (parts, verdict, _) in EDITS.items():
        audio.write_bytes(whole)
        rewrite(audio, *parts)
        said = same(page, audio.parent, box.log.device)
        assert audio_format not in ("flac", "alaw") or said["verdict"] == verdict, name
    audio.write_bytes(encode(speech(9, 5)))
    assert same(page, audio.parent, box.log.device)["verdict"] == "altered"
    audio.unlink()
    assert same(page, audio.parent, box.log.device)["verdict"] == "part_missing"


def test_every_change_of_manifest_and_proof(page: Page, box: Box, tmp_path: Path) -> None:
    for number in range(6):
        audio = box.record(str(number), 1)
    make_anchor(box.home, False, box.now_ms)
    out = exported(box, audio, tmp_path / "out").parent
    for ending, changes, verdict in (
        (".json", MANIFEST_CHANGES, "manifest_altered"),
        (".proof.json", PROOF_CHANGES, "not_in_log"),
    ):
        path = out / f"{audio.stem}{ending}"
        whole = path.read_bytes()
        for change in changes.values():
            path.write_bytes(whole)
            change_manifest(path, change)
            assert same(page, out, box.log.device)["verdict"] == verdict
        for text in (b"{", b"[" * 5000, b"null", b"", whole + b"x", b"\xff" + whole, whole.replace(b'"', b"'")):
            path.write_bytes(text)
            assert same(page, out, box.log.device)["verdict"] == verdict
        path.write_bytes(whole)
    assert same(page, out, box.log.device)["verdict"] == "authentic"


def test_why_a_recording_is_silent(page: Page, box: Box) -> None:
    audio = box.record("1", 6)
    with_silences(audio, box)
    said = same(page, audio.parent, box.log.device)
    assert {one["reason"]: (one["from_ms"], one["to_ms"]) for one in said["silences"]} == SILENT_MS
    expect(page.locator(".silence")).to_have_count(8)
    result = by_program(audio.parent)[0]
    for lang in ("en", "zh"):
        told = [tapdeck_verify.describe_silence(one, lang) for one in result["silences"]]
        assert page.locator(".silence").all_inner_texts() == told
        page.click("#lang")
    with_silences(audio, box, pauses=[{"from_sample": -1, "to_sample": 2}])
    assert same(page, audio.parent, box.log.device)["verdict"] == "manifest_altered"


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_time_stamps(page: Page, box: Box, tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path / "tsa", kind)
    audio = box.record("1", 1)
    path = make_anchor(box.home, False, box.now_ms)
    with web_server(authority.answer) as (url, _):
        receipt = ask_time_stamp(read_anchor(path), {"anchor_tsa": url})
    add_receipt(box.home, False, path, receipt)
    token = bytearray(base64.b64decode(receipt["token"]))
    for at in (len(token) - 5, 120):
        token[at] ^= 1
        add_receipt(box.home, False, path, receipt | {"token": base64.b64encode(token).decode()})
        token[at] ^= 1
    out = exported(box, audio, tmp_path / "out").parent
    said = same(page, out, box.log.device)
    stamps = [one for one in said["anchored"] if one["by"] == "time_stamp"]
    assert [(one["authority"], one["checked"]) for one in stamps] == [("Test Time Stamps", False)]
    assert "Test Time Stamps" in page.inner_text("#results")


def test_audio_alone_and_practice(page: Page, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "x.flac").write_bytes(encode(speech(1, 1)))
    assert same(page, tmp_path / "alone")["verdict"] == "cannot_check"
    box = Box(home, monkeypatch, simulated=True)
    assert same(page, box.record("1", 1).parent, box.log.device)["simulated"] is True
    assert "practice" in page.inner_text("article")


def test_it_speaks_both_languages_and_takes_what_is_dropped(page: Page, box: Box) -> None:
    audio = box.record("13800138000", 12)
    whole = audio.read_bytes()
    rewrite(audio, (0, 3), b"\x01\x02" * 500, (4, 12))
    files = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in audio.parent.iterdir()]
    page.fill("#key", box.log.device)
    page.evaluate(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, text] of files) {
            transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
          }
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
        }""",
        files,
    )
    expect(page.locator(".verdict")).to_have_text("Altered")
    expect(page.locator(".damage")).to_have_text("altered at 00:00:03–00:00:04")
    page.screenshot(path=SCREENSHOTS / "verifier-altered.png")
    page.click("#lang")
    expect(page.locator(".verdict")).to_have_text("已被改动")
    expect(page.locator(".damage")).to_have_text("00:00:03–00:00:04 被改动")
    audio.write_bytes(whole)
    page.set_input_files("#files", audio)
    expect(page.locator(".verdict")).to_have_text("真实完整")
    page.screenshot(path=SCREENSHOTS / "verifier-authentic.png")


def test_a_browser_that_cannot_check_says_so(page: Page, box: Box) -> None:
    audio = box.record("1", 1)
    context = page.context.browser.new_context(locale="zh-CN", offline=True)
    old = context.new_page()
    old.add_init_script("crypto.subtle.verify = async () => true;")
    old.goto(PAGE.as_uri())
    expect(old.locator("#error")).to_contain_text("Ed25519")
    old.set_input_files("#files", sorted(audio.parent.iterdir()))
    old.wait_for_function("() => window.busy === 0")
    assert old.locator("article").count() == 0
    context.close()


def test_an_anchor_that_came_with_the_recording_is_not_one_that_you_hold(page: Page, box: Box, tmp_path: Path) -> None:
    audio = box.record("1", 1)
    anchor = make_anchor(box.home, False, box.now_ms)
    out = exported(box, audio, tmp_path / "out").parent
    shutil.copy(anchor, out / "brought.json")
    assert [one["by"] for one in same(page, out, box.log.device)["anchored"]] == ["box"]
    digits = read_anchor(anchor).digest()
    page.fill("#held", "-".join(digits[at : at + 4] for at in range(0, 16, 4)))
    expect(page.locator("#results")).to_contain_text("which you hold")
    page.fill("#held", digits[:15])
    expect(page.locator("#results")).not_to_contain_text("which you hold")


def test_bytes_that_are_no_text_never_pass_for_the_text_that_was_signed(page: Page, box: Box) -> None:
    """A decoder that puts U+FFFD for what it cannot read would find the signature right."""
    call = box.call_row("1", 5) | {"caller_name": "\ufffd\ufffd"}
    path = box.home.recordings / "call.json"
    signed = box.log.sign(box.log.describe("call", call["id"]) | {"call": call})
    whole = msgspec.json.encode(signed)
    for text, verdict in (
        (whole, "authentic"),
        (b"\xef\xbb\xbf" + whole, "manifest_altered"),
        (whole.replace("\ufffd".encode(), b"\xff", 1), "manifest_altered"),
        (whole.replace("\ufffd".encode(), b"\\ud800", 1), "manifest_altered"),
        (whole.replace("\ufffd".encode(), b"\\ufffd", 1), "authentic"),
    ):
        path.write_bytes(text)
        assert same(page, box.home.recordings, box.log.device)["verdict"] == verdict


def test_names_are_sorted_by_characters(page: Page, box: Box) -> None:
    manifest = box.log.describe("call", "x") | {
        "call": {"\ue000": 1, "\U00010000": 2, "__proto__": 3, "b\u2028": "\x7f\x1f/"}
    }
    (box.home.recordings / "call.json").write_bytes(msgspec.json.encode(box.log.sign(manifest)))
    assert same(page, box.home.recordings, box.log.device)["verdict"] == "authentic"


def test_numbers_and_depths_that_languages_read_differently(page: Page, box: Box) -> None:
    path = box.home.recordings / "call.json"
    deep: Any = 1
    for _ in range(98):
        deep = [deep]
    for value, verdict in (
        ((1 << 53) - 1, "authentic"), (1 - (1 << 53), "authentic"), (1 << 53, "manifest_altered"),
        (-1 << 53, "manifest_altered"), (deep, "authentic"), ([deep], "manifest_altered"),
    ):  # fmt: skip
        path.write_bytes(msgspec.json.encode(box.log.sign(box.log.describe("call", "x") | {"value": value})))
        assert same(page, box.home.recordings, box.log.device)["verdict"] == verdict


def test_folders_with_files_of_one_name_stay_apart(page: Page, box: Box) -> None:
    """Else the good one would be shown for both."""
    audio = box.record("1", 2)
    whole = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in sorted(audio.parent.iterdir())]
    page.fill("#key", box.log.device)
    said = page.evaluate(
        """async ([files, key]) => {
          const given = new Map();
          for (const folder of ["a/", "b/"]) for (const [name, text] of files) {
            const data = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            if (folder === "a/" && name.endsWith(".flac")) data[data.length - 9] ^= 1;
            given.set(folder + name, new File([data], name));
          }
          return (await verifyAll(given, { devices: [key], anchors: [] })).map((one) => [one.file, one.verdict]);
        }""",
        [whole, box.log.device],
    )
    assert said == [[f"a/{audio.name}", "altered"], [f"b/{audio.name}", "authentic"]]


def test_what_cannot_be_read_is_not_called_altered(page: Page, box: Box) -> None:
    audio = box.record("1", 2)
    page.fill("#key", box.log.device)
    copy = audio.with_name("copy")
    copy.mkdir()
    for path in (audio, audio.with_suffix(".json")):
        shutil.copy(path, copy)
    page.set_input_files("#files", sorted(copy.iterdir()))
    expect(page.locator(".verdict")).to_have_text("Authentic")
    (copy / audio.name).write_bytes(b"changed since it was chosen")
    page.fill("#key", "0" * 32)
    page.fill("#key", box.log.device)
    expect(page.locator(".verdict")).to_have_text("Cannot be checked")


def test_it_has_no_way_out() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not [word for word in ("http://", "https://", "fetch(", "XMLHttpRequest", "import(", "src=") if word in text]


CHANGED: list[Any] = [None, True, 0, -1, "", "x", [], {}, [[]], 1 << 53, 1.5, "\U0001f600", "a/b", "..", "0" * 64, 99]


def changed_somewhere(value: Any, dice: random.Random) -> Any:
    """The same value with one part of it changed or taken away."""
    value = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []
    layers = [value]
    for one in layers:
        inner = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for name, part in inner:
            places.append((one, name))
            layers.append(part)
    where, name = dice.choice(places)
    if isinstance(where, dict) and dice.random() < 0.2:
        del where[name]
    else:
        where[name] = dice.choice(CHANGED)
    return value


def test_page_and_program_agree_on_whatever_a_forger_sends(page: Page, box: Box, tmp_path: Path) -> None:
    """Parts changed at random in every file, as they are and signed anew: the same verdict, and never a crash."""
    audio, gone = box.record("1", 3), box.record("4", 2)
    make_anchor(box.home, False, box.now_ms)
    out = exported(box, audio, tmp_path / "out").parent
    for path in (box.delete(gone), gone.with_suffix(".json"), box.miss("3")):
        shutil.copy(path, out)
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    dice, verdicts = random.Random(7), set()
    for turn in range(80):
        name = dice.choice([one for one in files if one.endswith(".json")])
        file = json.loads(files[name])
        if turn % 2 and "manifest" in file:
            file["manifest"] = changed_somewhere(file["manifest"], dice)
            with suppress(TypeError):
                file["signature"] = box.log.sign(file["manifest"]).signature
        else:
            file = changed_somewhere(file, dice)
        (out / name).write_text(json.dumps(file, ensure_ascii=False))
        key = dice.choice(["", box.log.device])
        on_page = sorted(without_notes(by_page(page, out, key)), key=str)
        assert on_page == sorted(without_notes(by_program(out, key)), key=str), (turn, name)
        verdicts |= {one["verdict"] for one in on_page}
        (out / name).write_bytes(files[name])
    assert verdicts >= {"authentic", "deleted", "manifest_altered", "not_in_log", "part_missing", "unknown_device"}
