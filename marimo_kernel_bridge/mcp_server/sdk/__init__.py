"""Extensions of the MCP SDK: strict arguments, schemas, tasks and subscriptions."""
