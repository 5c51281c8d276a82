"""`latentia explore …`: what a latent space holds, beyond single walks."""

from __future__ import annotations

import typer

from latentia.cli import arithmetic, direction, invert, mix, space

app = typer.Typer(
    help="Directions, arithmetic, maps, holes, style mixing, and real pictures in a latent space.",
    no_args_is_help=True,
)
space.register(app)
direction.register(app)
arithmetic.register(app)
mix.register(app)
invert.register(app)
