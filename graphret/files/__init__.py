"""The only place that writes files: whole or not at all, flushed to the disk, never pickled."""

from graphret.files.arrays import Digest, array_of, map_array, npy_digest, write_array, write_rows
from graphret.files.atomic import (
    check_own_folder,
    flush_file,
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
    temporary_name,
    write_file,
    write_text,
)
from graphret.files.checksums import digest, file_state, sha256_of
from graphret.files.json_files import canonical_json, parse_json
from graphret.files.lock import LOCK, claimed_folder, remove_lock, writer_lock
from graphret.files.names import check_path, safe_name
from graphret.files.plain import MappedFile, open_plain, read_plain
from graphret.files.private import create_private
from graphret.files.shared_stages import SharedStages, open_stages
from graphret.files.stages import Stage, Stages
from graphret.files.toml_files import read_toml

__all__ = [
    "LOCK",
    "Digest",
    "MappedFile",
    "SharedStages",
    "Stage",
    "Stages",
    "array_of",
    "canonical_json",
    "check_own_folder",
    "check_path",
    "claimed_folder",
    "create_private",
    "digest",
    "file_state",
    "flush_file",
    "is_partial",
    "link_or_copy",
    "make_folder",
    "map_array",
    "move",
    "new_folder",
    "npy_digest",
    "open_plain",
    "open_stages",
    "parse_json",
    "read_plain",
    "read_toml",
    "remove_folder",
    "remove_lock",
    "remove_partials",
    "replacing",
    "safe_name",
    "sha256_of",
    "storage_errors",
    "sync_folder",
    "temporary_name",
    "write_array",
    "write_file",
    "write_rows",
    "write_text",
    "writer_lock",
]
