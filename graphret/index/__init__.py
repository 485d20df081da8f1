"""The index: built from films or codes, kept on disk in generations, opened and asked. torch is never imported here."""

from graphret.index.answers import describe_hits
from graphret.index.answers_csv import write_hits_csv
from graphret.index.answers_html import write_hits_html
from graphret.index.build import build
from graphret.index.changes import Change, add_films, purge_patient, rebuild, remove_films, update_labels, watch_folder
from graphret.index.config import BuildConfig, QueryConfig
from graphret.index.dicom_results import dicom_manifest, write_dicom_results
from graphret.index.hits import Hit, Hits, QueryHits
from graphret.index.index import Index
from graphret.index.joined import JoinedIndex
from graphret.index.joining import join_shards
from graphret.index.opening import as_index, open
from graphret.index.packing import pack, unpack
from graphret.index.shards import ShardedIndex

__all__ = [
    "BuildConfig",
    "Change",
    "Hit",
    "Hits",
    "Index",
    "JoinedIndex",
    "QueryConfig",
    "QueryHits",
    "ShardedIndex",
    "add_films",
    "as_index",
    "build",
    "describe_hits",
    "dicom_manifest",
    "join_shards",
    "open",
    "pack",
    "purge_patient",
    "rebuild",
    "remove_films",
    "unpack",
    "update_labels",
    "watch_folder",
    "write_dicom_results",
    "write_hits_csv",
    "write_hits_html",
]
