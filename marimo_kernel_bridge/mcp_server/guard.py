"""The guard around tool calls: the person's permission, the audit log, the redaction of secrets.

The only place for all three: `mcp_tools` serves no tool and no resource without it.
"""

from __future__ import annotations

import functools
import logging
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.types import CallToolResult, TextContent

from marimo_kernel_bridge.errors import AgentsPausedError, BridgeError
from marimo_kernel_bridge.launch.sessions.entries import is_id, reopening
from marimo_kernel_bridge.mcp_server.answers.bounds import bounded_text
from marimo_kernel_bridge.mcp_server.answers.size_limit import MAX_ANSWER_BYTES
from marimo_kernel_bridge.mcp_server.answers.tables import as_objects
from marimo_kernel_bridge.mcp_server.arguments import attached_to, caller, client_name, kernels_of
from marimo_kernel_bridge.mcp_server.callers import caller_of
from marimo_kernel_bridge.mcp_server.media.framing import encoded
from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog, digest
from marimo_kernel_bridge.mcp_server.safety.marks import require_no_mark
from marimo_kernel_bridge.mcp_server.sdk.schemas import answer_of
from marimo_kernel_bridge.mcp_server.sessions.ceilings import bounds_kept_by
from marimo_kernel_bridge.mcp_server.tools.edits import Edit
from marimo_kernel_bridge.mcp_server.which_kernel import handle_of
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.permissions import includes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp.server.context import ServerRequestContext

    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.mcp_server.tool import Tier, ToolDeclaration, ToolFunction

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 50_000_000
_RUNNING: Final = frozenset({"scratch", "run", "all"})
_ENDED: Final = frozenset(
    {"kernel_dead", "not_connected", "connection_file_missing", "connection_file_stale"}
)


