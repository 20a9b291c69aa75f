// The line at the end of a playground. Where it is, JupyterLab's single-key shortcuts are not for the controls around it:
// by arrow down it would go to the next cell, and not to a menu's next entry. It looks at what has the focus.

function render({ model, el }) {
  el.append(Object.assign(document.createElement("small"), { textContent: model.get("words") }));
  const ours = event => {
    if (el.closest(".widget-vbox")?.contains(event.target)) event.target.dataset.lmSuppressShortcuts = "true";
  };
  document.addEventListener("focusin", ours);
  return () => document.removeEventListener("focusin", ours);
}

export default { render };
