"use strict";
(() => {
  const texts = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // Tables: sorting by a click on a heading.

  // A task, protocol or test that repeats the one above it steps back, in whatever order the rows stand.
  function quieten(table) {
    const titles = Array.from(headings(table), (cell) => cell.textContent);
    for (const column of ["task", "protocol", "test"].map((name) => titles.indexOf(name)).filter((i) => i > 0)) {
      let above = null;
      for (const row of table.tBodies[0].querySelectorAll("tr:not(.off)")) {
        row.cells[column].classList.toggle("again", above === row.cells[column].textContent);
        above = row.cells[column].textContent;
      }
    }
  }

  function headings(table) {
    return table.querySelector("tr.headings").cells;
  }

  function key(row, column) {
    const cell = row.cells[column];
    if ("order" in cell.dataset) {
      const value = Number(cell.dataset.order);
      return Number.isNaN(value) ? cell.dataset.order : value;
    }
    return cell.classList.contains("number") ? null : cell.textContent;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
    return texts.compare(String(a), String(b));
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    rows.sort((first, second) => {
      const a = direction ? key(first, column) : Number(first.dataset.place);
      const b = direction ? key(second, column) : Number(second.dataset.place);
      // What has no value stands last in either direction.
      if (a === null || b === null) return (a === null) - (b === null);
      return (direction || 1) * compare(a, b);
    });
    body.append(...rows);
    quieten(table);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const cells = Array.from(headings(table));
    Array.from(table.tBodies[0].rows).forEach((row, place) => { row.dataset.place = place; });
    quieten(table);
    cells.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = ["none", "ascending", "descending"];
        const next = order[(order.indexOf(heading.getAttribute("aria-sort")) + 1) % order.length];
        for (const other of cells) other.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", next);
        sort(table, column, { none: 0, ascending: 1, descending: -1 }[next]);
      });
    });
  }

  // A table wider than its box says so, until its end is reached.
  const boxes = Array.from(document.querySelectorAll(".scroll"));
  const measure = (box) => box.classList.toggle("wide", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
  const widths = new ResizeObserver((entries) => entries.forEach((entry) => measure(entry.target)));
  for (const box of boxes) {
    widths.observe(box);
    box.addEventListener("scroll", () => measure(box), { passive: true });
  }

  // Legend: a model is hidden everywhere on the page.
  for (const entry of document.querySelectorAll(".model[data-toggle]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "model";
    button.dataset.toggle = entry.dataset.toggle;
    button.title = "Show or hide this model everywhere on the page";
    button.append(...entry.childNodes);
    button.setAttribute("aria-pressed", "true");
    entry.replaceWith(button);
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      for (const part of document.querySelectorAll("[data-model]")) {
        if (part.dataset.model === button.dataset.toggle) part.classList.toggle("off", !shown);
      }
      for (const table of document.querySelectorAll("table.sortable")) quieten(table);
      for (const plane of planes) plane.tell();
      for (const space of spaces) space.draw();
    });
  }

  for (const svg of document.querySelectorAll(".charts .chart > svg, .glance .chart > svg")) readable(svg);

  // Phase planes: trajectories of maps that lie on a grid, from any start.

  // Catmull–Rom weights of four neighbours.
  function weights(t) {
    return [
      t * (-0.5 + t * (1 - 0.5 * t)), 1 + t * t * (1.5 * t - 2.5), t * (0.5 + t * (2 - 1.5 * t)), t * t * (0.5 * t - 0.5),
    ];
  }

  // The steps of a map, component by component, with one more row of points around the grid.
  function nodes(map, side) {
    const bytes = Uint8Array.from(atob(map.units), (letter) => letter.charCodeAt(0));
    const units = new DataView(bytes.buffer);
    const wide = side + 2;
    return [0, 1].map((d) => {
      const values = new Float64Array(wide * wide);
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++) {
          values[(i + 1) * wide + j + 1] = units.getInt16(2 * (2 * (i * side + j) + d), true) * map.scale[d];
        }
      }
      const extend = (place, inward) => {
        values[place] = 3 * values[place + inward] - 3 * values[place + 2 * inward] + values[place + 3 * inward];
      };
      for (let j = 1; j <= side; j++) { extend(j, wide); extend((wide - 1) * wide + j, -wide); }
      for (let i = 0; i < wide; i++) { extend(i * wide, 1); extend(i * wide + wide - 1, -1); }
      return values;
    });
  }

  class Plane {
    constructor(figure) {
      Object.assign(this, JSON.parse(figure.dataset.plane), { figure, starts: [] });
      this.svg = figure.querySelector(".board > svg");
      this.form = figure.querySelector("form");
      this.fields = this.maps.map((map) => nodes(map, this.side));
      this.paths = Array.from(figure.querySelectorAll(".trajectory"));
      this.listen();
      figure.hidden = false;
      this.add(this.start);
    }

    listen() {
      this.svg.addEventListener("click", (event) => {
        const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
        const [left, right, bottom, top] = this.frame;
        const start = [
          this.low[0] + (point.x - left) / (right - left) * (this.high[0] - this.low[0]),
          this.low[1] + (point.y - bottom) / (top - bottom) * (this.high[1] - this.low[1]),
        ];
        if (this.inside(start)) this.add(start);
      });
      const { start0, start1, steps, clear } = this.form.elements;
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.add([Number(start0.value), Number(start1.value)]);
      });
      clear.addEventListener("click", () => { this.starts = []; this.draw(); });
      steps.addEventListener("input", () => this.draw());
    }

    inside(state) {
      return state.every((value, d) => value >= this.low[d] && value <= this.high[d]);
    }

    // Next state under map m; null where the state lies outside the plane.
    next(m, state) {
      if (!this.inside(state)) return null;
      const wide = this.side + 2;
      const cells = [];
      const shares = state.map((value, d) => {
        const place = (value - this.low[d]) / (this.high[d] - this.low[d]) * (this.side - 1);
        cells.push(Math.min(Math.floor(place), this.side - 2));
        return weights(place - cells[d]);
      });
      return state.map((value, d) => {
        let moved = value;
        for (let i = 0; i < 4; i++) {
          for (let j = 0; j < 4; j++) {
            moved += shares[0][i] * shares[1][j] * this.fields[m][d][(cells[0] + i) * wide + cells[1] + j];
          }
        }
        return moved;
      });
    }

    iterate(m, start, steps) {
      const states = [start];
      while (states.length <= steps) {
        const state = this.next(m, states[states.length - 1]);
        if (state === null) break;
        states.push(state);
      }
      return states;
    }

    place(state) {
      const [left, right, bottom, top] = this.frame;
      return [
        left + (state[0] - this.low[0]) / (this.high[0] - this.low[0]) * (right - left),
        bottom + (state[1] - this.low[1]) / (this.high[1] - this.low[1]) * (top - bottom),
      ];
    }

    add(start) {
      this.starts.push(start);
      this.form.elements.start0.value = Number(start[0].toPrecision(4));
      this.form.elements.start1.value = Number(start[1].toPrecision(4));
      this.draw();
    }

    draw() {
      const steps = Number(this.form.elements.steps.value);
      this.form.elements.count.value = steps;
      const write = (state) => this.place(state).map((value) => value.toFixed(3)).join(" ");
      this.runs = this.maps.map((_, m) => this.starts.map((start) => this.iterate(m, start, steps)));
      this.runs.forEach((runs, m) => {
        const parts = runs.map((states) => (
          this.kind === "map" ? states.map((state) => `M${write(state)}h0`).join("") : `M${states.map(write).join("L")}`
        ));
        this.paths[m].setAttribute("d", parts.join(""));
      });
      this.figure.querySelector(".starts").replaceChildren(...this.starts.map((start) => {
        const circle = document.createElementNS(SVG, "circle");
        const [x, y] = this.place(start);
        for (const [name, value] of [["cx", x], ["cy", y], ["r", 4]]) circle.setAttribute(name, value);
        return circle;
      }));
      this.tell();
    }

    // Where the last trajectories end, in words.
    tell() {
      const lines = [];
      const last = this.starts[this.starts.length - 1];
      const point = (state) => `(${state.map((value) => short(value)).join(", ")})`;
      if (last) {
        lines.push(`From ${this.names.join(", ")} = ${point(last)}:`);
        this.maps.forEach((map, m) => {
          if (this.paths[m].classList.contains("off")) return;
          const states = this.runs[m][this.starts.length - 1];
          const end = states[states.length - 1];
          lines.push(`${map.name}: ${point(end)} after ${states.length - 1} steps${this.inside(end) ? "" : ", outside the plane"}`);
        });
      }
      this.figure.querySelector(".end").replaceChildren(...lines.map((line) => {
        const paragraph = document.createElement("p");
        paragraph.textContent = line;
        return paragraph;
      }));
    }
  }

  const planes = Array.from(document.querySelectorAll("figure.plane"), (figure) => new Plane(figure));

  // Orbits in space: seen from any side, far ones paler.

  class Space {
    constructor(figure) {
      Object.assign(this, JSON.parse(figure.dataset.space), { figure });
      this.canvas = figure.querySelector("canvas");
      this.form = figure.querySelector("form");
      this.entries = Array.from(figure.querySelectorAll(".run"));
      for (const run of this.runs) {
        const bytes = Uint8Array.from(atob(run.units), (letter) => letter.charCodeAt(0));
        const view = new DataView(bytes.buffer);
        run.states = Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true) / 32000);
      }
      figure.hidden = false;
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }

    listen() {
      const { turn, tilt } = this.form.elements;
      this.form.addEventListener("input", () => this.draw());
      this.form.addEventListener("submit", (event) => event.preventDefault());
      const move = (right, up) => {
        turn.value = (Number(turn.value) + right + 540) % 360 - 180;
        tilt.value = Number(tilt.value) + up;
        this.draw();
      };
      this.canvas.addEventListener("pointermove", (event) => {
        if (event.buttons) move(-event.movementX / 2, event.movementY / 2);
      });
      this.canvas.addEventListener("pointerdown", (event) => this.canvas.setPointerCapture(event.pointerId));
      this.canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [5, 0], ArrowRight: [-5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
        if (!step) return;
        event.preventDefault();
        move(...step);
      });
    }

    // Right, up (both in box sizes) and nearness of a state whose components lie in [-1, 1].
    seen(x, y, z) {
      const along = x * this.cos + y * this.sin;
      return [
        -x * this.sin + y * this.cos, z * this.cosTilt - along * this.sinTilt, along * this.cosTilt + z * this.sinTilt,
      ];
    }

    draw() {
      const { turn, tilt, turned, tilted } = this.form.elements;
      turned.value = `${turn.value}°`;
      tilted.value = `${tilt.value}°`;
      [this.cos, this.sin, this.cosTilt, this.sinTilt] = [Math.cos, Math.sin].map((f) => f(turn.value * Math.PI / 180))
        .concat([Math.cos, Math.sin].map((f) => f(tilt.value * Math.PI / 180)));
      const dots = window.devicePixelRatio || 1;
      const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
      if (!width || !height) return;
      Object.assign(this.canvas, { width: width * dots, height: height * dots });
      const pen = this.canvas.getContext("2d");
      pen.scale(dots, dots);
      const unit = Math.min(width, height) / 3.7;
      this.place = (x, y, z) => {
        const [right, up, near] = this.seen(x, y, z);
        return [width / 2 + right * unit, height / 2 - up * unit, near];
      };
      const colours = getComputedStyle(this.figure);
      this.frame(pen, colours.getPropertyValue("--line"), colours.getPropertyValue("--soft"));
      this.runs.forEach((run, r) => {
        if (!this.entries[r].classList.contains("off")) this.orbits(pen, run, run.colour || colours.getPropertyValue("--ink"));
      });
      pen.globalAlpha = 1;
    }

    frame(pen, line, ink) {
      pen.lineWidth = 1;
      pen.font = "13px system-ui, sans-serif";
      pen.textAlign = "center";
      const centre = this.place(0, 0, 0);
      for (let d = 0; d < 3; d++) {
        let outermost = [0, 0, -1];
        for (const [a, b] of [[-1, -1], [-1, 1], [1, -1], [1, 1]]) {
          const ends = [-1, 1].map((value) => {
            const state = [a, b];
            state.splice(d, 0, value);
            return this.place(...state);
          });
          pen.strokeStyle = line;
          pen.beginPath();
          pen.moveTo(ends[0][0], ends[0][1]);
          pen.lineTo(ends[1][0], ends[1][1]);
          pen.stroke();
          const middle = [0, 1].map((i) => (ends[0][i] + ends[1][i]) / 2 - centre[i]);
          const away = Math.hypot(...middle) + (middle[1] > 0 ? 1 : 0);
          if (away > outermost[2]) outermost = [...middle, away];
        }
        // A name stands outside the box, by the edge that lies farthest out.
        pen.fillStyle = ink;
        pen.fillText(this.names[d], centre[0] + 1.18 * outermost[0], centre[1] + 1.18 * outermost[1]);
      }
    }

    orbits(pen, run, colour) {
      const length = run.states.length / 3 / run.count;
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = 1.1;
      // Three passes, from far to near.
      for (const [from, to, shade] of [[-9, -0.45, 0.3], [-0.45, 0.45, 0.6], [0.45, 9, 0.95]]) {
        pen.globalAlpha = shade;
        pen.beginPath();
        for (let i = 0; i < run.states.length / 3; i++) {
          const [x, y, z] = run.states.subarray(3 * i, 3 * i + 3);
          if (x < -1.02 || (this.kind !== "map" && i % length === 0)) continue;
          const [right, down, near] = this.place(x, y, z);
          if (near < from || near >= to) continue;
          if (this.kind === "map") {
            pen.rect(right - 1, down - 1, 2, 2);
            continue;
          }
          const before = run.states.subarray(3 * i - 3, 3 * i);
          if (before[0] < -1.02) continue;
          const start = this.place(...before);
          pen.moveTo(start[0], start[1]);
          pen.lineTo(right, down);
        }
        if (this.kind === "map") pen.fill(); else pen.stroke();
      }
    }
  }

  const spaces = Array.from(document.querySelectorAll("figure.space"), (figure) => new Space(figure));

  // Folded tables and figures belong on paper, unfolded only for that long.
  const folded = () => document.querySelectorAll("details.printed:not([open])");
  let opened = [];
  window.addEventListener("beforeprint", () => { opened = Array.from(folded()); opened.forEach((d) => { d.open = true; }); });
  window.addEventListener("afterprint", () => { opened.forEach((d) => { d.open = false; }); opened = []; });
})();
