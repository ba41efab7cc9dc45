"use strict";
const SVG = "http://www.w3.org/2000/svg";
const short = (value) => (value === null ? "failed" : Number(value.toPrecision(3)).toString());

// A chart that tells its values at the pointer, or at the place chosen by the arrow keys.
function readable(svg) {
  const xs = JSON.parse(svg.dataset.x);
  const places = JSON.parse(svg.dataset.places);
  const frame = svg.querySelector(".axes rect");
  const read = svg.parentElement.querySelector(".read");
  svg.tabIndex = 0;
  let at = null;
  const cursor = document.createElementNS(SVG, "path");
  cursor.setAttribute("class", "cursor");
  svg.append(cursor);

  // The horizon or radius at which the values are read, for hands and keys that a pointer does not suit.
  let slider = null;
  if ("slider" in svg.dataset && svg.closest(".charts")) {
    const row = document.createElement("label");
    slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: xs.length - 1, value: xs.length - 1 });
    row.className = "row";
    row.append(`${svg.dataset.unit} `, slider);
    svg.after(row);
    slider.addEventListener("input", () => show(Number(slider.value)));
  }

  const show = (index) => {
    at = Math.min(Math.max(index, 0), xs.length - 1);
    const top = Number(frame.getAttribute("y"));
    cursor.setAttribute("d", `M${places[at]} ${top}v${frame.getAttribute("height")}`);
    const known = Array.from(svg.querySelectorAll(".curve:not(.off)"), (curve) => {
      const values = JSON.parse(curve.dataset.y);
      return at < values.length ? `${curve.dataset.name} ${short(values[at])}` : null;
    });
    read.textContent = `${svg.dataset.unit} ${short(xs[at])}: ${known.filter(Boolean).join(", ")}`;
    if (slider) {
      slider.value = at;
      slider.setAttribute("aria-valuetext", `${svg.dataset.unit} ${short(xs[at])}`);
    }
  };
  const hide = () => { cursor.removeAttribute("d"); read.textContent = ""; at = null; };
  svg.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let nearest = 0;
    places.forEach((place, i) => { if (Math.abs(place - point.x) < Math.abs(places[nearest] - point.x)) nearest = i; });
    show(nearest);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    show((at ?? (move > 0 ? -1 : xs.length)) + move);
  });
}
