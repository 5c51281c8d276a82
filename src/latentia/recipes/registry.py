"""The families that Latentia knows. Adding one is one entry here and one file beside.

Light on purpose: `latentia --help` and `latentia models` read this without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentia.errors import UserError, nearest
from latentia.recipes.family import Family

if TYPE_CHECKING:
    from latentia.recipes.base import Recipe

_BOTH = ("image", "vector")

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="autoencoder",
            title="Autoencoder",
            paper="Hinton & Salakhutdinov 2006",
            players=("autoencoder",),
            abilities=("encode", "decode"),
            kinds=_BOTH,
            module="latentia.recipes.autoencoder",
        ),
        Family(
            name="vae",
            title="Variational autoencoder: β-VAE, β-TCVAE, IWAE, hierarchical by --set",
            paper="Kingma & Welling 2014; Higgins et al. 2017; Chen et al. 2018",
            players=("vae",),
            abilities=("sample", "encode", "posterior", "decode", "elbo", "log_prob"),
            kinds=_BOTH,
            module="latentia.recipes.vae",
        ),
        Family(
            name="factor-vae",
            title="FactorVAE: latents made independent by a critic",
            paper="Kim & Mnih 2018",
            players=("vae", "critic"),
            abilities=("sample", "encode", "posterior", "decode", "elbo", "log_prob"),
            kinds=_BOTH,
            module="latentia.recipes.factor_vae",
        ),
        Family(
            name="conditional-vae",
            title="Conditional VAE that classifies, from some labels or all",
            paper="Kingma et al. 2014; Sohn et al. 2015",
            players=("vae",),
            abilities=("sample", "encode", "decode", "elbo", "log_prob", "predict_proba"),
            kinds=_BOTH,
            module="latentia.recipes.conditional_vae",
        ),
        Family(
            name="debiasing-vae",
            title="Classifier that evens out the hidden variety of a class (DB-VAE)",
            paper="Amini et al. 2019",
            players=("vae",),
            abilities=(
                "sample",
                "encode",
                "posterior",
                "decode",
                "elbo",
                "log_prob",
                "predict_proba",
            ),
            kinds=_BOTH,
            module="latentia.recipes.debiasing_vae",
        ),
        Family(
            name="gan",
            title="Generative adversarial network (R3GAN loss)",
            paper="Goodfellow et al. 2014; Huang et al. 2024",
            players=("critic", "generator"),
            abilities=("sample", "decode"),
            kinds=_BOTH,
            module="latentia.recipes.gan",
        ),
        Family(
            name="progressive-gan",
            title="GAN whose pictures grow while it is trained",
            paper="Karras et al. 2018",
            players=("critic", "generator"),
            abilities=("sample", "decode"),
            kinds=("image",),
            module="latentia.recipes.progressive_gan",
        ),
        Family(
            name="style-gan",
            title="Style-based GAN: mixing of styles, adaptive augmentation",
            paper="Karras et al. 2019, 2020",
            players=("critic", "generator"),
            abilities=("sample", "decode", "styles"),
            kinds=("image",),
            module="latentia.recipes.style_gan",
        ),
        Family(
            name="diffusion",
            title="Diffusion model (EDM)",
            paper="Karras et al. 2022",
            players=("denoiser",),
            abilities=("sample", "encode", "decode", "log_prob"),
            kinds=_BOTH,
            module="latentia.recipes.diffusion",
        ),
        Family(
            name="latent-diffusion",
            title="Diffusion of small codes: for larger pictures and recordings",
            paper="Rombach et al. 2022",
            players=("coder", "denoiser"),
            abilities=("sample", "encode", "decode"),
            kinds=("image",),
            module="latentia.recipes.latent_diffusion",
        ),
        Family(
            name="consistency",
            title="Samples in one to four steps, taught by a diffusion run or by data alone",
            paper="Song et al. 2023; Song & Dhariwal 2024",
            players=("student",),
            abilities=("sample", "decode"),
            kinds=_BOTH,
            module="latentia.recipes.consistency",
        ),
        Family(
            name="rbm",
            title="Restricted Boltzmann machine over black and white pictures",
            paper="Smolensky 1986; Hinton 2002; Tieleman 2008",
            players=("rbm",),
            abilities=("sample", "encode", "decode", "energy"),
            kinds=("image",),
            module="latentia.recipes.rbm",
        ),
        Family(
            name="score",
            title="Score-based model: NCSN and the VE, VP and sub-VP SDEs",
            paper="Song & Ermon 2019; Song et al. 2019, 2021; Vincent 2011",
            players=("score",),
            abilities=("sample", "encode", "decode", "log_prob", "score"),
            kinds=_BOTH,
            module="latentia.recipes.score",
        ),
        Family(
            name="energy",
            title="Energy-based model with Langevin chains; with classes (JEM) by --set",
            paper="Du & Mordatch 2019; Nijkamp et al. 2020; Grathwohl et al. 2020",
            players=("energy",),
            abilities=("sample", "energy"),
            kinds=_BOTH,
            module="latentia.recipes.energy",
        ),
        Family(
            name="pix2pix",
            title="Translation learnt from pairs: one side of a picture from the other",
            paper="Isola et al. 2017",
            players=("critic", "generator"),
            abilities=("translate",),
            kinds=("image",),
            module="latentia.recipes.pix2pix",
            data="pairs",
        ),
        Family(
            name="cyclegan",
            title="Translation learnt without pairs; one-sided (CUT) by mode=contrastive",
            paper="Zhu et al. 2017; Park et al. 2020",
            players=("generator", "critic"),
            abilities=("translate",),
            kinds=("image",),
            module="latentia.recipes.cyclegan",
            data="domains",
        ),
        Family(
            name="voice-cyclegan",
            title="One voice into another, learnt from recordings of different sentences",
            paper="Kaneko et al. 2019, 2021",
            players=("generator", "critic"),
            abilities=("translate",),
            kinds=("image",),
            module="latentia.recipes.voice_cyclegan",
            data="domains",
        ),
    )
}


def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        UserError: no such family; the message names the nearest.
    """
    if name not in FAMILIES:
        raise UserError(f"There is no model family {name!r}: {nearest(name, FAMILIES)}")
    return FAMILIES[name]


def recipe(name: str) -> Recipe:
    """How the family called `name` is built; imports it."""
    return family(name).recipe()
