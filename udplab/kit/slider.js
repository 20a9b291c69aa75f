// A range input and a field for the number; both set the model's value, and show it when Python has set it.

function render({ model, el }) {
  const [words, low, high, step, unit] = ["words", "low", "high", "step", "unit"].map(name => model.get(name));
  const root = el.appendChild(Object.assign(document.createElement("div"), { className: "udplab-slider" }));
  const name = document.createElement("span");
  const reach = [low, high].map(end => end.toLocaleString("en")).join(" to ");
  name.textContent = `${words} (${reach}${unit && ` ${unit}`})`;
  const inputs = ["range", "number"].map(type => Object.assign(document.createElement("input"), {
    type, min: low, max: high, step, ariaLabel: type === "range" ? name.textContent : `${name.textContent}, typed`,
  }));
  // JupyterLab's single-key shortcuts are not for what is typed here. (It looks at what has the focus, then upwards.)
  for (const input of inputs) input.dataset.lmSuppressShortcuts = "true";
  root.append(name, ...inputs);

  function show() {
    for (const input of inputs) if (Number(input.value) !== model.get("value") || input.value === "") input.value = model.get("value");
  }

  function set(input) {
    const wanted = input.valueAsNumber;
    if (Number.isFinite(wanted)) {
      const inside = Math.min(Math.max(wanted, low), high);
      model.set("value", Number.isInteger(step) ? Math.round(inside) : inside);
      model.save_changes();
    }
    show();
  }

  inputs[0].addEventListener("input", () => set(inputs[0]));
  inputs[1].addEventListener("change", () => set(inputs[1])); // by Tab or the arrows: not at each digit
  inputs[1].addEventListener("keydown", event => { // in JupyterLab, Enter makes no "change"
    if (event.key === "Enter") set(inputs[1]);
  });
  model.on("change:value", show);
  show();
  return () => model.off("change:value", show);
}

export default { render };
