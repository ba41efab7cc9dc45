"use strict";
(() => {
  const { run } = document.body.dataset;
  const drawing = new URLSearchParams(location.search).get("figures") || "";
  let stamp = "";
  const shown = {};
  const chartsIn = (place) => { for (const svg of place.querySelectorAll(".chart > svg")) readable(svg); };

  function showState(line) {
    const nodes = stateOf(line);
    if (line.loss) nodes.push(element("span", { className: "far", textContent: `loss ${digits(line.loss)}` }));
    if (line.alive !== undefined && line.alive < line.replicas) {
      nodes.push(element("span", { className: "far", textContent: `${line.alive} of ${line.replicas} seeds alive` }));
    }
    const when = [line.started && `started ${line.started}`, line.stopped && `ended ${line.stopped} UTC`].filter(Boolean).join(", ");
    nodes.push(element("span", { className: "far", textContent: when }));
    document.getElementById("state").replaceChildren(...nodes);
  }

  // What has not changed is left as it stands: pictures do not flicker, and a text that is being read keeps its place.
  function show(parts) {
    for (const name of ["charts", "scores", "figures", "forming"]) {
      const place = document.getElementById(name);
      if (!place || shown[name] === parts[name]) continue;
      // The server has escaped every value in it, and the page's policy runs no script but its own.
      place.innerHTML = parts[name];
      shown[name] = parts[name];
      if (name === "charts") chartsIn(place);
    }
    const scored = document.getElementById("scored");
    if (scored) scored.hidden = !parts.scores.trim();
    const output = document.getElementById("output");
    const atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 8;
    const printed = parts.output || "Nothing printed yet.";
    if (output.textContent !== printed) output.textContent = printed;
    if (atEnd) output.scrollTop = output.scrollHeight;
    const error = document.getElementById("error");
    error.textContent = parts.error;
    error.hidden = !parts.error;
  }

  chartsIn(document);
  const output = document.getElementById("output");
  output.scrollTop = output.scrollHeight;
  keepLooking(async () => {
    const news = await ask(`run/${run}/state.json?stamp=${encodeURIComponent(stamp)}&figures=${encodeURIComponent(drawing)}`);
    stamp = news.stamp;
    showState(news.line);
    if (news.parts) show(news.parts);
    return 2000;
  });
})();
