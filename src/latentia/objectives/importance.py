"""The importance-weighted bound as a one-player game."""

from __future__ import annotations

from collections.abc import Iterator

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.divergences import importance_bound
from latentia.objectives.elbo import VariationalModel


class ImportanceWeighted:
    """Maximise log (1/k) Σ p(x, z_i) / q(z_i | x), z_i ~ q (Burda et al. 2016, eq. 8).

    Its gradient of q grows noisier with k (Rainforth et al. 2018); the doubly reparameterised
    one (Tucker et al. 2019, eq. 8) has the same mean for k ≥ 1 and does not.

    Args:
        model: a VAE; of one layer of latents where `doubly`.
        player: owns the model.
        k: draws for each example.
        doubly: use the doubly reparameterised gradient of q.
    """

    def __init__(self, model: VariationalModel, player: Player, k: int, doubly: bool) -> None:
        self.model, self.k, self.doubly = model, k, doubly
        self.players = {"vae": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        b, d = len(batch), self.model.latent_dim
        noise = now.noise(b, self.k, d).transpose(0, 1)
        log_weights, z = self.model.log_weights(
            batch.x, self.model.look(batch.x), noise, path_only=self.doubly
        )
        if self.doubly:
            # The bound already weights every draw's gradient by w̃; the path's needs w̃².
            share = log_weights.detach().softmax(0).reshape(-1, 1)
            z.register_hook(lambda slope: share * slope)
        bound = importance_bound(log_weights).mean()
        now.note("elbo", log_weights.mean())
        now.note("effective_draws", 1 / log_weights.softmax(0).square().sum(0).mean())
        yield "vae", {"importance_bound": -bound}
