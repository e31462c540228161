"""The engines that run a bundle's network: one protocol, and an adapter for each vendor."""

from edge.engines.engine import Engine, Prepared, load_engine, open_engine

__all__ = [
    "Engine",
    "Prepared",
    "load_engine",
    "open_engine",
]
