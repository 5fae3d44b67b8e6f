/** A waveform that plays: speed, sides, loop, marks, zoom, and leaving out silence. */

import { computed, onBeforeUnmount, onMounted, reactive, ref, type ShallowRef, watch } from "vue";
import WaveSurfer from "wavesurfer.js";
import RegionsPlugin, { type Region } from "wavesurfer.js/dist/plugins/regions.esm.js";
import TimelinePlugin from "wavesurfer.js/dist/plugins/timeline.esm.js";
import { readPeaks } from "@/api/endpoints";
import type { Recording } from "@/api/types";
import { formatDuration } from "@/text/duration";
import { theme } from "@/theme";
import { behindSilence, type Outline, outlineOf, type Stretch, silences } from "./silence";
import { StereoSides } from "./stereoSides";

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4];
/** Pixels a second; 0: all of it fits. */
export const ZOOMS = [0, 10, 25, 50, 100, 200, 400];
export const SIDES = ["left", "right"] as const;
export type Side = (typeof SIDES)[number];
/** A moment worth finding again. */
export interface Mark {
  id: string;
  at_s: number;
}

const HEIGHT_PX = 56;
/** The box counts peaks in 1/128 of full scale. */
const FULL_SCALE = 128;
const MOST_BARS = 1200;
const SHORTEST_LOOP_S = 0.2;

/** Without `recording` it is a call that still runs: read whole, its length and outline come from the audio. */
export interface WaveSource {
  url: string;
  recording?: Recording;
  marks?: Mark[];
  /** Where to begin. */
  from_s?: number;
  /** Asks, at the end, whether there is more by now. */
  more?: () => boolean;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return { waveColor: token("--accent-line"), progressColor: token("--accent"), cursorColor: token("--text") };
}
/** Transparent, so that the wave stays to be seen below it. */
const washed = () => `color-mix(in srgb, ${colours().progressColor} 22%, transparent)`;

/** Of each pair of lowest and highest value the larger; as often as a short recording needs to fill every bar. */
function loudest(values: number[]): number[] {
  const repeat = Math.max(1, Math.ceil((2 * MOST_BARS) / values.length));
  return Array.from({ length: (values.length / 2) * repeat }, (_, at) => {
    const pair = 2 * Math.floor(at / repeat);
    return Math.max(-(values[pair] ?? 0), values[pair + 1] ?? 0) / FULL_SCALE;
  });
}

