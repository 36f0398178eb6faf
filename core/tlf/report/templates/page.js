"use strict";
// Tables that can be sorted: a button in each heading. Without this script they stay as they are.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? cell.dataset.v : cell.textContent.trim();
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const numeric = heading.classList.contains("n");
      // Numbers begin with the largest, words with the first.
      const now = heading.getAttribute("aria-sort");
      const first = numeric ? "descending" : "ascending";
      const other = numeric ? "ascending" : "descending";
      const order = now === first ? other : first;
      const sign = order === "ascending" ? 1 : -1;
      for (const one of headings) one.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
      rows.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        return sign * (numeric ? Number(a) - Number(b) : compare(a, b));
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}
// What scrolls can be reached by keyboard, and only what scrolls.
const boxes = [...document.querySelectorAll(".scroll")];
const reach = () => {
  for (const box of boxes) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1;
    const caption = box.querySelector("caption");
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", caption ? caption.textContent : "Table");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }
};
reach();
addEventListener("resize", reach);
// Paper cannot be unfolded.
const unfolded = [];
const unfold = () => {
  for (const one of document.querySelectorAll("details:not([open])")) {
    one.open = true;
    unfolded.push(one);
  }
};
const fold = () => {
  for (const one of unfolded.splice(0)) one.open = false;
};
matchMedia("print").addEventListener("change", (event) => (event.matches ? unfold() : fold()));
addEventListener("beforeprint", unfold);
addEventListener("afterprint", fold);
