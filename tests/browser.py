"""A page in the Chromium of this machine, headless, over its debugging pipe: no driver and no network is needed.

with opened(page) as browser:
    browser.size(360, 800)
    assert browser.evaluate("document.title")
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: None where the machine has none.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-extensions",
)


class Browser:
    """One page; ``events`` are all that the browser has told of it."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._number, self._session = to, os.fdopen(back, "rb"), 0, None
        self.events: list[dict] = []
        self._unread = b""

    def call(self, method: str, **parameters):
        """One command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        os.write(
            self._to, json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        )
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict:
        while b"\0" not in self._unread:
            part = self._back.read1()
            assert part, "the browser has ended"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path) -> None:
        """Open a page and wait until it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, script: str):
        """The value of an expression on the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def size(self, width: int, height: int) -> None:
        """Show it as wide and high as a screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def look(self, medium: str = "screen", scheme: str = "light") -> None:
        """Show it on a medium, in light or in dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)

    def press(self, key: str) -> None:
        """A key of the keyboard, such as Tab or Enter."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def told(self, *methods: str) -> list[dict]:
        """What the browser has told of some kinds of events."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def picture(self, file: Path) -> None:
        """All of the page as PNG, to look at."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def opened(page: Path, profile: Path) -> Iterator[Browser]:
    """A page in a browser of its own."""
    (child_in, to), (back, child_out) = os.pipe(), os.pipe()

    def pipes() -> None:
        # Chromium reads commands from 3 and writes to 4.
        one, other = os.dup(child_in), os.dup(child_out)
        os.dup2(one, 3)
        os.dup2(other, 4)

    process = subprocess.Popen(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(3, 4),
        preexec_fn=pipes,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(child_in)
    os.close(child_out)
    browser = Browser(to, back)
    try:
        browser.open(page)
        yield browser
    finally:
        process.kill()
        process.wait()
        os.close(to)
