// Prepares what has come onto the page: at the start, and whenever a section was replaced.
function arrived(root) {
  watchCharts(root);
  watchMedia(root);
  restoreTables(root);
  if (root.querySelector("#front-plot")) restoreFront();
  if (selected.size) markSelected();
}

arrived(document);
if (LIVE !== undefined) look();
if (location.hash.startsWith("#open=")) openTrial(decodeURIComponent(location.hash.slice("#open=".length)));
