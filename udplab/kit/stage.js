// The stage draws a film: what moves where and when stands in the model's `_scene`, made by scene.py. This module
// knows pictures and no networking. Times in the scene are the film's seconds; `knots` says when the stage shows them.

const SVG = "http://www.w3.org/2000/svg";
const NOTE = 1.6; // seconds on the stage for which a note stays

function draw(parent, tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}

function html(parent, tag, properties = {}) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}

// The value that belongs to x between knots [[x, y], ...]; `from` and `to` choose the direction.
export function between(knots, x, from, to) {
  let low = 0, high = knots.length - 1;
  if (high === 0 || x <= knots[0][from]) return knots[0][to];
  if (x >= knots[high][from]) return knots[high][to];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (knots[middle][from] <= x) low = middle; else high = middle;
  }
  const [a, b] = [knots[low], knots[high]];
  return a[to] + ((x - a[from]) / (b[from] - a[from] || 1)) * (b[to] - a[to]);
}

// The point at a share (0 to 1) of the way along corners [[x, y], ...].
export function along(corners, share) {
  const steps = corners.slice(1).map(([x, y], n) => Math.hypot(x - corners[n][0], y - corners[n][1]));
  let left = share * steps.reduce((sum, step) => sum + step, 0);
  for (const [n, step] of steps.entries()) {
    if (left <= step || n === steps.length - 1) {
      const part = step ? Math.min(left / step, 1) : 0;
      return corners[n].map((from, axis) => from + part * (corners[n + 1][axis] - from));
    }
    left -= step;
  }
}

function amount(seconds, [unit, factor, digits]) {
  return `${(seconds * factor).toFixed(digits)} ${unit}`;
}

function rounded(number) {
  const size = 10 ** Math.max(Math.floor(Math.log10(number)) - 1, 0);
  return (Math.round(number / size) * size).toLocaleString("en");
}

// x, moved so far that what reaches `half` to each side of it stays in the picture.
function inside(x, half) {
  return Math.min(Math.max(x, half), 1000 - half);
}

// A frame's shape around the middle of `parent`.
function frame(parent, [, , , length, shape, colour, label]) {
  if (shape === "small") draw(parent, "circle", { r: 10, class: "little" });
  else if (shape === "error") draw(parent, "rect", { x: -12, y: -12, width: 24, height: 24, transform: "rotate(45)", class: "error" });
  else draw(parent, "rect", { x: -length / 2, y: -11, width: length, height: 22, rx: 3, class: `c${colour}` });
  if (shape !== "data" || length > 9 * label.length + 4) draw(parent, "text", { y: 5 }, label);
}

function cross(parent, x, y, count) {
  const spot = draw(parent, "g", { transform: `translate(${x} ${y})`, "data-cross": count });
  for (const kind of ["halo", "cross"]) draw(spot, "path", { d: "M-10-10L10 10M10-10L-10 10", class: kind });
  if (count > 1) draw(spot, "text", { y: -18, class: "shadow" }, `× ${count}`);
}

