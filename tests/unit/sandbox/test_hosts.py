"""Lists of hosts: what they allow, and where a name may lead."""

import pytest

from marimo_kernel_bridge.sandbox.hosts import allows, may_be_reached_at

LIST = (
    "pypi.org",
    "*.pythonhosted.org",
    "internal.example:8443",
    "127.0.0.1:9000",
    "localhost:9001",
    "[::1]:9002",
)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("pypi.org", 443),
        ("PyPI.org.", 80),
        ("files.pythonhosted.org", 443),
        ("a.b.pythonhosted.org", 443),
        ("internal.example", 8443),
        ("127.0.0.1", 9000),
        ("localhost", 9001),
        ("::1", 9002),
    ],
)
def test_a_host_of_the_list_is_allowed(host: str, port: int) -> None:
    assert allows(LIST, host, port)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("pypi.org", 22),
        ("evilpypi.org", 443),
        ("pypi.org.evil.example", 443),
        ("pythonhosted.org", 443),
        ("evilpythonhosted.org", 443),
        ("internal.example", 443),
        ("127.0.0.1", 80),
        ("127.0.0.2", 9000),
        ("", 443),
    ],
)
def test_any_other_is_not(host: str, port: int) -> None:
    assert not allows(LIST, host, port)


def test_no_pattern_covers_an_address() -> None:
    assert not allows(["*.0.0.1"], "127.0.0.1", 80)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "fe80::1%lo", "0.0.0.0", "::ffff:127.0.0.1"]
)
def test_a_name_does_not_lead_to_this_machine_or_its_neighbours(address: str) -> None:
    assert not may_be_reached_at(LIST, "pypi.org", address)


def test_an_address_on_the_list_is_reached() -> None:
    assert may_be_reached_at(LIST, "127.0.0.1", "127.0.0.1")
    assert may_be_reached_at(LIST, "localhost", "127.0.0.1")
    assert may_be_reached_at(LIST, "pypi.org", "151.101.0.223")
