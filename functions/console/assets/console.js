// What scripts add to pages that are complete without them.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const text = button.firstChild;
    text.data = "Copied";
    setTimeout(() => { text.data = "Copy"; }, 2000);
  });
}

// A box that ticks all boxes of its table.
for (const all of document.querySelectorAll("[data-tick-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    const boxes = all.closest("table").querySelectorAll("tbody input[type=checkbox]");
    for (const box of boxes) box.checked = all.checked;
  });
}

// Suggestions for a field that has a list: some that hold what is typed in so far.
for (const field of document.querySelectorAll("[data-suggestions]")) {
  let waiting;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const asked = field.value;
      const answer = await fetch(`${field.dataset.suggestions}?q=${encodeURIComponent(asked)}`);
      if (!answer.ok || answer.redirected || field.value !== asked) return;
      const { users } = await answer.json();
      field.list.replaceChildren(...users.map((user) => new Option(user, user)));
    }, 200);
  });
}
