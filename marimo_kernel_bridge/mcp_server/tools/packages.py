"""The tool that installs packages, and the person's consent.

Consent is the option `--allow all` of the server, or the person's answer to a question that the client asks (MCP
elicitation, in both versions of the protocol). Without consent nothing is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from mcp.server.mcpserver import AcceptedElicitation, DeclinedElicitation, Elicit, ElicitationResult, Resolve
from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import BaseModel, Field

from marimo_kernel_bridge.errors import AgentsPausedError, BridgeError
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.arguments import (
    BUDGET,
    BudgetArg,
    Ctx,
    KernelArg,
    TimeoutArg,
    can_ask,
    kernels_of,
    to_run_in,
)
from marimo_kernel_bridge.mcp_server.origins import is_surely_open
from marimo_kernel_bridge.mcp_server.package_index import named, own_settings, printable
from marimo_kernel_bridge.mcp_server.sdk.schemas import Without
from marimo_kernel_bridge.mcp_server.tool import tool
from marimo_kernel_bridge.mcp_server.tools.run_waiting import finish
from marimo_kernel_bridge.mcp_server.views.window import Window
from marimo_kernel_bridge.protocol.environment import MOST_PACKAGES, requirements

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.environment import Environment

_INSTALL_WAIT = 120.0


class Consent(BaseModel):
    """The person's answer."""

    install: Annotated[bool, Field(title="Install", description="Yes: install these packages now.")]


class StandingConsent(Consent):
    """Consent given with `--allow all` when the server was started."""


@dataclass(frozen=True)
class Refused:
    """A refusal without asking the person. The tool raises it, so that it is logged."""

    why: BridgeError


async def ask_consent(
    ctx: Ctx, packages: list[str], kernel: str | None
) -> Elicit[Consent] | Consent | Refused:
    """Ask the person, unless they consented when they started the server, or the request would be refused anyway."""
    kernels = kernels_of(ctx)
    try:
        specifiers = requirements(packages)
        attached = await to_run_in(ctx, kernel)
        if kernels.may_install:
            return StandingConsent(install=True)
        if not kernels.may_run or not can_ask(ctx):
            return Refused(_nobody_asked(packages))
        environment, description = (
            await attached.client.reads.environment(),
            await attached.client.reads.describe(),
        )
        origin = await _from(attached, environment)
    except BridgeError as refusal:
        return Refused(refusal)
    if description.agents_paused:
        return Refused(AgentsPausedError("nothing was installed"))
    notebook = f" of {printable(description.notebook)}" if description.notebook else ""
    return Elicit(
        f"An agent wants to install {', '.join(specifiers)} with {environment.installer} into {printable(environment.prefix)}, "
        f"the environment of the kernel{notebook}.{origin} "
        "Packages run code of others when they are installed.",
        Consent,
    )


async def _from(attached: Attached, environment: Environment) -> str:
    """Return a sentence on where packages come from, "" if it is where they come from by default. Raises `BridgeError`."""
    if attached.here and not await is_surely_open(attached):
        return " They come from where the kernel is set up to take packages from: it may be in a sandbox, and gets none of your settings."
    if not attached.here:
        return " They come from where the kernel's machine is set up to take packages from."
    places = named(environment.installer, environment.prefix)
    return f" They come from {', '.join(places)}, as your settings say." if places else ""


@tool(
    "Install packages",
    needs="run",
    runs_code=True,
    audited=lambda arguments: {"consent": said(arguments["consent"])},
)
async def install_packages(
    ctx: Ctx,
    *,
    packages: Annotated[
        list[str],
        Field(
            min_length=1,
            max_length=MOST_PACKAGES,
            description='As "dask[array]>=2025.1"; no options.',
        ),
    ],
    consent: Annotated[ElicitationResult[Consent], Resolve(ask_consent)],
    kernel: KernelArg = None,
    timeout: TimeoutArg = _INSTALL_WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> Annotated[
    CallToolResult, RunView, Without(("added", "problems", "where", "op_id", "front_end", "conflicts"))
]:
    """Install packages into the kernel's environment; the person is asked. Runs no cell again: the answer says which to run."""
    _require(consent, packages)
    attached = await to_run_in(ctx, kernel)
    # Addresses of indexes hold passwords: they are none of what code in a sandbox gets.
    settings = own_settings() if await is_surely_open(attached) else {}
    run = await attached.client.install(requirements(packages), settings)
    return await finish(ctx, attached, run, timeout, Window(max_chars))


def said(consent: ElicitationResult[Consent]) -> str:
    """Return the person's answer, for the audit log."""
    if not isinstance(consent, AcceptedElicitation):
        return "declined" if isinstance(consent, DeclinedElicitation) else "no answer"
    match consent.data:
        case Refused():
            return "not asked"
        case StandingConsent():
            return "standing: --allow all"
        case _:
            return "yes" if consent.data.install else "no"


def _require(consent: ElicitationResult[Consent], packages: list[str]) -> None:
    """Raise `BridgeError`, such as not_allowed, unless the person agreed."""
    if not isinstance(consent, AcceptedElicitation):
        said = "declined" if isinstance(consent, DeclinedElicitation) else "did not answer"
        raise BridgeError("not_allowed", f"The person {said}; nothing was installed.", _by_hand(packages))
    given: object = consent.data  # the SDK passes on whatever the resolver returned
    if isinstance(given, Refused):
        raise given.why
    if not consent.data.install:
        raise BridgeError("not_allowed", "The person said no; nothing was installed.", _by_hand(packages))


def _nobody_asked(packages: list[str]) -> BridgeError:
    return BridgeError(
        "not_allowed",
        "Installing needs the person's consent, and this client cannot ask them (it has no MCP elicitation).",
        f"They can give it for good with the permission 'all': marimo-kernel-bridge mcp --allow all. {_by_hand(packages)}",
    )


def _by_hand(packages: list[str]) -> str:
    return f"They can install it themselves: %pip install {' '.join(packages)}. Do not work around it."
