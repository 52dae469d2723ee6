"""Images that are made once and kept twice: in the engine, and as an archive in the cache for an engine that lost them.

Contract: an image carries its key as the label desist.key; `ensure(image, make, step)` returns when the engine has
`image.name` with that key, by the quickest way: it is there, its archive is loaded, or `make` makes it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.commands import answer
from hack.cluster.engine import Engine
from hack.cluster.home import home
from hack.cluster.keys import being_made, key_of, prune
from hack.cluster.progress import Step

LABEL = "desist.key"
# What an image has that is made of a root archive.
ROOT_CHANGES = ("ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


@dataclass(frozen=True)
class Image:
    """A name with a tag, and the key of all that goes into the image."""

    name: str
    key: str

    @property
    def slug(self) -> str:
        """The name without its tag, as a part of a file's name: images of other tags are older ones of the same."""
        return "image-" + re.sub(r"[^a-z0-9]+", "-", self.repository.removeprefix("localhost/"))

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return self.name.rpartition(":")[0]

    @property
    def archive(self) -> Path:
        """Where the cache keeps it."""
        return home().root / f"{self.slug}-{self.key}.tar"

    @property
    def label(self) -> str:
        """The label as an argument of docker."""
        return f"{LABEL}={self.key}"

    def in_engine(self, engine: Engine) -> bool:
        """Whether the engine has it, with this key."""
        return key_in(engine, self.name) == self.key


def ensure(engine: Engine, image: Image, make: Callable[[], None], step: Step) -> str:
    """Bring the image into the engine; returns how, in a word. `make` must tag it and set the label."""
    if image.in_engine(engine):
        _save(engine, image, step)
        return "was there"
    if image.archive.exists():
        step.say(f"loading {image.name} from the cache")
        os.utime(image.archive)
        engine.docker("load", "--quiet", "--input", str(image.archive))
        if image.in_engine(engine):
            return "from the cache"
    make()
    _save(engine, image, step)
    prune(home().root, image.slug, ".tar")
    _prune_engine(engine, image)
    return "made"


def _save(engine: Engine, image: Image, step: Step) -> None:
    if image.archive.exists():
        os.utime(image.archive)
        return
    step.say(f"saving {image.name} to the cache")
    with being_made(image.archive) as part:
        engine.docker("save", "--output", str(part), image.name)


def _prune_engine(engine: Engine, image: Image) -> None:
    """Remove older images of the same name that the cache no longer keeps either; those in use stay."""
    form = "{{.Repository}}:{{.Tag}}"
    listed = engine.docker("image", "ls", "--filter", f"label={LABEL}", "--format", form, image.repository)
    for name in listed.split():
        key = key_in(engine, name)
        if "<none>" not in name and key and not Image(name, key).archive.exists():
            answer(["docker", "image", "rm", name], engine.how())
    answer(["docker", "image", "prune", "--force", "--filter", f"label={LABEL}"], engine.how())


def key_in(engine: Engine, name: str) -> str | None:
    """The key that the engine's image of that name is labelled with, None if there is no such image."""
    form = '{{index .Config.Labels "' + LABEL + '"}}'
    said = answer(["docker", "image", "inspect", "--format", form, name], engine.how())
    return said.strip() if said is not None else None


def root_image(name: str, archive_key: str) -> Image:
    """The image that `import_root` makes of a root archive with this key."""
    return Image(name, key_of(archive_key, *ROOT_CHANGES))


def import_root(engine: Engine, archive: Path, name: str, key: str) -> None:
    """Make an image of a root archive, labelled with `key`."""
    changes = (*ROOT_CHANGES, f"LABEL {LABEL}={key}")
    engine.docker("import", *(word for change in changes for word in ("--change", change)), str(archive), name)
