"""The story of the documentation is what happens on a real kernel."""

import pytest
from story import STORY
from story_page import page
from story_player import play


@pytest.mark.anyio
@pytest.mark.long  # `make site` plays the story too
@pytest.mark.timeout(600)  # a whole story: a server, two kernels, an environment, an installation
async def test_the_story_is_what_happens_and_its_page_shows_each_step(tmp_path):
    steps = await play(STORY, tmp_path)
    shown = page(steps)
    assert len(steps) == len(STORY)
    assert all(seen.text in shown for seen in steps)
