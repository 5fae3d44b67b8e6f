// Lists, searches, filters and plays what lies beside this page, from a disk, without any network.
"use strict";
const TEXTS = {
  zh: {
    title: "录音导出", other: "English", words: "号码、姓名、公司、备注…", direction: "呼叫方向", result: "通话结果",
    channel: "通道", from: "从", to: "到", audio: "只看有录音的", found: (n, all) => `${n} / ${all} 通`,
    about: (h, n) => `${h.by} 导出于 ${h.made_at}，共 ${h.calls} 通` + (h.complete ? "" : `。导出未完成，目前列出 ${n} 通`),
    loading: "正在读取…", workbook: "打开通话记录表", verify: "如何验证录音", file: "打开录音文件",
    incoming: "呼入", outgoing: "呼出", answered: "已接", missed: "未接", abandoned: "放弃", none: "无号码",
    head: ["开始时间", "通道", "方向", "结果", "号码", "客户", "操作员", "通话时长", "备注"], part: (n) => `第 ${n} 段`,
    gone: "播放不了：文件不在，或此浏览器不支持该格式。", lost: (s) => `缺失 ${s} 秒`, speed: (x) => `${x}×`, deleted: "录音已删除",
    leftOut: (n) => `。未导出的录音：${n} 个，原因见备注`, unreadable: "录音未导出：录音盒读不出",
    too_large: "录音未导出：超过此 U 盘单个文件的上限（FAT 为 4 GiB）",
  },
  en: {
    title: "Recordings", other: "中文", words: "Number, name, company, note…", direction: "Direction", result: "Result",
    channel: "Channel", from: "From", to: "To", audio: "With recording only", found: (n, all) => `${n} / ${all} calls`,
    about: (h, n) => `Exported by ${h.by}, ${h.made_at}: ${h.calls} calls` +
      (h.complete ? "" : `. The export was not finished: ${n} are listed so far`),
    loading: "Reading…", workbook: "Open the list of calls", verify: "How to verify", file: "Open the file",
    incoming: "incoming", outgoing: "outgoing", answered: "answered", missed: "missed", abandoned: "abandoned",
    none: "no number", part: (n) => `part ${n}`,
    head: ["Begin", "Channel", "Direction", "Result", "Number", "Customer", "Operator", "Talk time", "Note"],
    gone: "It does not play: the file is not there, or this browser does not know the format.",
    lost: (s) => `${s} s missing`, speed: (x) => `${x}×`, deleted: "recording deleted",
    leftOut: (n) => `. Recordings that were left out: ${n}, see their notes`, unreadable: "recording left out: the box cannot read it",
    too_large: "recording left out: larger than a file may be on this stick (FAT: 4 GiB)",
  },
};
const ROW_PX = 40, OVERSCAN = 8;
const [ID, AT, CHANNEL, CHANNEL_NAME, DIRECTION, RESULT, CALLER, DIALLED, PLACE, PLACE_EN, CUSTOMER, COMPANY, OPERATOR, , TALK,
  NOTE, , FILES, DELETED, ABSENT] = Array(20).keys();
const $ = (id) => document.getElementById(id);
const two = (n) => String(n).padStart(2, "0");
const time = (ms) => { const d = new Date(ms); return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`; };
const length = (ms) => { const s = Math.round(ms / 1000); return (s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}` : Math.floor(s / 60)) + `:${two(s % 60)}`; };
const digits = (text) => text.replace(/[^0-9]/g, "");

let language = document.documentElement.lang === "en" ? "en" : "zh";
let head = null, rows = [], shown = [], chosen = null, wave = null;
const waves = new Map();  // by piece
const say = () => TEXTS[language];
const about = () => say().about(head, rows.length) + (head.left_out ? say().leftOut(head.left_out) : "");
const numberOf = (row) => (row[DIRECTION] === "incoming" ? row[CALLER] : row[DIALLED]);

// Scripts that lie beside the page call these; a page from a disk may read nothing else.
window.tapdeckHead = (about) => { head = about; };
const arrived = new Map();
window.tapdeckCalls = (piece, found) => { arrived.set(piece, found); };
window.tapdeckWaves = (piece, found) => { waves.set(piece, found); };

function load(path) {
  return new Promise((done) => {
    const script = document.createElement("script");
    script.charset = "utf-8";
    script.src = path;
    script.onload = () => done(true);
    script.onerror = () => done(false);
    document.head.append(script);
  }).finally(() => document.head.querySelector(`script[src="${path}"]`)?.remove());
}
const piecePath = (kind, piece) => `data/${kind}-${String(piece).padStart(4, "0")}.js`;

