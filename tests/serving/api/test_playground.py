"""The playground in a browser, on numbers that the test can compute itself."""

import asyncio
import contextlib
import json
import pathlib

import numpy as np
import pytest
from aiohttp import test_utils
from tensorflow.core.framework import types_pb2

from jump_tf import schema
from serving.api import playground
from serving.api import rest
from serving.client.client import Client
from serving.protocol import errors
from serving.protocol import tensors
from serving.settings import Settings
from tests.serving import browser
from tests.serving.fake_core import Core

needs_browser = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="needs Chromium"
)

ITEMS = [
    *(f"{214800000 + 37 * n}" for n in range(90)),
    "größe 10",
    "<b>bold</b>",
]
LEVELS = np.float32([0.1, 0.25, 0.5, 0.75, 0.9])
SHAPE = (
    0.7  # Of a Weibull distribution: the longer on a page, the longer to come.
)
SIGNATURE = {
    schema.ITEMS: types_pb2.DT_STRING,
    schema.DWELL_SECONDS: types_pb2.DT_FLOAT,
    schema.ELAPSED_SECONDS: types_pb2.DT_FLOAT,
    schema.K: types_pb2.DT_INT32,
    schema.EXCLUDE_SEEN: types_pb2.DT_BOOL,
    schema.ALLOW: types_pb2.DT_STRING,
    schema.DENY: types_pb2.DT_STRING,
    schema.TIMES_SECONDS: types_pb2.DT_FLOAT,
}


def scale(item):
    """Of the dwell on an item, seconds."""
    return 20.0 + 7.0 * (sum(item.encode()) % 11)


def survival(item, seconds):
    return np.exp(-((np.asarray(seconds) / scale(item)) ** SHAPE))


def quantiles(item, levels):
    return scale(item) * (-np.log(1 - levels)) ** (1 / SHAPE)


def answer(asked):
    """What `recommend` answers to one session."""
    clicks = [x.decode() for x in asked[schema.ITEMS][0] if x]
    elapsed = float(asked[schema.ELAPSED_SECONDS][0])
    left = bool(clicks) and asked[schema.DWELL_SECONDS][0, -1] >= 0
    k = int(asked[schema.K][0])
    weights = 1.0 / (2.0 + np.arange(len(ITEMS))) ** (1.1 + 0.002 * elapsed)
    weights = np.roll(weights, 5 * len(clicks) + left)
    weights /= weights.sum()
    best = [
        n
        for n in np.argsort(-weights, kind="stable")
        if not (asked[schema.EXCLUDE_SEEN][0] and ITEMS[n] in clicks)
    ][:k]
    times = asked[schema.TIMES_SECONDS][0]
    items = [ITEMS[n] for n in best]
    page = clicks[-1] if clicks else ITEMS[0]
    blank = k - len(best)
    return {
        schema.ITEMS: [[x.encode() for x in items] + [b""] * blank],
        schema.PROBABILITIES: [[*weights[best], *[0.0] * blank]],
        schema.DWELL_MEDIAN_SECONDS: [
            [quantiles(x, 0.5) for x in items] + [0.0] * blank
        ],
        schema.DWELL_QUANTILES_SECONDS: [
            [quantiles(x, LEVELS) for x in items] + [0 * LEVELS] * blank
        ],
        schema.QUANTILE_LEVELS: [LEVELS],
        schema.PAGE_REMAINING_SURVIVAL: [
            survival(page, times + elapsed) / survival(page, elapsed)
        ],
        schema.SESSION_END_PROBABILITY: [
            0.2 + 0.3 * left + 0.1 * np.tanh(elapsed / 60)
        ],
    }


def make_core(folder: pathlib.Path):
    (folder / "assets").mkdir()
    vocabulary = "".join(f"{item}\n" for item in ITEMS)
    (folder / "assets" / schema.VOCABULARY_FILE).write_text(vocabulary)
    return Core({schema.RECOMMEND: SIGNATURE}, as_arrays, folder)


