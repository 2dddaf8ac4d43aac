"""marimo's own server in a thread of a kernel process, over HTTP."""

import http.client
import json
import re
from urllib.parse import urlsplit

URL = re.compile(r"http://127\.0\.0\.1:\d+/\?code=[\w-]+")


class Browser:
    """A browser with the cookie of one site."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self.headers = {}
        redirect = self._ask("GET", f"/?{self._address.query}")
        self.first = redirect.status
        cookie = redirect.getheader("set-cookie")
        self.headers["Cookie"] = "" if cookie is None else cookie.partition(";")[0]
        self.page = self._ask("GET", "/")
        text = self.page.read().decode()
        found = re.search(r'"serverToken": "([^"]+)"', text)
        self.headers["Marimo-Server-Token"] = "" if found is None else found[1]

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self._address.netloc, timeout=60)
        connection.request(method, path, body, self.headers)
        return connection.getresponse()

    def post(self, path: str) -> int:
        return self._ask("POST", path, json.dumps({})).status


def test_the_editor_is_served_beside_the_kernel_and_ends_nothing_of_it(lab):
    lab.run("one", "x = 1")
    lab.run("open", "%marimo open")
    (url,) = URL.findall(lab.text("open"))
    browser = Browser(url)
    assert (browser.first, browser.page.status) == (303, 200)
    for path in ("/api/kernel/shutdown", "/api/kernel/restart_session", "/terminal/ws"):
        assert browser.post(path) == 404
    stranger = Browser(url)  # the address has been used
    assert (stranger.first, stranger.headers["Cookie"]) == (303, "")
    assert stranger.page.status == 303
    assert lab.run("two", "print('x is', x)").text == "x is 1"
    assert lab.text("open").count("127.0.0.1") == 1  # the server writes nothing into the cell
