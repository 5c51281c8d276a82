"""Inversion: data back into a latent space, on models whose answer is known and on tiny GANs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from games import example_rows, tiny_run, tiny_trainer
from latentia.abilities import Decodes, Encodes
from latentia.errors import UserError
from latentia.explore.inverse_net import FILE, kept_encoder, train_encoder
from latentia.explore.inverse_space import LayerStyles, NoiseSpace, space_of
from latentia.explore.invert import Inverter, Likeness, invert, require_invertible
from latentia.explore.latent import interpolate
from latentia.maths.randomness import seeded_noise


class Linear(nn.Module):
    """x = A z for an A of full column rank: every picture in its range has one latent."""

    latent_dim = 3

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)) / 4
        self.register_buffer("matrix", matrix)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return (z @ self.matrix).view(-1, 1, 4, 4)


def zeros(x: Tensor) -> Tensor:
    return torch.zeros(len(x), 3)


def test_latents_of_a_linear_model_are_found_from_anywhere() -> None:
    model = Linear()
    z = seeded_noise(range(40), (3,))
    x = model.decode(z)
    like = Likeness.of(x)
    found = invert(NoiseSpace(model), zeros, x, like, model=model, steps=400, prior=0)
    assert torch.allclose(found.z, z, atol=0.02)
    assert found.errors.max() < 1e-4 < found.start_errors.min()
    assert torch.equal(found.start, torch.zeros(40, 3))
    alone = invert(NoiseSpace(model), zeros, x[7:8], like, model=model, steps=400, prior=0)
    assert torch.allclose(alone.z[0], found.z[7], atol=1e-5)  # whatever the batch


def test_the_penalty_pulls_towards_the_usual_and_no_step_is_the_encoder() -> None:
    model = Linear()
    x = model.decode(3 * seeded_noise(range(8), (3,)))
    like = Likeness.of(x)
    free, held = (
        invert(NoiseSpace(model), zeros, x, like, model=model, prior=prior).z.norm(dim=1)
        for prior in (0.0, 1.0)
    )
    assert (held <= free).all() and held.mean() < 0.8 * free.mean()
    told = invert(NoiseSpace(model), lambda x: torch.ones(len(x), 3), x, like, model=model, steps=0)
    assert torch.equal(told.z, torch.ones(8, 3))
    with pytest.raises(UserError, match="0 or more steps"):
        invert(NoiseSpace(model), zeros, x, like, model=model, steps=-1)


def test_features_can_decide_what_is_alike() -> None:
    model = Linear()
    x = model.decode(seeded_noise(range(6), (3,)))
    sums = lambda rows: rows.flatten(1).sum(1, keepdim=True)  # noqa: E731
    noisy = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    plain = Likeness.of(x)
    both = Likeness.of(x, sums, weight=10.0)
    apart = [
        (
            sums(model.decode(invert(NoiseSpace(model), zeros, noisy, like, model=model).z))
            - sums(noisy)
        )
        .square()
        .mean()
        for like in (plain, both)
    ]
    assert apart[1] < 0.3 * apart[0]
    assert float(plain(x, x, None).max()) == 0
    assert float(both(x, x.roll(1, 0), both.seen(x)).mean()) == pytest.approx(11, rel=0.9)
    with pytest.raises(UserError, match="two or more"):
        Likeness.of(x[:1])


class Switched(Linear):
    """The third latent only chooses which of two pictures is added: it gives no gradient."""

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        side = (z[:, 2:] > 0).float() * 2 - 1
        return super().decode(torch.cat([z[:, :2], 2 * side], 1))


def test_latents_without_gradient_are_tried() -> None:
    model = Switched()
    z = seeded_noise(range(20), (3,))
    x = model.decode(z)
    found = invert(NoiseSpace(model), zeros, x, Likeness.of(x), model=model, steps=400, prior=0)
    assert ((found.z[:, 2] > 0) == (z[:, 2] > 0)).all()
    assert found.errors.max() < 1e-3


def test_a_trained_encoder_is_a_better_start_than_none() -> None:
    model = Linear()
    told: list[tuple[int, int]] = []
    net = train_encoder(
        NoiseSpace(model), (1, 4, 4), examples=9600, progress=lambda *at: told.append(at)
    )
    z = seeded_noise(range(50), (3,))
    assert (net(model.decode(z)) - z).square().mean() < 0.1
    assert told[-1] == (9600, 9600)


class Styled(Linear):
    """Two layers: pictures are the sum of what each makes of its style; styles are 2 z + 1."""

    style_layers = 2

    def styles(
        self, z: Tensor, *, condition: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        return (2 * z + 1)[:, None].repeat(1, 2, 1)

    def from_styles(self, styles: Tensor, *, noise: Tensor | None = None) -> Tensor:
        both = styles[:, 0] @ self.matrix + styles[:, 1] @ self.matrix.flip(1)
        return both.view(-1, 1, 4, 4)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return self.from_styles(self.styles(z))


def test_layers_may_take_styles_of_their_own() -> None:
    model = Styled()
    space = space_of(model)
    assert isinstance(space, LayerStyles) and (space.dims, space.code_dims) == (6, 3)
    code = space.draw(range(500))
    assert code.mean().abs() < 0.1 and code.std() == pytest.approx(1, abs=0.1)
    assert torch.allclose(
        space.decode(space.spread(code)), model.decode(seeded_noise(range(500), (3,))), atol=1e-5
    )
    usual = space.spread(code)
    mixed = usual.clone()
    mixed[:, :3] = mixed[:, :3].roll(1, 0)
    assert space.strangeness(usual).mean() == pytest.approx(1, abs=0.15)
    assert space.strangeness(mixed).mean() > 1.3
    x = space.decode(mixed)[:20]
    net = Inverter(model, space, Zero(), Likeness.of(x), steps=500)
    found = invert(space, Zero(), x, net.likeness, model=net, steps=500, prior=0)
    assert found.errors.max() < 0.05 * found.start_errors.mean()
    assert torch.allclose(model.from_styles(net.styles_of(x)), net.decode(net.encode(x)), atol=1e-5)


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 3)


def test_an_inverter_makes_a_generator_encode(tmp_path: Path) -> None:
    run, data = tiny_run("gan", "image", tmp_path / "run")
    model = run.build().eval().requires_grad_(False)
    assert isinstance(model, Decodes) and not isinstance(model, Encodes)
    space = space_of(model)
    net = kept_encoder(tmp_path, model, space, (1, 8, 8), examples=3200)
    net_again = kept_encoder(tmp_path, model, space, (1, 8, 8), examples=3200)
    state = load_file(tmp_path / FILE)
    assert all(torch.equal(state[k], v) for k, v in net_again.state_dict().items())
    both = Inverter(model, space, net, Likeness.of(data.batch(range(100)).x), steps=150)
    assert isinstance(both, Encodes) and both.latent_dim == 4
    own = model.decode(seeded_noise(range(6), (4,)))
    found = both.invert(own)
    assert found.errors.mean() < 0.05 * own.var(0).mean()  # its own draws come back
    # the search also minds features, so that errors of values may end a little higher
    assert found.errors.mean() <= 1.1 * found.start_errors.mean()
    with torch.no_grad():  # as the walks call it
        way = interpolate(both, own[:1], own[1:2], 5)
    assert way.shape == (1, 5, 1, 8, 8)
    with pytest.raises(UserError, match="no styles"):
        both.styles_of(own)


def test_an_encoder_of_other_weights_or_a_damaged_one_is_trained_anew(tmp_path: Path) -> None:
    model = Linear()
    kept_encoder(tmp_path, model, NoiseSpace(model), (1, 4, 4), examples=320)
    first = (tmp_path / FILE).read_bytes()
    model.matrix += 1
    kept_encoder(tmp_path, model, NoiseSpace(model), (1, 4, 4), examples=320)
    second = (tmp_path / FILE).read_bytes()
    assert first != second
    (tmp_path / FILE).write_bytes(second[:50])
    kept_encoder(tmp_path, model, NoiseSpace(model), (1, 4, 4), examples=320)
    assert (tmp_path / FILE).read_bytes() == second


def test_vectors_are_inverted_too(tmp_path: Path) -> None:
    trainer = tiny_trainer("gan", "vector", tmp_path / "run")
    model = trainer.model.eval().requires_grad_(False)
    space = space_of(model)
    x = model.decode(seeded_noise(range(20), (4,)))
    net = train_encoder(space, (2,), examples=3200)
    found = invert(space, net, x, Likeness.of(example_rows("vector", 50)), model=model, prior=0)
    assert found.errors.mean() < 1e-2 * x.var(0).mean()


def test_models_without_need_or_way_are_refused() -> None:
    class Exact(Linear):
        latent_dim = 16

        def encode(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    with pytest.raises(UserError, match="without loss"):
        require_invertible(Exact(), 16)
    with pytest.raises(UserError, match="does not decode"):
        require_invertible(object(), 16)
    require_invertible(Linear(), 16)
    assert np.isfinite(Likeness.of(torch.zeros(4, 2)).value_unit)
