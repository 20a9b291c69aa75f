// Draws a scene, made by scene.py, at any time of its film. It knows pictures and no networking. Times are the film's
// seconds; the scene's `knots` say when the stage shows them. stage.py puts this file before stage.js.

const SVG = "http://www.w3.org/2000/svg";
const NOTE = 1.6; // seconds on the stage for which a note stays
const KEY = "✓ a socket has it    ✗ frame dropped    – ignored    ! ICMP error    number in a frame: its datagram";
const WAITING = { held: "inside", piece: "kept: pieces missing", queue: "in the queue", error: "pending error" };

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
function between(knots, x, from, to) {
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
function along(corners, share) {
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
function frame(parent, length, shape, colour, label) {
  const turned = { x: -12, y: -12, width: 24, height: 24, transform: "rotate(45)", class: "error" };
  if (shape === "small") draw(parent, "circle", { r: 10, class: "little" });
  else if (shape === "error") draw(parent, "rect", turned);
  else draw(parent, "rect", { x: -length / 2, y: -11, width: length, height: 22, rx: 3, class: `c${colour}` });
  const size = Math.min(15, (1.5 * length - 3) / label.length); // a number stands in it, if need be in small digits
  if (size > 7) draw(parent, "text", { y: 0.35 * size, style: `font-size: ${size}px` }, label);
}

// What has come to a node, as marks: see KEY.
function marks(found) {
  const counts = [["✓", found.in], ["✗", found.dead], ["–", found.out]].filter(([, count]) => count);
  return counts.map(mark => mark.join(" ")).join("  ");
}

// The picture of a scene: `show(time)` puts everything where it is at that time of the film.
class Picture {
  constructor(svg, scene, before) {
    this.scene = scene;
    this.before = before; // node -> the marks with which the film before this one ended
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 1000 ${scene.height}`);
    svg.setAttribute("aria-label", `Network: ${scene.nodes.map(node => node.name).join(", ")}`);
    const layers = ["links", "bars", "moving", "nodes", "dead", "marks", "notes"];
    for (const name of layers) this[name] = draw(svg, "g", { class: name });
    this.flying = new Map(); // number of a flight -> what is drawn of it
    this.places = {};
    this.pressable = {}; // name -> a function that returns what can be pressed
    scene.links.forEach(link => this.link(link));
    scene.nodes.forEach(node => this.node(node));
  }

  link({ name, line: [x1, y1, x2, y2], text, handle: [x, y] }) {
    draw(this.links, "line", { x1, y1, x2, y2, class: "link" });
    if (text) draw(this.links, "text", { x, y: y + 40, class: "small shadow" }, text);
    this.pressable[name] = () => {
      const spot = draw(this.nodes, "g", { class: "handle", transform: `translate(${x} ${y - 40})` });
      draw(spot, "path", { d: "M0 15V40" }); // it stands beside its link, out of the way of what moves there
      draw(spot, "rect", { x: -15, y: -15, width: 30, height: 30, rx: 15 });
      draw(spot, "text", { y: 6 }, "✎");
      return spot;
    };
  }

  node({ name, kind, x, y, half, tall, lines, side }) {
    const node = draw(kind === "switch" ? this.bars : this.nodes, "g", { class: `node ${kind}` });
    draw(node, "rect", { x: x - half, y: y - tall, width: 2 * half, height: 2 * tall, rx: 6 });
    const size = Math.min(17, (2 * half - 6) / (0.58 * Math.max(...lines.map(line => line.length))));
    const at = kind === "switch" ? x - half + 10 : x; // in its middle a cross would hide the name
    lines.forEach((line, n) => {
      const style = `font-size: ${n ? Math.min(size, 14) : size}px`;
      draw(node, "text", { x: at, y: y + 6 + (n - (lines.length - 1) / 2) * 17, style }, line);
    });
    this.places[name] = { x, y, half, side, tall, spot: draw(this.marks, "g") };
    this.pressable[name] = () => node;
  }

  show(time) {
    const found = Object.fromEntries(Object.keys(this.places).map(name => [name, { in: 0, out: 0, dead: 0 }]));
    const crosses = {};
    for (const [number, [way, left, landed, , , , , end, place, until]] of this.scene.flights.entries()) {
      const { corners, to } = this.scene.routes[way];
      if (left <= time && time < landed) {
        this.move(number, along(corners, ((time - left) / (landed - left)) * (end === "lost" ? 0.5 : 1)));
        continue;
      }
      this.flying.get(number)?.remove();
      this.flying.delete(number);
      if (left > time) continue;
      if (place && (until === null || time < until)) (found[to][place] ??= []).push(number);
      if (end && end !== "lost") found[to][end] += 1;
      if (end !== "lost" && end !== "dead") continue;
      const spot = along(corners, end === "lost" ? 0.5 : 1).map(Math.round).join(" ");
      crosses[spot] = (crosses[spot] ?? 0) + 1;
    }
    for (const [name, here] of Object.entries(found)) this.tell(name, here);
    this.ended = Object.fromEntries(Object.entries(found).map(([name, here]) => [name, marks(here)]));
    this.bury(crosses);
    this.remark(time);
  }

  move(number, [x, y]) {
    if (!this.flying.has(number)) {
      const spot = draw(this.moving, "g", { class: "moving", "data-flight": number });
      frame(spot, ...this.scene.flights[number].slice(3, 7));
      this.flying.set(number, spot);
    }
    this.flying.get(number).setAttribute("transform", `translate(${x} ${y})`);
  }

  // Draw a layer anew if what it shows has changed.
  fresh(layer, shown) {
    const words = JSON.stringify(shown);
    if (layer.dataset.shown === words) return false;
    layer.dataset.shown = words;
    layer.replaceChildren();
    return true;
  }

  bury(crosses) {
    if (!this.fresh(this.dead, crosses)) return;
    for (const [place, count] of Object.entries(crosses)) {
      const spot = draw(this.dead, "g", { transform: `translate(${place})`, "data-cross": count });
      for (const kind of ["halo", "cross"]) draw(spot, "path", { d: "M-10-10L10 10M10-10L-10 10", class: kind });
      if (count > 1) draw(spot, "text", { y: -18, class: "shadow" }, `× ${count}`);
    }
  }

  remark(time) {
    const { knots, notes } = this.scene, shown = between(knots, time, 0, 1);
    const recent = notes.filter(([when]) => when <= time && shown - between(knots, when, 0, 1) < NOTE);
    if (!this.fresh(this.notes, recent)) return;
    for (const [host, words] of new Map(recent.map(([, host, words]) => [host, words]))) {
      const { x, y, tall, side } = this.places[host];
      let at = side > 0 ? y - tall - 12 : y + tall + 22; // not where the host's marks are
      if (y < 100) at = 18; // in a row of hosts, over what can be pressed at the links
      draw(this.notes, "text", { x: inside(x, 5 * words.length), y: at, class: "note shadow" }, words);
    }
  }

  // What has come to a node, and what waits there.
  tell(name, found) {
    const { x, y, half, side, tall, spot } = this.places[name];
    if (!this.fresh(spot, found)) return;
    const now = marks(found), before = this.before?.[name];
    let row = y + side * (tall + 15) + 5;
    if (now || before) {
      const line = draw(spot, "text", { x, y: row, class: "shadow" }, now);
      if (before) draw(line, "tspan", { class: "before" }, `${now && "  "}(${before})`);
    }
    for (const [place, words] of Object.entries(WAITING).filter(([name]) => found[name])) {
      row += side * 25;
      const few = found[place].slice(0, Math.max(2, Math.floor(half / 14.5))).map(each => this.scene.flights[each]);
      const wide = few.map(flight => Math.min(flight[3], 26) + 3);
      let from = x - wide.reduce((sum, each) => sum + each, 0) / 2;
      few.forEach((flight, n) => {
        const at = `translate(${from + wide[n] / 2} ${row - 5}) scale(0.8)`;
        frame(draw(spot, "g", { class: "moving", transform: at }), wide[n] - 3, ...flight.slice(4, 7));
        from += wide[n];
      });
      row += side * 22;
      const told = `${found[place].length} ${words}`;
      draw(spot, "text", { x: inside(x, 4 * told.length), y: row, class: "small shadow" }, told);
    }
  }
}
