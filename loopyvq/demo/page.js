// One choice of a threshold for the whole page, and a square that points at the same site in all
// three pictures. Without this script the page shows the middle threshold.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const choices = all('input[name="point"]');

  const choose = (point) => {
    for (const node of all("[data-show]")) {
      node.toggleAttribute("hidden", node.dataset.show !== point);
    }
    for (const node of all("[data-mark]")) {
      node.classList.toggle("current", node.dataset.mark === point);
    }
  };
  for (const choice of choices) {
    choice.addEventListener("change", () => choose(choice.value));
  }
  document.documentElement.classList.add("js");
  const chosen = choices.find((choice) => choice.checked);
  if (chosen) choose(chosen.value);

  const sizes = (photo) => ["width", "height", "factor"].map((name) => Number(photo.dataset[name]));

  const point = (photo, frame, event) => {
    const [width, height, factor] = sizes(photo);
    const box = frame.getBoundingClientRect();
    const inside = (share) => Math.min(0.9999, Math.max(0, share));
    const column = Math.floor((inside((event.clientX - box.left) / box.width) * width) / factor);
    const row = Math.floor((inside((event.clientY - box.top) / box.height) * height) / factor);
    for (const spot of all(".spot", photo)) {
      spot.style.left = `${(100 * column * factor) / width}%`;
      spot.style.top = `${(100 * row * factor) / height}%`;
      spot.style.width = `${(100 * factor) / width}%`;
      spot.style.height = `${(100 * factor) / height}%`;
    }
    const map = photo.querySelector("[data-lengths]:not([hidden])");
    const lengths = map.dataset.lengths.split(",");
    const length = Number(lengths[row * Math.ceil(width / factor) + column]);
    photo.querySelector(".readout").textContent = length === 1 ? "this site: 1 token" : `this site: ${length} tokens`;
    photo.classList.add("pointing");
  };

  for (const photo of all(".photo")) {
    for (const frame of all(".frame", photo)) {
      frame.addEventListener("pointermove", (event) => point(photo, frame, event));
      frame.addEventListener("pointerleave", () => photo.classList.remove("pointing"));
    }
  }
})();
