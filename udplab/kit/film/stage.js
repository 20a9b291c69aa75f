// Plays a film: what the reader does goes to the picture (drawing.js, which stage.py puts before this file) and to Python.

// Sends what the reader does, one thing at a time: while Python is at work, of each control only the latest.
class Sender {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.busy = false;
    model.on("msg:custom", this.heard = message => { if (message.type === "done") this.next(); });
  }

  send(event) {
    this.waiting.set([event.type, event.name, event.link].join(), event);
    if (!this.busy) this.next();
  }

  next() {
    const [first] = this.waiting;
    this.busy = Boolean(first);
    if (!first) return;
    this.waiting.delete(first[0]);
    this.model.send(first[1]);
  }
}

// A range and a number that move together, at the middle of a link.
function slide(area, { name, min, max, step = 1, value, unit = "" }, link, height, send) {
  const spot = html(area, "div", { className: "slide" });
  spot.style.left = `${link.handle[0] / 10}%`;
  spot.style.top = `${((link.handle[1] + 22) / height) * 100}%`;
  html(spot, "span", { textContent: name, ariaHidden: "true" });
  const label = `${name} of ${link.name.replace("--", " to ")}${unit && `, ${unit}`}`;
  const both = ["range", "number"].map(type => html(spot, "input", { type, min, max, step, value, ariaLabel: label,
    title: `${min} to ${max}` }));
  let last = value;
  const set = input => {
    const wanted = Math.min(Math.max(Number(input.value), min), max);
    for (const each of both) each.value = wanted;
    if (wanted !== last) send({ type: "slide", name, link: link.name, value: wanted });
    last = wanted;
  };
  both[0].addEventListener("input", () => set(both[0]));
  both[1].addEventListener("change", () => set(both[1]));
  both[1].addEventListener("keydown", event => { // in JupyterLab, Enter makes no "change"
    if (event.key === "Enter") set(both[1]);
  });
}

class Stage {
  constructor(model, el) {
    this.model = model;
    this.out = new Sender(model);
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.root = html(el, "div", { className: "udplab-stage" });
    // JupyterLab's single-key shortcuts are not for what is pressed here. It looks at what has the focus, then upwards.
    this.root.addEventListener("focusin", event => { event.target.dataset.lmSuppressShortcuts = "true"; });
    this.predicted = html(this.root, "p", { className: "predicted" });
    this.area = html(this.root, "div", { className: "scene" });
    this.svg = draw(this.area, "svg", { role: "group" });
    this.bar();
    this.caption = html(this.root, "p", { className: "caption" });
    this.key = html(this.root, "p", { className: "key" });
    this.told = html(this.root, "p", { className: "told", role: "status" });
    this.playing = false;
    this.asked = this.last = this.spoken = 0;
    this.shown = this.time = 0; // the present moment on the stage, and in the film
    this.watched = { "change:_scene": () => this.changed(), "change:buttons": () => this.offer(),
      "change:pressed": () => this.offer(), "change:sliders": () => this.slides() };
    for (const [name, handler] of Object.entries(this.watched)) model.on(name, handler);
    this.begin();
    this.slides();
  }

  bar() {
    const bar = html(this.root, "div", { className: "bar" });
    const button = (name, textContent, act) => {
      const made = html(bar, "button", { type: "button", textContent, ariaLabel: name });
      made.addEventListener("click", act);
      return made;
    };
    this.play = button(null, "", () => (this.playing ? this.stop() : this.start()));
    this.play.className = "play";
    button("Back to the event before", "◂ Step", () => this.step(-1));
    button("On to the next event", "Step ▸", () => this.step(1));
    this.slider = html(bar, "input", { type: "range", min: 0, step: "any", ariaLabel: "Time in the film" });
    this.slider.addEventListener("input", () => { this.stop(); this.go(Number(this.slider.value)); this.show(true); });
    this.speed = html(bar, "select", { ariaLabel: "Speed" });
    for (const value of [0.1, 0.25, 0.5, 1, 2, 4]) html(this.speed, "option", { value, textContent: `× ${value}` });
    this.speed.value = 1;
    this.now = html(bar, "span", { className: "now" });
  }

