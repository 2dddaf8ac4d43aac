"""The users who start kernels in sandboxes."""

from collections.abc import Iterator

import pytest
from sandboxed import USERS, User, user


@pytest.fixture(scope="module", params=USERS)
def someone(request: pytest.FixtureRequest) -> Iterator[User]:
    with user(request.param) as found:
        yield found
