/** The sound of a card that comes up: two soft notes, made here so that no file has to be loaded. */

const NOTES_HZ = [784, 1047];
const NOTE_S = 0.22;
const LOUDNESS = 0.16;

let context: AudioContext | undefined;

/** Asks the browser to let this page sound; it does so only after a click or a key. */
export function readyToSound(): void {
  context ??= new AudioContext();
  if (context.state === "suspended") void context.resume().catch(() => undefined);
}

/** Sounds once; silently nothing where the browser does not allow it (yet). */
export function playChime(): void {
  readyToSound();
  if (!context) return;
  NOTES_HZ.forEach((pitch_hz, index) => {
    const at_s = (context?.currentTime ?? 0) + index * NOTE_S;
    sound(context as AudioContext, pitch_hz, at_s);
  });
}

function sound(where: AudioContext, pitch_hz: number, at_s: number): void {
  const tone = where.createOscillator();
  const loudness = where.createGain();
  tone.frequency.value = pitch_hz;
  loudness.gain.setValueAtTime(0, at_s);
  loudness.gain.linearRampToValueAtTime(LOUDNESS, at_s + 0.02);
  loudness.gain.exponentialRampToValueAtTime(0.001, at_s + NOTE_S * 1.8);
  tone.connect(loudness).connect(where.destination);
  tone.start(at_s);
  tone.stop(at_s + NOTE_S * 2);
}
