"""A page that is watched: what it asks for, what it says on the console, what its policy refuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from .serving import Served

REFUSED = "addEventListener('securitypolicyviolation', (event) => console.error('refused: ' + event.violatedDirective + ' ' + event.blockedURI));"


class Watched:
    """A page of this dashboard. `expected`: parts of console messages that a test brings about itself."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.expected: list[str] = []
        page.add_init_script(REFUSED)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)

    def open(self, topic: str | None = None) -> Page:
        """The page, once it is live."""
        self.page.goto(self.served.url + (f"?topic={topic}" if topic else ""))
        expect(self.page.locator("#live")).to_have_attribute("data-live", "live")
        return self.page

    def check(self) -> None:
        """Nothing went to another host, and nothing was complained of."""
        hosts = {urlsplit(each).netloc for each in self.requests if not each.startswith(("data:", "blob:"))}
        assert hosts <= {f"127.0.0.1:{self.served.port}"}, hosts
        left = [each for each in self.complaints if not any(part in each for part in self.expected)]
        assert left == [], left

    def answer(self, verb: str, **values: str) -> None:
        """Fill in the dialog and say yes."""
        dialog = self.page.locator("#ask")
        expect(dialog).to_be_visible()
        for name, value in values.items():
            field = dialog.locator(f"[name={name}]")
            if field.evaluate("each => each.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        dialog.get_by_role("button", name=verb).click()

    def done(self, text: str) -> None:
        """The line at the foot of the page tells this."""
        expect(self.page.locator("#result")).to_contain_text(text)


def row(page: Page, panel: str, text: str) -> Any:
    """The row of the panel that has this text."""
    return page.locator(f"#{panel} tr[data-key], #{panel} tbody[data-key]").filter(has_text=text).first
