"""What each latent of a model with posteriors carries, and whether some have collapsed.

A latent has collapsed when its posterior is the same for every example: the decoder has learned to
do without it, and it costs no KL (Bowman et al. 2016; Burda et al. 2016, section 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from latentia.abilities import HasLatentMoments, HasPosterior
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, in_chunks, spread_rows
from latentia.maths.divergences import kl_to_standard_normal, normal_log_prob
from latentia.maths.information import channel_information, posterior_moments

THRESHOLD = 0.01
"""Nats; a latent that tells less carries nothing."""
_HARDLY = 0.5  # nats in all latents together
_DRAWS = 8  # of z for each example, for the KL to a learned prior
_LISTED = 12


@runtime_checkable
class HasLogPrior(Protocol):
    """Knows the density of its prior."""

    def log_prior(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B,)`, nats."""
        ...


def latents(model: object, test: Dataset, *, examples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """What each latent carries on test rows.

    Args:
        model: has `posterior`, or `latent_moments` (several layers; latents beside a class);
            without `log_prior` its prior is taken to be N(0, I).
        test: rows; `examples` of them, evenly apart.
        examples: rows at most.
        seed: of the draws that estimate the KL to a learned prior.

    Returns:
        `information_nats` (of every latent, see `channel_information`), `kl_by_latent` (nats: to
        N(0, 1) under a standard normal prior; a learned prior cannot be taken apart, and then to
        the Gaussian with the mean and variance of all encodings), `prior` ("standard normal" or
        "learned"), `kl_nats` (of the whole latent vector to the prior, mean over examples) and
        its `kl_standard_error`, `active_units` (latents that tell at least `threshold` nats),
        `active_units_burda` (variance of the posterior mean over 0.01), `collapse` ("none",
        "partial", "complete"), `diagnosis` (in words, with what to do), `latent_dim`, `examples`.

    Raises:
        UserError: a model without a posterior.
    """
    if not isinstance(model, HasPosterior | HasLatentMoments):
        raise UserError(
            f"{type(model).__name__} has no posterior, so its latents carry no uncertainty to "
            "measure them by; look at traversals instead."
        )
    x = test.batch(spread_rows(len(test), examples)).x
    means, variances = _moments(model, x, seed)
    information = channel_information(means, variances)
    learned = _learned_prior(model, means.shape[1])
    by_latent = _kl_to_own_gaussian(means, variances) if learned else _kl(means, variances)
    whole = by_latent.sum(1)
    if not isinstance(model, HasPosterior):
        whole = in_chunks(lambda r: model.rate(r, seed=seed), x, device=device_of(model)).double()
    elif learned:
        whole = _estimated_kl(model, x, seed)
    active = int((information >= THRESHOLD).sum())
    return {
        "latent_dim": means.shape[1],
        "active_units": active,
        "active_units_burda": int((means.var(0, correction=0) > 0.01).sum()),
        "threshold": THRESHOLD,
        "information_nats": information.tolist(),
        "kl_nats": float(whole.mean()),
        "kl_standard_error": float(whole.std(correction=0)) / math.sqrt(len(x)),
        "kl_by_latent": by_latent.mean(0).tolist(),
        "prior": "learned" if learned else "standard normal",
        "collapse": "none" if active == means.shape[1] else "partial" if active else "complete",
        "diagnosis": diagnosis(information),
        "examples": len(x),
    }


def diagnosis(information: Tensor) -> str:
    """Whether latents have collapsed, in words, and what to do.

    Args:
        information: `(d,)`, nats.
    """
    total, active = len(information), int((information >= THRESHOLD).sum())
    if active == total:
        low, high = float(information.min()), float(information.max())
        spread = f"{low:.2g} to {high:.2g} nats each" if total > 1 else f"{low:.2g} nats"
        return f"No collapse: {_count(total)} carries information ({spread})."
    wake = (
        "To wake them, train with a lower beta, a longer kl_warmup, or free_nats=0.1 with "
        "prior=standard (free nats for each latent)."
    )
    if not active:
        return (
            f"Posterior collapse: {_none_of(total)} carries anything (under {THRESHOLD} nats), so "
            f"every example has the same encoding and the same reconstruction. {wake}"
        )
    idle, together = total - active, float(information.sum())
    silent = (
        f"{idle} of {total} latents {'carries' if idle == 1 else 'carry'} nothing (under "
        f"{THRESHOLD} nats): their posterior is the same for every example"
    )
    if together < _HARDLY:
        return f"{silent}. The other {active} hardly tell more ({together:.2g} nats in all). {wake}"
    return (
        f"{silent}, and the other {active} do all the work. Where reconstructions are good enough, "
        f"latent={active} would do as well. {wake}"
    )


def listed(facts: Mapping[str, Any]) -> str:
    """Information and KL of the latents, the most telling first, in a sentence."""
    pairs = zip(facts["information_nats"], facts["kl_by_latent"], strict=True)
    order = sorted(enumerate(pairs), key=lambda found: -found[1][0])
    shown = ", ".join(f"z{i} {told:.3g} ({kl:.3g})" for i, (told, kl) in order[:_LISTED])
    more = len(order) - _LISTED
    least = f", and {more} more below" if more > 0 else ""
    return f"Information of each latent in nats (and its KL): {shown}{least}."


def _count(total: int) -> str:
    return f"each of the {total} latents" if total > 1 else "the one latent"


def _none_of(total: int) -> str:
    return f"none of the {total} latents" if total > 1 else "the one latent there is hardly"


def _moments(model: HasPosterior | HasLatentMoments, x: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Means and variances of the posterior, `(N, d)` each, float64; layer by layer without one."""
    if isinstance(model, HasPosterior):
        means, variances = posterior_moments(model.posterior, x, device_of(model))
        return means.double(), variances.double()
    both = in_chunks(
        lambda r: torch.stack(model.latent_moments(r, seed=seed), 1), x, device=device_of(model)
    )
    means, variances = both.double().unbind(1)
    return means, variances


def _kl(means: Tensor, variances: Tensor) -> Tensor:
    """KL of every latent's posterior to N(0, 1), `(N, d)`."""
    return kl_to_standard_normal(means, variances.clamp(min=1e-12).log())


def _kl_to_own_gaussian(means: Tensor, variances: Tensor) -> Tensor:
    """KL to the Gaussian with the mean and variance of the aggregate posterior, `(N, d)`."""
    middle = means.mean(0)
    scale = (means.var(0, correction=0) + variances.mean(0)).clamp(min=1e-12)
    return _kl((means - middle) / scale.sqrt(), variances / scale)


def _learned_prior(model: object, dim: int) -> bool:
    """Whether the model's prior is anything but N(0, I), judged by its density."""
    if not isinstance(model, HasLogPrior):
        return False
    z = torch.randn(64, dim, generator=torch.Generator().manual_seed(0))
    mine = in_chunks(model.log_prior, z, device=device_of(model))
    return not torch.allclose(mine, normal_log_prob(z, 0.0, 0.0).sum(-1), atol=1e-3)


def _estimated_kl(model: Any, x: Tensor, seed: int) -> Tensor:
    """E_q log q(z | x) − log p(z) of every example by a few draws, `(N,)`."""
    device = device_of(model)

    def gap(rows: Tensor) -> Tensor:
        q = model.posterior(rows)
        z = q.sample((_DRAWS,))
        prior = model.log_prior(z.flatten(0, 1)).view(_DRAWS, -1)
        return (q.log_prob(z) - prior).mean(0)

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        return in_chunks(gap, x, device=device).double()
