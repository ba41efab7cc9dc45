"use strict";
// What all pages share: asking the server again and again, and the marks of a run's state.
const base = document.body.dataset.base;

async function ask(address) {
  const answer = await fetch(`${base}/${address}`, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

// Calls `look` again after as many milliseconds as it answers, and no more after 0; a page that nobody sees does not ask.
function keepLooking(look) {
  const lost = document.getElementById("lost");
  let waiting = null;
  const again = (wait) => { waiting = setTimeout(step, wait); };
  async function step() {
    waiting = null;
    if (document.hidden) return;
    try {
      const pause = await look();
      lost.hidden = true;
      if (pause) again(pause);
    } catch (error) {
      lost.hidden = false;
      again(5000);
    }
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && waiting === null) step(); });
  step();
}

function element(name, properties, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function drawing(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const digits = (value, count = 3) => {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Number(value.toPrecision(count)).toString();
};

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

const badge = (status) => element("span", { className: `badge ${status.toLowerCase()}`, textContent: status.toLowerCase() });

// A bar of shares, each a class and a part of one.
function shares(parts, label) {
  const bar = drawing("svg", { class: "progress", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": label });
  let from = 0;
  for (const [name, share] of parts) {
    bar.append(drawing("rect", { class: name, x: 100 * from, width: 100 * share, height: 8 }));
    from += share;
  }
  return bar;
}

// Status of a run or grid, how far it is, and what is left, as nodes.
function stateOf(line) {
  const nodes = [badge(line.status)];
  if (line.cells) {
    const counts = Object.entries(line.counts || {});
    const words = counts.map(([status, count]) => `${count} ${status.toLowerCase()}`);
    const waiting = line.cells - counts.reduce((sum, [, count]) => sum + count, 0);
    if (waiting > 0) words.push(`${waiting} not begun`);
    nodes.push(shares(counts.map(([status, count]) => [status.toLowerCase(), count / line.cells]), words.join(", ")));
    nodes.push(element("span", { className: "far", textContent: `${words.join(", ")} of ${line.cells}` }));
  } else if (line.updates && line.status !== "COMPLETED") {
    const far = `${digits(line.update)} of ${digits(line.updates)}`;
    nodes.push(shares([[line.status.toLowerCase(), Math.min(line.update / line.updates, 1)]], `update ${far}`));
    nodes.push(element("span", { className: "far", textContent: far }));
  }
  if (line.left !== undefined && line.left !== null) {
    nodes.push(element("span", { className: "far", textContent: `${duration(line.left)} left` }));
  }
  return nodes;
}
