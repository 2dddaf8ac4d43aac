"""The types of TypeScript for the front ends' extensions are those of `protocol.document`."""

from tests.house import document_types


def test_the_types_of_the_extensions_are_those_of_the_messages() -> None:
    assert document_types.WRITTEN.read_text() == document_types.written(), "run `make document-types`"
