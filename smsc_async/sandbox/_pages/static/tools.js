// What the pages of limits, faults, accounts and requests need: regions that are shown anew without being disturbed.
"use strict";

// A region that is shown anew keeps its open details and the chosen tab, and is left alone while something is entered.
let opened = [];

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, xhr, requestConfig } = event.detail;
  if (xhr.status === 422 && xhr.responseText) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
  if (!target.matches?.("[data-region]")) return;
  if (requestConfig.verb === "get" && target.contains(document.activeElement) && isEntering(document.activeElement)) {
    event.detail.shouldSwap = false;
    return;
  }
  opened = [...target.querySelectorAll("details[open], input[type=radio]:checked")].map((each) => each.id);
});

document.addEventListener("htmx:afterSwap", () => {
  for (const each of opened.map((id) => document.getElementById(id))) {
    if (each?.matches("details")) each.open = true;
    if (each?.matches("input")) each.checked = true;
  }
  opened = [];
});

// What was entered and taken is no longer being entered.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const form = detail.elt.closest?.("form[method=post]");
  if (form && detail.successful && !form.matches(".clock-set")) form.reset();
});

// A form whose entries were wrong begins at the first of them.
document.addEventListener("htmx:afterSettle", () => {
  const wrong = document.querySelector("[aria-invalid=true]");
  if (wrong && !document.activeElement?.matches("[aria-invalid=true]")) wrong.focus();
});

function isEntering(element) {
  return element.matches("input:not([type=radio], [type=checkbox]), select, textarea") && element.value !== element.defaultValue;
}
