"""Builds the native engine beside its adapter. Without a compiler all the rest still installs."""

from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("edge/engines/native")

setup(
    ext_modules=[
        Extension(
            "edge.engines._native",
            sources=sorted(str(path) for path in SOURCES.glob("*.cpp")),
            depends=sorted(str(path) for path in SOURCES.glob("*.hpp")),
            language="c++",
            extra_compile_args=["-std=c++17", "-O3", "-ffp-contract=off", "-fvisibility=hidden"],
            optional=True,
        )
    ]
)
