"""FactorVAE: a critic tells dependent latents from independent ones (Kim & Mnih 2018)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.functional import softplus

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.total_correlation import permuted_latents
from latentia.objectives.elbo import Elbo, VariationalModel


class Factor:
    """Minimise −ELBO + γ TC, with TC read off a critic (Kim & Mnih 2018, eq. 2 and 3).

    The critic's logit is log q(z) − log Π_j q(z_j) where it is perfect. It learns on the draws of
    the same batch, their latents permuted for the independent side; with several processes every
    one permutes within its share.

    Args:
        model: a VAE of one layer of latents.
        critic: `(B, d) -> (B,)` or `(B, 1)`, logits.
        players: "vae" owns the model, "critic" the critic.
        gamma: weight of the total correlation.
        warmup: share of the budget over which the KL's weight rises to 1.
    """

    def __init__(
        self,
        model: VariationalModel,
        critic: nn.Module,
        players: dict[str, Player],
        gamma: float,
        warmup: float,
    ) -> None:
        self.bound = Elbo(model, players["vae"], warmup=warmup).bound
        self.critic, self.players, self.gamma = critic, players, gamma

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        drawn, terms = self.bound(batch, now)
        logits = self.critic(drawn.z).float()
        now.note("total_correlation", logits.mean())
        yield "vae", {**terms, "total_correlation": self.gamma * logits.mean()}
        z = drawn.z.detach()
        apart = permuted_latents(z, now.uniform(*z.shape))
        told = (
            softplus(-self.critic(z).float()).mean() + softplus(self.critic(apart).float()).mean()
        )
        yield "critic", {"critic": told / 2}
