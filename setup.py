"""What pyproject.toml cannot say: search_spaces/ lies beside the package here, and is installed inside it."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["anon_tune*"]), "anon_tune.search_spaces"],
    package_dir={"anon_tune.search_spaces": "search_spaces"},
)
