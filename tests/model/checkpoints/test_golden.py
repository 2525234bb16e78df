"""Golden patterns: drawn alike everywhere, and different from their mirror images."""

import numpy as np
from PIL import Image, ImageOps

from model.checkpoints import golden

HASHES = ["b922999d07f413c6", "27b656547806b55a", "63b3b81baa26506c", "2360293337132423"]


def test_the_patterns_are_those_that_checkpoints_were_recorded_with():
    # Other pixels are another PATTERNS_VERSION; without that, every checkpoint would be refused.
    assert golden.PATTERNS_VERSION == 1
    assert [golden.sha256(pattern)[:16] for pattern in golden.patterns()] == HASHES


def test_they_differ_in_shape_and_from_their_mirror_images():
    patterns = golden.patterns()
    assert [pattern.size for pattern in patterns] == list(golden.SIZES)
    shapes = {np.sign(width - height) for width, height in golden.SIZES}
    assert shapes == {-1, 0, 1}
    for pattern in patterns:
        assert pattern.mode == "RGB"
        pixels = np.asarray(pattern).astype(int)
        for other in (np.asarray(ImageOps.mirror(pattern)), pixels[..., ::-1]):
            assert np.abs(pixels - other).mean() > 20


def test_the_hash_is_of_size_and_pixels():
    pattern = golden.patterns()[1]
    assert golden.sha256(pattern) == golden.sha256(golden.patterns()[1])
    assert golden.sha256(ImageOps.mirror(pattern)) != golden.sha256(pattern)
    width, height = pattern.size
    reshaped = Image.frombytes("RGB", (height, width), pattern.tobytes())
    assert golden.sha256(reshaped) != golden.sha256(pattern)
