"""A person's page with the extension, and an agent, on a kernel in this process."""

import pytest

from tests.unit.kernel.document_agents import Agent
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory


@pytest.fixture
def agent(connect: Connect) -> Agent:
    return Agent(connect("lab"))


@pytest.fixture
def page(lab: FrontEnd) -> FrontEnd:
    return lab


@pytest.fixture
def impatient(kernel: KernelInMemory) -> KernelInMemory:
    """A kernel that waits for front ends a moment only."""
    limits = kernel.kernel.documents.shared.limits
    limits.answer = limits.flush = 0.05
    return kernel