def as_arrays(asked):
    arrays = {}
    for name, value in answer(asked).items():
        kind = object if name == schema.ITEMS else np.float32
        arrays[name] = np.array(value, kind)
    return arrays


@pytest.fixture
def core(tmp_path):
    return make_core(tmp_path)


def ask(core, path, **options):
    """(status, headers, text) of a GET."""

    async def call():
        app = rest.application(core, playground="jump")
        async with (
            test_utils.TestClient(test_utils.TestServer(app)) as client,
            client.get(path, **options) as found,
        ):
            return found.status, found.headers, await found.text()

    return asyncio.run(call())


def items(core, **query):
    status, _, text = ask(core, "/playground/items", params=query)
    assert status == 200, text
    return json.loads(text)


def test_the_page_needs_nothing_from_elsewhere(core):
    status, headers, page = ask(core, "/playground")
    assert (status, headers["Content-Type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    names = {path.name for path in playground._FOLDER.iterdir()}
    assert len(names) > 3
    assert ask(core, "/playground/screenshot.png")[0] == 404
    for name in names - {"index.html", "screenshot.png"}:
        status, headers, text = ask(core, f"/playground/{name}")
        assert status == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "https://" not in text
    assert "//" not in page


def test_other_hosts_are_refused(core):
    for host in ("localhost:1", "127.0.0.1", "127.8.0.1:99", "[::1]:8501"):
        assert ask(core, "/playground/", headers={"Host": host})[0] == 200
    paths = ("/playground/", "/playground/items", "/v1/models/jump")
    for host in ("evil.example", "127.0.0.1.evil.example:8501", "10.0.0.7", ""):
        for path in paths:
            status, _, text = ask(core, path, headers={"Host": host})
            assert status == 403
            assert "localhost alone" in json.loads(text)["error"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.com"])
def test_the_network_is_not_offered_it(host):
    with pytest.raises(schema.InputError, match=f"Received: {host}"):
        Settings(host=host, playground="jump")
    assert Settings(host=host).playground is None


def test_pages_of_items_are_the_vocabulary(core):
    found, start = [], 0
    while start is not None:
        page = items(core, start=start)
        assert (page["model"], page["version"], page["size"]) == ("jump", 7, 92)
        found.append(page["items"])
        start = page["next"]
    assert [len(page) for page in found] == [40, 40, 12]
    assert [item for page in found for item in page] == ITEMS


def test_items_are_searched_whatever_their_case(core):
    assert items(core, search="GRöße")["items"] == ["größe 10"]
    assert items(core, search="<B>")["items"] == ["<b>bold</b>"]
    assert items(core, search="\n")["items"] == []
    assert items(core, search="no such")["items"] == []
    everything = items(core, search="2148")
    assert everything["items"] == ITEMS[:40]
    following = items(core, search="2148", start=everything["next"])
    assert following["items"] == ITEMS[40:80]


@pytest.mark.parametrize("start", ["3", "-1", "1000000", "x", "²"])
def test_pages_start_where_an_item_does(core, start):
    status, _, text = ask(core, "/playground/items", params={"start": start})
    assert status == 400
    assert "`start` must be" in json.loads(text)["error"]


def test_a_version_without_a_vocabulary(core):
    (core.folder / "assets" / schema.VOCABULARY_FILE).unlink()
    status, _, text = ask(core, "/playground/items")
    assert status == 404
    assert "has no vocabulary.txt" in json.loads(text)["error"]


def shows(core):
    """Opens the page in a browser, for a test that is a coroutine."""

    @contextlib.asynccontextmanager
    async def opened():
        app = rest.application(core, playground="jump")
        async with (
            test_utils.TestServer(app) as server,
            browser.new_page() as page,
        ):
            await page.open(str(server.make_url("/playground/")))
            await page.until(ranked(10))
            yield page

    return opened()


def ranked(number):
    return f"document.querySelectorAll('#ranked li').length === {number}"


def press(selector, number=0):
    return f"document.querySelectorAll('{selector}')[{number}].click()"


def text(name):
    return f"document.getElementById('{name}').textContent"


def inputs(request):
    return {name: tensors.to_array(x) for name, x in request.inputs.items()}


async def rows(page):
    return await page.run(
        """[...document.querySelectorAll("#ranked li")].map((row) => ({
            item: row.querySelector(".item").textContent,
            chance: row.querySelector(".chance").textContent,
            width: row.querySelector(".fill").style.width,
            dwell: row.querySelector(".dwell").textContent,
            label: row.firstChild.getAttribute("aria-label"),
        }))"""
    )


def number(text):
    """Of "12.3 %", "45 s", "2 min": in percent or in seconds."""
    value, unit = text.replace("< 0.01 %", "0 %").split(" ")
    return float(value) * {"%": 1, "s": 1, "min": 60, "h": 3600}[unit]


def check_rows(shown, given):
    """What is shown is what was answered."""
    found = [x.decode() for x in given[schema.ITEMS][0] if x]
    assert [row["item"] for row in shown] == found
    likeliest = max(given[schema.PROBABILITIES][0])
    for row, probability, median in zip(
        shown,
        given[schema.PROBABILITIES][0],
        given[schema.DWELL_MEDIAN_SECONDS][0],
        strict=False,
    ):
        assert number(row["chance"]) == pytest.approx(
            100 * probability, 0.01, 0.01
        )
        width = float(row["width"].removesuffix("%"))
        share = probability / likeliest
        assert width == pytest.approx(100 * share, 1e-3, 0.01)
        assert number(row["dwell"]) == pytest.approx(median, 0.04, 0.5)
        for part in (row["item"], row["chance"], row["dwell"]):
            assert part in row["label"]


@needs_browser
def test_a_visit_shows_what_was_answered(core):
    async def run():
        async with shows(core) as page:
            assert await page.run(text("model")) == "jump, version 7, 92 items"
            asked = inputs(core.asked[-1])
            check_rows(await rows(page), answer(asked))
            assert list(asked[schema.ITEMS][0]) == [b""]
            assert await page.run("document.getElementById('page').hidden")

            await page.run(press("[name=speed]", 0))  # The clock stands still.
            await page.run(press("#found button", 3))
            await page.until(f"{text('item')} === '{ITEMS[3]}'")
            await page.until("!document.getElementById('end').hidden")
            asked = inputs(core.asked[-1])
            assert list(asked[schema.ITEMS][0]) == [ITEMS[3].encode()]
            assert asked[schema.DWELL_SECONDS][0, 0] < 0  # page_load
            check_rows(await rows(page), answer(asked))
            assert number(await page.run(text("end-chance"))) == 20

            await page.run(press("#leave"))
            await page.until(f"{text('end-chance')} === '50.0 %'")
            asked = inputs(core.asked[-1])
            assert asked[schema.DWELL_SECONDS][0, 0] >= 0  # page_leave
            check_rows(await rows(page), answer(asked))
            assert await page.run("document.getElementById('leave').disabled")
            assert await page.run("document.activeElement.id") == "ranked"

            following = (await rows(page))[1]["item"]
            await page.run(press("#ranked button", 1))
            await page.until(f"{text('item')} === '{following}'")
            await page.run(press("#unknown"))
            await page.until(f"{text('item')} === 'never seen 1'")
            await page.until(f"!{text('moment')}.includes('leave')")
            await page.run(press("#hide-seen"))
            await page.run(
                "k.value = 95;"
                "k.dispatchEvent(new Event('input', {bubbles: true}))"
            )
            await page.until(ranked(90))  # Of 92, two have been seen.
            asked = inputs(core.asked[-1])
            assert [x.decode() for x in asked[schema.ITEMS][0]] == [
                ITEMS[3],
                following,
                "never seen 1",
            ]
            assert asked[schema.EXCLUDE_SEEN][0]
            assert asked[schema.K][0] == 95
            check_rows(await rows(page), answer(asked))

            await page.run(press("#restart"))
            await page.until("document.getElementById('page').hidden")
            await page.until(ranked(92))
            assert list(inputs(core.asked[-1])[schema.ITEMS][0]) == [b""]
            check_own(page)

    asyncio.run(run())


def check_own(page):
    """The browser has asked nobody else, and has nothing to complain of."""
    urls = [
        event["params"]["request"]["url"]
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert len(urls) > 6
    assert all(url.startswith("http://127.0.0.1:") for url in urls)
    assert not [
        event
        for event in page.events
        if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
    ]


CURVE = """(() => {
  const path = (kind) => document.querySelector(`#curve path.${kind}`)
    .getAttribute("d").slice(1).split("L").map((x) => x.split(" ").map(Number));
  const past = document.querySelector("#curve .past");
  const grid = [...document.querySelectorAll("#curve path.grid")]
    .map((x) => Number(x.getAttribute("d").split("L")[0].split(" ")[1]));
  return {
    now: path("now"),
    before: path("before"),
    left: Number(past.getAttribute("x")),
    past: Number(past.getAttribute("width")),
    zero: grid[0],
    one: grid[2],
    median: Number(document.querySelector("#curve circle").getAttribute("cx")),
    elapsed: document.getElementById("elapsed").textContent,
    remaining: document.getElementById("remaining").textContent,
  };
})()"""


@needs_browser
def test_the_curve_moves_as_seconds_pass(core):
    item = ITEMS[0]

    async def run():
        async with shows(core) as page:
            await page.run(press("[name=speed]", 3))
            await page.run(press("#found button", 0))
            await page.until(f"{text('item')} === '{item}'")
            before = len(core.asked)
            await asyncio.sleep(2.5)
            assert 1 <= len(core.asked) - before <= 4
            await page.run(press("[name=speed]", 0))
            await asyncio.sleep(0.3)
            asked = [x for x in core.asked if inputs(x)[schema.ELAPSED_SECONDS]]
            assert len(asked) > 1
            return await page.run(CURVE)

    shown = asyncio.run(run())
    elapsed = int(shown["elapsed"].split(":")[-1].split(" ")[-2])
    if ":" in shown["elapsed"]:
        minutes, seconds = shown["elapsed"].split(" ")[1].split(":")
        elapsed = 60 * int(minutes) + int(seconds)
    assert elapsed > 60
    a_second = shown["past"] / (elapsed + 0.5)

    def points(kind):
        x, y = np.transpose(shown[kind])
        times = (x - shown["left"]) / a_second
        height = shown["zero"] - shown["one"]
        return times, (shown["zero"] - y) / height

    times, probabilities = points("now")
    np.testing.assert_allclose(times[0], elapsed, atol=1)
    np.testing.assert_allclose(
        probabilities,
        survival(item, times) / survival(item, elapsed),
        atol=0.015,
    )
    times, probabilities = points("before")
    np.testing.assert_allclose(times[0], 0, atol=1)
    np.testing.assert_allclose(probabilities, survival(item, times), atol=0.02)

    share = -np.log(survival(item, elapsed)) + np.log(2)
    median = scale(item) * share ** (1 / SHAPE) - elapsed
    said = shown["remaining"].removesuffix(".").split("within ")[1]
    assert number(said) == pytest.approx(median, 0.04, 1.5)
    marked = (shown["median"] - shown["left"]) / a_second - elapsed
    assert marked == pytest.approx(median, 0.03)


@needs_browser
def test_by_keyboard_and_for_screen_readers(core):
    async def run():
        async with shows(core) as page:
            await page.run("document.getElementById('search').focus()")
            for letter in "BOLD":
                await page.key(letter, letter)
            await page.until(
                "document.querySelectorAll('#found li').length === 1"
            )
            await page.key("ArrowDown")
            await page.key("Enter")
            await page.until(f"{text('item')} === '<b>bold</b>'")
            assert await page.run("document.querySelector('b') === null")
            await page.until(f"{text('said')}.includes('Likeliest next: ')")
            await page.until(f"{text('said')}.includes('The visit ends here')")

            await page.run("document.querySelector('#ranked button').focus()")
            await page.key("ArrowDown")
            await page.key("ArrowDown")
            await page.key("ArrowUp")
            second = (await rows(page))[1]["item"]
            await page.key("Enter")
            await page.until(f"{text('item')} === '{second}'")

            tree = (await page.send("Accessibility.getFullAXTree"))["nodes"]
            roles = {"button", "searchbox", "spinbutton", "checkbox", "radio"}
            named = [
                (node["role"]["value"], node["name"]["value"])
                for node in tree
                if not node["ignored"]
                and node["role"]["value"] in {*roles, "region", "image"}
            ]
            assert roles <= {role for role, _ in named}
            assert not [role for role, name in named if not name]

            for width in (380, 700, 900, 1400):
                await page.send(
                    "Emulation.setDeviceMetricsOverride",
                    width=width,
                    height=800,
                    deviceScaleFactor=1,
                    mobile=False,
                )
                wide = "document.documentElement.scrollWidth"
                assert await page.run(wide) <= width

    asyncio.run(run())


@needs_browser
def test_what_the_server_refuses_is_told_and_gets_over(core):
    given, core._answer = core._answer, None

    def refuse(_):
        raise errors.invalid_argument('<i>"no" such</i> model')

    async def run():
        core._answer = given
        async with shows(core) as page:
            core._answer = refuse
            await page.run(press("#unknown"))
            problem = text("problem")
            await page.until(f"{problem} === '<i>\"no\" such</i> model'")
            core._answer = given
            await page.until(f"{problem} === ''")
            await page.until("!document.getElementById('end').hidden")

    asyncio.run(run())


@needs_browser
def test_a_model_need_not_tell_whether_the_visit_ends(core):
    def without_end(asked):
        arrays = as_arrays(asked)
        del arrays[schema.SESSION_END_PROBABILITY]
        return arrays

    core._answer = without_end

    async def run():
        async with shows(core) as page:
            await page.run(press("#unknown"))
            await page.until(f"{text('remaining')}.startsWith('Half of')")
            assert await page.run("document.getElementById('end').hidden")
            assert "ends here" not in await page.run(text("said"))

    asyncio.run(run())


@pytest.mark.exhaustive
@needs_browser
def test_with_a_real_server(server):
    async def run():
        async with browser.new_page() as page:
            await page.open(f"http://{server.http_address}/playground/")
            await page.until(ranked(10))
            await page.run(press("[name=speed]", 0))
            await page.run(press("#found button", 3))
            await page.until(f"{text('remaining')}.startsWith('Half of')")
            await page.run(press("#leave"))
            await page.until(f"{text('remaining')}.includes('stay longer')")
            check_own(page)
            return await rows(page), await page.run(text("end-chance"))

    shown, end = asyncio.run(run())
    with Client(server.address, timeout_seconds=30.0) as client:
        given = client.predict(
            schema.RECOMMEND,
            {
                schema.ITEMS: np.array([["item-3"]], object),
                schema.DWELL_SECONDS: np.float32([[0.0]]),
                schema.ELAPSED_SECONDS: np.float32([0.0]),
                schema.K: np.int32([10]),
                schema.EXCLUDE_SEEN: np.array([False]),
                schema.ALLOW: np.array([[""]], object),
                schema.DENY: np.array([[""]], object),
                schema.TIMES_SECONDS: np.float32([[1.0]]),
            },
        )
    check_rows(shown, given)
    chance = given[schema.SESSION_END_PROBABILITY][0]
    assert number(end) == pytest.approx(100 * chance, 0.01)
