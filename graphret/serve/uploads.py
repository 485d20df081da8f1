"""Films that users sent: decoded, and kept in memory for a while; on disk no longer than a decoder reads."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError
from graphret._threads import available_threads
from graphret.data.images import FILM_SUFFIXES
from graphret.data.isolated import IsolatedReader
from graphret.files import digest, replacing
from graphret.serve.words import NotThereError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["Upload", "UploadGoneError", "Uploads"]

MEMORY = 256 * 2**20
SECONDS = 3600.0
_RAW_SUFFIX = ".img"


class UploadGoneError(NotThereError):
    """A film that was sent is not kept any more."""

    def __init__(self) -> None:
        super().__init__(
            "upload is not the name of a film that is kept: films that were sent are forgotten after an hour, or when "
            "many others came (send the film again)"
        )


@dataclass(eq=False)
class Upload:
    """A film that somebody sent, (h, w) as `read_pixels` gives it; ``codes`` are those that encoders made of it.

    ``content_name`` is made of its pixels: it is the same whenever the film is sent.
    """

    name: str
    content_name: str
    pixels: NDArray[Any]
    used: float
    codes: dict[tuple[Any, ...], Float32Array] = field(default_factory=dict)


class Uploads:
    """Keep films that were sent, up to some memory and for an hour after their last use.

    They are decoded in processes of their own: a film that makes a decoder hang, crash or eat memory is refused.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> content = io.BytesIO()
    >>> Image.new("L", (20, 10), 7).save(content, format="PNG")
    >>> uploads = Uploads()
    >>> kept = uploads.add(content.getvalue(), "film.png")
    >>> uploads[kept.name].pixels.shape
    (10, 20)
    >>> uploads.close()
    """

    def __init__(self, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self._memory, self._seconds = memory, seconds
        self._reader = IsolatedReader()
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()
        self._decoders = threading.Semaphore(available_threads())

    def add(self, content: bytes, file_name: str) -> Upload:
        """Decode a film and keep it under a name that cannot be guessed.

        Parameters
        ----------
        content
            Bytes of the file.
        file_name
            Its suffix alone is looked at, for kinds that a decoder knows by it.

        Raises
        ------
        FilmError
            It cannot be decoded; its path is not that of a file.
        """
        suffix = Path(file_name).suffix.lower()
        known = suffix if suffix in {*FILM_SUFFIXES, _RAW_SUFFIX} else ""
        with self._decoders, tempfile.TemporaryDirectory(prefix="graphret-film-") as folder:
            path = Path(folder) / f"film{known}"
            with replacing(path, durable=False) as file:
                file.write(content)
            try:
                pixels = self._reader.read_pixels(str(path))
            except FilmError as error:
                raise FilmError("the film that was sent", error.reason.replace(str(path), "the film")) from None
        upload = Upload(secrets.token_urlsafe(16), digest(pixels)[:12], pixels, time.monotonic())
        with self._lock:
            self._kept[upload.name] = upload
            self._forget()
        return upload

    def __getitem__(self, name: str) -> Upload:
        """Return a film that was sent.

        Raises
        ------
        UploadGoneError
            It was never sent, or is forgotten.
        """
        with self._lock:
            self._forget()
            if name not in self._kept:
                raise UploadGoneError
            self._kept.move_to_end(name)
            self._kept[name].used = time.monotonic()
            return self._kept[name]

    def remove(self, name: str) -> None:
        """Forget a film now."""
        with self._lock:
            self._kept.pop(name, None)

    def close(self) -> None:
        """End the processes that decode."""
        self._reader.close()

    def _forget(self) -> None:
        """Drop what was not used for long, then the longest unused until the rest fits; the newest stays."""
        now = time.monotonic()
        for name in [name for name, upload in self._kept.items() if now - upload.used > self._seconds]:
            del self._kept[name]
        while len(self._kept) > 1 and sum(upload.pixels.nbytes for upload in self._kept.values()) > self._memory:
            self._kept.popitem(last=False)
