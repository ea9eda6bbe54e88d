"""What the tests of the checker begin with."""

from __future__ import annotations

import pytest

from .story import Story


@pytest.fixture
def story() -> Story:
    """One entry, published at 1 s and handled at once."""
    story = Story()
    story.handle(0, story.publish("1-0"), 1.0, 1.01, 1.02, 1.2)
    return story
