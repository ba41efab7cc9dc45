"use strict";
(() => {
  const told = document.getElementById("told");
  const began = Date.now();
  // Runs that go on change what their report would say: what was asked for first is waited for.
  let asked = document.body.dataset.query;
  keepLooking(async () => {
    const { key, state, reason, address } = await ask(`report.json?${asked}`);
    asked = `key=${key}`;
    if (state === "ready") {
      told.textContent = "Ready.";
      location.replace(address);
      return 0;
    }
    if (state === "failed") {
      told.textContent = `It cannot be drawn: ${reason}`;
      return 0;
    }
    const seconds = duration((Date.now() - began) / 1000);
    told.textContent = state === "waiting" ? "Waiting for another report that is being drawn …" : `Being drawn for ${seconds} …`;
    return 1000;
  });
})();
