"""The stage and the slider in a real browser: what moves at a time is where the film says, and all of it can be used.

Most tests need no JupyterLab: a page imports the module, with a model that stands in for the widget's.
"""

import io
import itertools
import re

import nbformat
import PIL.Image
import pytest
from nbformat import v4

from udplab import lan
from udplab.__main__ import NOTEBOOKS
from udplab.kit.film import flight as fates
from udplab.kit.film import scene as scenes
from udplab.kit.film import stage as stages
from udplab.kit.film.composed import Hop, Sent, loopback, model
from udplab.kit.film.flight import Film, Note
from udplab.kit.slider import Slider
from udplab.lan.plan import plan_path, plan_switch

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: uv installs it")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python: uv installs it")

THEMES = {
    "light": "--jp-ui-font-color1: rgba(0,0,0,.87); --jp-layout-color0: #fff; --jp-layout-color2: #eee",
    "dark": "--jp-ui-font-color1: rgba(255,255,255,.87); --jp-layout-color0: #111; --jp-layout-color2: #212121",
}
PAGE = """<!doctype html><html lang="en"><title>A stage</title><style>:root {%s}
body {background: var(--jp-layout-color0)} %s</style><body><main></main><script type="module">
import widget from "/widget.js";
window.start = (traits, slow) => {
    const handlers = {}, call = (name, ...given) => (handlers[name] ?? []).forEach(handler => handler(...given));
    window.sent = [];
    window.done = () => call("msg:custom", {type: "done"});
    window.model = {
        get: name => traits[name],
        set(name, value) { const old = traits[name]; traits[name] = value; if (old !== value) call(`change:${name}`); },
        on: (name, handler) => (handlers[name] ??= []).push(handler),
        off: (name, handler) => { handlers[name] = handlers[name].filter(each => each !== handler); },
        send(message) { window.sent.push(message); if (!slow) setTimeout(window.done); },
        save_changes() { window.sent.push(traits.value); },
    };
    window.left = () => Object.values(handlers).flat().length;
    window.end = widget.render({model: window.model, el: document.querySelector("main")});
};
window.ready = true;
</script></body></html>"""


def path_film():
    hops = [
        Hop("client", "router1", 1500, part=(0, 1480)),
        Hop("client", "router1", 600, "fragment", part=(1480, 580)),
        Hop("router1", "server", 1400, fate=fates.DELIVERED, at=1),
        Hop("router1", "client", 576, "ICMP", "ICMP: too big", at=1.5, datagram=2),
        Hop("router1", "server", 900, fate=fates.LOST, at=2, datagram=3),
        Hop("router1", "server", 90, fate=fates.DROPPED, why="the queue is full", at=3.5, datagram=4),
    ]
    return model(plan_path((1500, 1400)), hops, "an example")


def switch_film():
    names = "alice", "bob", "carol"
    hops = [Hop("alice", name, 60, fate=fates.DELIVERED, at=0) for name in names[1:]]
    hops += [Hop("bob", "router", 300, at=1), Hop("router", "dave", 300, fate=fates.IGNORED, at=2)]
    return model(plan_switch(names, ("dave",)), hops, "an example", switched=True)


@pytest.fixture
def opened(browser, request):
    """Return a function that opens a widget in a page of its own: (its class, traits) -> page."""
    contexts = []

    def open_page(widget, traits, theme="light", slow=False, **options):
        contexts.append(browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options)))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        text = PAGE % (THEMES[theme], widget._css)
        page.route("**/*", lambda route: route.fulfill(body=text, content_type="text/html"))
        page.route(
            "**/*.js", lambda route: route.fulfill(body=str(widget._esm), content_type="text/javascript; charset=utf-8")
        )
        page.goto("http://stage.test/")
        page.wait_for_function("window.ready")
        page.evaluate("([traits, slow]) => window.start(traits, slow)", [traits, slow])
        return page

    yield open_page
    for context in contexts:
        assert [page.errors for page in context.pages] == [[]] * len(context.pages)
        context.close()


def stage(opened, film, buttons=(), pressed=(), sliders=(), **options):
    traits = {
        "_scene": scenes.scene(film),
        "buttons": dict(buttons),
        "pressed": list(pressed),
        "sliders": list(sliders),
    }
    return opened(stages.Stage, traits, **options)


