"""One file of a whole index, for a backup or another machine, and back: a plain tar with its checksums first."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError, MissingFileError, NotAnIndexError, StoreError
from graphret.files import check_path, new_folder, open_plain, parse_json, replacing, write_file
from graphret.index.front import is_front
from graphret.index.index import Index
from graphret.index.manifest import MANIFEST, serialise
from graphret.index.opening import as_index
from graphret.index.store import CURRENT
from graphret.index.tuned import FILE as TUNING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from graphret._types import Progress
    from graphret.index.generation import Generation

__all__ = ["pack", "unpack"]

FORMAT, VERSION = "graphret pack", 1
CONTENTS = "graphret-pack.json"
_BLOCK, _RECORD = 1 << 22, 512
_CONTENTS_BYTES, _MOST_MEMBERS = 2**20, 300
_NAME = re.compile(r"[\w.+-]+(/[\w.+-]+)*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def pack(
    index: Index | str | os.PathLike[str], file: str | os.PathLike[str], *, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the current generation of an index, and its tuning, into one file.

    The file is a tar without compression, which any `tar -x` reads. Its first member lists the others with their sizes
    and sha256. Every byte is compared with its checksum while it is copied, so that no damage is packed. The index is
    held as a reader holds it: it may be written meanwhile.

    Parameters
    ----------
    index
        An opened index, whose generation is packed, or the folder of one.
    file
        The file to write; an old one is replaced when the new one is complete.
    progress
        Called as ``progress("pack", bytes, of bytes)``.

    Returns
    -------
    dict
        file, generation, n_files, n_bytes.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `open`; or the folder joins shards. Nothing is written then.

    Examples
    --------
    >>> import tempfile, numpy as np, graphret
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = graphret.build(np.eye(9, dtype=np.float32), out=f"{folder}/a", k=5, tune=False)
    ...     packed = pack(index, f"{folder}/a.tar")
    ...     unpack(f"{folder}/a.tar", f"{folder}/b").query("7", k=1).queries
    ['7']
    """
    target = check_path("file", file)
    opened = as_index(index)
    if is_front(opened.path):
        raise NotAnIndexError(opened.path, "it joins shards: pack each of them, and join them where they are unpacked")
    generation = opened._generation
    small = _small_members(opened)
    members: dict[str, Any] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in small.items()
    }
    for name, entry in generation.manifest["files"].items():
        members[f"{generation.name}/{name}"] = dict(entry)
    members = _in_order(members)
    for name, entry in members.items():
        _check_member(generation.folder, name, entry, generation.name)
    listed = serialise({"format": FORMAT, "version": VERSION, "generation": generation.name, "members": members})
    total, done = sum(entry["bytes"] for entry in members.values()), 0
    with replacing(target) as out:
        _add(out, CONTENTS, [listed], len(listed))
        for name, entry in members.items():
            parts = iter([small[name]]) if name in small else _checked_parts(generation, name)
            _add(out, name, parts, entry["bytes"])
            done += entry["bytes"]
            if progress is not None:
                progress("pack", done, total)
        out.write(bytes(2 * _RECORD))
    return {"file": str(target), "generation": generation.name, "n_files": len(members), "n_bytes": total}


def _small_members(opened: Index) -> dict[str, bytes]:
    """CURRENT, the tuning, and the manifest: what is in memory already, written as it was read."""
    generation = opened._generation
    found = {CURRENT: f"{generation.name}\n".encode()}
    if opened.tuning is not None:
        found[TUNING] = serialise(opened.tuning)
    found[f"{generation.name}/{MANIFEST}"] = serialise(generation.manifest)
    return found


def _checked_parts(generation: Generation, member: str) -> Iterator[bytes]:
    """Blocks of a file of the generation; the last one only where the whole has its checksum."""
    name = member.removeprefix(f"{generation.name}/")
    generation.files.check(name)
    with memoryview(generation.files[name].memory) as content:
        for first in range(0, len(content), _BLOCK):
            yield bytes(content[first : first + _BLOCK])


def _add(out: IO[bytes], name: str, parts: Iterator[bytes] | list[bytes], size: int) -> None:
    about = tarfile.TarInfo(name)
    about.size, about.mode = size, 0o644
    out.write(about.tobuf(tarfile.GNU_FORMAT))
    out.writelines(parts)
    out.write(bytes(-size % _RECORD))


