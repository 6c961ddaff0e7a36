"use strict";

// Text of models and people enters the page through textContent only, which interprets no markup.

let data; // charts, texts and the look of charts, filled by `main`
const searchTexts = new Map(); // by number of the text, filled by the first search
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

function cell(name, content, className) {
  const created = element("td", content, className);
  created.dataset.label = name;
  return created;
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
  row.append(cell("group", text.source), cell("emotion", text.label ?? ""));
  row.append(cell("predicted", predicted, text.prediction && text.prediction !== text.label ? "differs" : ""), body);
  return row;
}

const search = document.getElementById("search");
const query = document.getElementById("query");
const source = document.getElementById("source");
const label = document.getElementById("label");
const differs = document.getElementById("differs");

function searchText(index) {
  if (!searchTexts.has(index)) searchTexts.set(index, [...leaves(data.texts[index])].join("\n").toLowerCase());
  return searchTexts.get(index);
}

function fillTable() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = data.texts.filter(
    (text, index) =>
      (!source.value || text.source === source.value) &&
      (!label.value || text.label === label.value) &&
      (!differs.checked || (text.prediction !== undefined && text.prediction !== text.label)) &&
      words.every((word) => searchText(index).includes(word)),
  );
  document.getElementById("rows").replaceChildren(...matches.slice(0, limit).map(tableRow));
  document.getElementById("count").textContent = `${matches.length} of ${data.texts.length} texts`;
  document.getElementById("found-count").textContent = query.value ? `${matches.length} texts` : "";
  document.getElementById("more").hidden = matches.length <= limit;
}

function filterTable() {
  limit = PAGE_SIZE;
  fillTable();
}

function copyInput(from, to) {
  from.addEventListener("input", () => {
    to.value = from.value;
    filterTable();
  });
}

function showTable() {
  const heading = document.getElementById("table");
  heading.scrollIntoView();
  heading.focus({ preventScroll: true });
}

function connectTable() {
  copyInput(search, query);
  copyInput(query, search);
  for (const control of [source, label, differs]) control.addEventListener("input", filterTable);
  for (const id of ["find", "filters"]) {
    document.getElementById(id).addEventListener("submit", (event) => {
      event.preventDefault();
      showTable();
    });
  }
  document.getElementById("more").addEventListener("click", () => {
    limit += PAGE_SIZE;
    fillTable();
  });
  fillTable();
}

function showInTable(text) {
  search.value = query.value = `${text.id} ${text.text}`;
  source.value = text.source;
  label.value = "";
  differs.checked = false;
  filterTable();
  showTable();
}

// Colours of charts follow those of the page.

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function themedLayout() {
  const [ink, line, paper] = ["--ink", "--line", "--paper"].map(colourOf);
  const axes = {};
  for (const axis of ["xaxis", "yaxis"]) {
    for (const part of ["gridcolor", "zerolinecolor", "linecolor"]) axes[`${axis}.${part}`] = line;
  }
  return { ...axes, "font.color": ink, "hoverlabel.bgcolor": paper, "hoverlabel.font.color": ink };
}

function nested(changes) {
  const result = {};
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".");
    let target = result;
    for (const name of names.slice(0, -1)) target = target[name] ??= {};
    target[names.at(-1)] = value;
  }
  return result;
}

function merged(first, second) {
  const result = { ...first };
  for (const [name, value] of Object.entries(second)) {
    const both = [result[name], value].every((part) => part !== null && typeof part === "object");
    result[name] = both && !Array.isArray(value) ? merged(result[name], value) : value;
  }
  return result;
}

const CONFIG = {
  displayModeBar: false,
  displaylogo: false,
  showSendToCloud: false,
  showEditInChartStudio: false,
  showLink: false,
  plotlyServerURL: "",
  responsive: true,
};

const HOVER_LINE = 60; // characters
const HOVER_LINES = 4;

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"); // plotly interprets markup
}