SHOWN = """([slider, times]) => times.map(time => {
    slider.value = time;
    slider.dispatchEvent(new Event("input"));
    const moving = [...document.querySelectorAll(".moving[data-flight]")];
    return [Number(document.querySelector(".udplab-stage").dataset.time),
        moving.map(each => [each.dataset.flight, each.getAttribute("transform")])];
})"""


def at(page, *times):
    """Move the slider to times on the stage, in seconds, one after another.

    Returns a list of (the film's time that the stage then shows, {number of a flight that moves: (x, y)}).
    """
    slider = page.get_by_label("Time in the film").element_handle()
    return [
        (time, {int(number): tuple(map(float, re.findall(r"-?[\d.]+", where))) for number, where in moving})
        for time, moving in page.evaluate(SHOWN, [slider, times])
    ]


def expected(film, time):
    """Say it independently: who is on its way at a time, and which share of its way is behind it."""
    shares = {}
    for number, flight in enumerate(film):
        end = flight.arrived if flight.arrived is not None else flight.left + film.usual() / 2
        if flight.left <= time < end:
            share = (time - flight.left) / (end - flight.left)
            shares[number] = share if flight.arrived is not None else share / 2
    return shares


@pytest.mark.parametrize("film", [path_film(), switch_film()], ids=["path", "switch"])
def test_what_moves_at_a_time_is_where_the_film_says(opened, film):
    page, drawn = stage(opened, film), scenes.scene(film)
    seen, last = set(), film.schedule()[-1][1]
    steps = [*range(101), 30, 80, 3]  # backwards too
    for time, where in at(page, *(last * step / 100 for step in steps)):
        shares = expected(film, time)
        assert where.keys() == shares.keys()
        for number, share in shares.items():
            corners = drawn["routes"][drawn["flights"][number][0]]["corners"]
            lengths = [abs(x1 - x0) + abs(y1 - y0) for (x0, y0), (x1, y1) in itertools.pairwise(corners)]
            gone = share * sum(lengths)  # all ways are level or upright
            for (x0, y0), (x1, y1), length in zip(corners, corners[1:], lengths, strict=False):
                if gone <= length or (x1, y1) == tuple(corners[-1]):
                    here = x0 + (x1 - x0) * gone / (length or 1), y0 + (y1 - y0) * gone / (length or 1)
                    break
                gone -= length
            assert where[number] == pytest.approx(here, abs=0.2)
        seen |= shares.keys()
    assert seen == set(range(len(film)))


def test_ways_lead_from_box_to_box():
    for film in (path_film(), switch_film()):
        drawn = scenes.scene(film)
        boxes = {node["name"]: node for node in drawn["nodes"]}
        for flight, [number, *_] in zip(film, drawn["flights"], strict=True):
            route = drawn["routes"][number]
            assert route["to"] == flight.target[0]
            for end, (x, y) in zip(
                (flight.source, flight.target), (route["corners"][0], route["corners"][-1]), strict=True
            ):
                box = boxes[end[0]]
                assert abs(x - box["x"]) <= box["half"] + 0.1 and abs(y - box["y"]) <= box["tall"] + 0.1


def test_fragments_are_to_scale_and_no_message_hangs_on_colour_alone(opened):
    page = stage(opened, path_film())
    at(page, 8 * 0.1)
    [wide] = page.locator(".moving[data-flight='0'] rect").evaluate_all(
        "all => all.map(each => +each.getAttribute('width'))"
    )
    at(page, 8 * 0.4)
    [narrow] = page.locator(".moving[data-flight='1'] rect").evaluate_all(
        "all => all.map(each => +each.getAttribute('width'))"
    )
    assert wide / narrow == pytest.approx(1500 / 600, rel=0.01)
    assert page.locator(".moving[data-flight='1'] text").text_content() == "1"
    assert page.locator(".moving[data-flight='3'] text").text_content() == "!"


def test_crosses_and_counts_tell_what_was_lost_dropped_and_delivered(opened):
    page = stage(opened, path_film())
    assert page.locator("[data-cross]").count() == 0
    at(page, 9)  # the end
    assert page.locator("[data-cross]").count() == 2  # one on the link, one at the server
    assert page.locator("svg").get_by_text("✓ 1 ✗ 1").count() == 1


