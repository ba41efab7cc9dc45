"use strict";
(() => {
  // Height of both drawings and their margins, in CSS pixels; share of an axis above which what failed stands.
  const HEIGHT = 340, TOP = 46, BOTTOM = 34, LEFT = 64, RIGHT = 64, GAP = 104, NUMBERS = 0.92;
  const MOST_AXES = 12, MOST_ROWS = 300;
  const texts = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const form = document.getElementById("choice");
  const kept = new Map();
  const brushes = new Map();
  let data, axes, hot = null;

  const byName = (name) => axes.find((axis) => axis.name === name);
  const selected = (field) => byName(form.elements[field].value);

  // Share of an axis's length for each value: numbers by size, texts in order, what failed at the far end.
  function prepare(axis) {
    const known = axis.values.filter((value) => typeof value === "number");
    const failed = axis.kind === "number" && axis.values.includes("failed");
    const top = failed ? NUMBERS : 1;
    let place, marks;
    if (axis.kind === "text") {
      const names = [...new Set(axis.values.filter((value) => value !== null))].sort(texts.compare);
      place = (value) => (names.length > 1 ? names.indexOf(value) / (names.length - 1) : 0.5);
      marks = names.map((name) => [place(name), name]);
      if (marks.length > 16) marks = marks.filter((_, i) => i % Math.ceil(marks.length / 16) === 0);
    } else {
      const scale = axis.log ? Math.log : (value) => value;
      const [low, high] = [Math.min(...known), Math.max(...known)];
      const span = scale(high) - scale(low) || 1;
      place = (value) => (value === "failed" ? 1 : known.length && high > low ? top * (scale(value) - scale(low)) / span : top / 2);
      const distinct = [...new Set(known)].sort((a, b) => a - b);
      // Settings are chosen and few; scores fall anywhere.
      const chosen = !axis.score && distinct.length <= 6;
      const few = chosen || distinct.length < 2 ? distinct : [0, 1, 2, 3, 4].map((i) => (
        axis.log ? low * (high / low) ** (i / 4) : low + (high - low) * i / 4
      ));
      marks = few.map((value) => [place(value), digits(value, chosen ? 4 : 2)]);
      marks = marks.filter(([share], i) => i === 0 || share - marks[i - 1][0] > 0.05);
      if (failed) marks.push([1, "failed"]);
    }
    return Object.assign(axis, { marks, at: axis.values.map((value) => (value === null ? null : place(value))) });
  }

  // Colours of the best, of the worst, and between: those of the page, which differ in the dark.
  function colours(score) {
    const style = getComputedStyle(document.body);
    const stops = [0, 1, 2, 3].map((i) => {
      const text = style.getPropertyValue(`--scale${i}`).trim();
      return [1, 3, 5].map((from) => parseInt(text.slice(from, from + 2), 16));
    });
    const blend = (share) => {
      const i = Math.min(Math.floor(3 * share), 2);
      return `rgb(${stops[i].map((value, c) => Math.round(value + (3 * share - i) * (stops[i + 1][c] - value))).join(" ")})`;
    };
    const numbers = score.at.filter((_, i) => typeof score.values[i] === "number");
    const high = Math.max(...numbers, 1e-9);
    return score.values.map((value, i) => (typeof value === "number" ? blend(Math.min(score.at[i] / high, 1)) : "var(--soft)"));
  }

  const isKept = (i) => [...kept].every(([name, [low, high]]) => {
    const at = byName(name).at[i];
    return at !== null && at >= low - 1e-9 && at <= high + 1e-9;
  });

  // From the worst to the best, so that the best lie on top.
  function drawingOrder(score) {
    const rank = (i) => (typeof score.values[i] === "number" ? score.values[i] : Infinity);
    return data.runs.map((_, i) => i).sort((a, b) => rank(b) - rank(a) || a - b);
  }

  function heading(axis, x) {
    const cut = axis.title.lastIndexOf(".");
    const parts = axis.score ? ["score", axis.title.split(",")[0]] : [axis.title.slice(0, cut + 1), axis.title.slice(cut + 1)];
    const group = drawing("g", { class: "name", "text-anchor": "middle" }, drawing("title", {}, axis.title));
    parts.forEach((part, i) => {
      const short = part.length > 15 ? `${part.slice(0, 14)}…` : part;
      group.append(drawing("text", { x, y: TOP - 28 + 15 * i, class: i ? "" : "soft" }, short));
    });
    return group;
  }

  function drawParallel(score) {
    const shown = [...data.settings.slice(0, MOST_AXES), score];
    const svg = document.getElementById("parallel");
    const room = svg.parentElement.clientWidth;
    const width = Math.max(room - 8, LEFT + RIGHT + GAP * (shown.length - 1));
    const places = shown.map((_, k) => (shown.length > 1 ? LEFT + k * (width - LEFT - RIGHT) / (shown.length - 1) : width / 2));
    const up = (share) => HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
    for (const [key, value] of [["width", width], ["height", HEIGHT], ["viewBox", `0 0 ${width} ${HEIGHT}`]]) svg.setAttribute(key, value);
    const tint = colours(score);
    const lines = drawingOrder(score).map((i) => {
      let pen = "M";
      const path = shown.map((axis, k) => {
        if (axis.at[i] === null) { pen = "M"; return ""; }
        const step = `${pen}${places[k].toFixed(1)} ${up(axis.at[i]).toFixed(1)}`;
        pen = "L";
        return step;
      }).join("");
      const line = drawing("path", { class: `run${score.values[i] === "failed" ? " failed" : ""}`, d: path, "data-i": i });
      line.style.stroke = tint[i];
      return line;
    });
    brushes.clear();
    const rails = shown.map((axis, k) => {
      const group = drawing("g", { class: "axis" }, heading(axis, places[k]), drawing("path", { d: `M${places[k]} ${up(0)}V${up(1)}` }));
      for (const [share, text] of axis.marks) {
        const label = text.length > 14 ? `${text.slice(0, 13)}…` : text;
        group.append(drawing("text", { x: places[k] + 6, y: up(share) + 4, class: "mark" }, label, drawing("title", {}, text)));
      }
      const brush = drawing("rect", { class: "brush", x: places[k] - 6, width: 12 });
      group.append(brush);
      brushes.set(axis.name, ([low, high]) => {
        brush.setAttribute("y", up(high) - 3);
        brush.setAttribute("height", high < low ? 0 : up(low) - up(high) + 6);
      });
      const grip = drawing("rect", { class: "grip", x: places[k] - 14, width: 28, y: TOP - 6, height: HEIGHT - TOP - BOTTOM + 12 });
      grip.addEventListener("pointerdown", (event) => startBrush(event, axis, svg, up));
      group.append(grip);
      return group;
    });
    svg.replaceChildren(...lines, ...rails);
  }

  // Which runs are kept has changed: they are marked, and not drawn anew, so that thousands follow the pointer.
  function mark() {
    for (const [name, place] of brushes) place(kept.get(name) || [1, 0]);
    const out = data.runs.map((_, i) => !isKept(i));
    for (const part of document.querySelectorAll("svg .run")) part.classList.toggle("out", out[part.dataset.i]);
    drawTable(selected("score"));
  }

  let marking = null;
  function markSoon() {
    if (marking === null) marking = requestAnimationFrame(() => { marking = null; mark(); });
  }

  function startBrush(event, axis, svg, up) {
    event.preventDefault();
    const share = (one) => {
      const point = new DOMPoint(one.clientX, one.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const found = (up(0) - point.y) / (up(0) - up(1));
      // An end is meant by whoever comes near it.
      return found < 0.04 ? 0 : found > 0.96 ? 1 : found;
    };
    const from = share(event);
    const move = (one) => {
      const to = share(one);
      if (Math.abs(to - from) < 0.015) kept.delete(axis.name); else kept.set(axis.name, [Math.min(from, to), Math.max(from, to)]);
      markSoon();
    };
    const end = () => { window.removeEventListener("pointermove", move); };
    kept.delete(axis.name);
    markSoon();
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end, { once: true });
    window.addEventListener("pointercancel", end, { once: true });
  }

  function drawScatter(score) {
    const [x, y] = [selected("x"), selected("y")];
    const svg = document.getElementById("scatter");
    const width = Math.max(Math.min(svg.parentElement.clientWidth - 8, 760), 320);
    const left = 96, right = 22, top = 14, bottom = 48;
    const across = (share) => left + share * (width - left - right);
    const up = (share) => HEIGHT - bottom - share * (HEIGHT - bottom - top);
    for (const [key, value] of [["width", width], ["height", HEIGHT], ["viewBox", `0 0 ${width} ${HEIGHT}`]]) svg.setAttribute(key, value);
    const group = drawing("g", { class: "axes", "aria-hidden": "true" });
    const crowded = Math.ceil(x.marks.length / (width / 90));
    x.marks.forEach(([share, text], k) => {
      if (k % crowded) return;
      group.append(drawing("path", { d: `M${across(share)} ${up(-0.02)}V${up(1.02)}` }));
      group.append(drawing("text", { x: across(share), y: HEIGHT - bottom + 20, "text-anchor": "middle" }, text.slice(0, 14)));
    });
    for (const [share, text] of y.marks) {
      group.append(drawing("path", { d: `M${across(-0.02)} ${up(share)}H${across(1.02)}` }));
      group.append(drawing("text", { x: left - 14, y: up(share) + 4, "text-anchor": "end" }, text.slice(0, 10)));
    }
    group.append(drawing("text", { x: (left + width - right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, x.title));
    group.append(drawing("text", { transform: "rotate(-90)", x: -(top + HEIGHT - bottom) / 2, y: 13, "text-anchor": "middle" }, y.title.slice(0, 52)));
    const tint = colours(score);
    const points = drawingOrder(score).filter((i) => x.at[i] !== null && y.at[i] !== null).map((i) => {
      const failed = score.values[i] === "failed" || y.values[i] === "failed";
      const dot = drawing("circle", { class: `run${failed ? " failed" : ""}`, cx: across(x.at[i]), cy: up(y.at[i]), r: 5, "data-i": i });
      dot.style.fill = failed ? "none" : tint[i];
      dot.style.stroke = tint[i];
      return dot;
    });
    svg.replaceChildren(group, ...points);
  }

  function drawScale(score) {
    const known = score.values.filter((value) => typeof value === "number");
    const bar = document.getElementById("scale");
    bar.hidden = known.length === 0;
    bar.replaceChildren(
      element("span", { textContent: digits(Math.min(...known)) }), element("span", { className: "ramp" }),
      element("span", { textContent: `${digits(Math.max(...known))} ${score.title}` }),
    );
  }

  function drawTable(score) {
    const columns = [...data.settings.slice(0, MOST_AXES), ...data.scores];
    const order = drawingOrder(score).reverse().filter(isKept);
    const table = document.getElementById("numbers");
    table.tHead.replaceChildren(element("tr", { className: "headings" }, element("th", { scope: "col", textContent: "run" }), ...columns.map((axis) => (
      element("th", { scope: "col", className: axis.kind === "number" ? "number" : "", textContent: axis.title })
    ))));
    table.tBodies[0].replaceChildren(...order.slice(0, MOST_ROWS).map((i) => {
      const row = element(
        "tr", {}, element("th", { scope: "row", className: "run" }, element("a", { href: `${base}/run/${data.runs[i].id}`, textContent: data.runs[i].id })),
        ...columns.map((axis) => element("td", { className: axis.kind === "number" ? "number" : "words", textContent: digits(axis.values[i]) })),
      );
      row.dataset.i = i;
      return row;
    }));
    const left = [`${digits(order.length)} of ${digits(data.runs.length)} runs`, order.length > MOST_ROWS && `the first ${MOST_ROWS} in the table`];
    document.getElementById("table-title").textContent = `Numbers: ${left.filter(Boolean).join(", ")}`;
  }

  function draw() {
    const score = selected("score");
    if (data.settings.length) drawParallel(score);
    drawScatter(score);
    drawScale(score);
    mark();
  }

  // One run brought forward in both drawings, with its numbers in words.
  function point(i) {
    if (hot === i) return;
    hot = i;
    for (const other of document.querySelectorAll(".hot")) other.classList.remove("hot");
    const read = document.getElementById("read");
    if (i === null) { read.textContent = ""; return; }
    for (const part of document.querySelectorAll(`svg [data-i="${i}"]`)) part.classList.add("hot");
    const told = [...data.settings.slice(0, MOST_AXES), selected("score")].map((axis) => `${axis.title} ${digits(axis.values[i])}`);
    read.textContent = `${data.runs[i].id} (${data.runs[i].title}): ${told.join(", ")}`;
  }

  for (const place of [document.getElementById("parallel"), document.getElementById("scatter"), document.getElementById("numbers")]) {
    const of = (event) => event.target.closest("[data-i]");
    for (const kind of ["pointerover", "focusin"]) place.addEventListener(kind, (event) => point(of(event) ? Number(of(event).dataset.i) : null));
    place.addEventListener("pointerleave", () => point(null));
  }
  for (const id of ["parallel", "scatter"]) {
    document.getElementById(id).addEventListener("click", (event) => {
      const run = event.target.closest(".run");
      if (run) location.href = `${base}/run/${data.runs[Number(run.dataset.i)].id}`;
    });
  }

  function begin(found) {
    data = found;
    for (const score of data.scores) score.score = true;
    axes = [...data.settings, ...data.scores].map(prepare);
    const told = document.getElementById("told");
    const left = data.left.length ? ` Left out: ${data.left.map((one) => `${one.id} (${one.reason})`).join("; ")}.` : "";
    const names = data.settings.map((axis) => axis.title);
    told.textContent = (names.length ? `They differ in ${names.join(", ")}.` : "They differ in no setting.") + left;
    if (names.length > MOST_AXES) told.textContent += ` Drawn are the first ${MOST_AXES}.`;
    if (!data.scores.length) {
      told.textContent += " None of them has a score yet.";
      return;
    }
    const options = (list) => list.map((axis) => element("option", { value: axis.name, textContent: axis.title }));
    form.elements.score.replaceChildren(...options(data.scores));
    form.elements.x.replaceChildren(...options(axes));
    form.elements.y.replaceChildren(...options([...data.scores, ...data.settings]));
    const first = data.settings.find((axis) => axis.kind === "number") || axes[0];
    form.elements.x.value = first.name;
    form.elements.y.value = data.scores[0].name;
    for (const id of ["choice", "scatter-part", "table-part"]) document.getElementById(id).hidden = false;
    document.getElementById("parallel-part").hidden = data.settings.length === 0;
    form.addEventListener("change", (event) => {
      if (event.target.name === "score") form.elements.y.value = form.elements.score.value;
      kept.clear();
      draw();
    });
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - width) > 1) { width = entry.contentRect.width; draw(); }
    }).observe(document.getElementById("content"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
  }

  keepLooking(async () => {
    begin(await ask(`compare.json?${document.body.dataset.query}`));
    return 0;
  });
})();
