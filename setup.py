"""Builds the native engine beside its adapter. Without a compiler all the rest still installs."""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

SOURCES = Path("edge/engines/native")


class BuildLibrary(build_ext):
    """A plain library that ctypes loads: any Python's, and no module that one could import."""

    def get_ext_filename(self, fullname: str) -> str:
        *package, name = fullname.split(".")
        return str(Path(*package, f"lib{name}.so.1"))


class OneForEveryPython(bdist_wheel):
    """For one kind of processor; of Python it wants nothing but ctypes."""

    def get_tag(self) -> tuple[str, str, str]:
        *_, platform = super().get_tag()
        return "py3", "none", platform


setup(
    cmdclass={"bdist_wheel": OneForEveryPython, "build_ext": BuildLibrary},
    ext_modules=[
        Extension(
            "edge.engines.trackside",
            sources=sorted(str(path) for path in SOURCES.glob("*.cpp")),
            depends=sorted(str(path) for path in SOURCES.glob("*.hpp")),
            language="c++",
            extra_compile_args=[
                "-std=c++17",
                "-O3",
                "-ffp-contract=off",
                "-fvisibility=hidden",
                "-pthread",
            ],
            extra_link_args=["-pthread"],
            optional=True,
        )
    ],
)
