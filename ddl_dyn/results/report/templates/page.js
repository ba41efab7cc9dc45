"use strict";
(() => {
  const texts = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // A cell that repeats the one above it steps back, in whatever order the rows stand.
  function quieten(body) {
    let above = [];
    for (const row of body.rows) {
      let same = true;
      Array.from(row.cells).slice(0, 2).forEach((cell, i) => {
        same = same && above[i] === cell.textContent;
        cell.classList.toggle("again", same);
        above[i] = cell.textContent;
      });
    }
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
    quieten(body);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = Array.from(table.tHead.rows[0].cells);
    Array.from(table.tBodies[0].rows).forEach((row, place) => { row.dataset.place = place; });
    quieten(table.tBodies[0]);
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = ["none", "ascending", "descending"];
        const next = order[(order.indexOf(heading.getAttribute("aria-sort")) + 1) % order.length];
        for (const other of headings) other.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", next);
        sort(table, column, { none: 0, ascending: 1, descending: -1 }[next]);
      });
    });
  }

  // Folded figures belong on paper, unfolded only for that long.
  const folded = () => document.querySelectorAll("details.printed:not([open])");
  let opened = [];
  window.addEventListener("beforeprint", () => { opened = Array.from(folded()); opened.forEach((d) => { d.open = true; }); });
  window.addEventListener("afterprint", () => { opened.forEach((d) => { d.open = false; }); opened = []; });
})();
