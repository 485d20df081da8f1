"""A build in pieces that are kept in storage: out of core on one machine, or on many by Ray."""

from graphret.cluster.engine import ENGINES, Engine, check_engine, open_engine
from graphret.cluster.join import OnThisMachine, StoredJoin, Workers

__all__ = ["ENGINES", "Engine", "OnThisMachine", "StoredJoin", "Workers", "check_engine", "open_engine"]
