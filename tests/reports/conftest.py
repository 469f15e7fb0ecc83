"""A finished exploration, made up: 40 designs of an 8-layer network, whose names are as hostile as a user's may be."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from reports.data import ReportData
from reports.trust_data import TrustData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LAYERS = (
    ("stem.conv", "conv2d"),
    ("block1.conv1", "conv2d"),
    ("block1.conv2", "conv2d"),
    ("block1.add", "add"),
    ("features.denseblock1.denselayer12.conv1", "conv2d"),
    ("<script>alert('x')</script>", "conv2d"),
    ('"]}</script><img src=x onerror=alert(1)>', "linear"),
    ("classifier & head", "linear"),
)
FORMATS = ("int2", "int3", "int4", "e2m1", "int6", "e3m2", "int8", "e4m3fn", "fixed<16,6>")
RESOURCES = {"luts": 53200, "flip_flops": 106400, "dsps": 220, "brams": 140}
USABLE_SHARE = 0.7


def _layer_row(design: str, position: int, level: float, random: np.random.Generator) -> dict[str, object]:
    name, kind = LAYERS[position]
    formats = [FORMATS[int(np.clip(level * 8 + random.integers(-1, 2), 0, 8))] for _ in range(3)]
    has_weights = kind != "add"
    pe, simd = int(2 ** random.integers(0, 4)), int(3 ** random.integers(0, 3))
    size = (0.15 + level) * (1 + position) * pe * simd
    return {
        "design": design, "layer": name, "position": position, "kind": kind, "input_format": formats[0],
        "weight_format": formats[1] if has_weights else "", "output_format": formats[2],
        "pe": pe if has_weights else 0, "simd": simd if has_weights else 0,
        "style": ("dsp" if random.random() < 0.3 else "lut") if has_weights else "",
        "luts": round(40 + 18 * size), "flip_flops": round(60 + 24 * size),
        "dsps": int(size // 9) if has_weights else 0,
        "brams": 0.5 * int(size // 20), "gates": round(300 + 150 * size),
        "interval_cycles": 64 * 36 // (pe * simd) + 49,
        "energy_pj": 1e4 * size, "memory_pj": 3e3 * size, "offchip_pj": 1e3 * size if position == 1 else 0.0,
        "loss": float(10 ** (-1.2 - 4 * level + 0.4 * random.standard_normal())) if has_weights else 0.0,
    }  # fmt: skip


def _design_row(
    design: str, kind: str, layers: pd.DataFrame, random: np.random.Generator, resources: Mapping[str, int]
) -> dict[str, object]:
    used = layers[list(resources)].sum()
    predicted = float(layers["loss"].sum())
    measured = predicted * float(10 ** (0.12 * random.standard_normal()))
    interval = int(layers["interval_cycles"].max())
    formats = set(layers["weight_format"]) - {""}
    return {
        "design": design, "kind": kind, "predicted_loss": predicted, "measured_loss": measured,
        "validation_accuracy": 0.9733 - min(0.5, 0.4 * measured), "test_accuracy": 0.951 - min(0.5, 0.4 * measured),
        "utilisation": max(used[name] / (USABLE_SHARE * count) for name, count in resources.items()),
        **{name: float(used[name]) for name in resources},
        "interval_cycles": interval, "latency_cycles": 5 * interval + 311, "frames_per_second": 2e8 / interval,
        **{name: float(layers[name].sum()) for name in ("energy_pj", "memory_pj", "offchip_pj")},
        "relative_delay": 1.3 if kind == "front" else 0.0,
        "status": "optimal", "bound": predicted, "nondominated": kind == "front" and random.random() < 0.9,
        "name": f"mixed: {len(formats)} formats" if kind == "front" else "w4a4 uniform",
    }  # fmt: skip


def make_report_data(
    design_count: int = 40, seed: int = 5, resources: Mapping[str, int] = MappingProxyType(RESOURCES)
) -> ReportData:
    """``design_count`` designs, one in six uniform, and the float network, on a device with some resources."""
    random = np.random.default_rng(seed)
    designs, layers = [], []
    for index in range(design_count):
        kind = "uniform" if index % 6 == 5 else "front"
        name = f"{kind[0].replace('f', 'd')}{index:02d}"
        level = float(np.clip((index + 0.5) / design_count, 0, 1))
        rows = pd.DataFrame([_layer_row(name, position, level, random) for position in range(len(LAYERS))])
        layers.append(rows)
        designs.append(_design_row(name, kind, rows, random, resources))
    designs.append({"design": "float", "kind": "float", "name": "float32", "validation_accuracy": 0.9733,
                    "test_accuracy": 0.951, "status": "", "nondominated": False})  # fmt: skip
    return ReportData(
        designs=pd.DataFrame(designs),
        layers=pd.concat(layers, ignore_index=True),
        device=pd.DataFrame(
            [
                {"resource": name, "available": count, "usable": USABLE_SHARE * count}
                for name, count in resources.items()
            ]
        ),
        title="digits on xc7z020 <b>&</b>",
        facts={"Completeness": "complete: no (60 solves)", "Device": "xc7z020 at 200 MHz", "Commit": "<i>abc123</i>"},
        notes=("Losses and accuracies are measured in hardware mode.", "LUTs & cycles are <modelled>."),
    )


HOSTILE_METRIC = '</script><img src=x onerror=alert(7)> $x_{1$ "]; datum'
METRICS = ("divergence", "hessian", HOSTILE_METRIC, "norm", "task")


def make_trust(data: ReportData, seed: int = 2) -> TrustData:
    """What an audit, three rounds, three pairs and resampling might have found out about ``data``."""
    random = np.random.default_rng(seed)
    measured = 10.0 ** random.uniform(-4.5, -0.5, 12)
    points, metrics = [], []
    for place, metric in enumerate(METRICS):
        predicted = measured * 10.0 ** (0.3 * place * random.standard_normal(12))
        predicted[0] = -0.01 if metric == "task" else predicted[0]
        pairs = zip(predicted, measured, strict=True)
        points += [{"metric": metric, "predicted": one, "measured": two} for one, two in pairs]
        metrics.append({
            "metric": metric, "chosen": place == 1, "designs": 12, "useful": 7, "spearman": 0.98765 - 0.1 * place,
            "kendall": 0.9 - 0.1 * place, "useful_spearman": np.nan if metric == "task" else 0.8, "regret": 0.00123,
            "scale": 2.5, "error": 0.25 + 0.1 * place,
        })  # fmt: skip
    rounds = [
        {"round": one, "designs": 15, "unseen": 9 - 3 * one, "spearman": 0.95 if one < 3 else np.nan, "ratio": 1.1,
         "dominated": one - 1, "hypervolume": 0.5 + 0.01 * one, "table_error": 0.3 if one > 1 else np.inf,
         "error": 0.2 if one > 1 else np.inf}
        for one in (1, 2, 3)
    ]  # fmt: skip
    tested = [
        {"pair": f"{name} x {LAYERS[5][0]}", "first": "int2", "second": "int3", "apart": 0.02, "together": 0.02 * grown,
         "excess": grown - 1.0, "fails": grown > 1.25}
        for name, grown in (("a", 1.5), ("b", 1.1), ("c", 2.0))
    ]  # fmt: skip
    front = data.designs[data.designs["kind"] == "front"].sort_values("measured_loss", ignore_index=True)
    names, losses = list(front["design"]), front["measured_loss"].astype(float)
    bands = pd.DataFrame({
        "design": names, "loss": losses, "low": 0.8 * losses, "high": 1.3 * losses, "least_calibration": 0.9 * losses,
        "most_calibration": 1.1 * losses,
        "unsure_against": [after if place % 2 else "" for place, after in enumerate([*names[1:], ""])],
        "dominated_by": ["" if place else names[1] for place in range(len(names))],
    })  # fmt: skip
    return TrustData(
        metrics=pd.DataFrame(metrics), points=pd.DataFrame(points), rounds=pd.DataFrame(rounds),
        pairs=pd.DataFrame(tested), bands=bands.sample(frac=1.0, random_state=1), band_level=0.95,
        pairs_use="used <b>here</b>", stopped="the front stood still",
    )  # fmt: skip


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    return make_report_data()


@pytest.fixture(scope="session")
def trusted_report_data(report_data: ReportData) -> ReportData:
    """The same with all that can be known about trust."""
    return replace(report_data, trust=make_trust(report_data))


@pytest.fixture(scope="session")
def asic_report_data() -> ReportData:
    """Designs on an ASIC process, which has gates and nothing else."""
    return make_report_data(8, resources={"gates": 2_000_000})


@pytest.fixture(scope="session")
def small_report_data() -> ReportData:
    """Twelve designs, for tests that draw often."""
    return make_report_data(12)


class Chromium:
    """A headless browser driven over its DevTools pipe (file descriptors 3 and 4, messages ending in a zero byte)."""

    FLAGS = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
    )  # fmt: skip

    def __init__(self, program: Path, profile: Path) -> None:
        command_read, self._command = os.pipe()
        self._answer, answer_write = os.pipe()
        # The shell moves the pipes to the two numbers Chromium expects.
        line = f'exec "$0" "$@" 3<&{command_read} 4>&{answer_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, str(program), *self.FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(command_read, answer_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(command_read)
        os.close(answer_write)
        self._buffer, self._number = b"", 0
        self.events: list[dict[str, Any]] = []
        target = self._call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, session=None)
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        return self._call(method, parameters, session=self._session)

    def _call(self, method: str, parameters: dict[str, object], session: str | None) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._command, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _receive(self, patience_seconds: float = 30.0) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answer], [], [], patience_seconds)
            chunk = os.read(self._answer, 1 << 16) if ready else b""
            if not chunk:
                raise RuntimeError(f"Chromium said nothing for {patience_seconds} s or ended")
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, address: str, width: int = 1280, height: int = 2400) -> None:
        """Open a page afresh and wait until its charts are drawn."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=address)
        self.wait_for("document.body && document.body.dataset.ready === 'yes'")

    def wait_for(self, expression: str, patience_seconds: float = 20.0) -> None:
        end = time.monotonic() + patience_seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise AssertionError(f"never became true: {expression}; the page said {self.complaints()}")
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"])
        return result["result"].get("value")

    def click(self, x: float, y: float) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self) -> list[str]:
        """Exceptions, console warnings and blocked things since the page was opened."""
        found = []
        for event in self.events:
            about = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(str(about["exceptionDetails"].get("exception", {}).get("description")))
                case "Runtime.consoleAPICalled":
                    found.append(" ".join(str(argument.get("value")) for argument in about["args"]))
                case "Log.entryAdded":
                    found.append(about["entry"]["text"])
                case "Page.javascriptDialogOpening":
                    found.append(f"dialog: {about['message']}")
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was opened."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._call("Browser.close", {}, session=None)
        os.close(self._command)
        os.close(self._answer)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def chromium(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = Chromium(tool("chromium"), tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def opened(chromium: Chromium, html_file: Path) -> Chromium:
    """The browser with the page open that a module's ``html_file`` is."""
    chromium.open(html_file.as_uri())
    return chromium
