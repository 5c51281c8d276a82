"""One speaker's digits in another's voice: is it the target's voice, and still the same word?

python benchmarks/voices.py --pair jackson,theo --minutes 60 --out FOLDER [--data DATA]

Sorts the spoken digits of $LATENTIA_DATA (or --data) into a folder per speaker, the first 40 takes
of each digit to train and the last 10 to test, trains `--model voice-cyclegan` on a pair without
pairing any two clips, fits the neural vocoder on the same clips (--vocoder-minutes, out of the
same budget), and translates the test clips both ways. What came out is judged as waveforms, by
classifiers trained on the real training clips of all four speakers: whose voice it is, which digit
it is, and the mel-cepstral distortion to the target's own test clips of the digit. Beside it stand
the clips as they were, the same clips through the vocoder alone, and a baseline of pure statistics:
each band brought to the target's mean and deviation.
"""

from __future__ import annotations

import argparse
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import latentia
from latentia.data.audio import read_samples, resampled
from latentia.data.mel import LogMel, log_mel, to_picture
from latentia.data.windows import gain_to, speech_level
from latentia.metrics.speech import Listener, distortion_to, name_part, pitch_facts
from latentia.sound.fit import fit_vocoder
from latentia.sound.neural import load_vocoder
from latentia.sound.recording import sound_of, translate_recording
from latentia.sound.vocoders import GriffinLim, Vocoder

TAKES, HELD_OUT = 50, 10
SPEAKERS = ("jackson", "nicolas", "theo", "yweweler")
Clips = dict[str, np.ndarray]
"""Mono samples at the run's rate by file name, at one loudness."""


def main() -> None:
    args = parsed()
    data = args.data or Path(os.environ["LATENTIA_DATA"])
    whole = sort_speakers(data / "speech_digits" / "fsdd_4speakers.zip", args.out / "clips")
    pair = args.pair.split(",")
    run = trained(whole, pair, args)
    how = sound_of(run.spec)
    vocoder: Vocoder = GriffinLim(how)
    if args.vocoder_minutes:
        if not (run.folder / "vocoder.safetensors").is_file():
            fit_vocoder(run.folder, run.source, run.options, how, minutes=args.vocoder_minutes)
        vocoder = load_vocoder(run.folder) or vocoder
    record = judged(run, whole, pair, how, vocoder, args.out)
    path = args.out / f"voices-{'-'.join(pair)}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(record))
    print(f"All figures: {path}")


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", type=Path, help="holds speech_digits/; else $LATENTIA_DATA")
    words.add_argument("--pair", default="jackson,theo", help="two speakers")
    words.add_argument("--minutes", type=float, help="of the CycleGAN; 50 where nothing is said")
    words.add_argument("--examples", type=int, help="in their place, on a machine shared by others")
    words.add_argument("--vocoder-minutes", type=float, default=8, help="0: Griffin-Lim")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    words.add_argument("--out", type=Path, default=Path("voices"))
    args = words.parse_args()
    if args.minutes is None and args.examples is None:
        args.minutes = 50.0
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def sort_speakers(archive: Path, folder: Path) -> Path:
    """`folder/train/theo/7_theo_3.wav` and so on; the last takes of each digit in `test`."""
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            if name.endswith(".wav"):
                part = "test" if int(name_part(name, 2)) >= TAKES - HELD_OUT else "train"
                place = folder / part / name_part(name, 1) / Path(name).name
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(file.read(name))
    return folder


def trained(folder: Path, pair: Sequence[str], args: argparse.Namespace) -> latentia.Run:
    """Train, or take the finished run in the folder."""
    place = args.out / f"run-{'-'.join(pair)}"
    if not (place / "recipe.json").is_file() or not latentia.Run.open(place).finished:
        chosen = {"domains": ",".join(pair), **dict(word.split("=", 1) for word in args.set)}
        latentia.fit(
            folder,
            model="voice-cyclegan",
            minutes=args.minutes,
            examples=args.examples,
            seed=args.seed,
            out=place,
            settings=chosen,
        )
    return latentia.Run.open(place)


def judged(
    run: latentia.Run,
    folder: Path,
    pair: Sequence[str],
    how: LogMel,
    vocoder: Vocoder,
    out: Path,
) -> dict[str, Any]:
    """All figures, for both directions and every way to convert."""
    train, test = (read_clips(folder / part, how) for part in ("train", "test"))
    voices = Listener.train(list(train.values()), [speaker(n) for n in train], how, seed=1)
    digits = Listener.train(list(train.values()), [digit(n) for n in train], how, seed=2)
    record: dict[str, Any] = {
        "pair": pair,
        "minutes": run.budget.to_json(),
        "speaker_on_real": share(voices, test, speaker),
        "digit_on_real": {who: share(digits, of(test, who), digit) for who in SPEAKERS},
        "vocoder": vocoder.words,
    }
    for source, target in (pair, pair[::-1]):
        rows = {
            "unconverted": of(test, source),
            "vocoder alone": through(of(test, source), vocoder),
            "band statistics": statistics(of(train, source), of(train, target), vocoder)(
                of(test, source)
            ),
            "griffin-lim": converted(run, of(test, source), folder, target, GriffinLim(how), out),
            "converted": converted(run, of(test, source), folder, target, vocoder, out),
        }
        rows["target itself"] = of(test, target)
        record[f"{source} to {target}"] = {
            name: figures(clips, of(test, target), target, voices, digits, how)
            for name, clips in rows.items()
        }
    return record