def unpack(file: str | os.PathLike[str], folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Index:
    """Make an index of a file that `pack` wrote, verify it, and open it.

    Nothing of the file is believed: members must be the ones that its first member lists, in their order, plain files
    below the folder, of the sizes and checksums listed. The folder appears in one step, when every byte of the index in
    it was verified.

    Parameters
    ----------
    file
        The file.
    folder
        Folder to make; it may not be there yet.
    progress
        Called as ``progress("unpack", bytes, of bytes)``, then with "verify".

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidParameterError
        Something is in the place of the folder.
    StoreError
        The file is no pack, damaged, or holds something else; the disk is full.
    DamagedIndexError
        What was packed is no index; `pack` makes no such file.
    """
    source, target = check_path("file", file), check_path("folder", folder).absolute()
    if target.exists() or target.is_symlink():
        raise InvalidParameterError(
            "folder", str(folder), "a folder that is not there yet", "something is in its place"
        )
    if not target.parent.is_dir():
        raise MissingFileError(target.parent, "folder", "make it first")
    try:
        stream = os.fdopen(open_plain(source, follow=True), "rb")
    except FileNotFoundError as error:
        raise MissingFileError(source, "file", "`graphret pack` makes one") from error
    except OSError as error:
        raise StoreError(f"cannot read {source}: {error.strerror}") from error
    with stream, new_folder(target) as partial:
        members = _read_contents(stream, source)
        total, done = sum(entry["bytes"] for entry in members.values()), 0
        for name, entry in members.items():
            _read_header(stream, source, name, entry["bytes"])
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            write_file(partial / name, _checked_blocks(stream, source, name, entry))
            done += entry["bytes"]
            if progress is not None:
                progress("unpack", done, total)
        if stream.read(2 * _RECORD + 1) != bytes(2 * _RECORD):
            raise _damaged(source, "something follows its last member, or its end is missing")
        Index(partial).verify(progress)
    return Index(target)


def _read_contents(stream: IO[bytes], source: Path) -> dict[str, Any]:
    size = _read_header(stream, source, CONTENTS, None)
    if size > _CONTENTS_BYTES:
        raise _damaged(source, f"its list of members has {size:,} bytes, at most {_CONTENTS_BYTES:,} are read")
    raw = _read(stream, source, size)
    _read(stream, source, -size % _RECORD)
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise _damaged(source, f"its list of members: {error}") from error
    if serialise(content) != raw or content.get("format") != FORMAT:
        raise _damaged(source, "its list of members does not fit its own checksum")
    if content.get("version") != VERSION:
        raise StoreError(
            f"{source} has version {content.get('version')!r} of the format: this graphret reads {VERSION}; upgrade it"
        )
    members, generation = content.get("members"), content.get("generation")
    if not isinstance(members, dict) or not isinstance(generation, str) or len(members) > _MOST_MEMBERS:
        raise _damaged(source, f"its list of members is none, or longer than {_MOST_MEMBERS}")
    for name, entry in members.items():
        _check_member(source, name, entry, generation)
    return _in_order(members)


def _in_order(members: dict[str, Any]) -> dict[str, Any]:
    """CURRENT and the tuning first, then files, then those in folders: the order in which they are written and read."""
    return {name: members[name] for name in sorted(members, key=lambda name: (name.count("/"), name))}


def _check_member(source: Path, name: str, entry: Any, generation: str) -> None:
    parts = PurePosixPath(name).parts
    inside = name in {CURRENT, TUNING} or (len(parts) in {2, 3} and parts[0] == generation)
    if not inside or not _NAME.fullmatch(name) or {".", ".."} & set(parts) or len(name) > 100:
        raise _damaged(source, f"its member {name[:60]!r} is no file of an index")
    fits = isinstance(entry, dict) and set(entry) == {"bytes", "sha256"} and type(entry["bytes"]) is int
    if not fits or not 0 <= entry["bytes"] < 2**63 or not _SHA256.fullmatch(str(entry["sha256"])):
        raise _damaged(source, f"its entry for {name!r} is wrong")


def _read_header(stream: IO[bytes], source: Path, name: str, size: int | None) -> int:
    """Read the header of the next member, which must be the one expected."""
    try:
        found = tarfile.TarInfo.frombuf(_read(stream, source, _RECORD), "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _damaged(
            source, f"there is no member where {name!r} should be ({error}): is it a file of `pack`?"
        ) from error
    if found.name != name or found.type != tarfile.REGTYPE or found.linkname or size not in {None, found.size}:
        raise _damaged(source, f"a member {found.name[:60]!r} of {found.size} bytes is where {name!r} should be")
    return int(found.size)


def _checked_blocks(stream: IO[bytes], source: Path, name: str, entry: dict[str, Any]) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), entry["bytes"]
    while left:
        block = _read(stream, source, min(left, _BLOCK))
        digest.update(block)
        left -= len(block)
        yield block
    if digest.hexdigest() != entry["sha256"]:
        raise _damaged(source, f"its member {name!r} has not the sha256 that is listed")
    _read(stream, source, -entry["bytes"] % _RECORD)


def _read(stream: IO[bytes], source: Path, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise _damaged(source, "it ends in the middle of a member")
    return content


def _damaged(source: Path, reason: str) -> StoreError:
    return StoreError(f"damaged pack: {source}: {reason} (copy the file again; nothing was unpacked)")
