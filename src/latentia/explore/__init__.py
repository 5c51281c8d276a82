"""Walks through latent space, for every model that encodes or decodes."""

from latentia.explore.latent import (
    active_dimensions,
    between,
    decode,
    encode,
    information,
    interpolate,
    latent_map,
    latent_weights,
    manifold,
    reconstruct,
    traverse,
)

__all__ = [
    "active_dimensions",
    "between",
    "decode",
    "encode",
    "information",
    "interpolate",
    "latent_map",
    "latent_weights",
    "manifold",
    "reconstruct",
    "traverse",
]
