"""The only place that writes files: whole or not at all, flushed to the disk, never pickled."""

from graphret.files.arrays import array_header, map_array, write_array, write_rows
from graphret.files.atomic import (
    is_partial,
    link_or_copy,
    make_folder,
    move,
    new_folder,
    remove_folder,
    remove_partials,
    replacing,
    storage_errors,
    sync_folder,
    write_file,
    write_text,
)
from graphret.files.checksums import digest, sha256_of
from graphret.files.lock import LOCK, writer_lock
from graphret.files.names import safe_name
from graphret.files.private import create_private
from graphret.files.stages import Stage, Stages

__all__ = [
    "LOCK",
    "Stage",
    "Stages",
    "array_header",
    "create_private",
    "digest",
    "is_partial",
    "link_or_copy",
    "make_folder",
    "map_array",
    "move",
    "new_folder",
    "remove_folder",
    "remove_partials",
    "replacing",
    "safe_name",
    "sha256_of",
    "storage_errors",
    "sync_folder",
    "write_array",
    "write_file",
    "write_rows",
    "write_text",
    "writer_lock",
]