class Guard:
    """Checks the permission of each call, logs the call, and redacts secrets in its answer."""

    def __init__(self, allow: Tier = "run", log: AuditLog | None = None) -> None:
        self._allow = allow
        self._log = log or AuditLog()
        self._served: set[tuple[str, str]] = set()
        """Clients, and their views of which a page has had rows."""

    def allows(self, tier: Tier) -> bool:
        """Whether the person grants this permission."""
        return includes(self._allow, tier)

    def lists(self, declaration: ToolDeclaration, *, boxed: bool) -> bool:
        """Whether a tool is of use with this permission; `boxed`: code of agents runs in a sandbox only."""
        if declaration.in_sandbox and boxed and self.allows("run"):
            return True
        return self.allows(declaration.listed_from) or (declaration.proposes and self.allows("propose"))

    def around(self, declaration: ToolDeclaration) -> ToolFunction:
        """Return the guarded function of a tool."""
        function = declaration.function

        @functools.wraps(function)
        async def guarded(ctx: Ctx, **arguments: Any) -> CallToolResult:
            only_proposes = self._allow == "propose" and declaration.proposes
            tier = "propose" if only_proposes else declaration.tier(arguments)
            if tier == "all" and declaration.in_sandbox and kernels_of(ctx).ceilings.boxed:
                tier = "run"
            call = {
                "client": client_name(ctx),
                "tool": declaration.name,
                "tier": tier,
                "arguments": digest(arguments),
                **declaration.audited(arguments),
            }
            effect: dict[str, Any] = {"effect": "failed"}
            try:
                self._check(tier, arguments)
                arguments = await self._with_kernel(ctx, arguments, joins=declaration.joins_for(arguments))
                if tier in _RUNNING:
                    await _require_sandbox(ctx, declaration, arguments)
                if tier != "read":
                    if not declaration.while_paused:
                        _require_not_paused(ctx, declaration, arguments)
                    self._log.write({**call, "effect": "begins"})
                result = await function(ctx, **arguments)
                effect = _effect(result, declaration)
            except BridgeError as refusal:
                effect = {"effect": f"refused: {refusal.code}"}
                redact = kernels_of(ctx).redactor.text
                message, hint = (
                    redact(bounded_text(text, redact))
                    for text in (refusal.message, _hint(ctx, refusal, arguments))
                )
                raise BridgeError(refusal.code, message, hint) from refusal
            finally:
                if declaration.app != "only" or self._is_first(call["client"], arguments, effect):
                    self._note({**call, **effect})
            return await _redacted(result, kernels_of(ctx))

        return guarded

    def around_read(
        self,
        function: Callable[..., Awaitable[str | bytes]],
        audited: Mapping[str, str] = MappingProxyType({}),
    ) -> Callable[..., Awaitable[str | bytes]]:
        """Return the guarded function of a resource, which needs the permission `read`: it is always granted.

        `audited` is what the audit log says of it besides.
        """

        @functools.wraps(function)
        async def guarded(ctx: Ctx, **arguments: Any) -> str | bytes:
            call = {
                "client": client_name(ctx),
                "tool": f"resource {function.__name__}",
                "tier": "read",
                "arguments": digest(arguments),
                **audited,
            }
            effect = "failed"
            try:
                arguments = await self._with_kernel(ctx, arguments, joins=True)
                content = await function(ctx, **arguments)
                if isinstance(content, str):
                    kernels = kernels_of(ctx)  # with secrets learned in the meantime
                    content = await kernels.presenter.redacted(content, kernels.redactor)
                _require_size(ctx, content)
                effect = "ok"
            except BridgeError as refusal:
                effect = f"refused: {refusal.code}"
                redact = kernels_of(ctx).redactor.text
                why = redact(bounded_text(str(refusal), redact))
                raise ResourceNotFoundError(f"[{refusal.code}] {why}") from refusal
            finally:
                self._note({**call, "effect": effect})
            return content

        return guarded

    async def completed(
        self, ctx: Ctx, argument: str, function: Callable[..., Awaitable[list[str]]], **arguments: Any
    ) -> list[str]:
        """Return the values of an argument for who types one, which needs the permission `read`. Raises `BridgeError`."""
        call = {"client": client_name(ctx), "tool": f"completion of {argument[:50]}", "tier": "read"}
        effect = "failed"
        try:
            arguments = await self._with_kernel(ctx, arguments, joins=True)
            values = await function(ctx, argument, **arguments)
            effect = "ok"
        except BridgeError as refusal:
            effect = f"refused: {refusal.code}"
            raise
        finally:
            self._note({**call, "effect": effect})
        return values

    async def _with_kernel(self, ctx: Ctx, arguments: dict[str, Any], *, joins: bool) -> dict[str, Any]:
        """Return the arguments of a call with the handle of the kernel that it means, which is joined if need be."""
        if "kernel" not in arguments:
            return arguments
        kernels, named = kernels_of(ctx), arguments["kernel"]
        require = _as_read_only(self._require) if kernels.ceilings.boxed else self._require
        handle = await handle_of(kernels, named, caller(ctx), require, joins=joins)
        return {**arguments, "kernel": handle}

    def _require(self, tier: Tier) -> None:
        if not self.allows(tier):
            raise BridgeError(
                "not_allowed",
                f"This needs the permission {tier!r}; the person allows {self._allow!r}.",
                f"Only the person can change that: marimo-kernel-bridge mcp --allow {tier}. Do not work around it.",
            )

    def _check(self, tier: Tier, arguments: Mapping[str, Any]) -> None:
        self._require(tier)
        if tier != "read":
            require_no_mark({name: value for name, value in arguments.items() if not _are_edits(value)})

    def _is_first(self, client: str, arguments: Mapping[str, Any], effect: Mapping[str, Any]) -> bool:
        """Whether a page's call is one to log: the first for its view, and each that failed. A page calls with each turn of a wheel."""
        if effect["effect"] != "ok":
            return True
        served = client, str(arguments.get("view"))
        if served in self._served:
            return False
        self._served.add(served)
        return True

    def note_task(self, ctx: ServerRequestContext[Any, Any], method: str, task_id: str, effect: str) -> None:
        """Log a request about a task: the first look at each, all answers and cancellations, and what was refused."""
        about = {"tool": method, "tier": "read", "arguments": digest({"task_id": task_id}), "effect": effect}
        self._note({"client": caller_of(ctx).name, **about})

    def _note(self, fields: Mapping[str, Any]) -> None:
        try:
            self._log.write(fields)
        except BridgeError as problem:
            # Calls with effects are refused before they start; this is a read, or the disk is full since then.
            logger.error("%s", problem)  # noqa: TRY400  # failure of the log itself: one line is enough


def _are_edits(value: object) -> bool:
    """Whether an argument is a batch of edits, which `changes_of` compares with the cells that it changes."""
    return isinstance(value, list) and all(isinstance(item, Edit) for item in value)


