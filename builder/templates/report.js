"use strict";

// Text of models and people enters the page through textContent only, which interprets no markup.

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE_SIZE = 50;
let limit = PAGE_SIZE;

function element(name, text, className) {
  const created = document.createElement(name);
  if (text !== undefined) created.textContent = text;
  if (className) created.className = className;
  return created;
}

function* leaves(value) {
  if (value !== null && typeof value === "object") {
    for (const part of Object.values(value)) yield* leaves(part);
  } else if (value !== null) {
    yield String(value);
  }
}

const searchTexts = data.texts.map((text) => [...leaves(text)].join("\n").toLowerCase());

function definitionList(value) {
  const list = element("dl");
  for (const [name, part] of Object.entries(value)) {
    if (part === null) continue;
    list.append(element("dt", name.replaceAll("_", " ")));
    const description = element("dd");
    if (typeof part === "object") description.append(definitionList(part));
    else description.textContent = String(part);
    list.append(description);
  }
  return list;
}

function tableRow(text) {
  const row = element("tr");
  const body = element("td");
  const details = element("details");
  details.append(element("summary", text.text));
  details.addEventListener(
    "toggle",
    () =>
      details.append(
        definitionList({ ...(text.id && { row: text.id }), ...text.persona, provenance: text.facts ?? null }),
      ),
    { once: true },
  );
  body.append(details);
  const predicted =
    text.prediction === undefined ? "" : `${text.prediction} ${Math.round(100 * text.confidence)} %`;
  row.append(element("td", text.source), element("td", text.label ?? ""));
  row.append(element("td", predicted, text.prediction && text.prediction !== text.label ? "differs" : ""), body);
  return row;
}

const search = document.getElementById("search");
const source = document.getElementById("source");
const label = document.getElementById("label");
const differs = document.getElementById("differs");

function fillTable() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = data.texts.filter(
    (text, index) =>
      (!source.value || text.source === source.value) &&
      (!label.value || text.label === label.value) &&
      (!differs.checked || (text.prediction !== undefined && text.prediction !== text.label)) &&
      words.every((word) => searchTexts[index].includes(word)),
  );
  document.getElementById("rows").replaceChildren(...matches.slice(0, limit).map(tableRow));
  document.getElementById("count").textContent = `${matches.length} of ${data.texts.length} texts`;
  document.getElementById("more").hidden = matches.length <= limit;
}

function filterTable() {
  limit = PAGE_SIZE;
  fillTable();
}

if (search) {
  for (const control of [search, source, label, differs]) control.addEventListener("input", filterTable);
  document.getElementById("more").addEventListener("click", () => {
    limit += PAGE_SIZE;
    fillTable();
  });
}

function showInTable(text) {
  search.value = `${text.id} ${text.text}`;
  source.value = text.source;
  label.value = "";
  differs.checked = false;
  filterTable();
  document.getElementById("table").scrollIntoView();
}

for (const chart of data.charts) {
  const container = document.getElementById(chart.id);
  Plotly.newPlot(container, chart.data, chart.layout, { displaylogo: false, responsive: true });
  if (chart.id === "map") container.on("plotly_click", (event) => showInTable(data.texts[event.points[0].customdata]));
}

if (search) fillTable(); // the page of a match has no texts
document.body.dataset.ready = "yes";
