"""The rooms of the package are the folders of the repository root; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

NOT_ROOMS = ("tests*", "benchmarks*", "examples*", "docs*", "build*", "dist*", "site*")
setup(packages=["nearhop", *(f"nearhop.{room}" for room in find_packages(".", exclude=NOT_ROOMS))])
