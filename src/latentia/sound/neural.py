"""The neural vocoder of a run: what it is, how it is kept and found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from latentia.data.mel import LogMel
from latentia.errors import UserError
from latentia.files import write_aside
from latentia.nn.vocoder_net import VocoderNet
from latentia.sound.phases import griffin_lim

FILE = "vocoder.safetensors"
POLISH = 8  # rounds of Griffin-Lim that begin with the network's phases


class NeuralVocoder:
    """Magnitudes and phases by a network, made consistent by a few rounds of Griffin-Lim.

    Args:
        net: trained for `how`.
        how: the form of the pictures.
        polish: rounds; 0 takes the network's word for it.
    """

    def __init__(self, net: VocoderNet, how: LogMel, polish: int = POLISH) -> None:
        self.net, self.how, self.polish = net.eval().requires_grad_(False), how, polish

    @property
    def words(self) -> str:
        """Name and effort."""
        return f"neural vocoder of this run, {self.polish} rounds of Griffin-Lim after it"

    @torch.no_grad()
    def wave(self, pictures: Tensor, known: Tensor | None = None) -> Tensor:
        """As `Vocoder.wave`."""
        logs, phases = self.net(pictures.float())
        units = torch.polar(torch.ones_like(phases), phases)
        return griffin_lim(logs.exp(), self.how, rounds=self.polish, phases=units, known=known)

    def save(self, folder: Path) -> Path:
        """Write `vocoder.safetensors` into a run folder."""
        size = {"width": self.net.last.in_features, "blocks": len(self.net.blocks)}
        facts = {"how": json.dumps(self.how.to_json()), "size": json.dumps(size)}
        tensors = {name: t.contiguous() for name, t in self.net.state_dict().items()}
        path = folder / FILE
        write_aside(path, lambda aside: save_file(tensors, aside, facts))
        return path


def load_vocoder(folder: str | Path) -> NeuralVocoder | None:
    """The neural vocoder of a run; None where none was fitted.

    Raises:
        UserError: a damaged file.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = {k: json.loads(v) for k, v in file.metadata().items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        how = LogMel.from_json(facts["how"])
        net = VocoderNet(how.mels, how.fft // 2 + 1, **facts["size"])
        net.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, OSError) as problem:
        raise UserError(f"{path} is damaged; remove it, and fit a new one.") from problem
    return NeuralVocoder(net, how)
