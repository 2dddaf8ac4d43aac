"""What runs have shown of cells can be read by a client: the import of a notebook takes it."""

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import CellObservations
from tests.unit.kernel.notebook_in_memory import FrontEnd


def test_a_client_reads_what_runs_have_shown_of_cells(lab: FrontEnd) -> None:
    assert wire.decode_reply(lab.ask(wire.ReadObservations()), list[CellObservations]) == []
    lab.run("a", "rows = [2, 1]\nhidden = [rows]")
    lab.run("b", "from operator import methodcaller\nnothing = methodcaller('sort')(rows)")
    observed = wire.decode_reply(lab.ask(wire.ReadObservations()), list[CellObservations])
    assert {each.notebook_cell_id: each.text for each in observed} == {
        "b": "\n...[hidden:rows]\n...[hidden]\n...[rows]"
    }
