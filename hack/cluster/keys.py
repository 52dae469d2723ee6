"""Cache keys: a digest of everything that goes into a built thing.

Contract: equal inputs give equal keys in any checkout, at any path; any change of a file's content, name or
executable bit, of an argument or of their order gives another. Times and absolute paths never count.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEY_LENGTH = 12
KEPT_VERSIONS = 3
SCRATCH_PREFIX = "node-image-"


def key_of(*parts: str | Path) -> str:
    """Digest of strings, files and folders (a `Path` stands for its content), as 12 hexadecimal digits.

    Raises FileNotFoundError for a path that does not exist.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(parts):
        digest.update(len(chunk).to_bytes(8, "big") + chunk)
    return digest.hexdigest()[:KEY_LENGTH]


def _chunks(parts: Iterable[str | Path]) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, str):
            yield b"text"
            yield part.encode()
        elif part.is_dir():
            yield b"folder"
            for file in _files(part):
                yield str(file.relative_to(part)).encode()
                yield from _content(file)
        else:
            yield b"file"
            yield part.name.encode()
            yield from _content(part)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _content(file: Path) -> Iterator[bytes]:
    yield b"executable" if os.access(file, os.X_OK) else b"plain"
    yield file.read_bytes()


@contextmanager
def being_made(target: Path) -> Iterator[Path]:
    """A scratch path beside `target` that becomes `target` if the block succeeds, so that a killed build leaves none.

    The name has this process's id: programs that a killed build began may still write, and must not write into this
    one's.
    """
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    _remove(part)
    target.parent.mkdir(parents=True, exist_ok=True)
    yield part
    _remove(target)
    part.rename(target)


def sweep(folder: Path) -> None:
    """Remove what killed builds left in `folder`. The caller holds the cluster's lock, so that nobody builds there."""
    for pattern in ("*.part", "*.part-*", f"{SCRATCH_PREFIX}*"):
        for left in folder.glob(pattern):
            # A program of a killed build may still write: the next sweep has it then.
            with suppress(OSError):
                _remove(left)


def prune(folder: Path, prefix: str, suffix: str = "") -> None:
    """Keep the newest few `PREFIX-<key>SUFFIX` of `folder`: other checkouts may still use those."""
    length = len(prefix) + 1 + KEY_LENGTH + len(suffix)
    made = [path for path in folder.glob(f"{prefix}-*{suffix}") if len(path.name) == length]
    for old in sorted(made, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_VERSIONS:]:
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
