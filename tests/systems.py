"""Marks for tests of what only some systems have."""

import os
import sys

import pytest

SIGNALS = pytest.mark.skipif(
    os.name != "posix", reason="On Windows no process sends another one a signal."
)
ABANDONED = pytest.mark.skipif(
    os.name != "posix", reason="On Windows what a killed process left is swept a day later."
)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="It reads /proc, which only Linux has.")
ANY_NAME = pytest.mark.skipif(
    sys.platform != "linux", reason="Other systems refuse such names of files."
)
