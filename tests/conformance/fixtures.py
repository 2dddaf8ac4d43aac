"""What the MCP conformance suite expects a server to have: tools, resources and prompts of these names and answers."""

import asyncio
import base64
import json
from typing import Annotated

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, Resolve, Sample
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.server import require_client_extension
from mcp.types import (
    INTERNAL_ERROR,
    AudioContent,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

from marimo_kernel_bridge.mcp_server.sdk.tasks import AT_ONCE, Tasks

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
WAV = base64.b64encode(
    b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    b"\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00\x00\x00"
).decode()


LONG = 2 * AT_ONCE
TASKS = {
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
}
NEED_TASKS = {"failing_job", "test_tool_with_task"}


def add_fixtures(server: MCPServer) -> None:
    """Give a server all that the suite asks of one."""
    for add in (
        add_content,
        add_talk,
        add_sampling,
        add_input_required,
        add_schemas,
        add_tasks,
        add_resources,
        add_prompts,
        add_older_methods,
    ):
        add(server)


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def embedded(uri: str, mime_type: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=words)
    )


# Kinds of content


def add_content(server: MCPServer) -> None:
    image = ImageContent(type="image", data=PNG, mime_type="image/png")

    @server.tool(structured_output=False)
    def test_simple_text() -> str:
        """Return text."""
        return "This is a simple text response for testing."

    @server.tool(structured_output=False)
    def test_image_content() -> list[ImageContent]:
        """Return an image."""
        return [image]

    @server.tool(structured_output=False)
    def test_audio_content() -> list[AudioContent]:
        """Return audio."""
        return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]

    @server.tool(structured_output=False)
    def test_embedded_resource() -> list[EmbeddedResource]:
        """Return an embedded resource."""
        return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]

    @server.tool(structured_output=False)
    def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
        """Return text, an image and a resource."""
        data = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
        return [text("Multiple content types test:"), image, data]

    @server.tool(structured_output=False)
    def test_error_handling() -> str:
        """Fail."""
        raise RuntimeError("This tool intentionally returns an error for testing")


# Talking while a tool runs


class Person(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def _titled(*options: str) -> list[dict[str, str]]:
    return [{"const": option, "title": option.title()} for option in options]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})  # noqa: N815
    titledSingle: str = Field(json_schema_extra={"oneOf": _titled("value1", "value2", "value3")})  # noqa: N815
    legacyEnum: str = Field(  # noqa: N815
        json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]}
    )
    untitledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2", "option3"]}}
    )
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": _titled("value1", "value2")}})  # noqa: N815


def add_talk(server: MCPServer) -> None:
    @server.tool(structured_output=False)
    async def test_tool_with_progress(ctx: Context) -> str:
        """Report progress three times."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100, f"Completed step {done} of 100")
            await asyncio.sleep(0.05)
        return "Done."

    async def log_three_times(ctx: Context) -> str:
        """Log three times."""
        for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.info(message)
            await asyncio.sleep(0.05)
        return "Done."

    server.add_tool(log_three_times, name="test_tool_with_logging", structured_output=False)
    server.add_tool(log_three_times, name="test_logging_tool", structured_output=False)

    @server.tool(structured_output=False)
    async def test_trigger_tool_change(ctx: Context) -> str:
        """Announce that the tools have changed."""
        await ctx.notify_tools_changed()
        return "Done."

    @server.tool(structured_output=False)
    async def test_trigger_prompt_change(ctx: Context) -> str:
        """Announce that the prompts have changed."""
        await ctx.notify_prompts_changed()
        return "Done."


def add_sampling(server: MCPServer) -> None:
    async def sample(ctx: Context, prompt: str) -> str:
        answer = await ctx.session.create_message(
            messages=[SamplingMessage(role="user", content=text(prompt))], max_tokens=100
        )
        return f"LLM response: {answer.content.text}"

    async def elicit(ctx: Context, message: str, schema: type[BaseModel]) -> str:
        answer = await ctx.elicit(message, schema)
        content = answer.data.model_dump_json() if answer.action == "accept" else "{}"
        return f"User response: action={answer.action}, content={content}"

    @server.tool(structured_output=False)
    async def test_sampling(prompt: str, ctx: Context) -> str:
        """Have the client's model answer a prompt."""
        return await sample(ctx, prompt)

    def who() -> Sample:
        return Sample([SamplingMessage(role="user", content=text("Who are you?"))], max_tokens=50)

    @server.tool(structured_output=False)
    async def test_missing_capability(answer: Annotated[CreateMessageResult, Resolve(who)]) -> str:
        """Need a client whose model can be asked."""
        return answer.content.text

    @server.tool(structured_output=False)
    async def test_elicitation(message: str, ctx: Context) -> str:
        """Ask the client's user."""
        return await elicit(ctx, message, Person)

    @server.tool(structured_output=False)
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        """Ask with defaults."""
        return await elicit(ctx, "Please provide user information", Defaults)

    @server.tool(structured_output=False)
    async def test_elicitation_sep1330_enums(ctx: Context) -> str:
        """Ask with choices."""
        return await elicit(ctx, "Please choose", Enums)


