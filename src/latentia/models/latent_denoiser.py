"""Latent diffusion: noise is taken off codes of pictures instead of pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds
from latentia.maths.chunks import in_chunks
from latentia.models.denoiser import CHUNK, ConditionalDenoiser, Denoiser
from latentia.nn.code_maps import CodeMaps


class LatentDenoiser(nn.Module):
    """x -> code -> noise and back: a coder, and a denoiser of its codes (Rombach et al. 2022).

    Codes are several times smaller than pictures, so that most of the work is done on few numbers.
    It samples, encodes to noise and decodes from it; a density of codes is none of pictures, so
    there is no likelihood.

    Args:
        coder: pictures to codes of unit deviation, and back.
        denoiser: of codes.
    """

    def __init__(self, coder: CodeMaps, denoiser: Denoiser) -> None:
        super().__init__()
        self.coder, self.denoiser = coder, denoiser
        self.latent_dim = denoiser.latent_dim

    def reconstruct(self, x: Tensor) -> Tensor:
        """What the coder alone keeps of pictures: no sample can be sharper."""
        return self.coder.decode(self.coder.encode(x)).clamp(-1, 1)

    def encode(self, x: Tensor, *, steps: int | None = None) -> Tensor:
        """The noise that decodes to x, `(B, C, H, W) -> (B, d)`."""
        return self.denoiser.encode(self.coder.encode(x), steps=steps)

    def decode(
        self, z: Tensor, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """Pictures of noise, `(B, d) -> (B, C, H, W)`."""
        return self._seen(self.denoiser.decode(z, condition=condition, steps=steps))

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed."""
        codes = self.denoiser.sample(seeds, condition=condition, steps=steps)
        return in_chunks(self._seen, codes, size=CHUNK)

    def seconds_for(self, n: int, steps: int | None = None) -> float:
        """About how long n samples take here, without the decoder."""
        return self.denoiser.seconds_for(n, steps)

    def _seen(self, code: Tensor) -> Tensor:
        return self.coder.decode(code).clamp(-1, 1)


class ConditionalLatentDenoiser(LatentDenoiser):
    """Latent diffusion that makes the class it is asked for."""

    def __init__(self, coder: CodeMaps, denoiser: ConditionalDenoiser) -> None:
        super().__init__(coder, denoiser)
        self.classes = denoiser.classes

    def count_classes(self, labels: Tensor, share: Callable[[Tensor], Tensor]) -> None:
        """Count the labels of a batch; `share` is their mean over all processes."""
        assert isinstance(self.denoiser, ConditionalDenoiser)
        self.denoiser.count_classes(labels, share)
