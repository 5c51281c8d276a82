"""Fitting the neural vocoder of a run to the run's own training clips."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.data.audio import read_samples, resampled
from latentia.data.cache import arranged
from latentia.data.images import Unreadable
from latentia.data.mel import LogMel, log_mel, to_picture
from latentia.data.open import find
from latentia.data.pile import Pile
from latentia.data.spec import DataOptions
from latentia.data.windows import windowed
from latentia.errors import UserError
from latentia.nn.vocoder_net import VocoderNet
from latentia.sound.neural import NeuralVocoder
from latentia.sound.phases import analyse, synthesise

WIDTH, BLOCKS = 192, 6
BATCH, FRAMES = 16, 32  # clips of a step, and their length
RATE, WARMUP, CLIP_NORM = 2e-3, 0.02, 1.0
RESOLUTIONS = (1 / 4, 1 / 2, 1, 2)  # windows of the losses, in windows of the front end
MAGNITUDE, BANDS = 0.5, 0.05  # weights: magnitudes in nats, bands in dB
_EPS = 1e-5
Progress = Callable[[float, dict[str, float]], None]


def fit_vocoder(
    folder: str | Path,
    source: str,
    options: DataOptions,
    how: LogMel,
    *,
    minutes: float = 8.0,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> NeuralVocoder:
    """Train a vocoder on a run's training clips, and keep it in the run folder.

    Args:
        folder: of the run.
        source, options: its data and how that is opened.
        how: its front end.
        minutes: how long.
        steps: how many steps instead, for a result that does not depend on the clock.
        seed: of weights and order.
        progress: called with the share done and the losses.

    Raises:
        UserError: the recordings are gone.
    """
    waves = training_waves(source, options, how)
    net = train_net(waves, how, minutes=minutes, steps=steps, seed=seed, progress=progress)
    vocoder = NeuralVocoder(net, how)
    vocoder.save(Path(folder))
    return vocoder


def training_waves(source: str, options: DataOptions, how: LogMel) -> list[Tensor]:
    """The training clips of a run, float32 `(samples,)` each at its rate and loudness.

    Raises:
        UserError: no recordings there, or none that can be read.
    """
    pile = find(source, options)
    if not isinstance(pile, Pile) or not pile.sound:
        raise UserError(f"{source} holds no recordings to fit a vocoder to.")
    if options.window is not None:
        pile = windowed(pile, options.window, options.seed)
    found = []
    for i in arranged(pile.pictures, options.seed)["train"][: options.limit]:
        try:
            with pile.open(i) as stream:
                table, rate = read_samples(stream)
        except (Unreadable, OSError):
            continue
        found.append(torch.from_numpy(resampled(table.mean(axis=1), rate, how.rate).copy()))
    if not found:
        raise UserError(f"None of the recordings of {source} can be read.")
    return found


def train_net(
    waves: Sequence[Tensor],
    how: LogMel,
    *,
    minutes: float = 8.0,
    steps: int | None = None,
    seed: int = 0,
    width: int = WIDTH,
    blocks: int = BLOCKS,
    progress: Progress | None = None,
) -> VocoderNet:
    """A network trained on waves `(samples,)`; arguments as in `fit_vocoder`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = VocoderNet(how.mels, how.fft // 2 + 1, width, blocks)
    follow_bands(net, how)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, betas=(0.8, 0.99), fused=True)
    began, step, done = time.perf_counter(), 0, 0.0
    while done < 1:
        wave = _crops(waves, (FRAMES - 1) * how.hop, generator)
        losses = vocoder_losses(net, wave, how)
        optimiser.param_groups[0]["lr"] = RATE * _rate(done)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
        optimiser.step()
        step += 1
        spent = (time.perf_counter() - began) / 60 / max(minutes, 1e-9)
        done = spent if steps is None else step / steps
        if progress is not None:
            progress(min(done, 1.0), {k: float(v.detach()) for k, v in losses.items()})
    return net.eval().requires_grad_(False)


@torch.no_grad()
def follow_bands(net: VocoderNet, how: LogMel) -> None:
    """Let a fresh network begin with the magnitudes that the bands suggest, spread evenly."""
    nats = -how.floor_db * math.log(10) / 40  # of amplitude in half the range of a picture
    filters = how.filters
    spread = (filters / filters.sum(0).clamp(min=_EPS)).T  # (bins, mels), lowest band first
    silent = filters.sum(0) <= _EPS
    spread[silent] = 1 / how.mels
    bias = -nats - 0.5 * spread @ filters.sum(1).log()
    net.skip.weight.copy_((nats * spread).flip(1)[..., None])
    assert net.skip.bias is not None
    net.skip.bias.copy_(bias - silent * nats)
    net.last.weight[: net.bins].mul_(0.1)


def vocoder_losses(net: VocoderNet, wave: Tensor, how: LogMel) -> dict[str, Tensor]:
    """How far resynthesised waves `(B, samples)` are from the true ones.

    Magnitudes of the spectrum as predicted; of the wave made of it at several resolutions
    (Yamamoto et al. 2020, eq. 3 to 6); and its mel bands (Kong et al. 2020, HiFi-GAN, eq. 5).
    """
    bands = log_mel(wave, how)
    logs, phases = net(to_picture(bands, how))
    true = analyse(wave, how).abs()
    made = synthesise(torch.polar(logs.exp(), phases), how)
    losses = {
        "magnitude": MAGNITUDE * F.l1_loss(logs, (true + _EPS).log()),
        "bands": BANDS * F.l1_loss(log_mel(made, how), bands),
    }
    for share in RESOLUTIONS:
        size = int(how.fft * share)
        losses[f"window_{size}"] = stft_loss(made, wave, size) / len(RESOLUTIONS)
    return losses


def stft_loss(made: Tensor, wave: Tensor, size: int) -> Tensor:
    """Spectral convergence and log magnitude at one resolution (Yamamoto et al. 2020, eq. 4, 5)."""
    window = torch.hann_window(size)

    def spectrum(x: Tensor) -> Tensor:
        found = torch.stft(x, size, size // 4, window=window, return_complex=True)
        return torch.view_as_real(found).square().sum(-1).add(_EPS**2).sqrt() * 2 / window.sum()

    a, b = spectrum(made), spectrum(wave)
    apart = (a - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1).clamp(min=_EPS)
    return apart.mean() + F.l1_loss((a + _EPS).log(), (b + _EPS).log())


def _crops(waves: Sequence[Tensor], length: int, generator: torch.Generator) -> Tensor:
    """Random pieces of random clips, `(BATCH, length)`; short clips are followed by silence."""
    rows = []
    for i in torch.randint(len(waves), (BATCH,), generator=generator).tolist():
        wave = waves[i]
        start = torch.randint(max(1, len(wave) - length + 1), (), generator=generator)
        part = wave[int(start) : int(start) + length]
        rows.append(F.pad(part, (0, length - len(part))))
    return torch.stack(rows)


def _rate(done: float) -> float:
    """Of learning: up over the first steps, then a cosine to zero."""
    return min(1.0, (done + 1e-3) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