async def _require_sandbox(ctx: Ctx, declaration: ToolDeclaration, arguments: Mapping[str, Any]) -> None:
    """Raise `BridgeError` not_allowed if code of agents runs in a sandbox only, and a call reaches beyond it."""
    ceilings = kernels_of(ctx).ceilings
    if not ceilings.boxed or arguments.get("file") is not None:  # which tools of files look at
        return
    if not declaration.for_a_kernel:
        if not declaration.in_sandbox:
            raise _beyond_sandbox(declaration.name)
        return
    attached = attached_to(ctx, arguments.get("kernel"))
    if lacking := ceilings.lacking(await bounds_kept_by(attached.client)):
        raise BridgeError(
            "not_allowed",
            f"The person lets your code run in this server's sandbox only, and {attached.handle} is not in it "
            f"({', '.join(lacking)}); nothing was done.",
            "Reading and proposing work there. create_notebook and start_kernel make a kernel in the sandbox.",
        )


def _as_read_only(require: Callable[[Tier], None]) -> Callable[[Tier], None]:
    """Return what refuses to join what only code could reach: it does not from its sandbox."""

    def require_read(tier: Tier) -> None:
        require(tier)
        if tier != "read":
            raise _beyond_sandbox("that kernel's address")

    return require_read


def _beyond_sandbox(what: str) -> BridgeError:
    return BridgeError(
        "not_allowed",
        f"The person lets you work in this server's sandbox only, and {what} reaches beyond it; nothing was done.",
        "Kernels of theirs on this machine can be joined, and read. Do not work around it.",
    )


def _hint(ctx: Ctx, refusal: BridgeError, arguments: Mapping[str, Any]) -> str:
    """Return what to do next, which for a session whose kernel has ended is known."""
    handle = arguments.get("kernel")
    if refusal.code in _ENDED and "kernel" in arguments:
        with suppress(BridgeError):
            handle = handle or attached_to(ctx, None).handle
        if isinstance(handle, str) and is_id(handle):
            return reopening(handle)
    if refusal.code == "no_such_run" and not caller(ctx).in_session:
        return "Runs are found by the run_id in the answer of the call that began them."
    return refusal.hint


def _require_not_paused(ctx: Ctx, declaration: ToolDeclaration, arguments: Mapping[str, Any]) -> None:
    """Raise `BridgeError` paused if the person has paused agents: here, or anywhere for what belongs to no kernel."""
    if not pauses.pauses():
        return
    paused = True
    if declaration.for_a_kernel and not arguments.get("file"):
        with suppress(BridgeError):  # no such kernel, as the tool will say
            paused = False
            paused = attached_to(ctx, arguments.get("kernel")).paused
    if paused:
        raise AgentsPausedError("nothing was done")


def _require_size(ctx: Ctx, content: str | bytes) -> None:
    """Refuse content for which a client over HTTP would drop the connection; pipes allow more. Raises `BridgeError` too_large."""
    over_http = ctx.request_context.request is not None
    most = MAX_ANSWER_BYTES if over_http else _MOST_BYTES
    size = len(encoded(content)) if isinstance(content, str) else len(content) * 4 // 3
    if size > most:
        raise BridgeError(
            "too_large",
            f"This takes {size / 1e6:.1f} MB, and {'over HTTP clients' if over_http else 'clients'} take {most / 1e6:.0f} MB.",
            "The tools give parts of it: list_cells and read_cell page, export_notebook writes a file.",
        )


def _effect(result: CallToolResult, declaration: ToolDeclaration) -> dict[str, Any]:
    """Return the effect of a call, for the audit log, from its answer."""
    data = as_objects(result.structured_content or {}, *answer_of(declaration.function)[0])
    effect: dict[str, Any] = {"effect": data.get("status") or data.get("state") or "ok"}
    for key in ("kernel", "run_id", "cell_id"):
        if data.get(key):
            effect[key] = data[key]
    ran = [cell["cell_id"] for key in ("ran", "reran") for cell in data.get(key) or ()]
    return effect | ({"ran": ran} if ran else {})


async def _redacted(result: CallToolResult, kernels: Kernels) -> CallToolResult:
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    redacted, data = await kernels.presenter.redacted_answer(
        texts, result.structured_content, kernels.redactor
    )
    remaining = iter(redacted)
    content = [
        block.model_copy(update={"text": next(remaining)}) if isinstance(block, TextContent) else block
        for block in result.content
    ]
    return result.model_copy(update={"content": content, "structured_content": data})
