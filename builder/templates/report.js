"use strict";

// What models wrote is set by textContent alone, so that it stays text.

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE = 50;
let limit = PAGE;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function* leaves(value) {
  if (value !== null && typeof value === "object") {
    for (const part of Object.values(value)) yield* leaves(part);
  } else if (value !== null) {
    yield String(value);
  }
}

const haystacks = data.texts.map((text) => [...leaves(text)].join("\n").toLowerCase());

function facts(value) {
  const list = element("dl");
  for (const [name, part] of Object.entries(value)) {
    if (part === null) continue;
    list.append(element("dt", name.replaceAll("_", " ")));
    const said = element("dd");
    if (typeof part === "object") said.append(facts(part));
    else said.textContent = String(part);
    list.append(said);
  }
  return list;
}

function row(text) {
  const line = element("tr");
  const body = element("td");
  const details = element("details");
  details.append(element("summary", text.text));
  details.addEventListener(
    "toggle",
    () => details.append(facts({ ...(text.id && { row: text.id }), ...text.persona, provenance: text.facts ?? null })),
    { once: true },
  );
  body.append(details);
  const read = text.reading === undefined ? "" : `${text.reading} ${Math.round(100 * text.confidence)} %`;
  line.append(element("td", text.source), element("td", text.label ?? ""));
  line.append(element("td", read, text.reading && text.reading !== text.label ? "differs" : ""), body);
  return line;
}

const search = document.getElementById("search");
const source = document.getElementById("source");
const label = document.getElementById("label");
const differs = document.getElementById("differs");

function fill() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = data.texts.filter(
    (text, place) =>
      (!source.value || text.source === source.value) &&
      (!label.value || text.label === label.value) &&
      (!differs.checked || (text.reading !== undefined && text.reading !== text.label)) &&
      words.every((word) => haystacks[place].includes(word)),
  );
  document.getElementById("rows").replaceChildren(...found.slice(0, limit).map(row));
  document.getElementById("found").textContent = `${found.length} of ${data.texts.length} texts`;
  document.getElementById("more").hidden = found.length <= limit;
}

function refill() {
  limit = PAGE;
  fill();
}

for (const choice of [search, source, label, differs]) choice.addEventListener("input", refill);
document.getElementById("more").addEventListener("click", () => {
  limit += PAGE;
  fill();
});

function find(text) {
  search.value = `${text.id} ${text.text}`;
  source.value = text.source;
  label.value = "";
  differs.checked = false;
  refill();
  document.getElementById("table").scrollIntoView();
}

for (const figure of data.figures) {
  const place = document.getElementById(figure.id);
  Plotly.newPlot(place, figure.data, figure.layout, { displaylogo: false, responsive: true });
  if (figure.id === "map") place.on("plotly_click", (event) => find(data.texts[event.points[0].customdata]));
}

fill();
document.body.dataset.ready = "yes";
