"use strict";
(() => {
  const FIRST = 200;
  const texts = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const lines = new Map();
  const rows = new Map();
  const chosen = new Set(JSON.parse(sessionStorage.getItem("chosen") || "[]"));
  const form = document.getElementById("filters");
  const body = document.querySelector("#runs tbody");
  const heads = Array.from(document.querySelectorAll("#runs [data-sort]"));
  let version = 0;
  let pending = 0;
  let order = { key: "", direction: 1 };
  let most = FIRST;
  let found = [];

  const isGrid = (line) => line.kind === "sweep" || line.kind === "compare";
  const listed = (line, name) => (line[name] || "").split(",").filter(Boolean);

  // Filters stand in the address, so that they survive a reload and can be linked to.
  const filters = () => Object.fromEntries(Array.from(new FormData(form)).filter(([, value]) => value));

  function fits(line, wanted) {
    for (const [name, value] of Object.entries(wanted)) {
      if (name === "text") {
        const all = [line.id, line.status, line.task, line.model, line.tags, line.note, line.group].join(" ").toLowerCase();
        if (!value.toLowerCase().split(/\s+/).every((word) => all.includes(word))) return false;
      } else if (name === "tags" ? !listed(line, name).includes(value) : line[name] !== value) return false;
    }
    return true;
  }

  function compare(a, b) {
    const { key, direction } = order;
    const urgent = (line) => (line.status === "RUNNING" ? 0 : line.status === "QUEUED" ? 1 : 2);
    if (!key) return urgent(a) - urgent(b) || texts.compare(b.started || "", a.started || "") || texts.compare(b.id, a.id);
    const value = (line) => (line[key] === "" ? undefined : line[key]);
    const [x, y] = [value(a) ?? null, value(b) ?? null];
    // What has no value stands last in either direction, after what failed.
    const rank = (item) => (item === null ? 2 : item === "failed" ? 1 : 0);
    if (rank(x) || rank(y)) return rank(x) - rank(y);
    const both = typeof x === "number" && typeof y === "number" ? x - y : texts.compare(String(x), String(y));
    return direction * both || texts.compare(a.id, b.id);
  }

  function course(values) {
    if (!values || values.length < 2) return "";
    const known = values.filter((value) => value !== null);
    if (known.length < 2) return "";
    const scale = known.every((value) => value > 0) ? Math.log : (value) => value;
    const [low, high] = [Math.min(...known.map(scale)), Math.max(...known.map(scale))];
    let pen = "M";
    const path = values.map((value, i) => {
      if (value === null) { pen = "M"; return ""; }
      const step = `${pen}${(60 * i / (values.length - 1)).toFixed(1)} ${(15 - 14 * (scale(value) - low) / (high - low || 1)).toFixed(1)}`;
      pen = "L";
      return step;
    }).join("");
    return drawing("svg", { class: "spark", viewBox: "0 0 60 16", "aria-hidden": "true" }, drawing("path", { d: path }));
  }

  function link(id) {
    return element("a", { href: `${base}/run/${id}`, textContent: id, title: id });
  }

  function fill(row, line) {
    const cell = (name, className, ...children) => element(name, { className }, ...children.filter(Boolean));
    const tick = row.querySelector("input") || element("input", { type: "checkbox" });
    tick.checked = chosen.has(line.id);
    tick.setAttribute("aria-label", `select run ${line.id}`);
    tick.onchange = () => { if (tick.checked) chosen.add(line.id); else chosen.delete(line.id); showChosen(); };
    const first = row.cells[0] || cell("th", "run");
    if (!first.firstChild) {
      first.scope = "row";
      first.append(element("label", { className: "tick" }, tick), " ", link(line.id));
    }
    const lost = line.alive !== undefined && line.alive < line.replicas ? ` (${line.alive} of ${line.replicas} alive)` : "";
    const loss = line.loss === undefined ? "" : line.loss === null ? "failed" : digits(line.loss);
    row.replaceChildren(
      first,
      cell("td", "state", ...stateOf(line)),
      cell("td", "words", line.task || ""),
      cell("td", "words", line.model || ""),
      cell("td", "number", line.seeds || ""),
      cell("td", "number", course(line.course), loss + lost),
      cell("td", "number", line.score === undefined ? (line.status === "COMPLETED" ? "…" : "") : line.score === null ? "" : digits(line.score)),
      cell("td", "time", line.started || ""),
      cell("td", "words", ...listed(line, "tags").map((tag) => element("span", { className: "tag", textContent: tag })), line.note || ""),
    );
  }

  function showChosen() {
    for (const id of chosen) if (lines.size && !lines.has(id)) chosen.delete(id);
    sessionStorage.setItem("chosen", JSON.stringify([...chosen]));
    const bar = document.getElementById("bar");
    bar.hidden = chosen.size === 0;
    document.getElementById("chosen").textContent = `${chosen.size} selected`;
    const asked = [...chosen].join(",");
    document.getElementById("to-compare").href = `${base}/compare?run=${asked}`;
    document.getElementById("to-report").href = `${base}/report?run=${asked}`;
    for (const row of body.rows) row.querySelector("input").checked = chosen.has(row.dataset.id);
    const all = document.getElementById("all");
    const count = found.filter((line) => chosen.has(line.id)).length;
    all.checked = count > 0 && count === found.length;
    all.indeterminate = count > 0 && count < found.length;
  }

  function showRuns() {
    const wanted = filters();
    found = Array.from(lines.values()).filter((line) => !isGrid(line) && fits(line, wanted)).sort(compare);
    const singles = Array.from(lines.values()).filter((line) => !isGrid(line)).length;
    const shown = found.slice(0, most);
    document.getElementById("found").textContent =
      `${digits(found.length)} of ${digits(singles)} runs${shown.length < found.length ? `, the first ${shown.length} shown` : ""}`
      + (pending ? `; ${digits(pending)} results are still to be read` : "");
    const more = document.getElementById("more");
    more.hidden = shown.length === found.length;
    more.textContent = `Show all ${digits(found.length)}`;
    const wantedRows = shown.map((line) => {
      let entry = rows.get(line.id);
      if (!entry) {
        entry = { row: document.createElement("tr"), line: null };
        entry.row.dataset.id = line.id;
        rows.set(line.id, entry);
      }
      if (entry.line !== line) fill(entry.row, line);
      entry.line = line;
      return entry.row;
    });
    const same = wantedRows.length === body.rows.length && wantedRows.every((row, i) => row === body.rows[i]);
    if (!same) body.replaceChildren(...wantedRows);
    showChosen();
  }

  function showGrids() {
    const grids = Array.from(lines.values()).filter(isGrid).sort((a, b) => {
      const urgent = (line) => (line.status === "RUNNING" ? 0 : 1);
      return urgent(a) - urgent(b) || texts.compare(b.started || "", a.started || "");
    });
    document.getElementById("grids").hidden = grids.length === 0;
    document.querySelector("#grids tbody").replaceChildren(...grids.map((line) => element(
      "tr", {},
      element("th", { className: "run", scope: "row" }, link(line.id)),
      element("td", { className: "state" }, ...stateOf(line)),
      element("td", { className: "words", textContent: line.task.replaceAll(",", ", ") }),
      element("td", { className: "words", textContent: line.model.replaceAll(",", ", ") }),
      element("td", { className: "time", textContent: line.started }),
      element("td", { className: "words" }, ...listed(line, "tags").map((tag) => element("span", { className: "tag", textContent: tag })), line.note || ""),
      element(
        "td", { className: "acts" },
        element("a", { href: `#group=${encodeURIComponent(line.id)}`, textContent: "runs" }), " ",
        element("a", { href: `${base}/compare?run=${line.id}`, textContent: "compare" }), " ",
        element("a", { href: `${base}/report?run=${line.id}`, textContent: "report" }),
      ),
    )));
  }

  // The choices of a filter are what the runs have.
  function showChoices() {
    const singles = Array.from(lines.values()).filter((line) => !isGrid(line));
    for (const select of form.querySelectorAll("select")) {
      const all = singles.flatMap((line) => (select.name === "tags" ? listed(line, "tags") : [line[select.name] || ""]));
      const values = [...new Set(all)].filter(Boolean).sort(texts.compare);
      const value = select.value || wantedFirst[select.name] || "";
      if (value && !values.includes(value)) values.push(value);
      const known = Array.from(select.options, (option) => option.value).slice(1);
      if (known.join("\n") !== values.join("\n")) {
        select.replaceChildren(select.options[0], ...values.map((one) => element("option", { value: one, textContent: one })));
      }
      select.value = value;
      select.parentElement.hidden = values.length === 0;
    }
  }

  let wantedFirst = {};
  function readAddress() {
    wantedFirst = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    for (const field of form.elements) if (field.name) field.value = wantedFirst[field.name] || "";
    showChoices();
    wantedFirst = {};
    showRuns();
  }

  function filtered() {
    const text = new URLSearchParams(filters()).toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname);
    most = FIRST;
    showRuns();
  }

  form.addEventListener("input", filtered);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filtered));
  window.addEventListener("hashchange", () => { readAddress(); document.getElementById("runs-title").scrollIntoView(); });
  document.getElementById("more").addEventListener("click", () => { most = Infinity; showRuns(); });
  document.getElementById("none").addEventListener("click", () => { chosen.clear(); showChosen(); });
  document.getElementById("all").addEventListener("change", (event) => {
    for (const line of found) if (event.target.checked) chosen.add(line.id); else chosen.delete(line.id);
    showChosen();
  });
  for (const button of heads) {
    button.addEventListener("click", () => {
      const key = button.dataset.sort;
      if (order.key !== key) order = { key, direction: 1 };
      else order = order.direction === 1 ? { key, direction: -1 } : { key: "", direction: 1 };
      for (const other of heads) {
        const state = other !== button || !order.key ? "none" : order.direction === 1 ? "ascending" : "descending";
        other.closest("th").setAttribute("aria-sort", state);
      }
      showRuns();
    });
  }

  let started = false;
  keepLooking(async () => {
    const news = await ask(`runs.json?since=${version}`);
    const changed = news.version !== version;
    for (const line of news.lines) lines.set(line.id, line);
    for (const id of news.gone) { lines.delete(id); rows.delete(id); }
    version = news.version;
    pending = news.pending;
    const counts = Object.entries(news.counts).map(([status, count]) => `${digits(count)} ${status.toLowerCase()}`);
    document.getElementById("counts").textContent = counts.join(", ") || "No runs yet: `ddl-dyn run with task=… model=…` makes one.";
    if (changed || !started) { showGrids(); showChoices(); }
    if (!started) { started = true; readAddress(); } else if (changed) showRuns();
    document.body.dataset.version = version;
    return pending ? 300 : 2000;
  });
})();
