// Tables are sorted by a click on a heading; what a link leads to is open, and all is open on paper. The page reads the same without this.
(() => {
  const units = { s: 1, min: 60, h: 3600, MB: 1, GB: 1024, Wh: 1, kWh: 1000 };
  const number = text => {
    const parts = [...text.matchAll(/([\d.,]+)\s*(kWh|Wh|GB|MB|min|h|s)(?![A-Za-z])/g)];
    if (parts.length) return parts.reduce((sum, [, n, unit]) => sum + Number(n.replaceAll(",", "")) * units[unit], 0);
    const found = text.match(/^[^\d+-]{0,3}([+-]?\d[\d,]*(?:\.\d+)?)/);
    return found ? Number(found[1].replaceAll(",", "")) : NaN;
  };
  const text = (row, column) => (row.cells[column]?.textContent || "").trim();
  const missing = value => ["", "-", "·"].includes(value);

  const sort = (table, column, descending) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter(row => !row.matches(".group, .total"));
      const values = rows.map(row => text(row, column));
      const numeric = values.every(value => missing(value) || !Number.isNaN(number(value)));
      const compare = (a, b) => numeric ? number(a) - number(b) : a.localeCompare(b, "en", { numeric: true });
      const order = rows.map((_, i) => i).sort((a, b) =>
        missing(values[a]) - missing(values[b]) || (descending ? -1 : 1) * compare(values[a], values[b]) || a - b);
      const last = body.querySelector(":scope > .total");
      for (const i of order) body.insertBefore(rows[i], last);
    }
  };

  for (const table of document.querySelectorAll("table")) {
    if (![...table.tBodies].some(body => body.rows.length > 2)) continue;
    for (const head of table.tHead.rows[0].cells) {
      if (!head.textContent.trim()) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const descending = head.ariaSort ? head.ariaSort === "ascending" : head.matches(".number");
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(table, head.cellIndex, descending);
      });
    }
  }

  // What a link leads to is open.
  const unfold = () => {
    for (let one = document.getElementById(decodeURIComponent(location.hash.slice(1))); one; one = one.parentElement)
      if (one.matches("details")) one.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
})();
