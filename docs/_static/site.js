// What the theme leaves out for people who listen to a page, or read it by keyboard.
for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = 2;
for (const [part, name] of [["sidebar", "All pages"], ["toc", "On this page"]])
  for (const drawer of document.querySelectorAll(`.${part}-drawer`)) drawer.ariaLabel = name;
for (const cell of document.querySelectorAll("th")) if (!cell.textContent.trim()) cell.replaceWith(document.createElement("td"));
for (const list of document.querySelectorAll("dt.sig dl")) {
  list.role = "list";
  for (const argument of list.children) argument.role = "listitem";
}
for (const wide of document.querySelectorAll(".table-wrapper")) if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
