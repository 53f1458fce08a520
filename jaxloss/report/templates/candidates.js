(() => {
  "use strict";
  const section = document.getElementById("candidates");
  const data = JSON.parse(document.getElementById("candidate-data").textContent);
  const named = ([search, proposal, training, score, operators, formula, origin, parent]) =>
    ({search: data.searches[search].replaceAll("_", " "), place: search, proposal, training, score, operators, formula, origin, parent});
  const points = data.points.map(named);
  const known = new Map([...data.ancestors.map(named), ...points].map((one) => [`${one.place}/${one.proposal}`, one]));
  const find = (selector) => section.querySelector(selector);
  const written = (score) => (score === null ? "not trained" : score.toFixed(4));
  // All text is set as text: a formula is never markup.
  const made = (name, text, parent) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const drawn = (name, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  };

  // --- the picture ---
  const svg = find("svg"), reading = find(".reading"), lineage = find(".lineage"), curves = find(".curves");
  const drawings = new Map([...section.querySelectorAll("template")].map((one) => [one.dataset.formula, one.content]));
  const left = 62, right = 965, top = 12, bottom = 275;
  const scores = points.map((one) => one.score), sizes = points.map((one) => one.operators);
  // Failures lie far below what the eye is to tell apart: they stand on the foot of the axis.
  const median = [...scores].sort((a, b) => a - b)[scores.length >> 1], high = Math.max(...scores);
  const low = Math.max(Math.min(...scores), high - 4 * (high - median) || -Infinity), span = high - low || 1;
  const most = Math.max(...sizes), least = Math.min(...sizes);
  const x = (size) => left + 14 + (right - left - 28) * (most === least ? 0.5 : (size - least) / (most - least));
  const y = (score) => bottom - (bottom - top) * Math.max(0, (score - low + 0.03 * span) / (1.06 * span));
  for (let step = 0; step <= 4; step += 1) {
    const score = low + (span * step) / 4;
    drawn("line", {x1: left, x2: right, y1: y(score), y2: y(score), class: "grid"}, svg);
    drawn("text", {x: left - 8, y: y(score) + 4, class: "end"}, svg).textContent = score.toFixed(3);
  }
  for (const size of [...new Set([least, Math.round((least + most) / 2), most])])
    drawn("text", {x: x(size), y: bottom + 20, class: "middle"}, svg).textContent = size;
  drawn("text", {x: (left + right) / 2, y: bottom + 40, class: "middle"}, svg).textContent = "operators of the formula";
  const front = [];
  for (const one of [...points].sort((a, b) => a.operators - b.operators || b.score - a.score))
    if (!front.length || one.score > front.at(-1).score) front.push(one);
  drawn("polyline", {points: front.map((one) => `${x(one.operators)},${y(one.score)}`).join(" "), class: "front"}, svg);
  const read = (one) => {
    reading.textContent = `${written(one.score)}, ${one.operators} operators, training ${one.training} of ${one.search}: ${one.formula}`;
  };
  let chosen = null;
  const choose = (one) => {
    for (const mark of svg.querySelectorAll(".chosen")) mark.classList.remove("chosen");
    chosen = one;
    one.mark.classList.add("chosen");
    read(one);
    lineage.replaceChildren();
    lineage.hidden = false;
    const seen = new Set();
    for (let next = one; next && !seen.has(next.proposal); next = known.get(`${next.place}/${next.parent}`)) {
      seen.add(next.proposal);
      const item = made("li", undefined, lineage);
      made("b", written(next.score), item);
      made("span", ` ${next.origin} `, item);
      made("code", next.formula, item);
    }
    curves.replaceChildren(...(drawings.has(one.formula) ? [drawings.get(one.formula).cloneNode(true)] : []));
    for (const row of find("tbody").rows) row.classList.toggle("chosen", row.candidate === one);
  };
  for (const one of [...points].reverse()) {
    one.mark = drawn("circle", {cx: x(one.operators), cy: y(one.score), r: 4, class: `dot search${Math.min(one.place, 1)}`}, svg);
    one.mark.addEventListener("pointerenter", () => read(one));
    one.mark.addEventListener("pointerleave", () => (chosen ? read(chosen) : (reading.textContent = "")));
    one.mark.addEventListener("click", () => choose(one));
  }

  // --- the table ---
  const body = find("tbody"), filter = find("input"), count = find(".count");
  let key = "score", sign = -1;
  const shown = () => {
    const wanted = filter.value.trim().toLowerCase();
    const compared = (a, b) => (a[key] < b[key] ? -sign : a[key] > b[key] ? sign : b.score - a.score);
    return points.filter((one) => one.formula.toLowerCase().includes(wanted)).sort(compared);
  };
  const fill = () => {
    const rows = shown();
    body.replaceChildren(...rows.map((one) => {
      const row = document.createElement("tr");
      row.candidate = one;
      row.classList.toggle("chosen", one === chosen);
      for (const text of [written(one.score), one.operators, one.training]) made("td", text, row).className = "number";
      for (const text of [one.search, one.origin]) made("td", text, row);
      made("code", one.formula, made("td", undefined, row));
      row.addEventListener("click", () => choose(one));
      return row;
    }));
    count.textContent = `${rows.length} of ${points.length}`;
    for (const heading of section.querySelectorAll("th")) {
      const own = heading.firstElementChild.dataset.key === key;
      heading.setAttribute("aria-sort", own ? (sign < 0 ? "descending" : "ascending") : "none");
    }
  };
  filter.addEventListener("input", fill);
  for (const button of section.querySelectorAll("th button"))
    button.addEventListener("click", () => {
      const own = button.dataset.key;
      sign = own === key ? -sign : ["score"].includes(own) ? -1 : 1;
      key = own;
      fill();
    });
  find(".tools button").addEventListener("click", () => {
    const quoted = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
    const columns = ["search", "proposal", "training", "score", "operators", "origin", "parent", "formula"];
    const lines = [columns.join(","), ...shown().map((one) => columns.map((name) => quoted(one[name])).join(","))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], {type: "text/csv"}));
    link.download = "candidates.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  fill();
})();
