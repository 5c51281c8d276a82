"""`latentia explore …`: what a latent space holds, beyond single walks."""

from __future__ import annotations

import typer

from latentia.cli import arithmetic, direction, mix, space

app = typer.Typer(
    help="Directions, arithmetic, maps, holes and style mixing of a latent space.", no_args_is_help=True
)
space.register(app)
direction.register(app)
arithmetic.register(app)
mix.register(app)
