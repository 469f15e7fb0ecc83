"""The fixed parts of the page: style, script and skeleton."""

from __future__ import annotations

from string import Template
from typing import Final

STYLE: Final = """
:root { --ink: #1b1f24; --muted: #57606a; --rule: #d8dee4; --tint: #f4f6f8; --link: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1264px; padding: 28px 24px 48px; background: #fff; color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 18px; }
h2 { font-size: 17px; margin: 36px 0 10px; }
h3 { font-size: 14px; margin: 26px 0 6px; }
a { color: var(--link); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin: 0 0 22px; }
.tile { border: 1px solid var(--rule); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 25px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: 13px; line-height: 1.35; display: block; margin-top: 3px; }
#chooser { margin: 0 0 12px; min-height: 30px; }
#chooser label, #chooser .vega-bind-name { font-weight: 600; margin-right: 6px; }
#chooser select { font: inherit; padding: 3px 8px; border: 1px solid var(--rule); border-radius: 6px; background: #fff;
  color: var(--ink); max-width: 620px; }
.chart { width: 100%; }
.chart svg { max-width: 100%; height: auto; }
.caption { max-width: 110ch; margin: 6px 0 10px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 10px 0 0; color: var(--muted); font-size: 13px; }
.legend i { display: inline-block; width: 20px; height: 14px; border-radius: 3px; vertical-align: -2px;
  margin-right: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12px; line-height: 1.35; }
th, td { text-align: left; padding: 4px 7px; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
th { font-weight: 600; }
thead th { vertical-align: bottom; font-size: 12px; }
thead small { display: block; color: var(--muted); font-weight: 400; }
.designs { width: 100%; }
.designs td:nth-child(2) { min-width: 16ch; }
.numbers { margin: 8px 0 14px; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead .number { white-space: normal; }
.designs tr.group th { padding-top: 16px; color: var(--muted); font-weight: 600; }
tr.chosen > * { background: #e3f0f8; }
.facts th { color: var(--muted); font-weight: 500; white-space: nowrap; padding-left: 0; }
.facts td { overflow-wrap: anywhere; }
.notes { padding-left: 20px; max-width: 90ch; }
#vg-tooltip-element.vg-tooltip { font: 12px/1.4 system-ui, sans-serif; color: var(--ink); max-width: 420px; }
@media screen and (max-width: 900px) {
  body { padding: 16px 12px 32px; }
  .chart { overflow-x: auto; }
  .chart svg { max-width: none; }
  #chooser select { max-width: 100%; }
  .facts th { white-space: normal; }
}
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { padding: 0; max-width: none; }
  #chooser { display: none; }
  .scroll { overflow: visible; }
  .tiles { grid-template-columns: repeat(5, 1fr); }
  table, thead th { font-size: 9px; }
  th, td { padding: 2px 4px; }
  tr, .tile, svg { break-inside: avoid; }
}
"""

SCRIPT: Final = """
"use strict";
(async () => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const views = [];
  for (const { place, specification, tables } of page.charts) {
    for (const [name, table] of Object.entries(tables)) {
      specification.datasets[name] = table.data.map(
        (row) => Object.fromEntries(row.map((cell, index) => [table.columns[index], cell])));
    }
    const { view } = await vegaEmbed(`#${place}`, specification,
      { actions: false, ast: true, renderer: "svg", ...(views.length ? {} : { bind: "#chooser" }) });
    views.push(view);
  }
  const [main, ...others] = views;
  const followers = others.filter((view) => page.signal in view.getState().signals);
  const known = new Set(page.charts[0].tables.designs.data.map((row) => row[0]));
  const rows = document.querySelectorAll("tr[data-design]");
  const choose = async (design) => {
    if (known.has(design)) { await main.signal(page.signal, design).runAsync(); }
  };
  const show = (design) => {
    for (const row of rows) {
      row.classList.toggle("chosen", row.dataset.design === design);
    }
    for (const view of followers) { view.signal(page.signal, design).runAsync(); }
    document.body.dataset.design = design;
  };
  const follow = async () => {
    let design;
    try { design = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    await choose(design);
  };
  for (const view of [main, ...followers]) {
    view.addEventListener("click", (_, item) => choose(item && item.datum && item.datum.design));
  }
  main.addSignalListener(page.signal, (_, design) => {
    show(design);
    history.replaceState(null, "", "#" + encodeURIComponent(design));
  });
  show(main.signal(page.signal));
  await follow();
  addEventListener("hashchange", async () => {
    await follow();
    document.getElementById("explore").scrollIntoView();
  });
  document.body.dataset.ready = "yes";
})();
"""

PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header><h1>$title</h1></header>
<main>
<section class="tiles" aria-label="Headline numbers">$tiles</section>
<section id="explore" aria-label="Interactive charts">
<div id="chooser"></div>
<div class="chart" id="charts"></div>
<noscript>The charts need JavaScript; the tables below do not.</noscript>
<p class="legend">$legend</p>
</section>
<section id="trust"><h2>How far losses can be trusted</h2>
$trust</section>
<section><h2>Designs</h2>
<p>$table_text</p>
<div class="scroll">$designs</div></section>
<section><h2>How this was made</h2>$facts
$notes</section>
</main>
<script type="application/json" id="page-data">$data</script>
<script>$bundle</script>
<script>$script</script>
</body>
</html>
""")
"""The bundle and the script are allowed by their hashes in ``policy``; nothing else runs and nothing is fetched."""
