// Tables that are sorted by a click on the head of a column.
const orders = {}; // by id of a table: the column and the direction that the reader chose

const valueOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}

function sortTable(table, column, descending) {
  const heads = [...table.tHead.rows[0].cells];
  if (column >= heads.length) return;
  orders[table.id] = { column, descending };
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [valueOf(row, column), row]);
  const known = keyed.filter(([value]) => value !== "");
  known.sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
  const unknown = keyed.filter(([value]) => value === ""); // these come last in both directions
  body.append(...[...known, ...unknown].map(([, row]) => row));
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("table.sortable th");
  if (!head || !event.target.closest("button")) return;
  sortTable(head.closest("table"), head.cellIndex, head.getAttribute("aria-sort") === "ascending");
});

function restoreTables(root) {
  for (const table of root.querySelectorAll("table.sortable")) {
    const order = orders[table.id];
    if (order) sortTable(table, order.column, order.descending);
  }
}
