"""The package `sluice` is the folder host_tools: pyproject.toml has all else."""

from setuptools import find_namespace_packages, setup

ROOMS = find_namespace_packages("host_tools")

setup(
    package_dir={"sluice": "host_tools"},
    packages=["sluice", *(f"sluice.{room}" for room in ROOMS)],
)
