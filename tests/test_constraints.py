"""constraints.txt: one version of every package, and those that the requirements admit."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))


def lines(name: str) -> list[Requirement]:
    """What a file asks for, but for comments and the files that it includes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [Requirement(line) for line in text.splitlines() if line and line[0] not in "#-"]


def pinned() -> dict[NormalizedName, Version]:
    """Package -> its version; every line of constraints.txt must name exactly one."""
    found: dict[NormalizedName, Version] = {}
    for line in lines("constraints.txt"):
        (only,) = line.specifier
        assert only.operator == "==", line
        found[canonicalize_name(line.name)] = Version(only.version)
    return found


def test_each_line_names_one_public_version_once():
    versions = pinned()
    assert len(versions) == len(lines("constraints.txt"))
    for name, version in versions.items():
        assert version.local is None, f"{name} {version} is a build of one index only"


@pytest.mark.parametrize("name", FILES)
def test_the_requirements_admit_the_versions_that_were_tested(name: str):
    versions = pinned()
    for wanted in lines(name):
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), wanted