def test_a_queue_fills_and_spills(opened):
    sends = [Sent(n * 1e-5, "client", "server", b"x", arrived=n * 1e-5 + 5e-6) for n in range(30)]
    film = loopback(sends, [])
    film.flights = [
        each if n > 19 else fates.Flight(**(vars(each) | {"fate": fates.QUEUED, "why": ""}))
        for n, each in enumerate(film)
    ]
    page = stage(opened, film)
    at(page, 4.05)
    assert "15 in the queue" in page.locator("svg").text_content()
    at(page, 9)  # the end
    assert "20 in the queue" in page.locator("svg").text_content()
    assert page.locator("[data-cross]").get_attribute("data-cross") == "10"


def test_it_plays_pauses_and_plays_to_the_end(opened):
    page = stage(opened, path_film())
    play = page.locator("button.play")
    assert play.inner_text() == "▶ Play"
    page.get_by_label("Speed").select_option("4")
    play.click()
    page.wait_for_function("document.querySelector('.udplab-stage').dataset.time > 5e-6")
    play.click()
    stopped = page.locator(".udplab-stage").get_attribute("data-time")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator(".udplab-stage").get_attribute("data-time") == stopped and play.inner_text() == "▶ Play"
    play.click()
    page.get_by_text("▶ Play").wait_for()
    assert float(page.locator(".udplab-stage").get_attribute("data-time")) == pytest.approx(path_film().length)


def test_the_keyboard_alone_suffices_and_each_event_is_told(opened):
    film = path_film()
    film.notes.append(Note(25e-6, "client", "no answer: asks again"))
    page, told = stage(opened, film, buttons={"router1": "Silence router1"}), []
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent"))
    steps = ["Back to the event before", "On to the next event"]
    assert names == ["Silence router1", "▶ Play", *steps, "Time in the film", "Speed"]
    page.get_by_label("On to the next event").focus()
    for _ in range(20):
        page.keyboard.press("Enter")
        told.append(page.get_by_role("status").inner_text())
    words = [words for _, words in scenes.scene(film)["events"]]
    assert list(dict.fromkeys(told)) == words[1:]
    assert "client: no answer: asks again." in " ".join(words)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert page.get_by_role("status").inner_text() == words[-2]


def test_it_stands_still_for_readers_who_ask_for_less_motion(opened):
    page = stage(opened, path_film(), reduced_motion="reduce")
    page.get_by_label("Speed").select_option("4")
    page.locator("button.play").click()
    times = page.evaluate(
        """() => new Promise(done => {
            const seen = new Set(), stage = document.querySelector('.udplab-stage');
            const look = () => {
                seen.add(stage.dataset.time);
                document.querySelector('.play').textContent.includes('Play') && seen.size > 1
                    ? done([...seen]) : requestAnimationFrame(look);
            };
            look();
        })"""
    )
    moments = [time for time, _ in scenes.scene(path_film())["events"]]
    assert len(times) <= len(moments) + 1  # it jumps from event to event
    page.evaluate("scene => window.model.set('_scene', scene)", scenes.scene(switch_film()))
    assert page.locator("button.play").inner_text() == "▶ Play"  # nothing starts by itself
    assert page.locator(".moving[data-flight]").count() == 0


def test_a_new_film_starts_at_once(opened):
    page = stage(opened, path_film())
    assert page.locator(".before").count() == 0
    page.evaluate("scene => window.model.set('_scene', scene)", scenes.scene(path_film()))
    assert page.locator(".before").all_text_contents() == ["(✓ 1  ✗ 1)"], "how it was before, in grey"
    assert page.locator(".key").inner_text().endswith("(grey): how it was before")
    page.evaluate("scene => window.model.set('_scene', scene)", scenes.scene(switch_film()))
    assert page.locator("button.play").inner_text() == "❚❚ Pause"
    page.wait_for_function("document.querySelector('.udplab-stage').dataset.time > 1e-6")
    assert page.locator(".node").all_text_contents()[-1].startswith("router")
    page.evaluate("window.end()")
    assert page.evaluate("window.left()") == 0  # no handler stays


def test_the_reader_presses_hosts_and_links(opened):
    names = {"router1": "Silence router1", "client--router1": "Flip a bit here", "nobody": "?"}
    page = stage(opened, path_film(), buttons=names, pressed=["router1"])
    router = page.get_by_role("button", name="Silence router1")
    assert router.get_attribute("aria-pressed") == "true"
    router.click()
    page.get_by_role("button", name="Flip a bit here").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    page.wait_for_function("window.sent.length === 3")
    press = {"type": "press", "name": "client--router1"}
    assert page.evaluate("window.sent") == [{"type": "press", "name": "router1"}, press, press]
    page.evaluate("window.model.set('pressed', [])")
    assert router.get_attribute("aria-pressed") == "false"
    router.focus()
    page.evaluate("scene => window.model.set('_scene', scene)", scenes.scene(path_film()))
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Silence router1"  # the place is kept