def figures(
    clips: Clips, targets: Clips, target: str, voices: Listener, digits: Listener, how: LogMel
) -> dict[str, Any]:
    """What the classifiers say of clips, their distortion to the target's, their pitch."""
    heard = voices.hear(list(clips.values()))
    words = {name: digit(name) for name in clips}
    spoken: dict[str, list[np.ndarray]] = {}
    for name, wave in targets.items():
        spoken.setdefault(digit(name), []).append(wave)
    return {
        "target_share": float(np.mean([who == target for who in heard])),
        "digit_right": share(digits, clips, digit),
        "distortion_db": float(np.mean(list(distortion_to(clips, words, spoken, how).values()))),
        "pitch": pitch_facts(list(clips.values()), how.rate),
    }


def read_clips(folder: Path, how: LogMel) -> Clips:
    """Every recording below a folder, at the run's rate and one loudness."""
    found = {}
    for path in sorted(folder.rglob("*.wav")):
        found[path.name] = read_clip(path, how)
    return found


def read_clip(path: Path, how: LogMel) -> np.ndarray:
    table, rate = read_samples(BytesIO(path.read_bytes()))
    mono = table.mean(axis=1)
    return resampled(mono * gain_to(speech_level([mono], rate)), rate, how.rate)


def converted(
    run: latentia.Run, clips: Clips, folder: Path, to: str, vocoder: Vocoder, out: Path
) -> Clips:
    """The test clips in the other voice, as files written and read again."""
    model, found = run.model(), {}
    for name in clips:
        source = folder / "test" / speaker(name) / name
        place = out / f"to-{to}" / type(vocoder).__name__ / name
        translate_recording(model, run.spec, source, to, place, vocoder=vocoder)
        found[name] = read_clip(place, sound_of(run.spec))
    return found


def statistics(source: Clips, target: Clips, vocoder: Vocoder) -> Callable[[Clips], Clips]:
    """Every band brought from the source's mean and deviation to the target's."""
    (m, s), (wanted, wide) = (moments(clips, vocoder.how) for clips in (source, target))

    def convert(clips: Clips) -> Clips:
        return through(clips, vocoder, lambda x: ((x - m) / s * wide + wanted).clamp(-1, 1))

    return convert


def moments(clips: Clips, how: LogMel) -> tuple[Tensor, Tensor]:
    every = torch.cat([picture(wave, how) for wave in clips.values()], 1)
    return every.mean(1, keepdim=True), every.std(1, keepdim=True)


def through(
    clips: Clips, vocoder: Vocoder, change: Callable[[Tensor], Tensor] = lambda x: x
) -> Clips:
    """Clips as spectrograms, changed there, and back."""
    found = {}
    for name, wave in clips.items():
        made = vocoder.wave(change(picture(wave, vocoder.how))[None])[0].numpy()[: len(wave)]
        found[name] = made * gain_to(speech_level([made], vocoder.how.rate))
    return found


def picture(wave: np.ndarray, how: LogMel) -> Tensor:
    whole = np.pad(wave, (0, -len(wave) % how.hop)).astype(np.float32)
    return to_picture(log_mel(torch.from_numpy(whole), how), how)


def digit(name: str) -> str:
    return name_part(name, 0)


def speaker(name: str) -> str:
    return name_part(name, 1)


def of(clips: Clips, who: str) -> Clips:
    return {name: wave for name, wave in clips.items() if speaker(name) == who}


def share(listener: Listener, clips: Clips, word: Callable[[str], str]) -> float:
    """How often a listener is right."""
    heard = listener.hear(list(clips.values()))
    return float(np.mean([a == word(b) for a, b in zip(heard, clips, strict=True)]))


def table(record: dict[str, Any]) -> str:
    lines = [f"speaker right on real test clips: {record['speaker_on_real']:.1%}"]
    for way in (key for key in record if " to " in key):
        lines.append(f"{way:<28}{'target':>8}{'digit':>8}{'MCD dB':>8}{'F0 Hz':>8}")
        for name, row in record[way].items():
            lines.append(
                f"  {name:<26}{row['target_share']:>8.1%}{row['digit_right']:>8.1%}"
                f"{row['distortion_db']:>8.2f}{row['pitch']['median']:>8.0f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
