"""A real browser for tests of pages: Chromium through its driver, by the W3C WebDriver protocol.

Nothing but Python's own library is needed here. `browser()` yields None where Chromium or its driver is not
installed, and the test then says aloud that it is skipped.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager

DRIVER, CHROMIUM = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "Chromium and its driver are not installed (Debian: apt-get install chromium chromium-driver)"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
KEYS = {"Tab": "\ue004", "Space": " ", "Left": "\ue012", "Right": "\ue014", "Home": "\ue011", "End": "\ue010"}


class Browser:
    """A window of Chromium without a network."""

    def __init__(self, port, profile):
        self._root = f"http://127.0.0.1:{port}"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._call("POST", "/session", capabilities={"alwaysMatch": wanted})["sessionId"]
        self._root += f"/session/{session}"
        self.cdp("Network.enable")
        self._network(offline=True)

    def _network(self, offline):
        """Cut the window off from every network, or do not."""
        rate = 0 if offline else -1  # bytes a second; -1: no limit
        rates = {"latency": 0, "downloadThroughput": rate, "uploadThroughput": rate}
        self.cdp("Network.emulateNetworkConditions", offline=offline, **rates)

    @contextmanager
    def online(self):
        """With the network of this machine, for as long as the context lasts; the page is left at its end."""
        self._network(offline=False)
        try:
            yield
        finally:
            self.open("about:blank")
            self._network(offline=True)

    def _call(self, method, path, **body):
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(
            self._root + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def cdp(self, command, **parameters):
        """A command of the browser's debugging protocol."""
        return self._call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, address):
        self._call("POST", "/url", url=address)

    def look(self, width, height=900, dark=False):
        """The size of the window in CSS pixels, and whether the reader likes it dark."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        wishes = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.cdp("Emulation.setEmulatedMedia", features=features)

    def js(self, script):
        """The value of an expression in the page."""
        return self._call("POST", "/execute/sync", script=f"return ({script})", args=[])

    def wait(self, script, seconds=20):
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.js(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)

    def press(self, *keys):
        """Press and release keys, by name or as letters, in what has the focus."""
        strokes = [
            {"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")
        ]
        self._call("POST", "/actions", actions=[{"type": "key", "id": "keys", "actions": strokes}])

    def complaints(self):
        """What the console has shown as warnings and errors since the last call."""
        return [
            entry["message"]
            for entry in self._call("POST", "/se/log", type="browser")
            if entry["level"] != "INFO"
        ]

    def screenshot(self, whole=True):
        """PNG of the window or of the whole page."""
        return base64.b64decode(self.cdp("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def printed(self):
        """The page as a PDF."""
        return base64.b64decode(
            self.cdp("Page.printToPDF", printBackground=False, paperWidth=8.27, paperHeight=11.69)["data"]
        )

    def close(self):
        self._call("DELETE", "")


@contextmanager
def browser():
    """A Browser for as long as the context lasts; None where none is installed."""
    if not (DRIVER and CHROMIUM):
        yield None
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            told = next(line for line in driver.stdout if "started successfully on port" in line)
            window = Browser(int(told.rstrip(".\n").rpartition(" ")[2]), profile)
            try:
                yield window
            finally:
                window.close()
        finally:
            driver.terminate()
            driver.wait()
            driver.stdout.close()