// The picture of one scene: `show(time)` puts everything where it is at that time of the film.
function picture(svg, scene, press) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 1000 ${scene.height}`);
  svg.setAttribute("aria-label", `Network: ${scene.nodes.map(node => node.name).join(", ")}`);
  const [links, bars, moving, nodes, marks] = ["links", "bars", "moving", "nodes", "marks"].map(name => draw(svg, "g", { class: name }));
  const places = {}, pressable = {};
  for (const { name, line: [x1, y1, x2, y2], text, handle: [x, y] } of scene.links) {
    draw(links, "line", { x1, y1, x2, y2, class: "link" });
    if (text) draw(links, "text", { x, y: y + 40, class: "small shadow" }, text);
    pressable[name] = () => {
      const spot = draw(marks, "g", { class: "handle", transform: `translate(${x} ${y})` });
      draw(spot, "rect", { x: -15, y: -15, width: 30, height: 30, rx: 15 });
      draw(spot, "text", { y: 6 }, "✎");
      return spot;
    };
  }
  for (const { name, kind, x, y, half, tall, lines, side } of scene.nodes) {
    const node = draw(kind === "switch" ? bars : nodes, "g", { class: `node ${kind}` });
    draw(node, "rect", { x: x - half, y: y - tall, width: 2 * half, height: 2 * tall, rx: kind === "switch" ? 4 : 6 });
    const size = Math.min(17, (2 * half - 6) / (0.58 * Math.max(...lines.map(line => line.length))));
    lines.forEach((line, n) => draw(node, "text", {
      x, y: y + 6 + (n - (lines.length - 1) / 2) * 17, style: `font-size: ${n ? Math.min(size, 14) : size}px`,
    }, line));
    places[name] = { x, y, half, side, tall, spot: draw(marks, "g") };
    pressable[name] = () => node;
  }
  const drawn = new Map(), dead = draw(marks, "g"), notes = draw(marks, "g");
  let crossed = "", noted = "";
  const buttons = {};

  function offer(words, pressed) {
    for (const name of Object.keys(words).filter(each => pressable[each])) {
      buttons[name] ??= press(pressable[name](), name);
      buttons[name].setAttribute("aria-label", words[name]);
      buttons[name].setAttribute("aria-pressed", pressed.includes(name));
    }
  }

  function show(time) {
    const here = {}, crosses = {};
    const at = name => (here[name] ??= { in: 0, out: 0, dead: 0, queue: [], piece: [], error: [], held: [] });
    for (const [number, flight] of scene.flights.entries()) {
      const [way, left, landed, , , , , end, place, until] = flight;
      if (left > time) break; // they are in the order in which they left
      const { corners, to } = scene.routes[way];
      const flies = time < landed;
      if (flies) {
        let spot = drawn.get(number);
        if (!spot) {
          spot = draw(moving, "g", { class: "moving", "data-flight": number });
          frame(spot, flight);
          drawn.set(number, spot);
        }
        const [x, y] = along(corners, ((time - left) / (landed - left)) * (end === "lost" ? 0.5 : 1));
        spot.setAttribute("transform", `translate(${x} ${y})`);
        continue;
      }
      drawn.get(number)?.remove();
      drawn.delete(number);
      if (place && (until === null || time < until)) at(to)[place].push(flight);
      if (end === "lost" || end === "dead") {
        const spot = along(corners, end === "lost" ? 0.5 : 1).map(Math.round).join(" ");
        crosses[spot] = (crosses[spot] ?? 0) + 1;
        if (end === "dead") at(to).dead += 1;
      } else if (end) at(to)[end] += 1;
    }
    for (const [number, spot] of drawn) {
      if (scene.flights[number][1] > time) { spot.remove(); drawn.delete(number); }
    }
    for (const [name, place] of Object.entries(places)) tell(place, at(name));
    if (crossed !== (crossed = JSON.stringify(crosses))) {
      dead.replaceChildren();
      for (const [spot, count] of Object.entries(crosses)) cross(dead, ...spot.split(" "), count);
    }
    const shown = between(scene.knots, time, 0, 1);
    const fresh = scene.notes.filter(([when]) => when <= time && shown - between(scene.knots, when, 0, 1) < NOTE);
    if (noted !== (noted = JSON.stringify(fresh))) {
      notes.replaceChildren();
      for (const [, host, words] of new Map(fresh.map(note => [note[1], note])).values()) {
        const { x, y, tall } = places[host];
        const anchor = x < 300 ? "start" : x > 700 ? "end" : "middle";
        const edge = { start: x - 100, end: x + 100, middle: x }[anchor];
        draw(notes, "text", { x: Math.min(Math.max(edge, 8), 992), y: y - tall - 12, class: "shadow", style: `text-anchor: ${anchor}; font-weight: bold` }, words);
      }
    }
  }

  // What has come to a node, and what waits there.
  function tell({ x, y, half, side, tall, spot }, found) {
    const marked = [["✓", found.in], ["✗", found.dead], ["–", found.out]].filter(([, count]) => count);
    const words = marked.map(([mark, count]) => `${mark} ${count}`).join("  ");
    const waits = [[found.held, "inside"], [found.piece, "kept: pieces missing"], [found.queue, "in the queue"],
      [found.error, "waiting as an error"]].filter(([all]) => all.length);
    const seen = words + waits.map(([all, name]) => `${name}${all.length}`);
    if (spot.dataset.seen === seen) return;
    spot.dataset.seen = seen;
    spot.replaceChildren();
    let row = y + side * (tall + 15) + 5;
    if (words) draw(spot, "text", { x, y: row, class: "shadow" }, words);
    for (const [all, name] of waits) {
      row += side * 25;
      const few = all.slice(0, Math.max(2, Math.floor(half / 14.5))), wide = few.map(flight => Math.min(flight[3], 26) + 3);
      let from = x - wide.reduce((sum, each) => sum + each, 0) / 2;
      few.forEach((flight, n) => {
        const box = draw(spot, "g", { class: "moving waiting", transform: `translate(${from + wide[n] / 2} ${row - 5}) scale(0.8)` });
        frame(box, [0, 0, 0, Math.min(flight[3], 26), ...flight.slice(4)]);
        from += wide[n];
      });
      row += side * 22;
      const told = `${all.length} ${name}`;
      draw(spot, "text", { x: inside(x, 4 * told.length), y: row, class: "small shadow" }, told);
    }
  }

  return { show, offer };
}

// Sends what the reader does, one thing at a time: while Python is at work, of each control only the latest.
function sender(model) {
  const waiting = new Map();
  let busy = false;
  function next() {
    const [first] = waiting;
    busy = Boolean(first);
    if (!first) return;
    waiting.delete(first[0]);
    model.send(first[1]);
  }
  const done = message => { if (message.type === "done") next(); };
  model.on("msg:custom", done);
  return {
    send(event) {
      waiting.set([event.type, event.name, event.link].join(), event);
      if (!busy) next();
    },
    end: () => model.off("msg:custom", done),
  };
}

// A range and a number that move together, at the middle of a link.
function slide(parent, setting, link, scene, send) {
  const { name, min, max, step = 1, value, unit = "" } = setting;
  const spot = html(parent, "div", { className: "slide" });
  spot.style.left = `${link.handle[0] / 10}%`;
  spot.style.top = `${((link.handle[1] + 22) / scene.height) * 100}%`;
  const label = `${name} of ${link.name.replace("--", " to ")}${unit && `, ${unit}`}`;
  const both = ["range", "number"].map(type => html(spot, "input", { type, min, max, step, value, ariaLabel: label }));
  const words = html(spot, "span", { textContent: name, ariaHidden: "true" });
  spot.prepend(words);
  for (const input of both) {
    input.addEventListener(input.type === "range" ? "input" : "change", () => {
      const wanted = Math.min(Math.max(Number(input.value), min), max);
      for (const each of both) each.value = wanted;
      send({ type: "slide", name, link: link.name, value: wanted });
    });
  }
}

function render({ model, el }) {
  const root = html(el, "div", { className: "udplab-stage" });
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab's single-key shortcuts are not for what is pressed here
  const predicted = html(root, "p", { className: "predicted" });
  const area = html(root, "div", { className: "scene" });
  const svg = draw(area, "svg", { role: "group" });
  const bar = html(root, "div", { className: "bar" });
  const play = html(bar, "button", { className: "play", type: "button" });
  const back = html(bar, "button", { type: "button", textContent: "◂ Step", ariaLabel: "Back to the event before" });
  const step = html(bar, "button", { type: "button", textContent: "Step ▸", ariaLabel: "On to the next event" });
  const slider = html(bar, "input", { type: "range", min: 0, step: "any", ariaLabel: "Time in the film" });
  const speed = html(bar, "select", { ariaLabel: "Speed" });
  for (const factor of [0.1, 0.25, 0.5, 1, 2, 4]) html(speed, "option", { value: factor, textContent: `× ${factor}`, selected: factor === 1 });
  const now = html(bar, "span", { className: "now" });
  const caption = html(root, "p", { className: "caption" });
  html(root, "p", { className: "key", textContent: "✓ a socket has it    ✗ dropped    – ignored    ! ICMP error    numbers: datagrams" });
  const told = html(root, "p", { className: "told" });
  told.setAttribute("role", "status");
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const out = sender(model);
  let scene, drawing, end = 0, playing = false, asked = 0, last = 0, spoken = 0;
  let shown = 0, time = 0; // the present moment on the stage, and in the film

  const happened = () => scene.events.filter(([when]) => when <= time).length; // of the events, how many

  function go(moment) {
    shown = moment > end - 1e-6 ? end : moment; // a range input rounds its end
    time = between(scene.knots, shown, 1, 0);
  }

  function jump(moment) {
    time = moment;
    shown = between(scene.knots, moment, 0, 1);
  }

  function show(tell) {
    const event = scene.events[happened() - 1];
    const ahead = Math.min(shown + 1e-3, end); // how fast the film runs from here on
    const slower = 1e-3 / (between(scene.knots, ahead, 1, 0) - between(scene.knots, ahead - 1e-3, 1, 0));
    drawing.show(time);
    root.dataset.time = time;
    slider.value = shown;
    now.textContent = `${amount(time, scene.clock)} of ${amount(scene.length, scene.clock)}`
      + (Number.isFinite(slower) ? `, ${rounded(slower / speed.value)} times slower` : "");
    slider.setAttribute("aria-valuetext", amount(time, scene.clock));
    caption.textContent = event?.[1] ?? "";
    if (tell) told.textContent = caption.textContent;
    play.textContent = playing ? "❚❚ Pause" : "▶ Play";
  }

  function move(by) {
    stop();
    const next = scene.events[by > 0 ? happened() : happened() - 2];
    if (next) jump(next[0]); else go(by > 0 ? end : 0);
    show(true);
  }

  function tick(clock) {
    if (!playing) return;
    if (!calm.matches) go(shown + ((clock - last) / 1000) * speed.value);
    else if (clock - last >= 1500 / speed.value) { // less motion: from event to event, and nothing in between
      const next = scene.events[happened()];
      if (next) jump(next[0]); else go(end);
    }
    if (!calm.matches || clock - last >= 1500 / speed.value) last = clock;
    if (shown >= end) playing = false;
    const tell = !playing || clock - spoken > 2000; // a screen reader cannot follow each event
    if (tell) spoken = clock;
    show(tell);
    if (playing) asked = requestAnimationFrame(tick);
  }

  function start() {
    if (shown >= end) go(0);
    playing = true;
    last = performance.now();
    asked = requestAnimationFrame(tick);
    show(true);
  }

  function stop() {
    playing = false;
    cancelAnimationFrame(asked);
  }

  function press(spot, name) {
    const send = () => out.send({ type: "press", name });
    spot.setAttribute("role", "button");
    spot.setAttribute("tabindex", "0");
    spot.addEventListener("click", send);
    spot.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      send();
    });
    return spot;
  }

  function offer() {
    drawing.offer(model.get("buttons"), model.get("pressed"));
  }

  function slides() {
    for (const each of area.querySelectorAll(".slide")) each.remove();
    for (const setting of model.get("sliders")) {
      const link = scene.links.find(({ name }) => name === setting.link);
      if (link) slide(area, setting, link, scene, out.send);
    }
  }

  function begin() {
    stop();
    const before = root.querySelector(":focus")?.getAttribute("aria-label");
    scene = model.get("_scene");
    drawing = picture(svg, scene, press);
    end = scene.knots.at(-1)[1];
    go(0);
    slider.max = end;
    predicted.textContent = scene.predicted && `Predicted, not measured: ${scene.predicted}`;
    offer();
    show(false);
    if (before) [...root.querySelectorAll("[aria-label]")].find(each => each.getAttribute("aria-label") === before)?.focus();
  }

  function changed() {
    begin();
    if (!calm.matches) start();
    else { go(end); show(true); }
  }

  play.addEventListener("click", () => { if (playing) { stop(); show(true); } else start(); });
  back.addEventListener("click", () => move(-1));
  step.addEventListener("click", () => move(1));
  slider.addEventListener("input", () => { stop(); go(Number(slider.value)); show(true); });
  const watched = { "change:_scene": changed, "change:buttons": offer, "change:pressed": offer, "change:sliders": slides };
  for (const [name, handler] of Object.entries(watched)) model.on(name, handler);
  begin();
  slides();
  return () => {
    stop();
    out.end();
    for (const [name, handler] of Object.entries(watched)) model.off(name, handler);
  };
}

export default { render };
