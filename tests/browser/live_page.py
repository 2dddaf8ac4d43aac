"""A page on which marimo's elements are live: what the tests look at, beside what is in the outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from lab_page import LabPage
    from playwright.sync_api import Locator, Request

THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"

# What other code on the page, or the person, could notice. MathJax is JupyterLab's own, and Notebook has an icon while its kernel is busy.
LOOK = """() => ({
  base: document.baseURI, title: document.title, url: location.href, state: JSON.stringify(history.state),
  icons: [...document.querySelectorAll("link[rel~=icon]")].map(link => link.href.replace(/favicon-busy-\\d/, "favicon-notebook")),
  body: [...document.body.attributes].map(one => `${one.name}=${one.value}`).filter(one => !one.startsWith("data-jp")),
  globals: Object.getOwnPropertyNames(window).filter(name => name !== "MathJax").sort(),
  focus: String(HTMLElement.prototype.focus), fetch: String(window.fetch), socket: String(window.WebSocket),
  styles: ["body", ".jp-Notebook"].map(name => {
    const style = getComputedStyle(document.querySelector(name));
    return ["color", "background-color", "font", "margin", "padding", "border", "box-sizing", "overflow", "tab-size"].map(one => style.getPropertyValue(one)).join(";");
  })
})"""


def live(lab: LabPage, index: int) -> Locator:
    """The live output of a cell; there is none while it shows its static form."""
    return lab.outputs(index).locator("[data-vscode-output-container]").first


def expect_live(lab: LabPage, index: int) -> Locator:
    output = live(lab, index)
    expect(output).to_have_count(1)
    return output


@dataclass
class Requests:
    """The addresses that a page asked for outside its server."""

    lab: LabPage
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lab.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if not request.url.startswith((self.lab.server.url, "blob:", "data:")):
            self.elsewhere.append(request.url)
