"""The engines that run a bundle's network: one protocol, and an adapter for each vendor."""

from edge.engines.engine import Answer, Engine, Prepared, load_engine, open_engine

__all__ = [
    "Answer",
    "Engine",
    "Prepared",
    "load_engine",
    "open_engine",
]