function hoverText(text) {
  const flat = [...text.text.replaceAll(/\s+/g, " ")];
  const lines = [];
  for (let start = 0; start < flat.length; start += HOVER_LINE) lines.push(flat.slice(start, start + HOVER_LINE).join(""));
  const shown = lines.slice(0, HOVER_LINES).map(escaped).join("<br>") + (lines.length > HOVER_LINES ? "…" : "");
  return `<b>${escaped(`${text.source}, ${text.label ?? "no label"}`)}</b><br>${shown}`;
}

function themedTrace(trace, id) {
  if (trace.type === "heatmap") return { ...trace, textfont: { color: colourOf("--ink") } };
  if (id === "map") return { ...trace, text: trace.customdata.map((index) => hoverText(data.texts[index])) };
  return trace;
}

const undrawn = new Map(); // charts by id, filled by `drawCharts`

function draw(id) {
  const chart = undrawn.get(id);
  if (!undrawn.delete(id)) return;
  const container = document.getElementById(id);
  const layout = merged({ ...chart.layout, template: data.template }, nested(themedLayout()));
  const traces = chart.data.map((trace) => themedTrace(trace, chart.id));
  Plotly.newPlot(container, traces, layout, CONFIG);
  if (chart.id === "map") container.on("plotly_click", (event) => showInTable(data.texts[event.points[0].customdata]));
}

function recolour() {
  for (const chart of data.charts.filter(({ id }) => !undrawn.has(id))) {
    const container = document.getElementById(chart.id);
    const heatmaps = container.data.flatMap((trace, number) => (trace.type === "heatmap" ? [number] : []));
    if (heatmaps.length) Plotly.restyle(container, { "textfont.color": colourOf("--ink") }, heatmaps);
    Plotly.relayout(container, themedLayout());
  }
}

function connectCharts() {
  for (const control of document.querySelectorAll("select.choice")) {
    const { choice } = data.charts.find((chart) => chart.id === control.dataset.chart);
    control.addEventListener("change", () => {
      draw(control.dataset.chart);
      Plotly.restyle(control.dataset.chart, choice.options[control.value].changes);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  addEventListener("beforeprint", () => {
    for (const { id } of data.charts) draw(id);
    document.documentElement.dataset.print = "yes";
    resize({ width: PRINT_WIDTH, autosize: false });
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    resize({ width: null, autosize: true });
  });
}

const PRINT_WIDTH = 680; // pixels of A4 and Letter between usual margins

function resize(changes) {
  for (const { id } of data.charts) if (!undrawn.has(id)) Plotly.relayout(id, changes);
  recolour();
}

function decoded(letters) {
  const binary = atob(letters);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

function idle() {
  return new Promise((resume) => (globalThis.requestIdleCallback ? requestIdleCallback(() => resume()) : setTimeout(resume)));
}

async function unpacked(id) {
  const letters = document.getElementById(id).textContent;
  const bytes = Uint8Array.fromBase64?.(letters) ?? decoded(letters);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

// A chart is drawn when it comes near the window, or when the browser has nothing else to do.
async function drawCharts() {
  for (const chart of data.charts) {
    undrawn.set(chart.id, chart);
    document.getElementById(chart.id).style.minHeight = `${chart.layout.height}px`; // nothing moves when it is drawn
  }
  const script = document.createElement("script");
  script.textContent = await unpacked("plotly");
  document.head.append(script);
  connectCharts();
  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target.id)),
    { rootMargin: "50% 0px" },
  );
  for (const { id } of data.charts) watcher.observe(document.getElementById(id));
  for (const { id } of data.charts) {
    await idle();
    draw(id);
  }
  watcher.disconnect();
}

async function main() {
  data = JSON.parse(await unpacked("data"));
  if (search) connectTable(); // the page of a match has no texts
  await drawCharts();
}

main()
  .catch((error) => {
    for (const chart of document.querySelectorAll(".chart")) chart.textContent = "Charts need a newer browser.";
    throw error;
  })
  .finally(() => (document.body.dataset.ready = "yes"));
