"""Codes of bits: packing, Hamming search, and the shallow hashers. Arrays only, never torch."""

from graphret.hashing.base import Hasher
from graphret.hashing.bits import pack_bits, unpack_bits
from graphret.hashing.hamming_search import HammingSearch, hamming_search
from graphret.hashing.itq import ITQ
from graphret.hashing.ksh import KSH
from graphret.hashing.lsh import LSH
from graphret.hashing.mlh import MLH
from graphret.hashing.registry import create_hasher, hasher_options, list_hashers
from graphret.hashing.spectral_hashing import SpectralHashing
from graphret.hashing.ssh import SSH

__all__ = [
    "ITQ",
    "KSH",
    "LSH",
    "MLH",
    "SSH",
    "HammingSearch",
    "Hasher",
    "SpectralHashing",
    "create_hasher",
    "hamming_search",
    "hasher_options",
    "list_hashers",
    "pack_bits",
    "unpack_bits",
]
