"""Pictures as files that say what they are: PNGs and looping GIFs with their recipe, and zips."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from latentia.data.pictures import to_image, to_pixels
from latentia.errors import UserError
from latentia.files import write_aside
from latentia.rendering.recipe import Recipe

CHUNK = "latentia"
"""The PNG text chunk that holds the recipe, as JSON."""
SMALL = 256
"""Pictures are shown at least as large as that along their longer side."""
FRAME_MS = 120
_KIND = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{_KIND}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # equal content, equal zip


def pictures_of(x: Tensor) -> list[Image.Image]:
    """Images `(N, C, H, W)` in [-1, 1], one picture each, of their own size.

    Raises:
        UserError: not images.
    """
    return [to_image(pixels) for pixels in to_pixels(x)]


def enlarged(image: Image.Image, least: int = SMALL) -> Image.Image:
    """A small picture in larger squares: a whole number of times, by nearest neighbour."""
    times = -(-least // max(image.size))
    return image if times <= 1 else image.resize((image.width * times, image.height * times), 0)


def png_of(image: Image.Image, recipe: Recipe) -> bytes:
    """A PNG that holds its recipe and is marked as synthetic, for people and for programs.

    The mark is the IPTC's digital source type "trained algorithmic media", as XMP.
    """
    told = PngImagePlugin.PngInfo()
    told.add_text(CHUNK, json.dumps(recipe))  # ASCII, so that every reader shows it
    told.add_text("Comment", _words(recipe))
    told.add_text("Software", str(recipe["made_by"]))
    told.add_itxt("XML:com.adobe.xmp", _XMP)
    stream = io.BytesIO()
    image.save(stream, format="PNG", pnginfo=told)
    return stream.getvalue()


def _words(recipe: Recipe) -> str:
    return f"Synthetic picture: made up by a {recipe['family']} model of {recipe['data']['name']}."


def save_png(image: Image.Image, path: Path, recipe: Recipe) -> Path:
    """Write `png_of`."""
    content = png_of(image, recipe)
    write_aside(path, lambda aside: aside.write_bytes(content))
    return path


def read_recipe(path: Path) -> Recipe:
    """The recipe inside a PNG.

    Raises:
        UserError: no picture, or none with a recipe.
    """
    try:
        with Image.open(path) as image:
            image.load()
            found = json.loads(getattr(image, "text", {})[CHUNK])
    except (OSError, UnidentifiedImageError, KeyError, ValueError):
        raise UserError(f"{path} holds no recipe; PNGs made by Latentia's studio do.") from None
    if not isinstance(found, dict):
        raise UserError(f"The recipe in {path} is not one that this version reads.")
    return found


def save_zip(
    pictures: Sequence[tuple[Image.Image, Recipe]], path: Path, recipe: Recipe, start: int = 0
) -> Path:
    """Write `000000.png`, `000001.png`, … with their own recipes, and `recipe.json` of all."""
    parts = {f"{start + i:06d}.png": png_of(*each) for i, each in enumerate(pictures)}
    parts["recipe.json"] = (json.dumps(recipe, indent=2, ensure_ascii=False) + "\n").encode()

    def fill(aside: Path) -> None:
        with zipfile.ZipFile(aside, "w") as archive:
            for name, content in parts.items():
                archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content)

    write_aside(path, fill)
    return path


def save_loop(frames: Sequence[Image.Image], path: Path, recipe: Recipe) -> Path:
    """Write a GIF that goes from the first frame to the last and back, endlessly."""
    there = [frame.convert("L" if frame.mode == "L" else "RGB") for frame in frames]
    loop = [*there, *there[-2:0:-1]]
    write_aside(
        path,
        lambda aside: loop[0].save(
            aside,
            format="GIF",
            save_all=True,
            append_images=loop[1:],
            duration=FRAME_MS,
            loop=0,
            comment=f"{_words(recipe)} {json.dumps(recipe)}".encode(),
        ),
    )
    return path
