"""What a demo leaves behind: a page, a GIF, a strip of stills, figures, and perhaps a film."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from PIL import Image

from latentia.demos import gan_1d, gan_2d
from latentia.demos.demo import Film, Kind
from latentia.demos.film import Figures
from latentia.demos.movie import save_gif, save_mp4, save_strip
from latentia.demos.page import page
from latentia.files import write_csv, write_text

KINDS: dict[str, Kind] = {kind.name: kind for kind in (gan_1d.KIND, gan_2d.KIND)}
_PICTURES: dict[int, Callable[[Film], Iterator[Image.Image]]] = {
    1: gan_1d.pictures,
    2: gan_2d.pictures,
}


def write_film(film: Film, ffmpeg: str | None = None) -> list[Path]:
    """Write a film into its run's folder; returns the files, the page first.

    Args:
        film: what to write.
        ffmpeg: the program that writes an .mp4 as well (`movie.find_ffmpeg`).
    """
    stem = film.run.folder / film.kind.name
    paths = [stem.with_suffix(end) for end in (".html", ".gif", ".png", ".csv")]
    frames = list(_PICTURES[film.scene.dims](film))
    write_text(paths[0], page(film))
    save_gif(frames, paths[1])
    save_strip(frames, paths[2])
    names = [field.name for field in fields(Figures)]
    write_csv(paths[3], names, [[getattr(s.figures, n) for n in names] for s in film.shots])
    if ffmpeg is not None:
        paths.append(stem.with_suffix(".mp4"))
        save_mp4(frames, paths[-1], ffmpeg)
    return paths