def test_the_reader_drags_an_mtu_and_python_gets_the_latest(opened):
    slider = {
        "link": "client--router1",
        "name": "MTU",
        "min": 500,
        "max": 1500,
        "step": 10,
        "value": 1500,
        "unit": "bytes",
    }
    page = stage(opened, path_film(), sliders=[slider], slow=True)
    handle, typed = page.get_by_label("MTU of client to router1, bytes").all()
    for value in (1000, 900, 800):
        handle.fill(str(value))
    assert page.evaluate("window.sent") == [{"type": "slide", "name": "MTU", "link": "client--router1", "value": 1000}]
    assert typed.input_value() == "800"
    page.evaluate("window.done()")
    assert [event["value"] for event in page.evaluate("window.sent")] == [1000, 800]
    page.evaluate("window.done()")
    typed.fill("9999")
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent.at(-1).value") == 1500 and handle.input_value() == "1500"
    page.evaluate("window.done()")
    handle.focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("window.sent.at(-1).value") == 1490


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("film", [path_film(), switch_film()], ids=["path", "switch"])
def test_nothing_bars_the_way_and_nothing_is_clipped(opened, film, theme):
    slider = {"link": "client--router1", "name": "MTU", "min": 500, "max": 1500, "value": 1500}
    page = stage(opened, film, buttons={"router1": "Silence it", "bob": "Send to bob"}, sliders=[slider], theme=theme)
    for shown in (0.5, 9):
        at(page, shown)
        violations = axe.Axe().run(page).response["violations"]
        violations = [each for each in violations if each["id"] not in ("page-has-heading-one", "region")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == []
    outside = page.evaluate(
        """() => {
            const area = document.querySelector('svg').getBoundingClientRect();
            return [...document.querySelectorAll('svg text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < area.left - 1 || box.right > area.right + 1 || box.top < area.top - 1
                    || box.bottom > area.bottom + 1;
            }).map(text => text.textContent);
        }"""
    )
    assert outside == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_how_long_a_frame_takes(opened, measured):
    """Shown, not asserted: a film of as many flights as 65,507 bytes over three links are."""
    ways = itertools.pairwise(("client", "router1", "router2", "server"))
    hops = [Hop(*way, 1400, "fragment", at=n / 3 + link) for link, way in enumerate(ways) for n in range(90)]
    page = stage(opened, model(plan_path((1500, 1400, 1280)), hops, "an example"))
    page.get_by_label("Speed").select_option("4")
    page.locator("button.play").click()
    took = page.evaluate(
        """() => new Promise(done => {
            const times = [], stage = document.querySelector('.udplab-stage');
            const look = clock => {
                times.push(clock);
                document.querySelector('.play').textContent.includes('Play')
                    ? done(times.slice(1).map((time, n) => time - times[n]).sort((a, b) => a - b))
                    : requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        })"""
    )
    middle, worst = took[len(took) // 2], took[int(len(took) * 0.95)]
    measured(f"stage: {len(hops)} flights, ms from frame to frame: median {middle:.1f}, 95 % {worst:.1f}")
    assert len(took) > 10


def test_an_empty_film_shows_the_network(opened):
    page = stage(opened, Film(path_film().nodes, path_film().links))
    assert page.locator(".node").count() == 3
    page.locator("button.play").click()
    page.get_by_label("On to the next event").click()
    assert page.locator(".now").inner_text() == "0.0 µs of 0.0 µs"


def test_moving_picture_for_the_readme(opened, pytestconfig):
    """3,000 bytes over three links, as they really moved, once and 100,000 times slower: .github/film.png."""
    if not pytestconfig.getoption("pictures"):
        pytest.skip("only with --pictures")
    with lan.path(1500, 1400, 1280) as net:
        server, client = net["server"].socket(), net["client"].socket()
        server.bind(("", 1060))
        client.connect((net["server"].address, 1060))
        client.send(b"so that nobody has to ask by ARP")
        net["client"].settle()
        server.recv(100)
        with net.record() as film:
            client.send(bytes(3000))
    page = stage(opened, film.only("UDP", "fragment"), viewport={"width": 900, "height": 600})
    page.add_style_tag(content="button, select, .bar input, .key { display: none !important }")
    frames, seconds, last = [], 1 / 12, film.schedule()[-1][1]
    while len(frames) * seconds < last + 1:  # the last second is the end
        at(page, len(frames) * seconds)
        frames.append(PIL.Image.open(io.BytesIO(page.locator(".udplab-stage").screenshot())).convert("RGB"))
    colours = frames[-1].quantize(64)  # for all frames: a PNG has one palette
    frames = [frame.quantize(palette=colours, dither=PIL.Image.Dither.NONE) for frame in frames]
    path = NOTEBOOKS.parent / ".github" / "film.png"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000 * seconds, loop=1, optimize=True)
    assert path.stat().st_size <= 1_000_000


# --- The slider ---


def test_the_slider_is_dragged_typed_and_named(opened):
    traits = {"words": "payload", "value": 3000, "low": 0, "high": 65507, "step": 1, "unit": "bytes"}
    page = opened(Slider, traits)
    handle, typed = (page.get_by_label(f"payload (0 to 65,507 bytes){more}", exact=True) for more in ("", ", typed"))
    typed.fill("65507")
    assert page.evaluate("window.sent") == []  # not at each digit
    page.keyboard.press("Enter")
    assert page.evaluate("window.model.get('value')") == 65507 and handle.input_value() == "65507"
    box = handle.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert 30_000 < page.evaluate("window.model.get('value')") < 35_000
    page.keyboard.press("Home")
    assert page.evaluate("window.model.get('value')") == 0 and typed.input_value() == "0"
    typed.fill("99999")
    page.keyboard.press("Enter")
    assert page.evaluate("window.model.get('value')") == 65507
    typed.fill("")
    page.keyboard.press("Tab")
    assert typed.input_value() == "65507"
    page.evaluate("window.model.set('value', 12)")
    assert (handle.input_value(), typed.input_value()) == ("12", "12")
    violations = axe.Axe().run(page).response["violations"]
    assert [each["id"] for each in violations if each["id"] not in ("page-has-heading-one", "region")] == []


# --- In JupyterLab ---

CELLS = """from udplab.kit.film.stage import Stage, show
from udplab.kit.slider import Slider
from udplab.kit.film.composed import Read, Sent, loopback
film = loopback([Sent(0.0, "client", "server", b"hi")], [Read(3e-5, "server", b"hi", 2)])
show(film)
delay = {"link": "client--server", "name": "delay", "min": 0, "max": 9, "value": 0}
stage, slider = Stage(film, buttons={"server": "Ask the server"}, sliders=[delay]), Slider("number", 5, 1, 9)
stage.on(lambda event: event["type"] == "press" and setattr(stage, "pressed", [event["name"]]))
display(stage, slider)"""


# The cell has ended, and what brings a new picture into view then has moved the page for the last time.
ENDED = """() => new Promise(done => {
    let still = 0;
    const look = () => {
        if (document.querySelector(".jp-CodeCell .jp-InputPrompt").textContent.includes("*")) still = 0;
        ++still < 15 ? requestAnimationFrame(look) : done();
    };
    look();
})"""


def test_in_jupyterlab(jupyterlab, learner):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # else one is asked for
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(CELLS)], metadata=kernel), learner.lessons / "stage.ipynb")
    with jupyterlab("stage.ipynb") as page:
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.locator(".udplab-stage").nth(1).wait_for()
        assert page.locator(".jp-OutputArea-output img").get_attribute("alt").startswith("Picture: 1 frame in 30.0 µs")
        page.locator(".jp-OutputArea-output", has_text="client to server: 2 bytes of UDP: delivered").first.wait_for()
        first, second = page.locator(".udplab-stage").all()
        page.evaluate(ENDED)
        first.locator("button.play").click()
        page.wait_for_function("document.querySelector('.udplab-stage').dataset.time > 1e-6")
        second.get_by_role("button", name="Ask the server").focus()
        page.keyboard.press("Enter")
        second.locator("[role=button][aria-pressed=true]").wait_for()  # Python was asked, and has answered
        page.get_by_label("number (1 to 9), typed").fill("7")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('.udplab-slider input[type=range]').value === '7'")
        second.get_by_label("delay of client to server").last.fill("3")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('.slide input[type=range]').value === '3'")
