"""The tests of an example are skipped where a library that it needs is not installed."""

import sys

from tests.parts import LibraryFinder

sys.meta_path.append(LibraryFinder())
