"""Losses that keep the content of a picture while it is carried to another domain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cycle_loss(there_and_back: Tensor, x: Tensor) -> Tensor:
    """E‖F(G(x)) − x‖₁ per value: what a way there and back changes (Zhu et al. 2017, eq. 2).

    The mean over all values, as in the paper's own code, so that its weight does not depend on
    the size of pictures.

    Args:
        there_and_back: F(G(x)), `(B, …)`.
        x: what went out, `(B, …)`.
    """
    return F.l1_loss(there_and_back.float(), x)


def identity_loss(kept: Tensor, y: Tensor) -> Tensor:
    """E‖G(y) − y‖₁ per value: a picture that is of the target domain already stays as it is.

    Zhu et al. (2017), section 5.2; keeps colours that need no change. Takes as many channels in
    both domains.

    Args:
        kept: G(y), `(B, …)`.
        y: of the domain that G makes, `(B, …)`.
    """
    return F.l1_loss(kept.float(), y)


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """Noise-contrastive loss of patches, nats: each is to be told by its place in the original.

    Park et al. (2020, CUT), eq. 3 and 4, for one layer: a patch of the translated picture is the
    query, the patch at the same place of the source the positive, and the other places of the
    same source the negatives. Vectors are normalised here. With queries that say nothing the loss
    is log S; with orthogonal keys and perfect queries log(1 + (S − 1) exp(−1/τ)).

    Args:
        queries: of the translated pictures, `(B, S, d)`.
        keys: of their sources, at the same S places, `(B, S, d)`; no gradient flows into them.
        temperature: τ; 0.07 in the paper.
    """
    q, k = (F.normalize(each.float(), dim=2) for each in (queries, keys.detach()))
    alike = q @ k.transpose(1, 2) / temperature
    return (alike.logsumexp(2) - alike.diagonal(dim1=1, dim2=2)).mean()


def jittered(x: Tensor, uniform: Tensor, most: int) -> Tensor:
    """Each picture shifted by up to `most` whole pixels both ways, borders reflected.

    The same as a random crop of a slightly larger picture.

    Args:
        x: `(B, C, H, W)`.
        uniform: `(B, 2)` in [0, 1).
        most: pixels, less than H and W.
    """
    height, width = x.shape[2:]
    padded = F.pad(x, (most, most, most, most), mode="reflect")
    places = (uniform * (2 * most + 1)).long().tolist()
    crops = [
        p[:, down : down + height, right : right + width]
        for p, (down, right) in zip(padded, places, strict=True)
    ]
    return torch.stack(crops)