export function useWave(frame: Readonly<ShallowRef<HTMLElement | null>>, source: WaveSource) {
  const playing = ref(false);
  const position_ms = ref(0);
  const duration_ms = ref(source.recording?.duration_ms ?? 0);
  const speed = ref(1);
  const zoom = ref(0);
  const failed = ref(false);
  const skipsSilence = ref(false);
  const muted = reactive({ left: false, right: false });
  const loop = reactive<{ from_s: number | null; to_s: number | null }>({ from_s: null, to_s: null });
  const stereo = computed(() => source.recording?.tracks === 2);
  const regions = RegionsPlugin.create();
  let begin_s = source.from_s ?? 0;
  let wave: WaveSurfer | undefined;
  let sides: StereoSides | undefined;
  let outline: Outline | undefined;
  let quiet: Stretch[] | undefined;
  let loopRegion: Region | undefined;
  let shownMarks: Region[] = [];

  /** The outline that the box keeps; without it (also when it cannot be had) the audio is read for one. */
  async function known() {
    const { recording } = source;
    if (!recording?.duration_ms) return {};
    try {
      outline = await readPeaks(recording.id);
      return { peaks: outline.tracks.map(loudest), duration: recording.duration_ms / 1000 };
    } catch {
      return {};
    }
  }

  onMounted(async () => {
    const begun = await known();
    if (!frame.value) return;
    const height = stereo.value ? HEIGHT_PX / 2 : HEIGHT_PX;
    wave = WaveSurfer.create({
      container: frame.value,
      height,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      normalize: true,
      dragToSeek: true,
      url: source.url,
      plugins: [
        regions,
        TimelinePlugin.create({ height: 14, formatTimeCallback: (seconds) => formatDuration(seconds * 1000) }),
      ],
      ...begun,
      ...(stereo.value ? { splitChannels: SIDES.map(() => ({ height, ...colours() })) } : {}),
      ...colours(),
    });
    listen(wave);
  });
  onBeforeUnmount(() => {
    wave?.destroy();
    sides?.close();
  });

  function listen(one: WaveSurfer): void {
    one.on("ready", (seconds) => {
      duration_ms.value = seconds * 1000;
      showMarks();
      if (begin_s) one.setTime(Math.min(seconds, begin_s));
      begin_s = 0;
      one.setPlaybackRate(speed.value, true);
      // A browser may refuse to start sound by itself; the button is there then.
      one.play().catch(() => undefined);
    });
    one.on("timeupdate", (seconds) => {
      position_ms.value = seconds * 1000;
      if (one.isPlaying()) goOn(seconds);
    });
    one.on("play", () => {
      playing.value = true;
    });
    one.on("pause", () => {
      playing.value = false;
    });
    one.on("finish", () => void readOn(one));
    one.on("error", () => {
      failed.value = true;
    });
    regions.on("region-updated", (region) => {
      if (region === loopRegion) Object.assign(loop, { from_s: region.start, to_s: region.end });
    });
  }

  /** Back to A behind B, and over what is silent. */
  function goOn(at_s: number): void {
    if (loop.from_s !== null && loop.to_s !== null && (at_s >= loop.to_s || at_s < loop.from_s - 0.5)) {
      wave?.setTime(loop.from_s);
      return;
    }
    if (!skipsSilence.value) return;
    const next_s = behindSilence(quiet ?? [], at_s);
    if (next_s > at_s) wave?.setTime(Math.min(next_s, duration_ms.value / 1000));
  }

  /** A call that still runs has become longer: reads it again and goes on where it was. */
  async function readOn(one: WaveSurfer): Promise<void> {
    if (!source.more?.()) return;
    begin_s = one.getDuration();
    outline = quiet = undefined;
    try {
      await one.load(source.url);
      if (skipsSilence.value) findSilence();
    } catch {
      failed.value = true;
    }
  }

  function findSilence(): void {
    const sound = outline ? undefined : wave?.getDecodedData();
    if (sound) {
      const tracks = Array.from({ length: sound.numberOfChannels }, (_, track) => sound.getChannelData(track));
      outline = outlineOf(tracks, sound.sampleRate);
    }
    quiet = outline ? silences(outline) : [];
  }
  function toggleSilence(): void {
    skipsSilence.value = !skipsSilence.value;
    if (skipsSilence.value) findSilence();
  }

  /** The sound goes through our hands from the first time that a side is muted. */
  function mute(side: Side): void {
    const media = wave?.getMediaElement();
    if (!media || !stereo.value) return;
    muted[side] = !muted[side];
    sides ??= new StereoSides(media);
    sides.mute(muted.left, muted.right);
  }

  /** Sets A or B at this moment; both are there once one is before the other. */
  function markLoop(end: "from_s" | "to_s"): void {
    loop[end] = position_ms.value / 1000;
    const { from_s, to_s } = loop;
    if (from_s !== null && to_s !== null && to_s - from_s < SHORTEST_LOOP_S)
      loop[end === "from_s" ? "to_s" : "from_s"] = null;
    loopRegion?.remove();
    loopRegion = undefined;
    if (loop.from_s === null || loop.to_s === null) return;
    loopRegion = regions.addRegion({ start: loop.from_s, end: loop.to_s, drag: false, color: washed() });
  }
  function clearLoop(): void {
    loopRegion?.remove();
    loopRegion = undefined;
    Object.assign(loop, { from_s: null, to_s: null });
  }

  function showMarks(): void {
    for (const one of shownMarks) one.remove();
    const color = colours().cursorColor;
    shownMarks = (source.marks ?? []).map(({ id, at_s }) =>
      regions.addRegion({ id, start: at_s, drag: false, resize: false, color }),
    );
  }

  const seek = (at_s: number) => wave?.setTime(Math.min(Math.max(0, at_s), duration_ms.value / 1000));
  const step = (list: number[], now: number, by: 1 | -1) =>
    list[Math.min(list.length - 1, Math.max(0, list.indexOf(now) + by))] ?? now;
  const setSpeed = (by: 1 | -1) => {
    speed.value = step(SPEEDS, speed.value, by);
  };
  const setZoom = (by: 1 | -1) => {
    zoom.value = step(ZOOMS, zoom.value, by);
  };

  watch(speed, (rate) => wave?.setPlaybackRate(rate, true));
  watch(zoom, (pixels) => wave?.zoom(pixels));
  watch(
    () => source.marks,
    () => duration_ms.value && wave && showMarks(),
  );
  watch(
    theme.state,
    () => {
      wave?.setOptions(colours());
      showMarks();
    },
    { flush: "post" },
  );

  return reactive({
    playing,
    position_ms,
    duration_ms,
    speed,
    zoom,
    failed,
    skipsSilence,
    muted,
    loop,
    stereo,
    toggle: () => void wave?.playPause(),
    play: () => void wave?.play().catch(() => undefined),
    skip: (seconds: number) => seek(position_ms.value / 1000 + seconds),
    seek,
    setSpeed,
    setZoom,
    mute,
    markLoop,
    clearLoop,
    toggleSilence,
  });
}

export type Wave = ReturnType<typeof useWave>;