async function start() {
  if (!(await load("data/head.js")) || !head) { $("about").textContent = TEXTS.zh.gone + " " + TEXTS.en.gone; return; }
  draw();
  for (let piece = 1; piece <= head.pieces; piece++) {
    await load(piecePath("calls", piece));
    for (const row of arrived.get(piece) || []) {
      row.piece = piece;
      row.words = [row[CALLER], row[DIALLED], row[CUSTOMER], row[COMPANY], row[OPERATOR], row[NOTE], row[CHANNEL_NAME],
        row[PLACE], row[PLACE_EN]].join("\n").toLowerCase();
      row.digits = `${digits(row[CALLER])} ${digits(row[DIALLED])}`;
      rows.push(row);
    }
    arrived.delete(piece);
    if (piece === 1 || piece % 8 === 0) filter();
  }
  rows.sort((a, b) => b[AT] - a[AT] || (a[ID] < b[ID] ? 1 : -1));
  drawFilters();
  filter();
  document.documentElement.dataset.ready = "yes";
}

function drawFilters() {
  const options = (id, values, text) => {
    const before = $(id).value;
    $(id).replaceChildren(...["", ...values].map((value) => new Option(value === "" ? say()[id] : text(value), value)));
    $(id).value = values.map(String).includes(before) ? before : "";
  };
  const names = new Map(rows.map((row) => [row[CHANNEL], row[CHANNEL_NAME]]));
  options("direction", ["incoming", "outgoing"], (one) => say()[one]);
  options("result", ["answered", "missed", "abandoned"], (one) => say()[one]);
  options("channel", [...names.keys()].sort((a, b) => a - b), (one) => `${one} ${names.get(one)}`.trim());
}

function draw() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = $("title").textContent = say().title;
  $("about").textContent = about();
  $("language").textContent = say().other;
  $("words").placeholder = say().words;
  $("words").setAttribute("aria-label", say().words);
  $("from-label").textContent = say().from;
  $("to-label").textContent = say().to;
  $("audio-only-label").textContent = say().audio;
  $("verify").textContent = say().verify;
  $("verify").hidden = !head.evidence;
  $("workbook").hidden = !head.workbook;
  if (head.workbook) { $("workbook").href = encodeURIComponent(head.workbook); $("workbook").textContent = say().workbook; }
  $("file").textContent = say().file;
  $("head").replaceChildren(...say().head.map((text) => cell(text)));
  $("rate").replaceChildren(...[0.75, 1, 1.25, 1.5, 2].map((x) => new Option(say().speed(x), x, x === 1, x === 1)));
  drawFilters();
  if (chosen) drawChosen();
}

function filter() {
  const words = $("words").value.trim().toLowerCase(), numbers = digits(words);
  const isNumber = numbers.length > 0 && /^[0-9+ ()-]+$/.test(words);
  const [direction, result, channel] = ["direction", "result", "channel"].map((id) => $(id).value);
  const from = $("from").value ? Date.parse($("from").value) : -Infinity;
  const to = $("to").value ? Date.parse($("to").value) + 86400000 : Infinity;
  const audio = $("audio-only").checked;
  shown = rows.filter((row) =>
    (!direction || row[DIRECTION] === direction) && (!result || row[RESULT] === result) &&
    (!channel || String(row[CHANNEL]) === channel) && row[AT] >= from && row[AT] < to && (!audio || row[FILES].length) &&
    (!words || (isNumber ? row.digits.includes(numbers) : row.words.includes(words))));
  $("found").textContent = say().found(shown.length, rows.length);
  $("about").textContent = about();
  $("list").scrollTop = 0;
  drawRows();
}

function cell(text, className = "") {
  const made = document.createElement("span");
  made.textContent = text;
  made.title = text;
  if (className) made.className = className;
  return made;
}

