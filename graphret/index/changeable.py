"""An index as it is opened, closed and changed: each change writes a new generation, and returns it opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._errors import StoreError
from graphret.files import check_path
from graphret.index.changes import add_films, purge_patient, rebuild, remove_films, update_labels
from graphret.index.opened import OpenedIndex
from graphret.index.store import KEEP

if TYPE_CHECKING:
    import os
    from typing import Self

    from graphret._types import Progress
    from graphret.data import ImageTable
    from graphret.encoders import Encoder

__all__ = ["ChangeableIndex"]


class ChangeableIndex:
    """An index that can be changed. This object stays what it was: the changed index is the one that is returned.

    A change is made to the generation that is current on disk, also where this object opened an older one.
    """

    def __init__(self, path: str | os.PathLike[str], *, encoder: Encoder | None = None) -> None:
        self.path = check_path("path", path).absolute()  # a later chdir changes nothing
        self._opened: OpenedIndex | None = self._open(encoder)

    def _open(self, encoder: Encoder | None = None) -> OpenedIndex:
        return OpenedIndex(self.path, encoder)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "closed": self._opened is None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._opened = None if state["closed"] else self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files and of all that was read; a later query raises `StoreError`."""
        self._opened = None

    @property
    def _parts(self) -> OpenedIndex:
        if self._opened is None:
            raise StoreError(f"the index {self.path} was closed: open it again")
        return self._opened

    def add(
        self,
        films_or_codes: Any,
        *,
        ids: Any = None,
        labels: Any = None,
        patients: Any = None,
        label_names: Any = None,
        splits: Any = None,
        films: ImageTable | None = None,
        keep: int = KEEP,
        n_threads: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Add films, or codes made elsewhere; only what is new, or has changed, is decoded and encoded.

        A film is known by its id. A known film is encoded again where its file has another size or time than when it
        was encoded, and takes the place of the old one where its code then differs. New films come behind the others.
        They get neighbours, become neighbours of films that are nearer to them than to their k-th, and join the
        community that gains most; films nearby move where that gains. The threshold, the tuning, and the numbers of
        communities stay.

        Parameters
        ----------
        films_or_codes
            An `ImageTable`, encoded with the encoder of the index; or codes, float32 (m, d), of the same length.
        ids, labels, patients, label_names, splits, films
            Of codes, as for `build`. Without ids they are numbered on; labels are those of the index.
        keep
            Generations that stay on disk, the new one included, >= 1.
        n_threads
            Threads; ``None`` for all processors. The result does not depend on it.
        progress
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Index
            The new generation, opened; the current one where there is nothing to do.

        Raises
        ------
        InvalidParameterError, CodesError, DataError
            As `build`; also a label that the index does not have.
        EncoderError
            Films for an index of codes made elsewhere, or the encoder fails.
        IndexLockedError, StoreError, DamagedIndexError
            Another process writes, the disk is full, or a file of the index is not what was written. The index is then
            as it was, and what was encoded is kept for the next call.

        Notes
        -----
        A film that cannot be read is logged and listed in ``films.problems``, and never ends the call. At most
        O(m n d) time for m new films, and O(n (k + d)) to write. In an index whose neighbours are approximate, about
        one neighbour in 2,000 of many new films is lost.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index = build(codes[:30], out=folder, k=5).add(codes[30:])
        ...     index.n_films, index.generation, index.query("35", k=1).queries
        (40, 'gen-000002', ['35'])
        """
        opened = self._parts
        described = {"ids": ids, "labels": labels, "patients": patients, "label_names": label_names, "splits": splits}
        add_films(
            self.path,
            films_or_codes,
            described,
            films=films,
            encoder=opened.encoder_in_memory,
            keep=keep,
            n_threads=n_threads,
            progress=progress,
        )
        return self._reopened()

    def remove(
        self, ids: Any, *, keep: int = KEEP, n_threads: int | None = None, progress: Progress | None = None
    ) -> Self:
        """Remove films: their rows, codes and edges go, the others keep their order and their communities.

        Generations before this one still have them; `purge` takes a patient out of these as well.

        Parameters
        ----------
        ids
            One id, or several.
        keep, n_threads, progress
            As for `add`.

        Returns
        -------
        Index
            The new generation, opened. A list of neighbours may lack a tenth of its k films, see docs/living.md.

        Raises
        ------
        InvalidParameterError
            An id that the index does not have, or one twice; nothing is changed then.
        DataError
            No film would be left.
        IndexLockedError, StoreError, DamagedIndexError
            As `add`.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     build(codes, out=folder, k=5).remove(["3", "7"]).n_films
        38
        """
        remove_films(self.path, ids, keep=keep, n_threads=n_threads, progress=progress)
        return self._reopened()

    def update_labels(
        self, ids: Any, labels: Any, *, label_names: Any = None, add_labels: bool = False, keep: int = KEEP
    ) -> Self:
        """Give films other labels, as a corrected report does; codes, graph and communities are not touched.

        Parameters
        ----------
        ids
            One id, or several.
        labels
            As for `build`, one row a film. Classes and names of films replace all labels of these films; a matrix or a
            data frame replaces those of its columns, but where a value is missing (NaN, None, an empty text): such a
            label stays as it was. A matrix without names has the columns of the index.
        label_names
            Names of the columns of a matrix.
        add_labels
            True gives the index labels that it does not have; all other films are then without.
        keep
            As for `add`.

        Returns
        -------
        Index
            The new generation, opened; all files but the table are those of the one before (hard links).

        Raises
        ------
        InvalidParameterError, DataError
            An unknown id or label, or labels of another number of films.
        IndexLockedError, StoreError, DamagedIndexError
            As `add`.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index = build(np.eye(4, dtype=np.float32), labels=["Mass", "Edema", None, None], out=folder, k=2)
        ...     index.update_labels("2", [["Mass"]]).films.label_texts(2)
        ['Mass']
        """
        update_labels(self.path, ids, labels, label_names, add_labels=add_labels, keep=keep)
        return self._reopened()

    def rebuild(self, *, keep: int = KEEP, progress: Progress | None = None, **overrides: Any) -> Self:
        """Build the index again as a whole, from its codes: what many changes have left behind is then made good.

        Threshold, graph, search and communities are made as by `build`. Lists of neighbours that have become short are
        completed; all are searched for again where they were approximate, or another search or more neighbours are
        asked for. Communities get the numbers of
        those that they share most films with. Where going on from the known communities reaches nearly the modularity
        of a fresh start (within 0.001), they are kept so.

        Parameters
        ----------
        keep, progress
            As for `add`.
        **overrides
            Single parameters of `BuildConfig`, as ``k=30``; the others are those of the index.

        Returns
        -------
        Index
            The new generation, opened. ``manifest["changes"]["renumbered"]`` says which communities were split and
            merged.

        Raises
        ------
        InvalidParameterError
            An unknown or wrong parameter.
        IndexLockedError, StoreError, DamagedIndexError
            As `add`. Killed, the next call goes on with the stages that are done.

        Notes
        -----
        O(s n d) for s short lists, and what `build` needs behind its search for neighbours.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     build(np.eye(9, dtype=np.float32), out=folder, k=5).rebuild(k=3).manifest["parameters"]["k"]
        3
        """
        rebuild(self.path, overrides, keep=keep, progress=progress)
        return self._reopened()

    def purge(
        self,
        patient: str,
        *,
        lists: str | os.PathLike[str] | None = None,
        n_threads: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Take a patient out of the index for good: of this generation, of all older ones, and of unfinished work.

        Older generations and ``.build`` are removed as a whole, and so are the marks that users of the service have
        made of the films. Notes on other films that name the patient are said and stay. Not undone is what was learnt
        from the films: the encoder, and a tuning. Copies of the folder, and the disk's own memory of removed files, are
        not ours to clear.

        Parameters
        ----------
        patient
            As the column ``patient`` of the films has it.
        lists
            File of those marks; ``None`` for NAME-lists.sqlite beside the index, where there is one.
        n_threads, progress
            As for `add`.

        Returns
        -------
        Index
            The current generation, opened, and the only one.

        Raises
        ------
        InvalidParameterError
            No generation has such a patient.
        MissingFileError
            ``lists`` is not there.
        DataError
            The index has films of this patient only: remove its folder.
        IndexLockedError, StoreError, DamagedIndexError
            As `add`.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index = build(np.eye(4, dtype=np.float32), patients=["a", "b", "b", "c"], out=folder, k=2)
        ...     index.purge("b").films.patients.tolist()
        ['a', 'c']
        """
        purge_patient(self.path, patient, lists=lists, n_threads=n_threads, progress=progress)
        return self._reopened()

    def _reopened(self) -> Self:
        """Open what is current now, with the encoder where that is in memory."""
        opened = type(self)(self.path)
        encoder = self._parts.encoder_in_memory
        about = opened._parts.generation.manifest["encoder"]
        if encoder is None or about is None or about["fingerprint"] != encoder.fingerprint:
            return opened
        return type(self)(self.path, encoder=encoder)
