// Nothing here is needed: every page works without. What is wrong, or has changed, gets the focus, and a form is not
// sent twice.
"use strict";
const errors = document.getElementById("errors") || document.getElementById("changes");
if (errors) errors.focus();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