# The newer protocol's way to ask: an unfinished result, and the call made again with the answers


def ask(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def ask_model(prompt: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=text(prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=50))


def answered(ctx: Context, *keys: str) -> dict[str, dict] | None:
    """Return the answers of these names; None if one is missing or is no answer."""
    given = {key: _as_dict(answer) for key, answer in (ctx.input_responses or {}).items()}
    wanted = {"action", "content", "roots"}
    return given if all(key in given and wanted & given[key].keys() for key in keys) else None


def _as_dict(answer: object) -> dict:
    return (
        answer.model_dump(mode="json", by_alias=True, exclude_none=True)
        if isinstance(answer, BaseModel)
        else dict(answer)
    )


def add_input_required(server: MCPServer) -> None:
    def asks(name: str, requests: dict, state: str | None = None) -> None:
        """Add a tool that asks once, and returns what it was answered."""

        async def tool(ctx: Context) -> str | InputRequiredResult:
            answers = answered(ctx, *requests)
            if answers is None or (state is not None and ctx.request_state != state):
                return InputRequiredResult(input_requests=requests, request_state=state)
            return f"state-ok {json.dumps(answers)}"

        server.add_tool(tool, name=name, description="Ask, then answer.", structured_output=False)

    prefix = "test_input_required_result_"
    name_of = ask("What is your name?", "name")
    asks(prefix + "elicitation", {"user_name": name_of})
    asks("test_streaming_elicitation", {"user_name": name_of})
    asks(prefix + "sampling", {"capital_question": ask_model("What is the capital of France?")})
    asks(prefix + "list_roots", {"client_roots": ListRootsRequest()})
    asks(prefix + "request_state", {"confirm": ask("Please confirm", "ok", "boolean")}, "confirming")
    asks(prefix + "tampered_state", {"confirm": ask("Please confirm", "ok", "boolean")}, "confirming")
    several = {
        "user_name": name_of,
        "greeting": ask_model("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    asks(prefix + "multiple_inputs", several, "asking")

    @server.tool(name=prefix + "multi_round", structured_output=False)
    async def multi_round(ctx: Context) -> str | InputRequiredResult:
        """Ask twice."""
        first, second = ask("Step 1: What is your name?", "name"), ask("Step 2: What is your color?", "color")
        if ctx.request_state == "asked for a name" and answered(ctx, "step1"):
            return InputRequiredResult(input_requests={"step2": second}, request_state="asked for a color")
        if ctx.request_state == "asked for a color" and answered(ctx, "step2"):
            return "Done."
        return InputRequiredResult(input_requests={"step1": first}, request_state="asked for a name")

    @server.tool(name=prefix + "capabilities", structured_output=False)
    async def capabilities(ctx: Context) -> str | InputRequiredResult:
        """Ask whom the client lets be asked."""
        can = ctx.client_capabilities
        requests = {
            **({"greeting": ask_model("Generate a greeting")} if can and can.sampling else {}),
            **({"user_name": name_of} if can and can.elicitation else {}),
        }
        return (
            InputRequiredResult(input_requests=requests) if requests and not ctx.input_responses else "Done."
        )

    @server.prompt(name=prefix + "prompt")
    async def prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
        """Ask, then give the prompt."""
        answers = answered(ctx, "user_context")
        if answers is None:
            question = ask("What context should the prompt use?", "context")
            return InputRequiredResult(input_requests={"user_context": question})
        return [UserMessage(f"Use {json.dumps(answers)}.")]


# Schemas

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def add_schemas(server: MCPServer) -> None:
    @server.tool(structured_output=False)
    def json_schema_2020_12_tool() -> str:
        """Have a schema that uses much of JSON Schema."""
        return "Done."

    server._tool_manager.get_tool("json_schema_2020_12_tool").parameters = SCHEMA

    @server.tool(structured_output=False)
    def test_headers(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
        """Have an argument that proxies see, too."""
        return region


# Tasks


def add_tasks(server: MCPServer) -> None:
    """Add tools that outlast a call, and have the server make tasks of them as it does of its own."""
    (tasks,) = (extension for extension in server._extensions if isinstance(extension, Tasks))
    tasks._tools |= TASKS

    async def need_tasks(ctx: ServerRequestContext, call_next: CallNext) -> HandlerResult:
        if ctx.method == "tools/call" and (ctx.params or {}).get("name") in NEED_TASKS:
            require_client_extension(ctx, Tasks.identifier)
        return await call_next(ctx)

    server.middleware.append(need_tasks)
    add_jobs(server)
    add_asking_jobs(server)


def add_jobs(server: MCPServer) -> None:

    @server.tool(structured_output=False)
    def greet(name: str) -> str:
        """Answer at once."""
        return f"Hello, {name}!"

    @server.tool(structured_output=False)
    async def slow_compute(seconds: float = 0, label: str = "") -> str:
        """Take a while."""
        await asyncio.sleep(seconds)
        return f"Computed {label}"

    @server.tool(structured_output=False)
    async def failing_job() -> str:
        """Fail after a while."""
        await asyncio.sleep(LONG)
        raise ToolError("This job fails.")

    @server.tool(structured_output=False)
    async def protocol_error_job() -> str:
        """End in a protocol error after a while."""
        await asyncio.sleep(LONG)
        raise MCPError(code=INTERNAL_ERROR, message="This job breaks.")


def add_asking_jobs(server: MCPServer) -> None:
    confirmation = ask("Delete it?", "confirm", "boolean")

    @server.tool(structured_output=False)
    async def confirm_delete(ctx: Context, filename: str) -> str | InputRequiredResult:
        """Ask after a while."""
        await asyncio.sleep(LONG)
        if answered(ctx, "confirmed") is None:
            return InputRequiredResult(input_requests={"confirmed": confirmation})
        return f"Deleted {filename}"

    @server.tool(structured_output=False)
    async def multi_input(ctx: Context) -> str | InputRequiredResult:
        """Ask two things after a while."""
        await asyncio.sleep(LONG)
        if answered(ctx, "name", "confirmed") is None:
            name = ask("What is your name?", "name")
            return InputRequiredResult(input_requests={"name": name, "confirmed": confirmation})
        return "Done."

    @server.tool(structured_output=False)
    async def test_tool_with_task(ctx: Context) -> str | InputRequiredResult:
        """Ask at once, then take a while."""
        answers = answered(ctx, "user_name")
        if answers is None:
            return InputRequiredResult(input_requests={"user_name": ask("What is your name?", "name")})
        await asyncio.sleep(LONG)
        return f"Done for {json.dumps(answers)}"


# Resources, prompts, completion


def add_resources(server: MCPServer) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """Text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """An image."""
        return base64.b64decode(PNG)

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """Text that could change."""
        return "Watched resource content"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002  # the suite's name
        """Data by id."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def add_prompts(server: MCPServer) -> None:
    @server.prompt()
    def test_simple_prompt() -> list[UserMessage]:
        """Return a message."""
        return [UserMessage("This is a simple prompt for testing.")]

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
        """Put arguments into a message."""
        return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803  # the suite's name
        """Put a resource into a message."""
        resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """Put an image into a message."""
        image = ImageContent(type="image", data=PNG, mime_type="image/png")
        return [UserMessage(image), UserMessage("Please analyze the image above.")]

    @server.completion()
    async def complete(ref: object, argument: object, context: object) -> Completion:
        values = [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
        return Completion(values=values, total=len(values), has_more=False)


def add_older_methods(server: MCPServer) -> None:
    """Add what clients with a handshake use and `MCPServer` has no decorator for."""

    async def accept(ctx: object, params: object) -> EmptyResult:
        return EmptyResult()

    for method, params in (
        ("resources/subscribe", SubscribeRequestParams),
        ("resources/unsubscribe", UnsubscribeRequestParams),
        ("logging/setLevel", SetLevelRequestParams),
    ):
        if server._lowlevel_server.get_request_handler(method) is None:
            server._lowlevel_server.add_request_handler(method, params, accept)
