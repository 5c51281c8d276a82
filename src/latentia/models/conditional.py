"""The conditional VAE that also names the class: p(y) p(z) p(x | y, z) with q(z | x) q(y | x)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.abilities import Seeds
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.divergences import (
    LOG_VAR_RANGE,
    importance_bound,
    kl_to_standard_normal,
    normal_log_prob,
)
from latentia.maths.randomness import seeded_noise
from latentia.models.variational import DECODES_AT_ONCE, log_fit, reparameterised, shares
from latentia.nn.conditioning import asked_weights
from latentia.nn.likelihoods import Likelihood
from latentia.nn.standardise import Standardise


class ConditionalVAE(nn.Module):
    """Sohn et al. 2015 with the classifier of Kingma et al. 2014 (M2), z inferred from x alone.

    A code is (z, y): d Gaussian latents and K class probabilities, so that reconstruction, walks
    and interpolation need no label; a `condition` replaces y. Densities are of x, summed over
    the classes.

    Args:
        encoder: `(B, …) -> (B, 2 d + K)`: mean, log-variance, class logits.
        decoder: `(B, d + K) -> (B, C · likelihood.params_per_value, …)`.
        likelihood: what the decoder's output says about data.
        latents: d.
        classes: K.
        standardise: shift and scale of vector data.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latents: int,
        classes: int,
        standardise: Standardise,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latents, self.classes, self.standardise = latents, classes, standardise
        self.class_logits = nn.Parameter(torch.zeros(classes))  # p(y)

    @property
    def latent_dim(self) -> int:
        """d + K."""
        return self.latents + self.classes

    def look(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log-variance of q(z | x), `(B, d)`, and logits of q(y | x), `(B, K)`."""
        out = self.encoder(self.standardise(x)).float()
        mu, log_var, logits = out.split([self.latents, self.latents, self.classes], 1)
        return mu, log_var.clamp(*LOG_VAR_RANGE), logits

    def encode(self, x: Tensor) -> Tensor:
        """Posterior mean and class probabilities, `(B, d + K)`."""
        mu, _, logits = self.look(x)
        return torch.cat([mu, logits.softmax(1)], 1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """q(y | x), `(B, K)`."""
        return self.look(x)[2].softmax(1)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """The expected data given (z, y), `(B, …)`; what `condition` asks for replaces y.

        Raises:
            UserError: as `asked_weights`.
        """
        if condition is not None:
            y = asked_weights(torch.as_tensor(condition, device=z.device), self.classes, len(z))
            z = torch.cat([z[:, : self.latents], y.to(z)], 1)
        return self.standardise.inverse(self.likelihood.mean(self.decoder(z).float()))

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """The decoded mean of one draw of z per seed, and of y where there is no condition."""
        noise = seeded_noise(seeds, (self.latents + 1,), device_of(self))
        if condition is None:
            edges = self.class_logits.softmax(0).cumsum(0)
            at = torch.special.ndtr(noise[:, -1].contiguous())
            condition = torch.searchsorted(edges, at).clamp(max=self.classes - 1)
        asked = torch.as_tensor(condition, device=noise.device)
        codes = torch.cat([noise[:, :-1], asked_weights(asked, self.classes, len(noise))], 1)
        return in_chunks(self.decode, codes)

    def latent_moments(self, x: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z | x), `(B, d)`; of z alone, and no draw is needed."""
        mu, log_var, _ = self.look(x)
        return mu, log_var.exp()

    def rate(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """KL(q(z | x) ‖ p(z)), `(B,)`, nats."""
        mu, log_var, _ = self.look(x)
        return kl_to_standard_normal(mu, log_var).sum(1)

    # densities

    def log_joint(self, x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """log p(x, y | z) for class numbers y `(B,)`, `(B,)`, nats."""
        parameters = self.decoder(torch.cat([z, F.one_hot(y, self.classes).to(z)], 1))
        fit = log_fit(self.likelihood, self.standardise, x, parameters)
        return fit + self.class_logits.log_softmax(0)[y]

    def log_joints(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, y | z) for every class y, `(B, K)`, nats."""
        k = self.classes
        every = torch.arange(k, device=z.device).repeat(len(z))
        x, z = x.repeat_interleave(k, 0), z.repeat_interleave(k, 0)
        return self.log_joint(x, z, every).view(-1, k)

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """log Σ_y p(y) exp(E_q log p(x | y, z)) − KL(q(z | x) ‖ p(z)), one draw, `(B,)`, nats."""
        mu, log_var, _ = self.look(x)
        generator = torch.Generator(x.device).manual_seed(seed)
        noise = torch.randn(mu.shape, generator=generator, device=x.device)
        z = reparameterised(mu, log_var, noise)
        kl = kl_to_standard_normal(mu, log_var).sum(1)
        return torch.logsumexp(self.log_joints(x, z), 1) - kl

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        """Importance-weighted bound on log p(x) with `samples` draws (default 64), `(B,)`, nats."""
        mu, log_var, _ = self.look(x)
        generator, b, pieces = torch.Generator(x.device).manual_seed(seed), len(x), []
        for n in shares(64 if samples is None else samples, max(1, DECODES_AT_ONCE // b)):
            noise = torch.randn(n, *mu.shape, generator=generator, device=x.device)
            z = reparameterised(mu, log_var, noise)
            rows = x.expand(n, *x.shape).flatten(0, 1)
            fits = torch.logsumexp(self.log_joints(rows, z.flatten(0, 1)), 1)
            ratio = normal_log_prob(z, 0.0, 0.0) - normal_log_prob(z, mu, log_var)
            pieces.append(fits.view(n, b) + ratio.sum(-1))
        return importance_bound(torch.cat(pieces))
