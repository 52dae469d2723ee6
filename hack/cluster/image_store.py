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
from hack.cluster.keys import being_made, prune
from hack.cluster.progress import Step

LABEL = "desist.key"


@dataclass(frozen=True)
class Image:
    """A name with a tag, and the key of all that goes into the image."""

    name: str
    key: str

    @property
    def slug(self) -> str:
        """The name as a part of a file's name."""
        return "image-" + re.sub(r"[^a-z0-9]+", "-", self.name.removeprefix("localhost/"))

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
        form = '{{index .Config.Labels "' + LABEL + '"}}'
        said = answer(["docker", "image", "inspect", "--format", form, self.name], engine.how())
        return said is not None and said.strip() == self.key


def ensure(engine: Engine, image: Image, make: Callable[[], None], step: Step) -> str:
    """Bring the image into the engine; returns how, in a word. `make` must tag it and set the label."""
    if image.in_engine(engine):
        return "was there"
    if image.archive.exists():
        step.say(f"loading {image.name} from the cache")
        os.utime(image.archive)
        engine.docker("load", "--quiet", "--input", str(image.archive))
        if image.in_engine(engine):
            return "from the cache"
    make()
    step.say(f"saving {image.name} to the cache")
    with being_made(image.archive) as part:
        engine.docker("save", "--output", str(part), image.name)
    prune(home().root, image.slug, ".tar")
    return "made"


def import_root(engine: Engine, archive: Path, name: str, key: str) -> None:
    """Make an image of a root archive, labelled with `key`."""
    path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    engine.docker("import", "-c", path, "-c", f"LABEL {LABEL}={key}", str(archive), name)