  begin() {
    const focused = this.root.querySelector(":focus")?.getAttribute("aria-label");
    this.scene = this.model.get("_scene");
    this.picture?.show(Infinity);
    this.picture = new Picture(this.svg, this.scene, this.picture?.ended);
    this.key.textContent = this.picture.before ? `${KEY}    (grey): how it was before` : KEY;
    this.buttons = {};
    this.end = this.slider.max = this.scene.knots.at(-1)[1];
    const why = this.scene.predicted;
    this.predicted.textContent = why && `Predicted, not measured: ${why}`;
    this.go(0);
    this.offer();
    this.show(false);
    const named = [...this.root.querySelectorAll("[aria-label]")];
    if (focused) named.find(each => each.getAttribute("aria-label") === focused)?.focus();
  }

  changed() {
    this.stop();
    this.begin();
    if (!this.calm.matches) this.start();
    else { this.go(this.end); this.show(true); }
  }

  offer() {
    const { buttons: words, picture } = this;
    for (const [name, does] of Object.entries(this.model.get("buttons"))) {
      if (!picture.pressable[name]) continue;
      const spot = words[name] ??= this.press(picture.pressable[name](), name);
      spot.setAttribute("aria-label", does);
      (spot.querySelector("title") ?? draw(spot, "title")).textContent = does;
      spot.setAttribute("aria-pressed", this.model.get("pressed").includes(name));
    }
  }

  press(spot, name) {
    const send = () => this.out.send({ type: "press", name });
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

  slides() {
    for (const each of this.area.querySelectorAll(".slide")) each.remove();
    for (const setting of this.model.get("sliders")) {
      const link = this.scene.links.find(({ name }) => name === setting.link);
      if (link) slide(this.area, setting, link, this.scene.height, event => this.out.send(event));
    }
  }

  go(shown) {
    this.shown = shown > this.end - 1e-6 ? this.end : shown; // a range input rounds its end
    this.time = between(this.scene.knots, this.shown, 1, 0);
  }

  happened() { // how many of the events
    return this.scene.events.filter(([when]) => when <= this.time).length;
  }

  jump(event, otherwise) {
    if (!event) { this.go(otherwise); return; }
    [this.time] = event;
    this.shown = between(this.scene.knots, this.time, 0, 1);
  }

  step(by) {
    this.stop();
    this.jump(this.scene.events[this.happened() + (by > 0 ? 0 : -2)], by > 0 ? this.end : 0);
    this.show(true);
  }

  show(tell) {
    const { knots, clock, length, events } = this.scene;
    const ahead = Math.min(this.shown + 1e-3, this.end); // how fast the film runs from here on
    const slower = 1e-3 / (between(knots, ahead, 1, 0) - between(knots, ahead - 1e-3, 1, 0)) / this.speed.value;
    this.picture.show(this.time);
    this.root.dataset.time = this.time;
    this.slider.value = this.shown;
    this.slider.setAttribute("aria-valuetext", amount(this.time, clock));
    this.now.textContent = `${amount(this.time, clock)} of ${amount(length, clock)}`
      + (Number.isFinite(slower) ? `, ${rounded(slower)} × slower` : "");
    this.caption.textContent = events[this.happened() - 1]?.[1] ?? "";
    if (tell) this.told.textContent = this.caption.textContent;
    this.play.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
  }

  start() {
    if (this.shown >= this.end) this.go(0);
    this.playing = true;
    this.last = performance.now();
    this.asked = requestAnimationFrame(clock => this.tick(clock));
    this.show(true);
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.asked);
    this.show(true);
  }

  tick(clock) {
    const passed = ((clock - this.last) / 1000) * this.speed.value;
    if (!this.calm.matches || passed > 1.5) { // less motion: from event to event, and nothing in between
      if (this.calm.matches) this.jump(this.scene.events[this.happened()], this.end);
      else this.go(this.shown + Math.min(passed, 0.5)); // a page out of sight gets no frames: it goes on from there
      this.last = clock;
      this.playing = this.shown < this.end;
      const tell = !this.playing || clock - this.spoken > 2000; // a screen reader cannot follow each event
      if (tell) this.spoken = clock;
      this.show(tell);
    }
    if (this.playing) this.asked = requestAnimationFrame(next => this.tick(next));
  }

  close() {
    this.stop();
    this.model.off("msg:custom", this.out.heard);
    for (const [name, handler] of Object.entries(this.watched)) this.model.off(name, handler);
  }
}

export default {
  render({ model, el }) {
    const stage = new Stage(model, el);
    return () => stage.close();
  },
};