function drawRows() {
  const list = $("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW_PX) - OVERSCAN);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_PX) + OVERSCAN);
  $("space").style.height = `${shown.length * ROW_PX}px`;
  $("space").replaceChildren(...shown.slice(first, last).map((row, index) => {
    const line = document.createElement("div");
    line.className = `row ${row[FILES].length ? "plays" : "silent"} ${row === chosen ? "chosen" : ""}`;
    line.style.top = `${(first + index) * ROW_PX}px`;
    line.dataset.id = row[ID];
    line.setAttribute("role", "row");
    const place = language === "zh" ? row[PLACE] : row[PLACE_EN];
    const customer = [row[CUSTOMER], row[COMPANY]].filter(Boolean).join(" · ");
    line.append(
      cell(time(row[AT])), cell(`${row[CHANNEL]} ${row[CHANNEL_NAME]}`.trim()), cell(say()[row[DIRECTION]] || ""),
      cell(say()[row[RESULT]] || ""), cell([numberOf(row) || say().none, place].filter(Boolean).join("  ")), cell(customer),
      cell(row[OPERATOR]), cell(row[FILES].length || row[TALK] ? length(row[TALK]) : "", "soft"),
      cell([row[DELETED] ? say().deleted : "", ...row[ABSENT].map((why) => say()[why]), row[NOTE]].filter(Boolean).join(" ")));
    line.addEventListener("click", () => { if (row[FILES].length) choose(row, true); });
    return line;
  }));
}

function choose(row, play) {
  chosen = row;
  $("part").replaceChildren(...row[FILES].map((file, index) => new Option(say().part(index + 1), index)));
  $("part").hidden = row[FILES].length < 2;
  $("player").hidden = false;
  open(0, play);
  drawRows();
}

function open(part, play) {
  const [id, place] = chosen[FILES][part], url = place.split("/").map(encodeURIComponent).join("/");
  $("trouble").textContent = "";
  $("audio").src = url;
  $("audio").playbackRate = Number($("rate").value);
  $("file").href = url;
  $("file").setAttribute("download", place.split("/").pop());
  drawChosen();
  if (play) $("audio").play().catch(() => {});  // its error event says what is the matter
  wave = null;
  drawWave();
  wavesOf(chosen.piece).then((found) => {
    if (!chosen || chosen[FILES][Number($("part").value) || 0]?.[0] !== id) return;
    wave = (found[id] || []).map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    drawWave();
  });
}

function drawChosen() {
  const part = chosen[FILES][Number($("part").value) || 0], missing = part ? Math.ceil(part[3] / 1000) : 0;
  $("what").textContent = [time(chosen[AT]), say()[chosen[DIRECTION]], numberOf(chosen) || say().none, chosen[CUSTOMER],
    chosen[COMPANY], missing ? say().lost(missing) : ""].filter(Boolean).join("  ");
}

async function wavesOf(piece) {
  if (!waves.has(piece)) {
    if (waves.size > 20) waves.clear();  // a long list on a small telephone
    await load(piecePath("waves", piece));
  }
  return waves.get(piece) || {};
}

function drawWave() {
  const canvas = $("wave"), ratio = window.devicePixelRatio || 1;
  const width = canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const pen = canvas.getContext("2d"), colours = getComputedStyle(document.documentElement);
  const [done, rest, line] = ["--accent-fill", "--chart-2", "--line-strong"].map((name) => colours.getPropertyValue(name));
  const audio = $("audio"), at = audio.duration ? audio.currentTime / audio.duration : 0;
  const tracks = wave && wave.length ? wave : [new Uint8Array(0)], band = height / tracks.length;
  const loudest = tracks.reduce((most, track) => track.reduce((one, other) => Math.max(one, other), most), 24);
  tracks.forEach((track, index) => {
    const middle = band * (index + 0.5);
    pen.fillStyle = line;
    pen.fillRect(0, middle, width, 1);
    track.forEach((loud, column) => {
      const x = column * width / track.length, high = Math.max(1, loud / loudest * band * 0.92);
      pen.fillStyle = column / track.length < at ? done : rest;
      pen.fillRect(x, middle - high / 2, Math.max(1, width / track.length - ratio), high);
    });
  });
  pen.fillStyle = done;
  pen.fillRect(at * width, 0, 2 * ratio, height);
}

function seek(event) {
  const box = $("wave").getBoundingClientRect(), audio = $("audio");
  if (audio.duration) audio.currentTime = audio.duration * (event.clientX - box.left) / box.width;
}

function move(step) {
  const playable = shown.filter((row) => row[FILES].length), at = playable.indexOf(chosen);
  const next = playable[Math.max(0, at + step)];
  if (!next) return;
  choose(next, true);
  const top = shown.indexOf(next) * ROW_PX, list = $("list");
  if (top < list.scrollTop || top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 2;
}

$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("input", filter);
$("list").addEventListener("scroll", () => requestAnimationFrame(drawRows));
$("list").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  move(event.key === "ArrowDown" ? 1 : -1);
});
$("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; draw(); filter(); });
$("part").addEventListener("change", () => open(Number($("part").value), true));
$("rate").addEventListener("change", () => { $("audio").playbackRate = Number($("rate").value); });
$("wave").addEventListener("click", seek);
$("wave").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
  if (step) { event.preventDefault(); $("audio").currentTime += step; }
});
for (const name of ["timeupdate", "seeked", "loadedmetadata"]) $("audio").addEventListener(name, drawWave);
$("audio").addEventListener("error", () => { $("trouble").textContent = say().gone; });
window.addEventListener("resize", () => { drawRows(); drawWave(); });
start();
